"""Piper: time to the first sound of a clause, and computing time per second of sound, by length.

    python -m benchmarks.bench_tts [--repeats 20] [--threads 2] [--voice NAME] [--json FILE]

Timed from the call of `synthesize` to its first piece (pronouncing, encoder, first 24 frames) and to its
last one. The pauses that are put after a clause cost nothing and are not counted as sound.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from benchmarks.report import Report, percentiles
from local_voice.engines.piper import Piper
from local_voice.model_store import ModelStore
from local_voice.settings import TtsSettings
from local_voice.speakable import Clause
from local_voice.spoken_form import say

CLAUSES = (
    "Sure.",
    "The capital of France,",
    "The capital of France is Paris today.",
    "It costs $29.50, which is a fair price for a good pair of shoes.",
    "The capital of France is Paris, which lies on the river Seine, and it has been the most important city "
    "of the country for many centuries.",
)


async def once(piper: Piper, clause: Clause) -> tuple[float, float, float]:
    """Seconds to the first piece, seconds to the last, seconds of sound."""
    started = time.perf_counter()
    first = last = sound = 0.0
    async for piece in piper.synthesize(clause):
        last = time.perf_counter() - started
        first = first or last
        sound += len(piece.samples) / piper.sample_rate
    return first, last, sound - TtsSettings().sentence_pause_seconds


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=TtsSettings().threads)
    parser.add_argument("--voice", default=TtsSettings().model)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = TtsSettings(model=options.voice, threads=options.threads)
    report = Report("Piper, clause by clause", settings.model_dump())
    started = time.perf_counter()
    async with Piper(ModelStore().path(settings.model), settings) as piper:
        print(f"loaded and warm after {time.perf_counter() - started:.1f} s")
        for text in CLAUSES:
            clause = Clause(say(text), ends_sentence=True)
            runs = [await once(piper, clause) for _ in range(options.repeats)]
            first = percentiles([run[0] for run in runs])
            cost = percentiles([run[1] / run[2] for run in runs])
            sound = sum(run[2] for run in runs) / len(runs)
            report.row(
                f"{len(text)} characters",
                sound_s=sound,
                first_p50_s=first["p50"],
                first_p95_s=first["p95"],
                real_time_factor_p50=cost["p50"],
                real_time_factor_p95=cost["p95"],
            )
    report.finish(options.json)


if __name__ == "__main__":
    asyncio.run(main())
