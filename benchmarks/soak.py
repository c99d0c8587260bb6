"""Continuous conversations by outside clients for as long as you like: memory and latency have to stay flat.

    python -m benchmarks.soak [--minutes 60] [--callers 1] [--engines real|scripted] [--json F] [--plot F]

Callers ask questions, listen to the end, ask again, and after five minutes hang up and call anew, as a
household does in a day. `memory` is of all processes of the server. `too early`: something was audible before
the question was over; `apologised`: the reply was an apology, or ended in one. Neither has a time. Exit code
1 where more than one question in twenty was answered in no other way, or not at all, the last quarter's
median latency is a fifth more than the first's, or memory grows. It `grows` where its slope over all but the
first fifth is above 20 MiB per thousand turns by more than two standard errors (`give or take`), and is
`flat` where it is as surely below; between these only a longer run can tell. An hour of one caller, 460
turns, sees 80 MiB per thousand.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.answers import Answer, ask, outcomes, unanswered
from benchmarks.bench_concurrency import served
from benchmarks.bench_turn import ASKED, VOICES, speak, spoken
from benchmarks.report import Times, flags_of, of_server, parser
from benchmarks.scripted_server import ENGINES
from benchmarks.watched import HELD, UNITS, Growth, Watch, draw
from benchmarks.webrtc_client import Caller, CallError
from local_voice.audio import AudioChunk, read_wav

CALL_SECONDS = 300.0
LOOK_SECONDS = 5.0
REPLY_SECONDS = 30.0
PAUSE_SECONDS = 1.0
REST_SECONDS = 5.0
"""After a call that was refused or broke."""
MOST_UNANSWERED = 0.05
MOST_SLOWER = 1.2


class Household:
    """Callers at work, and what they met."""

    def __init__(self, url: str, questions: list[AudioChunk], watch: Watch) -> None:
        self.latency: list[tuple[float, float]] = []
        """(seconds since the beginning, seconds from the last voiced sample to the reply)."""
        self.answers: list[Answer] = []
        self.broken: list[str] = []
        self._url = url
        self._questions = questions
        self._watch = watch
        self._began = time.monotonic()

    async def live(self, number: int) -> None:
        """One caller, until cancelled."""
        while True:
            try:
                async with Caller(self._url) as caller:
                    await self._call(caller, number)
            except (CallError, TimeoutError, OSError) as error:
                self.broken.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(REST_SECONDS)

    async def _call(self, caller: Caller, number: int) -> None:
        end = time.monotonic() + CALL_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)
        while time.monotonic() < end:
            sound = self._questions[(self._watch.done + number) % len(self._questions)]
            _, answer = await ask(caller, sound, seconds=REPLY_SECONDS, quiet=PAUSE_SECONDS)
            self._watch.done += 1
            self.answers.append(answer)
            if answer.seconds is not None:
                self.latency.append((time.monotonic() - self._began, answer.seconds))
            # Frames of an hour would be the caller's own leak.
            caller.heard.clear()
            caller.said.clear()


async def measure(url: str, server: int, minutes: float, callers: int) -> tuple[Watch, Household]:
    """Look on while they talk."""
    questions = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ASKED * len(VOICES)):
            path = Path(folder) / f"{number}.wav"
            speak(*spoken(number), path)
            questions.append(read_wav(path))
    watch = Watch(url, server)
    household = Household(url, questions, watch)
    tasks = [asyncio.create_task(household.live(number)) for number in range(callers)]
    tasks.append(asyncio.create_task(watch.watch(LOOK_SECONDS)))
    with suppress(TimeoutError):
        async with asyncio.timeout(minutes * 60):
            await asyncio.gather(*tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await watch.quiet()
    return watch, household


def main() -> int:
    """Command line."""
    made = parser(__doc__, quick="half a minute on scripted engines")
    made.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    made.add_argument("--callers", type=int, default=1, help="at once (default: 1)")
    made.add_argument("--engines", choices=("real", "scripted"), default="real", help="(default: real)")
    args = made.parse_args()
    if args.quick:
        args.minutes, args.engines = 0.5, "scripted"
    flags = flags_of(args)
    about = {"minutes": args.minutes, "callers": args.callers, "engines": args.engines}
    scripted = ",".join(ENGINES) if args.engines == "scripted" else ""
    report = of_server("soak: continuous conversations", about, flags, scripted.split(","))
    with served(flags, scripted=scripted) as (url, server):
        watch, household = asyncio.run(measure(url, server, args.minutes, args.callers))
    took = [seconds for _, seconds in household.latency]
    quarter = max(1, len(took) // 4)
    first, last = Times(took[:quarter]), Times(took[-quarter:])
    for label, times in (("all", Times(took)), ("first quarter", first), ("last quarter", last)):
        report.row(label, voice_to_voice=times)
    for name in HELD:
        looks = (watch.looks[0], watch.looks[len(watch.looks) // 5], watch.looks[-1])
        before, warm, after = (f"{getattr(look, name):g} {UNITS[name]}".strip() for look in looks)
        grown = f"{watch.slope(name):+.2f}"
        known = {"at_the_start": before, "after_a_fifth": warm, "at_the_end": after}
        doubt = {"give_or_take": f"{2 * watch.uncertainty(name):.2f}", "it": watch.growth(name)}
        report.row(name, **known, per_1000_turns=grown, **(doubt if name == "memory" else {}))
    broken = household.broken
    told = {"done": str(watch.done), "broken_calls": str(len(broken))}
    report.row("turns", **told, **outcomes(household.answers))
    report.finish(args.json)
    if args.json is not None:
        whole = json.loads(args.json.read_text())
        args.json.write_text(json.dumps({**whole, "looks": watch.content()}, indent=1) + "\n")
    if args.plot is not None:
        title = f"{args.minutes:g} minutes, {watch.done} turns, {args.engines} engines"
        draw(watch, title, "turns", args.plot, household.latency)
    return 0 if well(household, first, last, watch.growth("memory")) else 1


def well(household: Household, first: Times, last: Times, memory: Growth) -> bool:
    """Whether they were served to the end as in the beginning, and nothing is known to grow."""
    if household.broken or not household.answers or memory == "grows":
        return False
    if unanswered(household.answers) > MOST_UNANSWERED * len(household.answers):
        return False
    medians = [times.content().get("p50", float("inf")) for times in (first, last)]
    return bool(medians[1] <= MOST_SLOWER * medians[0])


if __name__ == "__main__":
    sys.exit(main())
