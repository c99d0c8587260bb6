"""How many conversations one machine holds: 1, 2, 4, ... at once, until the latency's p95 has doubled.

    python -m benchmarks.bench_concurrency [--engines real|scripted|both] [--seconds 40] [--questions 20]
                                           [--most 128] [--levels 1,50,100] [--json FILE] [-- SERVER FLAGS]

Starts `local-voice serve`, calls it from processes of their own (`light_caller.py`, 16 callers in each) and
lets each caller ask, listen and ask again, 1 s after the reply's end. `scripted`: scripts in the place of all
engines (`scripted_server.py`), so what the transport and the sessions cost alone. It ends where p95 is twice
that of one conversation, a call is refused, or more than 5 % of the questions get no reply, one that was
audible before they were over (`too_early`) or an apology (`apologised`), which have no time; then once more
half way between.

A level lasts until 20 questions (`--questions`) have a time or 40 were asked, at least `--seconds` and at
most 4 minutes (12 s a question): some 3 minutes with one conversation, half of that with two, and from 8 on
`--seconds`; before and after that it takes 25 s. On two cores all levels take about 11 minutes with scripts
and 9 with models; with 20 for `--seconds` those with scripts a minute less.

`voice_to_voice`: from the packet with the caller's last voiced sample to the reply's first voiced packet.
`packets_late`: of the packets that callers get, those that came 60 ms or more after the one before, not 20.
`lag`: how much too long the naps of the server's event loop lasted, ten a second, to within the steps of its
histogram in `/metrics`. `callers_lag`: the same of the callers, exactly; late packets beside a large one may
be late callers. `cpu`: cores that the server and its children take, for each conversation.

`memory`: MiB that the server's own process gives back when all have hung up, for each conversation; looked at
in each of the first `--seconds`, since a conversation keeps 5 minutes of its sound, 4 MiB a minute. What
models in it hold they hold before and after; where they move more than that there is `none` to tell. What
their passes leave until somebody hangs up is in it, 24 MiB for one conversation as for four: so compare it
with that of as many. Models in other processes are left out: vLLM takes what it needs for all at its start.
`callers`: cores that the callers take. On one machine they share the cores with the server, so what is
measured is less than the machine could hold for others.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_turn import start_server, until_ready
from benchmarks.light_caller import Counts
from benchmarks.report import Report, Share, Times, of_server
from benchmarks.scripted_server import ENGINES

CALLERS_A_PROCESS = 16
QUESTIONS = 20
"""With a time, at each level: two of them lie around p95. One conversation has 2 or 3 in 20 s."""
QUESTION_SECONDS = 12.0
"""For each, at most; to ask it, to be answered and to listen takes 8 to 9 s."""
CONNECT_SECONDS = 60.0
SETTLED_SECONDS = 4.0
"""After the last caller is connected: all have begun to ask, and from here on processor time counts."""
LOOK_SECONDS = 1.0
GONE_SECONDS = 4.0
"""After the last caller has hung up, until its memory has been given back."""
GONE_LOOKS = 3
END_SECONDS = 120.0
LINE_BYTES = 2**24
"""What a process of callers tells at its end stands in one line; asyncio's limit is 64 KiB."""
LAGS = 200
"""Naps that are kept, evenly from the shortest to the longest: three minutes have 1,800."""
DOUBLE = 2.0
UNANSWERED = 0.05
TICK = os.sysconf("SC_CLK_TCK")
EVERYBODY = ["--server.requests_per_minute", "0", "--server.max_sessions", "1000"]


@dataclass
class Level:
    """What was seen with so many callers."""

    sessions: int
    counts: Counts = field(default_factory=Counts)
    began: float = 0.0
    """On the clock of all processes, when everybody talks."""
    ended: float = float("inf")
    """The callers are told to end."""
    cpu: list[tuple[float, float]] = field(default_factory=list)
    """Look by look: processor seconds of the server, and seconds of conversations."""
    callers_cpu: float = 0.0
    memory: list[float] = field(default_factory=list)
    """MiB of the server's own process, look by look."""
    memory_without: list[float] = field(default_factory=list)
    """The same when all have hung up."""
    lag: list[float] = field(default_factory=list)
    """Of the server's event loop."""

    @property
    def p95(self) -> float:
        """Of the latency; infinite without one."""
        return float(np.percentile(self.counts.seconds, 95)) if self.counts.seconds else float("inf")

    @property
    def unanswered(self) -> float:
        """Share of the questions without a reply that counts."""
        lost = self.counts.questions - len(self.counts.seconds)
        return lost / max(1, self.counts.questions)

    @property
    def memory_each(self) -> Share:
        """MiB for each conversation; empty where what else is in the process moves by more."""
        without = float(np.mean(self.memory_without))
        if min(self.memory) <= max(self.memory_without):
            return Share([], unit="MiB")
        return Share([(look - without, self.sessions) for look in self.memory], unit="MiB")

    @property
    def packets_late(self) -> list[tuple[float, float]]:
        """Second by second, of all callers: packets that came late, and all."""
        found: dict[int, tuple[float, float]] = {}
        for second, late, count in self.counts.packets:
            if self.began <= second < self.ended - 1:
                before = found.get(second, (0.0, 0.0))
                found[second] = before[0] + late, before[1] + count
        return [found[second] for second in sorted(found)]

    @property
    def callers_lag(self) -> list[float]:
        """Of the callers' event loops, while they talk."""
        return evenly([late for at, late in self.counts.naps if self.began <= at < self.ended])

    def enough(self, questions: int) -> bool:
        """Whether so many have a time, or so few of twice as many that more would not help."""
        return len(self.counts.seconds) >= questions or self.counts.questions >= 2 * questions

    def holds(self, one: Level) -> bool:
        """Whether so many are served as `one` is."""
        return not self.counts.refused and self.unanswered <= UNANSWERED and self.p95 <= DOUBLE * one.p95


def processes(leader: int) -> Iterator[Path]:
    """Its process group and session: a server's children have their own groups, but not their own session."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader:
                    yield folder


def spent(leader: int) -> float:
    """Processor seconds of all processes of its session so far."""
    return sum(spent_by(folder) for folder in processes(leader))


def spent_by(folder: Path) -> float:
    """Processor seconds of one process, by its folder in /proc; 0 when it is over."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_of(leader: int) -> float:
    """MiB of all processes of its session, resident; what processes share is counted once."""
    found = 0.0
    for folder in processes(leader):
        with contextlib.suppress(OSError):
            found += kilobytes(folder / "smaps_rollup", "Pss") / 1024
    return found


def own_memory(process: int) -> float:
    """MiB of one process without files' pages: those come and go as other programs read. Quick to ask:
    0.1 ms, where the sum over all its pages takes 17 ms for 450 MiB."""
    return kilobytes(Path(f"/proc/{process}/status"), "RssAnon") / 1024


def kilobytes(file: Path, name: str) -> int:
    """A line of a file in /proc; 0 where a process has just ended. Raises `OSError`."""
    lines = file.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def naps(url: str) -> dict[float, float]:
    """Of the server's event loop so far: how many were at most so much too long."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("local_voice_loop_lag_seconds_bucket"):
            name, _, count = line.rpartition(" ")
            found[float(name.split('"')[1])] = float(count)
    return found


def lags(before: dict[float, float], after: dict[float, float]) -> list[float]:
    """How much too long naps were, by two looks: evenly within a step, beyond the last as much as that."""
    steps = [0.0, *sorted(after)]
    counts = np.diff([0.0] + [after[step] - before[step] for step in steps[1:]])
    found: list[float] = []
    for count, (low, high) in zip(counts.astype(int).tolist(), pairwise(steps), strict=True):
        wide = high - low if np.isfinite(high) else 0.0
        found += [low + wide * (place + 0.5) / count for place in range(count)]
    return evenly(found)


def evenly(samples: Sequence[float]) -> list[float]:
    """At most `LAGS` of them, evenly from the smallest to the largest."""
    every = np.sort(np.asarray(samples, float))
    kept = min(LAGS, len(every))
    return [float(every[int((place + 0.5) * len(every) / kept)]) for place in range(kept)]


async def callers(url: str, count: int, seconds: float) -> list[Process]:
    """Processes with `count` callers in all."""
    found = []
    while count > 0:
        some = min(count, CALLERS_A_PROCESS)
        command = [sys.executable, "-m", "benchmarks.light_caller", url, "--callers", str(some)]
        command += ["--seconds", str(seconds), "--seed", str(count)]
        found.append(await asyncio.create_subprocess_exec(*command, stdout=PIPE, limit=LINE_BYTES))
        count -= some
    return found


async def listen(process: Process, counts: Counts) -> None:
    """Add up what a process of callers tells, to its end."""
    assert process.stdout is not None
    async for line in process.stdout:
        counts.hear(json.loads(line))


async def until_connected(level: Level) -> None:
    """Wait for all callers; whoever is not connected after a minute counts as refused."""
    counts, end = level.counts, time.monotonic() + CONNECT_SECONDS
    while (missing := level.sessions - counts.connected - len(counts.refused)) > 0:
        if time.monotonic() > end:
            counts.refused += [f"not connected after {CONNECT_SECONDS:g} s"] * missing
        await asyncio.sleep(0.1)


async def measure(url: str, server: int, sessions: int, seconds: float, questions: int) -> Level:
    """One level."""
    level = Level(sessions)
    most = max(seconds, questions * QUESTION_SECONDS)
    # They are told when to end; by themselves they end where nobody is left to tell them.
    working = await callers(url, sessions, CONNECT_SECONDS + SETTLED_SECONDS + most)
    listening = [asyncio.create_task(listen(process, level.counts)) for process in working]
    try:
        await until_connected(level)
        await asyncio.sleep(SETTLED_SECONDS)
        theirs = [Path(f"/proc/{process.pid}") for process in working]
        naps_before, callers_before = naps(url), sum(map(spent_by, theirs))
        level.began, before = time.monotonic(), spent(server)
        last, passed = level.began, 0.0
        while passed < seconds or (passed < most and not level.enough(questions)):
            await asyncio.sleep(LOOK_SECONDS)
            now, after = time.monotonic(), spent(server)
            level.cpu.append((after - before, (now - last) * sessions))
            last, before, passed = now, after, now - level.began
            if passed < seconds + LOOK_SECONDS:
                level.memory.append(own_memory(server))
        level.ended = last
        level.callers_cpu = (sum(map(spent_by, theirs)) - callers_before) / passed
        level.lag = lags(naps_before, naps(url))
        for process in working:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        async with asyncio.timeout(END_SECONDS):
            # Also to their end: a signal to one that ends would take its exit status from asyncio.
            await asyncio.gather(*listening, *(process.wait() for process in working))
    finally:
        for process in working:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    await asyncio.sleep(GONE_SECONDS)
    for _ in range(GONE_LOOKS):
        level.memory_without.append(own_memory(server))
        await asyncio.sleep(LOOK_SECONDS)
    return level


def climb(
    url: str, server: int, seconds: float, questions: int, levels: Sequence[int], report: Report, label: str
) -> None:
    """All levels, and one half way between the last that holds and the first that doesn't."""
    one: Level | None = None
    best = 0
    for sessions in levels:
        level = asyncio.run(measure(url, server, sessions, seconds, questions))
        one = one or level
        tell(report, label, level)
        if not level.holds(one):
            if sessions - best > 1 and best:
                between = (best + sessions) // 2
                level = asyncio.run(measure(url, server, between, seconds, questions))
                tell(report, label, level)
                best = between if level.holds(one) else best
            break
        best = sessions
    whole = f"{memory_of(server):.0f} MiB"
    report.row(f"{label}: held", conversations=str(best), memory_of_all_processes=whole)


def tell(report: Report, label: str, level: Level) -> None:
    """A row."""
    counts = level.counts
    values: dict[str, Any] = {
        "voice_to_voice": Times(counts.seconds),
        **{
            why: share(getattr(counts, why), counts.questions)
            for why in ("no_reply", "too_early", "apologised")
        },
        "packets_late": Share(level.packets_late),
        "lag": Times(level.lag),
        "callers_lag": Times(level.callers_lag),
        "cpu": Share(level.cpu, unit="cores"),
        "memory": level.memory_each,
        "callers": f"{level.callers_cpu:.2f}",
        "refused": f"{len(counts.refused)}, {counts.refused[0][:60]}" if counts.refused else "0",
    }
    report.row(f"{label}, {level.sessions}", **values)
    print(f"{label}, {level.sessions}:", {name: str(value) for name, value in values.items()}, flush=True)


def share(part: int, whole: int) -> Share:
    """Question by question; in which order nobody knows."""
    return Share([(1.0, 1.0)] * part + [(0.0, 1.0)] * (whole - part))


@contextlib.contextmanager
def served(flags: list[str], *, scripted: str = "") -> Iterator[tuple[str, int]]:
    """A server, its address and process."""
    server, url = start_server([*EVERYBODY, *flags], scripted)
    try:
        asyncio.run(until_ready(url, server))
        yield url, server.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()  # a shell may have it ignore SIGINT
        server.wait(30)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--engines", choices=("real", "scripted", "both"), default="both", help="(default: both)"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="at each level at least (default: 40)")
    parser.add_argument(
        "--questions", type=int, default=QUESTIONS, help="with a time, at each level (default: 20)"
    )
    parser.add_argument("--most", type=int, default=128, help="conversations (default: 128)")
    parser.add_argument("--levels", help="these instead, such as 1,50,100")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--plot", type=Path, help="draw it")
    parser.add_argument(
        "--quick", action="store_true", help="only see that it works: scripted, 2 conversations, 10 s"
    )
    parser.add_argument("flags", nargs="*", help="flags for local-voice, after --")
    args = parser.parse_args()
    levels = [2**power for power in range(args.most.bit_length()) if 2**power <= args.most]
    if args.levels:
        levels = [int(level) for level in args.levels.split(",")]
    if args.quick:
        args.engines, args.seconds, args.questions, levels = "scripted", 10.0, 2, [2]
    about = {"seconds": args.seconds, "questions": args.questions}
    about |= {"flags": " ".join(args.flags) or "defaults"}
    about |= {"engines": args.engines, "levels": ",".join(map(str, levels))}
    scripts = ENGINES if args.engines == "scripted" else ()
    report = of_server("bench_concurrency: conversations at once", about, args.flags, scripts)
    for label, scripted in (("scripted", ",".join(ENGINES)), ("real", "")):
        if args.engines in (label, "both"):
            with served(args.flags, scripted=scripted) as (url, server):
                climb(url, server, args.seconds, args.questions, levels, report, label)
    report.finish(args.json, args.plot)


if __name__ == "__main__":
    main()
