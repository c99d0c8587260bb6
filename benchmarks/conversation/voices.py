"""Voices of the callers: people and synthesisers, none of which is the assistant's own.

People: the LibriVox reader of the tests' sentences; the speakers of `pocketsphinx-testdata`; and the prompts
of `asterisk-core-sounds-en-gsm`, a person over a mobile telephone. Synthesisers: flite, espeak-ng, festival.
All are brought to one level, so that echo, television and fan can be so many decibels below it.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.conversation.loudness import FRAME_SECONDS, RATE, levels
from local_voice.audio import Resampler, Samples, read_wav

LEVEL_DB = -23.0
"""Of the voiced frames of everything that is said."""
SENTENCES = Path(__file__).parent.parent.parent / "tests" / "data"
COMMANDS = Path("/usr/share/pocketsphinx/test/data")
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
NEEDED = {
    "flite": Path("/usr/bin/flite"),
    "espeak-ng": Path("/usr/bin/espeak-ng"),
    "festival": Path("/usr/bin/text2wave"),
    "festvox-kdlpc16k": Path("/usr/share/festival/voices/english/ked_diphone"),
    "pocketsphinx-testdata": COMMANDS,
    "asterisk-core-sounds-en-gsm": PROMPTS,
}
"""Debian packages that hold the voices, and where they put them. The short form needs the first alone."""


def missing() -> list[str]:
    """Packages to install before everybody can speak."""
    return [package for package, path in NEEDED.items() if not path.exists()]


def levelled(samples: Samples, decibels: float = LEVEL_DB) -> Samples:
    """The same sound with its louder frames (within 25 dB of the loudest) at `decibels` on average."""
    found = levels(samples)
    loud = np.repeat(found > found.max() - 25, round(FRAME_SECONDS * RATE))
    power = float(np.mean(np.square(samples[: len(loud)][loud])))
    return np.asarray(np.clip(samples * np.sqrt(10 ** (decibels / 10) / power), -1, 1), np.float32)


@functools.cache
def say(text: str, voice: str) -> Samples:
    """`text` spoken by `program:voice`, such as `flite:slt`, `espeak:en-gb` or `festival:ked_diphone`."""
    program, name = voice.split(":")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        commands = {
            "flite": ["flite", "-voice", name, "-t", text, "-o", str(path)],
            "espeak": ["espeak-ng", "-v", name, "-s", "150", "-w", str(path), text],
            "festival": ["text2wave", "-eval", f"(voice_{name})", "-o", str(path)],
        }
        subprocess.run(commands[program], input=text.encode(), check=True, capture_output=True)
        sound = read_wav(path)
    return levelled(Resampler(sound.sample_rate, RATE).process(sound.samples, last=True))


@functools.cache
def sentence(number: str) -> Samples:
    """A LibriVox sentence of the tests, such as `0870`."""
    return levelled(read_wav(SENTENCES / f"sense_{number}.wav").samples)


@functools.cache
def command(name: str) -> Samples:
    """A recording of `pocketsphinx-testdata`, such as `cards/005.wav`."""
    path = COMMANDS / name
    if path.suffix == ".raw":
        return levelled(np.asarray(np.fromfile(path, "<i2") / 32768, np.float32))
    return levelled(read_wav(path).samples)


@functools.cache
def prompt(name: str) -> Samples:
    """A recording of `asterisk-core-sounds-en-gsm`, such as `digits/5`: GSM 6.10 at 8 kHz."""
    path = PROMPTS / f"{name}.gsm"
    samples, _ = soundfile.read(
        path, samplerate=8000, channels=1, format="RAW", subtype="GSM610", dtype="float32"
    )
    return levelled(Resampler(8000, RATE).process(np.asarray(samples, np.float32), last=True))


def cut(samples: Samples, at: float, *, search: float = 0.12) -> tuple[Samples, Samples]:
    """Two halves of a recording, parted at its softest 30 ms within `search` seconds of `at`."""
    found = levels(samples)
    width = round(0.03 / FRAME_SECONDS)
    first = max(0, round((at - search) / FRAME_SECONDS))
    last = min(len(found) - width, round((at + search) / FRAME_SECONDS))
    softest = min(range(first, last), key=lambda frame: float(np.max(found[frame : frame + width])))
    middle = round((softest + width / 2) * FRAME_SECONDS * RATE)
    return samples[:middle], samples[middle:]
