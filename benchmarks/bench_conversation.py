"""Turn-taking on recorded sound: gaps, cut-offs, interruptions, false alarms, and what the history says.

    python -m benchmarks.bench_conversation [--quick] [--real-llm] [--out FOLDER] [--only WORD ...]
                                            [--no-sweep] [--set NAME=VALUE ...] [--json FILE] [--plot FILE]

Callers made of people's recordings and of voices that are not the assistant's own talk with the real
session in real time: Silero, Smart Turn, Whisper and Piper at work, the language model scripted unless
`--real-llm` is given. Everything is judged from the two recorded channels; drafts and decisions are counted
from the session's commands. Rows:

`gap`: from the caller's last voiced sample to the first audible one of the reply. `decision`: to the release,
by the session's clock. `pauses cut off`: the assistant began in a pause within a sentence, or in the words
after it; `0.3 s and longer` leaves out those that are over before a reply can begin. `talk-over`: how long
that reply then sounded under the caller's voice, also where it paused and went on. `duck`, `stop`: from the
first voiced sample of an interruption to a reply of half its loudness, and to silence; one that is never
heeded counts with the reply's end. `false interruptions`: a backchannel, cough, clap, fan, television or echo
after which the reply was not heard to its end. `replies cut though nobody spoke`, `replies to nothing`: those
that no voice and no such sound explains. `stalls`: silences within replies, other than the voice's own, of
which the same is true: an engine was late, or the assistant paused for its own echo. `history`: words of
cut replies in the history against those that sound to their end in the recording, by Whisper's word times.
`moments that never came`: a reply was not there, or not long enough, for what the caller was to do under it.

Then every pause and every end is judged again, offline, at other thresholds (`conversation/sweep.py`); a row
of `thresholds` has the waits at true ends and the share of pauses cut off.
`--out` keeps recordings, decisions, and two pictures: cut-offs against delay, and the timeline of a call.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from faster_whisper import WhisperModel

from benchmarks import report as reports
from benchmarks.conversation import plan, voices
from benchmarks.conversation.caller import Caller
from benchmarks.conversation.heard_words import Hear, heard_words
from benchmarks.conversation.judge import judge
from benchmarks.conversation.kept import keep
from benchmarks.conversation.script import Action, Call
from benchmarks.conversation.summary import Result, begun, fill
from benchmarks.conversation.sweep import Point, sweep, turns_of
from benchmarks.conversation.tapes import Ledger, ScriptedLlm, Tapes, taped
from local_voice.assistant import Assistant
from local_voice.audio import Samples
from local_voice.model_store import ModelStore
from local_voice.session import Session
from local_voice.settings import Settings
from local_voice.transcript import Word


@asynccontextmanager
async def engines(settings: Settings, *, real_llm: bool) -> AsyncIterator[tuple[Any, ScriptedLlm | None]]:
    """The real engines, and the script where the language model is one."""
    if real_llm:
        async with Assistant(settings) as assistant:
            yield assistant._engines, None
        return
    # The script takes the place of a distant language model; everything else is built as always.
    scripted = ScriptedLlm()
    distant = settings.model_copy(update={"llm": settings.llm.model_copy(update={"url": "scripted"})})
    with patch("local_voice.assistant.OpenAiEndpoint", lambda llm: scripted):
        async with Assistant(distant) as assistant:
            yield assistant._engines, scripted


def hearing(settings: Settings) -> Hear:
    """faster-whisper's own recogniser, with the time of every word."""
    model = WhisperModel(str(ModelStore().path(settings.stt.model)), device="cpu", compute_type="int8")

    async def hear(sound: Samples) -> list[Word]:
        segments, _ = await asyncio.to_thread(model.transcribe, sound, language="en", word_timestamps=True)
        words = [word for segment in segments for word in segment.words or ()]
        return [Word(word.word.strip(), word.start, word.end) for word in words]

    return hear


async def converse(call: Call, settings: Settings, found: Any, llm: ScriptedLlm | None, hear: Hear) -> Result:
    """One conversation in real time, and the verdicts on it."""
    tapes = Tapes()
    ledger = Ledger(tapes)
    caller = Caller(call, tapes, llm)
    listening = taped(found, llm or found.llm, tapes)
    session = Session(listening, settings, caller, trace=ledger)  # type: ignore[arg-type]
    await session.run()
    recording = caller.recording(session.conversation.history)
    result = Result(recording, ledger, judge(recording))

    result.heard = await heard_words(recording, result.verdicts, hear)
    return result


async def measure(
    calls: Sequence[Call],
    settings: Settings,
    *,
    swept: Sequence[Sequence[Action]] = (),
    real_llm: bool = False,
    out: Path | None = None,
) -> tuple[list[Result], list[Point]]:
    """All calls, one after the other; then the thresholds, on `swept`."""
    results: list[Result] = []
    hear = hearing(settings)
    async with engines(settings, real_llm=real_llm) as (found, llm):
        for call in calls:
            began = time.perf_counter()
            results.append(await converse(call, settings, found, llm, hear))
            if out is not None:
                keep(results[-1], out)
            took = time.perf_counter() - began
            print(f"{call.name}: {len(call.scenarios)} scenarios, {took:.0f} s", flush=True)
        began = time.perf_counter()
        points = await sweep(swept, found, settings) if swept else []
        print(f"sweep: {len(points)} points, {time.perf_counter() - began:.0f} s", flush=True)
    return results, points


def only(call: Call, words: Sequence[str]) -> Call:
    """The call with those scenarios alone whose name holds one of the words."""
    kept = tuple(s for s in call.scenarios if any(word in s.name for word in words))
    return replace(call, scenarios=kept)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = reports.parser(__doc__, quick="a tenth of the scenarios, under 3 minutes")
    parser.add_argument("--real-llm", action="store_true", help="let the language model think for itself")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep recordings and pictures here")
    parser.add_argument("--only", nargs="*", metavar="WORD", help="scenarios whose name holds one of these")
    parser.add_argument("--no-sweep", action="store_true", help="leave the thresholds alone")
    chosen = parser.parse_args(arguments)
    settings = reports.settings(chosen)
    if not chosen.quick and (packages := voices.missing()):
        sys.exit(f"some callers have no voice: sudo apt-get install {' '.join(packages)}")
    made = begun(settings, real_llm=chosen.real_llm)
    calls = plan.quick() if chosen.quick else plan.full()
    if chosen.only:
        calls = [only(call, chosen.only) for call in calls]
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
    calls = [call for call in calls if call.scenarios]
    swept = [] if chosen.no_sweep else turns_of(calls)
    if swept and not (chosen.quick or chosen.only):
        swept += plan.offline()
    results, points = asyncio.run(
        measure(calls, settings, swept=swept, real_llm=chosen.real_llm, out=chosen.out)
    )
    fill(made, results, points, settings.turn.confident_probability)
    made.finish(chosen.json, chosen.plot)
    if chosen.out is not None:
        from benchmarks.conversation.pictures import draw_sweep, draw_timeline  # a second to import

        draw_timeline(results[0], chosen.out / "timeline.png")
        if points:
            draw_sweep(points, chosen.out / "sweep.png")


if __name__ == "__main__":
    main()
