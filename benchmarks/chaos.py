"""What breaks while people talk, on the real parts and from outside: what is heard, and when all is well.

    python -m benchmarks.chaos [--minutes 1] [--only engine,disk,neighbour,crowd] [--json FILE] [--quick]

Starts `local-voice serve` and calls it over WebRTC. What can't be done from outside (a recogniser that
raises, a voice that hangs, a clock that jumps) is in `tests/test_chaos.py`, on scripts.

engine: half a second into a long reply the language model's process is killed; then the new one is stopped,
as if it hung. Seconds from that moment: `shown`, until the apology stands on the page; `said`, until its last
sound, which comes after what was ready of the reply; `answered`, until the first sound of a reply that the
model wrote again, for a caller who asks anew after each of so many `apologies`. `hole`: the longest time in
which no packet of sound came from the server, as everybody hears it.
disk: the file of a recording can't grow any more (RLIMIT_FSIZE on the running server). `told`: until the
page says that it is no longer recorded. `before`, `after`: from the last voiced sample to the reply.
neighbour: somebody else's latency beside each client of `nuisance.py`, for so many minutes each; before it,
alone, for two at most. crowd: the same beside all of them at once.

`too early`: something was audible before a question was over; `apologised`: it got an apology. Neither has a
time. `memory` is MiB of all the server's processes. Exit code 1 where the engine did not come back, or
somebody else's question was answered in such a way, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.answers import Answer, apology, ask, outcomes, times, unanswered
from benchmarks.bench_barge_in import STORYTELLER
from benchmarks.bench_concurrency import memory_of, served
from benchmarks.bench_turn import ASKED, VOICES, speak
from benchmarks.nuisance import WAYS
from benchmarks.report import Report, Times, flags_of, of_server, parser
from benchmarks.scripted_server import ENGINES
from benchmarks.sounds import QUESTIONS
from benchmarks.webrtc_client import Caller
from local_voice.audio import AudioChunk, read_wav
from local_voice.lifeline import children

KINDS = ("engine", "disk", "neighbour", "crowd")
STORY = "Please tell me a long story about a lighthouse."
INTO_SECONDS = 0.5
SORRY_SECONDS = 40.0
"""A reply that stands still is given up after 10 s."""
WELL_SECONDS = 240.0
REPLY_SECONDS = 30.0
PAUSE_SECONDS = 0.7
LONG_PAUSE_SECONDS = 4.0
"""In a reply that breaks; longer than any hole."""
ALONE_SECONDS = 120.0
SETTLE_SECONDS = 4.0
"""After a call, until its memory has been given back."""
ROOM_BYTES = 50_000
"""By which the recording may still grow: half a second."""


def asked(*texts: str) -> list[AudioChunk]:
    """The questions as sound."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            speak(text, VOICES[number % len(VOICES)], Path(folder) / "question.wav")
            found.append(read_wav(Path(folder) / "question.wav"))
    return found


def memory(server: int) -> int:
    """MiB, when what was used by calls has been given back."""
    time.sleep(SETTLE_SECONDS)
    return round(memory_of(server))


def calling(url: str) -> Caller:
    """Somebody whose browser cancels echo."""
    caller = Caller(url)
    caller.cancels_echo = True
    return caller


async def turn(caller: Caller, question: AudioChunk, pause: float = PAUSE_SECONDS) -> tuple[float, Answer]:
    """The question's last voice, and how it was answered."""
    caller.heard.clear()  # the frames of minutes would be searched again and again
    caller.said.clear()
    said, answer = await ask(caller, question, seconds=REPLY_SECONDS, quiet=pause)
    return said.last_voice, answer


def told(caller: Caller, after: float, true: Callable[[dict[str, Any]], bool]) -> float | None:
    """When the first such message came."""
    return next((when for when, event in caller.events if when > after and true(event)), None)


def sane(event: dict[str, Any]) -> bool:
    """It says what the model wrote."""
    shown = event["type"] == "caption" and event["role"] == "assistant" and bool(event["text"])
    return shown and not apology(event)


# ---- the engine ----------------------------------------------------------------------------------------


def engines(server: int) -> list[int]:
    """The processes that a server has started for its work."""
    found = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(server)}
    return [pid for pid, command in found.items() if b"resource_tracker" not in command]


async def recover(url: str, hurt: Callable[[], None]) -> dict[str, Any]:
    """Let `hurt` happen in the middle of a reply, and ask until the model answers again."""
    story, question = asked(STORY, QUESTIONS[0])
    clock = asyncio.get_running_loop().time
    found: dict[str, Any] = dict.fromkeys(("shown", "said", "answered"), Times([])) | {"apologies": 0}
    holes: list[float] = []
    async with calling(url) as caller:
        await asyncio.sleep(1.0)
        voice = (await caller.say(story.samples, story.sample_rate)).last_voice
        if not await caller.wait_until(lambda: caller.first_sound(voice) is not None, REPLY_SECONDS):
            return found
        await asyncio.sleep(INTO_SECONDS)
        at = clock()
        hurt()
        await caller.wait_until(lambda: told(caller, at, apology) is not None, SORRY_SECONDS)
        if (shown := told(caller, at, apology)) is not None:
            await caller.wait_for_reply(shown, seconds=REPLY_SECONDS, quiet=LONG_PAUSE_SECONDS)
            said = caller.last_sound() or at
            found |= {"shown": Times([shown - at]), "said": Times([said - at]), "apologies": 1}
        while clock() < at + WELL_SECONDS and not found["answered"].samples:
            holes.append(hole(caller, at))
            voice, answer = await turn(caller, question, LONG_PAUSE_SECONDS)
            found["apologies"] += told(caller, voice, apology) is not None
            if answer.seconds is not None and told(caller, voice, sane) is not None:
                found["answered"] = Times([voice + answer.seconds - at])
        holes.append(hole(caller, at))
    return found | {"hole": Times([max(holes)])}


def hole(caller: Caller, after: float) -> float:
    """Seconds between two packets of what has been heard."""
    times = [frame.time for frame in caller.heard if frame.time >= after]
    return max((later - time for time, later in pairwise(times)), default=0.0)


def break_engine(report: Report, flags: list[str]) -> bool:
    """All that can happen to it, one after the other; whether it always came back."""
    well = True
    with served(["--llm.system_prompt", STORYTELLER, *flags]) as (url, server):
        for label, number in (("engine killed", signal.SIGKILL), ("engine hangs", signal.SIGSTOP)):
            before, running = memory(server), engines(server)
            if not running:
                raise SystemExit("this server has no engine of its own to break: leave llm.url empty")
            core = running[0]
            found = asyncio.run(recover(url, lambda core=core, number=number: os.kill(core, number)))
            row = {**found, "memory_before": before, "memory_after": memory(server)}
            report.row(label, **row)
            print(label, {name: str(value) for name, value in row.items()}, flush=True)
            well = well and bool(found["answered"].samples)
    return well


# ---- the disk ------------------------------------------------------------------------------------------


def fill(server: int, folder: Path) -> Callable[[], None]:
    """From now on files have no room to grow; returns what gives it back."""
    largest = max(path.stat().st_size for path in folder.iterdir())
    limits = resource.prlimit(server, resource.RLIMIT_FSIZE)
    resource.prlimit(server, resource.RLIMIT_FSIZE, (largest + ROOM_BYTES, limits[1]))
    return lambda: resource.prlimit(server, resource.RLIMIT_FSIZE, limits) and None


async def record(url: str, full: Callable[[], Callable[[], None]], turns: int) -> dict[str, Any]:
    """Talk, let the disk be full, talk on."""
    questions = asked(*QUESTIONS[:turns])
    async with calling(url) as caller:
        await asyncio.sleep(1.0)
        before = [(await turn(caller, question))[1] for question in questions]
        at = asyncio.get_running_loop().time()
        empty = full()

        def ended() -> float | None:
            return told(caller, at, lambda event: event["type"] == "recording" and not event["on"])

        try:
            await caller.wait_until(lambda: ended() is not None, REPLY_SECONDS)
            after = [(await turn(caller, question))[1] for question in questions]
        finally:
            empty()
    off = ended()
    row = {"told": Times([] if off is None else [off - at]), "before": times(before), "after": times(after)}
    return row | outcomes([*before, *after])


def break_disk(report: Report, flags: list[str], scripted: str, turns: int) -> bool:
    """Whether every question was answered and the page was told."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = ["--recording.folder", folder, "--recording.free_gib", "0", *flags]
        with served(recorded, scripted=scripted) as (url, server):
            row = asyncio.run(record(url, lambda: fill(server, Path(folder)), turns))
    report.row("disk full while recording", **row)
    return bool(row["told"].samples) and not any(row[why].value for why in outcomes([]))


# ---- a neighbour ---------------------------------------------------------------------------------------


async def beside(url: str, ways: Sequence[str], seconds: float) -> tuple[list[Answer], list[str]]:
    """Somebody's turns beside such neighbours, and what each of those did."""
    questions = asked(*QUESTIONS[:ASKED])
    answers: list[Answer] = []
    neighbours = [await nuisance(way, url, seconds) for way in ways]
    try:
        async with calling(url) as caller:
            await asyncio.sleep(min(4.0, seconds / 2))  # until the neighbours are there
            end = time.monotonic() + seconds - 4.0
            while time.monotonic() < end or not answers:
                answers.append((await turn(caller, questions[len(answers) % len(questions)]))[1])
    except BaseException:
        for neighbour in neighbours:
            neighbour.terminate()
        raise
    did = [json.loads((await neighbour.communicate())[0] or "{}") for neighbour in neighbours]
    return answers, [", ".join(f"{count} {name}" for name, count in one.items() if count) for one in did]


async def nuisance(way: str, url: str, seconds: float) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "benchmarks.nuisance", way, url, "--seconds", str(seconds)]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


def misbehave(
    report: Report, flags: list[str], scripted: str, seconds: float, company: Sequence[Sequence[str]]
) -> bool:
    """Whether everybody else always got a reply, and in their turn."""
    well = True
    with served(flags, scripted=scripted) as (url, server):
        for ways in ((), *company):
            before = memory(server)
            answers, did = asyncio.run(beside(url, ways, seconds if ways else min(seconds, ALONE_SECONDS)))
            row = {"voice_to_voice": times(answers), **outcomes(answers), "neighbour": "; ".join(did)}
            what = " and ".join(ways) or "nobody"
            report.row(f"beside {what}", **row, memory_before=before, memory_after=memory(server))
            well = well and not unanswered(answers)
    return well


def main() -> int:
    """Command line."""
    made = parser(__doc__, quick="scripts instead of models, so no engine; one neighbour for 4 s")
    made.add_argument("--minutes", type=float, default=1.0, help="beside each neighbour (default: 1)")
    made.add_argument("--only", default=",".join(KINDS), help="some of engine, disk, neighbour, crowd")
    args = made.parse_args()
    seconds, scripted = (4.0, ",".join(ENGINES)) if args.quick else (args.minutes * 60, "")
    flags = flags_of(args)
    company = [(way,) for way in (["flood"] if args.quick else WAYS)]
    kinds = [kind for kind in args.only.split(",") if not args.quick or kind in ("disk", "neighbour")]
    about = {"seconds": seconds, "only": ",".join(kinds), "engines": scripted or "real"}
    report = of_server("chaos: what breaks while people talk", about, flags, scripted.split(","))
    well = [
        "engine" not in kinds or break_engine(report, flags),
        "disk" not in kinds or break_disk(report, flags, scripted, 1 if args.quick else 5),
        "neighbour" not in kinds or misbehave(report, flags, scripted, seconds, company),
        "crowd" not in kinds or misbehave(report, flags, scripted, seconds, [tuple(WAYS)]),
    ]
    report.finish(args.json, args.plot)
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
