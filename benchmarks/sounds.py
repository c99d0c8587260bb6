"""What the benchmarks let the assistant hear: people, spoken questions, noise, a telephone.

People are the LibriVox sentences of the tests and, where Debian's `pocketsphinx-testdata` is installed,
seven commands from it: 12 clips, 40 s. Announcements are those of a telephone exchange, read by one person,
where Debian's `asterisk-core-sounds-en-g722` and `asterisk-core-sounds-en` are installed: 167 clips, 8 min,
1,252 words. Questions are rendered with flite's voices.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np

from local_voice.audio import SPEECH_RATE, Resampler, Samples, read_wav

SENTENCES = Path(__file__).parent.parent / "tests" / "data"
COMMANDS = Path("/usr/share/pocketsphinx/test/data")
COMMAND_WORDS = {
    "cards/001.wav": "ten of clubs",
    "cards/002.wav": "four queen of clubs",
    "cards/003.wav": "seven of clubs",
    "cards/004.wav": "five five",
    "cards/005.wav": "eight of spades four of clubs seven of hearts",
    "goforward.raw": "go forward ten meters",
    "something.raw": "go somewhere and do something",
}
EXCHANGE = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
EXCHANGE_WORDS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
EXCHANGE_SECONDS = 12.0
"""Longer ones are whole menus."""
VOICES = ("slt", "rms", "awb", "kal16", "kal")
QUESTIONS = tuple(
    line.strip()
    for line in """
    What is the capital of France?
    How many days are there in a week?
    Can you tell me a short joke?
    What color is the sky on a clear day?
    Who wrote Romeo and Juliet?
    What should I cook for dinner tonight?
    How do I make a good cup of tea?
    Why is the sea salty?
    What is the largest planet in the solar system?
    Please tell me something interesting about cats.
    Is it going to rain tomorrow?
    How far away is the moon?
    Could you remind me to call my sister on Friday?
    What does the word serendipity mean?
    Turn off the lights in the kitchen, please.
    When did the first people walk on the moon?
    How long should I boil an egg?
    Which river flows through London?
    I would like to learn to play the guitar, where do I begin?
    Why do leaves change their color in autumn?
    """.strip().splitlines()
)

Spoken: TypeAlias = tuple[Samples, str]
"""Sound at 16 kHz, shape `(n,)`, and the words in it."""


def sound_file(path: Path) -> Samples:
    """Any sound file at 16 kHz; `.raw` is what pocketsphinx makes of it: 16 bits, 16 kHz, mono."""
    if path.suffix == ".raw":
        return np.fromfile(path, "<i2").astype(np.float32) / 32768
    sound = read_wav(path)
    return Resampler(sound.sample_rate, SPEECH_RATE).process(sound.samples, last=True)


def people() -> list[Spoken]:
    """Human speech: sentences, then commands."""
    lines = [line.split(" ", 1) for line in (SENTENCES / "transcripts.txt").read_text().splitlines()]
    found = [(sound_file(SENTENCES / f"{name}.wav"), words) for name, words in lines]
    if not COMMANDS.is_dir():
        print(f"only {len(found)} human clips; for all: sudo apt-get install pocketsphinx-testdata")
        return found
    return found + [(sound_file(COMMANDS / name), words) for name, words in COMMAND_WORDS.items()]


def announcements(count: int) -> list[Spoken]:
    """`count` of those with three plain words and more, evenly from all; none without the packages."""
    if not (EXCHANGE_WORDS.is_file() and any(EXCHANGE.glob("*.g722"))):
        print("no announcements: sudo apt-get install asterisk-core-sounds-en-g722 asterisk-core-sounds-en")
        return []
    found: list[tuple[Path, str]] = []
    for line in gzip.decompress(EXCHANGE_WORDS.read_bytes()).decode(errors="replace").splitlines():
        name, _, words = line.strip().partition(": ")
        sound = EXCHANGE / f"{name}.g722"
        # Digits are spelled now so, now so; what stands in brackets is a sound.
        plain = len(words.split()) >= 3 and not re.search(r"[^\w\s',.!?;:\"-]|\d|\.\.\.", words)
        # 64 kbit/s: 8,000 bytes are a second.
        if plain and sound.is_file() and sound.stat().st_size <= EXCHANGE_SECONDS * 8_000:
            found.append((sound, words))
    step = max(1.0, len(found) / max(1, count))
    chosen = [found[int(number * step)] for number in range(min(count, len(found)))]
    return [(_of_exchange(sound), words) for sound, words in chosen]


def _of_exchange(path: Path) -> Samples:
    """G.722, of which no header tells: 16 kHz, mono."""
    with av.open(str(path), format="g722") as file:
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 32768


def questions(count: int) -> list[Spoken]:
    """`count` spoken questions: 20 sentences in 5 voices give 100 that differ. Needs flite."""
    found: list[Spoken] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            text = QUESTIONS[number % len(QUESTIONS)]
            voice = VOICES[(number + number // len(QUESTIONS)) % len(VOICES)]
            path = Path(folder) / "question.wav"
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
            found.append((sound_file(path), text))
    return found


def pink(count: int, rng: np.random.Generator) -> Samples:
    """Noise of unit power that falls by 3 dB an octave, as that of rooms and streets roughly does."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), count)
    return (noise / noise.std()).astype(np.float32)


def with_noise(samples: Samples, decibels: float, rng: np.random.Generator) -> Samples:
    """`samples` in pink noise, `decibels` above it."""
    level = np.sqrt(np.mean(np.square(samples))) * 10 ** (-decibels / 20)
    return np.clip(samples + level * pink(len(samples), rng), -1, 1).astype(np.float32)


def telephone(samples: Samples) -> Samples:
    """Only what a telephone carries: 300 to 3400 Hz."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SPEECH_RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def worse(speech: list[Spoken]) -> dict[str, list[Spoken]]:
    """The same speech as it may arrive; the noise is the same in every run."""
    rng = np.random.default_rng(0)
    return {
        "clean": speech,
        "10 dB": [(with_noise(samples, 10, rng), words) for samples, words in speech],
        "5 dB": [(with_noise(samples, 5, rng), words) for samples, words in speech],
        "telephone": [(telephone(samples), words) for samples, words in speech],
    }


def noises() -> list[Samples]:
    """36 sounds without a word: silence, hiss, rumble, hum and clicks, soft and loud, short and long."""
    rng = np.random.default_rng(1)
    found: list[Samples] = []
    for seconds in (0.5, 1.5, 4.0, 9.0):
        count = round(seconds * SPEECH_RATE)
        hum = np.sin(2 * np.pi * 50 * np.arange(count) / SPEECH_RATE)
        clicks = (rng.random(count) < 7 / SPEECH_RATE) * 10.0
        found.append(np.zeros(count, np.float32))
        for level in (0.003, 0.03):
            for kind in (rng.standard_normal(count), pink(count, rng), hum, clicks):
                found.append((kind * level + rng.standard_normal(count) * 3e-4).astype(np.float32))
    return found
