"""How fast and how well a Whisper model hears on this machine, beside faster-whisper's own `transcribe`.

    python -m benchmarks.bench_stt [MODEL ...] [--speech FOLDER] [--rounds 3] [--json FILE]

MODEL: catalogue names or folders. FOLDER: WAV files and transcripts.txt (a name and its words on each line);
by default the human sentences of the tests. Timed is the whole final pass on an utterance; `encode` and
`decode` are its halves in the first window. `wer` is in percent, clean and in pink noise; `invented` counts
texts heard in 36 sounds without a word (silence, hiss, rumble, hum, clicks).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.report import Report, percentiles
from local_voice.audio import SPEECH_RATE, Resampler, Samples, read_wav
from local_voice.engines.whisper import Whisper
from local_voice.model_store import ModelStore
from local_voice.settings import SttSettings
from local_voice.whisper_windows import window_seconds

SPEECH = Path(__file__).parent.parent / "tests" / "data"
SETTINGS = SttSettings(threads=min(os.cpu_count() or 1, 4))
Hear = Callable[[Samples], Awaitable[str]]
normalise = EnglishTextNormalizer()


def load_speech(folder: Path) -> list[tuple[Samples, str]]:
    """Sentences at 16 kHz with their words."""
    lines = [line.split(" ", 1) for line in (folder / "transcripts.txt").read_text().splitlines()]
    sounds = [read_wav(folder / f"{name}.wav") for name, _ in lines]
    return [
        (Resampler(sound.sample_rate, SPEECH_RATE).process(sound.samples, last=True), words)
        for sound, (_, words) in zip(sounds, lines, strict=True)
    ]


def pink(count: int, rng: np.random.Generator) -> Samples:
    """Noise of unit power that falls by 3 dB an octave, as that of rooms and streets roughly does."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), count)
    return (noise / noise.std()).astype(np.float32)


def with_noise(samples: Samples, decibels: float, rng: np.random.Generator) -> Samples:
    level = np.sqrt(np.mean(np.square(samples))) * 10 ** (-decibels / 20)
    return np.clip(samples + level * pink(len(samples), rng), -1, 1).astype(np.float32)


def noises(rng: np.random.Generator) -> list[Samples]:
    """Sound without a word: silence, hiss, rumble, hum and clicks, soft and loud, short and long."""
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


async def measure(hear: Hear, speech: list[tuple[Samples, str]], rounds: int) -> dict[str, object]:
    """One line of the table."""
    seconds: list[float] = []
    for samples, _ in speech * rounds:
        start = time.perf_counter()
        await hear(samples)
        seconds.append(time.perf_counter() - start)
    row: dict[str, object] = dict(percentiles(seconds))
    row["rtf"] = sum(seconds) / rounds / sum(len(samples) / SPEECH_RATE for samples, _ in speech)
    for label, decibels in (("clean", None), ("10 dB", 10.0), ("5 dB", 5.0)):
        rng = np.random.default_rng(0)
        sounds = [
            samples if decibels is None else with_noise(samples, decibels, rng) for samples, _ in speech
        ]
        heard = [normalise(await hear(sound)) for sound in sounds]
        wrong = jiwer.wer([normalise(words) for _, words in speech], heard)
        row[f"wer {label}"] = f"{100 * wrong:.1f}"
    empty = noises(np.random.default_rng(1))
    invented = sum([bool((await hear(sound)).strip()) for sound in empty])
    return row | {"invented": f"{invented}/{len(empty)}"}


async def compare(report: Report, model: str, speech: list[tuple[Samples, str]], rounds: int) -> None:
    folder = ModelStore().path(model)
    async with Whisper(folder, SETTINGS) as whisper:

        async def ours(samples: Samples) -> str:
            return (await whisper.transcribe(samples, final=True)).text

        row = await measure(ours, speech, rounds)
        report.row(f"{model}: local-voice", **row, **halves(whisper, speech, rounds))
    other = WhisperModel(str(folder), compute_type=SETTINGS.compute_type, cpu_threads=SETTINGS.threads)
    greedy = {"beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False}
    for name, options in (("faster-whisper greedy", greedy), ("faster-whisper defaults", {})):

        async def theirs(samples: Samples, options: dict[str, object] = options) -> str:
            segments, _ = other.transcribe(samples, language="en", **options)
            return " ".join(segment.text.strip() for segment in segments)

        report.row(f"{model}: {name}", **await measure(theirs, speech, rounds))


def halves(whisper: Whisper, speech: list[tuple[Samples, str]], rounds: int) -> dict[str, float]:
    """Median seconds of the two halves of a pass, called as the worker calls them."""
    encode, decode = [], []
    for samples, _ in speech * rounds:
        start = time.perf_counter()
        encoded = whisper._encode(samples, window_seconds(len(samples) / SPEECH_RATE))
        middle = time.perf_counter()
        whisper._decode(encoded, len(samples) / SPEECH_RATE)
        encode.append(middle - start)
        decode.append(time.perf_counter() - middle)
    return {"encode p50": float(np.median(encode)), "decode p50": float(np.median(decode))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", default=["whisper-tiny.en", "whisper-base"])
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    speech = load_speech(options.speech)
    minutes = sum(len(samples) for samples, _ in speech) / SPEECH_RATE / 60
    about = {"utterances": len(speech), "minutes": f"{minutes:.1f}", "compute": SETTINGS.compute_type}
    load = f"{os.getloadavg()[0]:.1f}"
    report = Report(
        "Whisper, seconds an utterance", about | {"threads": SETTINGS.threads, "load before": load}
    )
    for model in options.models:
        asyncio.run(compare(report, model, speech, options.rounds))
    report.finish(options.json)


if __name__ == "__main__":
    main()
