"""How soon and how fast Piper speaks, by length of the clause, beside Piper's own way to speak it.

    python -m benchmarks.bench_tts [--repeats 20] [--set tts.threads=1]

`ours`: the encoder once, then the rest in growing pieces. `whole`: Piper's own `PiperVoice.synthesize`,
the whole clause in one pass, in an ONNX session with the options of ours: on as many threads, which don't
spin while they wait (those of `PiperVoice.load` do, one for each core, and would slow ours down too). They
take turns, clause by clause. `first sound` is from the call to the first piece (for `whole` that is all of
it), `real time factor` seconds of work for a second of sound. Ours is shorter: the quiet around a clause is
cut off, and the pause put in its place not counted.

`joins`: our pieces beside the same frames made into sound in one go, so with the same noise. `difference` is
the greatest difference between the two near a join (6 frames to either side), as a part of full scale;
16 bits resolve 3e-5. `jump` is the step from the last sample of a piece to the next one's first, over
the clause's own largest step from one sample to the next: a click would be above 1.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
from piper.voice import PiperVoice

from benchmarks import report as reports
from benchmarks.piper_voice import piper_voice
from benchmarks.report import Report, Times
from local_voice.audio import Samples
from local_voice.engines.piper import EDGE_SECONDS, Piper
from local_voice.model_store import ModelStore
from local_voice.settings import TtsSettings
from local_voice.speakable import Clause
from local_voice.spoken_form import say
from local_voice.voice_graph import Rendering

NEAR = 6
"""Frames to either side of a join in which it would show."""

CLAUSES = (
    "Sure.",
    "The capital of France,",
    "The capital of France is Paris today.",
    "It costs $29.50, which is a fair price for a good pair of shoes.",
    "The capital of France is Paris, which lies on the river Seine, and it has been the most important city "
    "of the country for many centuries.",
)


async def ours(piper: Piper, clause: Clause, pause: float) -> tuple[float, float, float]:
    """Seconds to the first piece, seconds to the last, seconds of sound."""
    began = time.perf_counter()
    first = last = sound = 0.0
    async for piece in piper.synthesize(clause):
        last = time.perf_counter() - began
        first = first or last
        sound += len(piece.samples) / piper.sample_rate
    return first, last, sound - pause


def whole(voice: PiperVoice, clause: Clause) -> tuple[float, float, float]:
    """As `ours`."""
    began = time.perf_counter()
    first = last = sound = 0.0
    for piece in voice.synthesize(clause.spoken):
        last = time.perf_counter() - began
        first = first or last
        sound += len(piece.audio_float_array) / piece.sample_rate
    return first, last, sound


def joins(piper: Piper, clause: Clause) -> tuple[list[float], list[float]]:
    """For each join the greatest difference from one pass, and the jump over the clause's largest step."""
    voice = piper._voice
    assert voice is not None
    utterance = voice.utter(clause.words, 0.0)
    pieces: list[Samples] = []
    while not utterance.ended:
        pieces.append(utterance.next_piece().samples)
    spoken = np.concatenate(pieces)
    rendering = utterance._rendering
    one_pass = Rendering(rendering._parts, rendering.encoded).sound(rendering.frames)
    one_pass = one_pass[utterance._skipped :][: len(spoken)]
    edge, near = round(EDGE_SECONDS * piper.sample_rate), NEAR * voice.hop
    apart = np.abs(spoken - one_pass)
    apart[:edge] = apart[-edge:] = 0.0  # faded on purpose
    steps = np.abs(np.diff(one_pass))
    places = np.cumsum([len(piece) for piece in pieces])[:-1]
    differences = [float(apart[max(0, place - near) : place + near].max()) for place in places]
    return differences, [float(abs(spoken[place] - spoken[place - 1]) / steps.max()) for place in places]


async def measure(report: Report, piper: Piper, voice: PiperVoice, tts: TtsSettings, repeats: int) -> None:
    """All rows."""
    for text in CLAUSES:
        clause = Clause(say(text), ends_sentence=True)
        runs: dict[str, list[tuple[float, float, float]]] = {"ours": [], "whole": []}
        for _ in range(repeats):
            runs["ours"].append(await ours(piper, clause, tts.sentence_pause_seconds))
            runs["whole"].append(whole(voice, clause))
        for name, timed in runs.items():
            report.row(
                f"{len(text)} characters, {name}",
                first_sound=Times([first for first, _, _ in timed]),
                all_of_it=Times([last for _, last, _ in timed]),
                real_time_factor=Times([last / sound for _, last, sound in timed], unit="s/s"),
                sound=f"{np.mean([sound for _, _, sound in timed]):.2f} s",
            )
    found = [joins(piper, Clause(say(text), ends_sentence=True)) for text in CLAUSES for _ in range(repeats)]
    differences = [one for clause, _ in found for one in clause]
    report.row(
        "joins",
        difference=Times(differences, unit="of full scale"),
        jump=Times([one for _, clause in found for one in clause], unit="of the largest step"),
        worst_difference=f"{max(differences):.1e}",
    )


async def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="each clause once")
    parser.add_argument("--repeats", type=int, default=20, help="of each clause (default: 20)")
    chosen = parser.parse_args()
    tts = reports.settings(chosen).tts
    report = Report("bench_tts: Piper speaks", tts.model_dump(exclude={"model"}), [tts.model])
    path = ModelStore().path(tts.model)
    began = time.perf_counter()
    async with Piper(path, tts) as piper:
        report.row("loaded and warm", start=Times([time.perf_counter() - began]))
        voice = piper_voice(path, tts.threads)
        whole(voice, Clause(say("Hello."), ends_sentence=True))
        await measure(report, piper, voice, tts, 1 if chosen.quick else chosen.repeats)
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    asyncio.run(main())
