"""How soon it is quiet when somebody speaks under its reply, heard from outside.

    python -m benchmarks.bench_barge_in [--times 20] [--url http://...] [--json FILE] [-- SERVER FLAGS]

Starts `local-voice serve` with a prompt that makes its replies long, calls it over WebRTC and interrupts
each reply with the next question, 1.0 to 3.4 s after the reply's first sound. The caller says, as browsers
do, that it cancels echo itself. Both clocks are its own; the time in its jitter buffer and loudspeaker is not
in it.

`stop`: from the first audible sample of the interruption, as it is spoken, to the last audible sample of the
reply, as it comes in: the end of the run of sound, with gaps of 0.4 s at most, that holds the cut. `quiet`:
the same to the beginning of the first 0.4 s of silence (between sentences it is 0.22 s); sooner than `stop`
where the reply paused, went on for want of words, and was then cut. `answer`: from the interruption's last
audible sample to the first one of the reply to it; none for one that was audible before the interruption
was over (`too early`), for an apology (`apologised`), and without one for 30 s (`unanswered`). `went on`:
replies that were not cut within 6 s. `no reply`: there was nothing to interrupt but silence or an apology. A
reply that was over before its interruption could end it is `over already`, and tells nothing. What is heard
tells the times; that a reply was cut is known from its caption.

`a hum`: the same with a steady hum in the place of the voice, so that `duck` can be told, too: from the
interruption's first audible sample to the first 10 ms of the reply at half its loudness or less.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from benchmarks.answers import Answer, answered, apologised, outcomes, times
from benchmarks.bench_turn import VOICES, speak, start_server, until_ready
from benchmarks.report import Report, Share, Times, of_server
from benchmarks.scripted_server import ENGINES
from benchmarks.sounds import QUESTIONS
from benchmarks.webrtc_client import AUDIBLE, RATE, Caller, Frame, Said
from local_voice.audio import AudioChunk, read_wav

STORYTELLER = (
    "You are a friendly voice assistant. Answer everything at length, in plain spoken English: ten "
    "sentences, as if you told a story."
)
VOICE, HUM = "the voice", "a hum"
OPENERS = ("", "Wait, ", "No, ", "Hold on. ")
DELAYS = (1.0, 1.8, 2.6, 3.4)
INTERRUPTIONS_A_CALL = 5
GAP_SECONDS = 0.4
CUT_SECONDS = 6.0
STILL_SECONDS = 0.3
"""Silence for this long before the interruption: the reply was over."""
IN_FLIGHT_SECONDS = 0.1
"""Sound that was on its way when the caption was."""
REPLY_SECONDS = 30.0
DUCKED = 0.5
BLOCK = RATE // 100


@dataclass(frozen=True)
class Stop:
    """What was heard of one interrupted reply. Seconds; all None: it went on."""

    stop: float | None
    quiet: float | None
    duck: float | None
    answer: Answer | None
    """To the interruption."""


Untold: TypeAlias = Literal["no reply", "over already"]
"""Why an interruption tells nothing of how a reply stops."""


def audible(frames: Sequence[Frame], threshold: float) -> list[tuple[float, float]]:
    """When the first and the last sample at or above `threshold` of each frame that has one was heard."""
    found = []
    for frame in frames:
        places = np.flatnonzero(np.abs(frame.samples) >= threshold)
        if len(places):
            found.append((frame.time + int(places[0]) / RATE, frame.time + int(places[-1]) / RATE))
    return found


def judge(
    heard: Sequence[Frame], began: float, said: Said, cut: float | None, sorry: bool = False
) -> Stop | Untold:
    """On a reply that began at `began`. `cut`: when its caption came; `sorry`: an apology followed."""
    frames = [frame for frame in heard if frame.time >= began]
    sounds = audible(frames, AUDIBLE)
    before = [last for _, last in sounds if last <= said.first_voice]
    if not before or said.first_voice - before[-1] > STILL_SECONDS:
        return "over already"
    quiet = run_end(sounds, before[-1])
    if cut is None:  # a pause of ours takes longer: what is silent sooner was over by itself
        return (
            Stop(None, None, None, None) if quiet > said.first_voice + IN_FLIGHT_SECONDS else "over already"
        )
    stop = run_end(sounds, max(last for first, last in sounds if first <= cut + IN_FLIGHT_SECONDS))
    sounded = next((first for first, _ in sounds if first > stop), None)
    return Stop(
        max(0.0, stop - said.first_voice),
        max(0.0, quiet - said.first_voice),
        ducked(frames, said.first_voice),
        answered(sounded, said.last_voice, sorry),
    )


def run_end(sounds: Sequence[tuple[float, float]], after: float) -> float:
    """The end of the run of sound that `after` lies in: what follows without a longer gap belongs to it."""
    for first, last in sounds:
        if first - after > GAP_SECONDS:
            break
        after = max(after, last)
    return after


def ducked(frames: Sequence[Frame], start: float) -> float | None:
    """Seconds from `start` to the first block at half the loudness of those before; None without one."""
    blocks = [
        (frame.time + place / RATE, float(np.abs(frame.samples[place : place + BLOCK]).max()))
        for frame in frames
        for place in range(0, len(frame.samples), BLOCK)
    ]
    loudness = float(np.median([peak for time, peak in blocks if time < start]))
    return next((time - start for time, peak in blocks if time >= start and peak < DUCKED * loudness), None)


def when_cut(caller: Caller, after: float) -> float | None:
    """When the caption came that says that a reply was interrupted."""
    for time, event in caller.events:
        if time > after and event["type"] == "caption" and event["interrupted"]:
            return time
    return None


async def call(url: str, questions: Sequence[AudioChunk], delays: Sequence[float]) -> list[Stop | Untold]:
    """One conversation: the first question is asked, each further one interrupts the last reply."""
    stops: list[Stop | Untold] = []
    caller = Caller(url)
    caller.cancels_echo = True
    async with caller:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(1.0)
        said = await caller.say(questions[0].samples, questions[0].sample_rate)
        after = said.last_voice
        for question, delay in zip(questions[1:], delays, strict=False):
            await caller.wait_until(lambda after=after: caller.first_sound(after) is not None, REPLY_SECONDS)
            began = caller.first_sound(after)
            if began is not None:
                await asyncio.sleep(max(0.0, began + delay - clock()))
            if began is None or apologised(caller.events, said.start):
                await caller.wait_until(lambda: clock() - (caller.last_sound() or 0.0) > 1.0, REPLY_SECONDS)
                said = await caller.say(question.samples, question.sample_rate)
                after = said.last_voice
                stops.append("no reply")
                continue
            said = await caller.say(question.samples, question.sample_rate)
            await caller.wait_until(
                lambda start=said.start: when_cut(caller, start) is not None,
                max(0.0, said.first_voice + CUT_SECONDS - clock()),
            )
            cut, interruption = when_cut(caller, said.start), said
            if cut is None:  # let it come to its end
                await caller.wait_for_reply(clock(), seconds=REPLY_SECONDS)
                said = await caller.say(question.samples, question.sample_rate)
            after = max(said.last_voice, (cut or 0.0) + IN_FLIGHT_SECONDS)
            await caller.wait_until(lambda after=after: caller.first_sound(after) is not None, REPLY_SECONDS)
            sorry = apologised(caller.events, interruption.start)
            stops.append(judge(caller.heard, began, interruption, cut, sorry))
            print(f"  {stops[-1]}", flush=True)
    return stops


async def measure(url: str, count: int) -> list[Stop | Untold]:
    """`count` interruptions in calls of `INTERRUPTIONS_A_CALL`."""
    stops: list[Stop | Untold] = []
    with tempfile.TemporaryDirectory() as folder:
        path, number = Path(folder) / "question.wav", 0
        while len(stops) < count:
            questions = []
            for _ in range(min(INTERRUPTIONS_A_CALL, count - len(stops)) + 1):
                opener = OPENERS[number % len(OPENERS)] if questions else ""
                speak(opener + QUESTIONS[number % len(QUESTIONS)], VOICES[number % len(VOICES)], path)
                questions.append(read_wav(path))
                number += 1
            delays = [DELAYS[(len(stops) + place) % len(DELAYS)] for place in range(len(questions) - 1)]
            stops += await call(url, questions, delays)
    return stops


def fill(report: Report, label: str, stops: Sequence[Stop | Untold]) -> None:
    """A row. Only a hum is steady enough to tell when it was ducked."""
    judged = [stop for stop in stops if isinstance(stop, Stop)]
    answers = [stop.answer for stop in judged if stop.answer is not None]
    values = {
        name: Times([value for stop in judged if (value := getattr(stop, name)) is not None])
        for name in ("stop", "quiet", *(["duck"] if label == HUM else []))
    }
    lost = outcomes(answers)
    report.row(
        label,
        **values,
        answer=times(answers),
        went_on=Share([(float(stop.stop is None), 1.0) for stop in judged]),
        no_reply=Share([(float(stop == "no reply"), 1.0) for stop in stops]),
        unanswered=lost.pop("no_reply"),
        **lost,
        over_already=stops.count("over already"),
    )


def stops_of(flags: list[str], count: int, scripted: str = "") -> list[Stop | Untold]:
    """Start a server, interrupt it, stop it."""
    server, url = start_server(["--llm.system_prompt", STORYTELLER, *flags], scripted)
    try:
        asyncio.run(until_ready(url, server))
        return asyncio.run(measure(url, count))
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()  # a shell may have it ignore SIGINT
        server.wait(30)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="interruptions; half as many of the hum")
    parser.add_argument("--url", help="a server that runs already; no hum then")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--plot", type=Path, help="draw it")
    parser.add_argument("--quick", action="store_true", help="only see that it works: scripts, twice")
    parser.add_argument("flags", nargs="*", help="flags for local-voice, after --")
    args = parser.parse_args()
    about = {"flags": " ".join(args.flags) or "defaults"}
    scripted = ENGINES if args.quick else ()
    report = of_server(
        "bench_barge_in: a reply that is interrupted", about, args.flags, scripted, args.url or ""
    )
    if args.url:
        asyncio.run(until_ready(args.url))
        fill(report, VOICE, asyncio.run(measure(args.url, args.times)))
    elif args.quick:
        fill(report, HUM, stops_of(args.flags, 2, ",".join(ENGINES)))
    else:
        fill(report, VOICE, stops_of(args.flags, args.times))
        fill(report, HUM, stops_of(args.flags, args.times // 2, "Piper"))
    report.finish(args.json, args.plot)


if __name__ == "__main__":
    main()
