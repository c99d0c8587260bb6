"""Turn-taking on recorded sound: gaps, cut-offs, interruptions, false alarms, and what the history says.

    python -m benchmarks.bench_conversation [--quick] [--real-llm] [--json FILE] [--out FOLDER] [--only WORD]

Callers made of people's recordings and of voices that are not the assistant's own talk with the real
session in real time: Silero, Smart Turn, Whisper and Piper at work, the language model scripted unless
`--real-llm` is given. Everything is judged from the two recorded channels; drafts and decisions are counted
from the session's commands. `--out` keeps the recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.conversation import scenarios
from benchmarks.conversation.caller import Caller, Recording
from benchmarks.conversation.judge import Verdicts, judge
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.script import Call
from benchmarks.conversation.summary import report
from benchmarks.conversation.tapes import Ledger, ScriptedLlm, Tapes, taped
from local_voice.assistant import Assistant
from local_voice.audio import write_wav
from local_voice.session import Session
from local_voice.settings import Settings
from local_voice.settings_sources import load


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


async def converse(
    call: Call, settings: Settings, found: Any, llm: ScriptedLlm | None
) -> tuple[Recording, Ledger]:
    """One conversation in real time."""
    tapes = Tapes()
    ledger = Ledger(tapes)
    caller = Caller(call, tapes, llm)
    session = Session(taped(found, llm or found.llm, tapes), settings, caller, trace=ledger)  # type: ignore[arg-type]
    await session.run()
    return caller.recording(session.conversation.history), ledger


async def measure(
    calls: Sequence[Call], settings: Settings, *, real_llm: bool, out: Path | None
) -> list[tuple[Recording, Ledger, Verdicts]]:
    results = []
    async with engines(settings, real_llm=real_llm) as (found, llm):
        for call in calls:
            began = time.perf_counter()
            recording, ledger = await converse(call, settings, found, llm)
            if out is not None:
                write_wav(out / f"{call.name}.wav", [recording.caller, recording.assistant], RATE)
            results.append((recording, ledger, judge(recording)))
            print(
                f"{call.name}: {len(call.scenarios)} scenarios, {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    return results


def main(arguments: Sequence[str] | None = None) -> list[tuple[Recording, Ledger, Verdicts]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the short form, under 3 minutes")
    parser.add_argument("--real-llm", action="store_true", help="let the language model think for itself")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep the recordings here")
    parser.add_argument("--only", nargs="*", metavar="WORD", help="scenarios whose name holds one of these")
    parser.add_argument("--log", action="store_true", help="show the session's own log")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if chosen.log else logging.WARNING)
    settings = load(None, {}).settings
    calls = scenarios.quick()
    if chosen.only:
        calls = [only(call, chosen.only) for call in calls]
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
    results = asyncio.run(
        measure(
            [call for call in calls if call.scenarios], settings, real_llm=chosen.real_llm, out=chosen.out
        )
    )
    report(results, settings, real_llm=chosen.real_llm).finish(chosen.json)
    return results


def only(call: Call, words: Sequence[str]) -> Call:
    """The call with those scenarios alone whose name holds one of the words."""
    kept = tuple(s for s in call.scenarios if any(word in s.name for word in words))
    return Call(call.name, kept, call.fan_db, call.echo_db, call.echo_seconds, call.echo_cancelled)


if __name__ == "__main__":
    main()
