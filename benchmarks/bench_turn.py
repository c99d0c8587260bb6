"""Voice to voice: from the caller's last voiced sample to the first audible sample of the reply.

    python -m benchmarks.bench_turn [--turns 20] [--url http://...] [--json FILE] [--plot FILE]
                                    [--waterfall FILE] [-- SERVER FLAGS]

Starts `local-voice serve`, calls it over WebRTC like a browser would, speaks questions in voices that are not
the assistant's own (flite, espeak-ng) and listens. Both clocks are the caller's; the time in the caller's own
jitter buffer and loudspeaker is not in it. The server's breakdown stands beside it, from the last voiced
sample that reached it and, for the first sound, from its decision that the turn was over, and for the first
packet from when there are both the decision and a sound; `--waterfall` draws it. The first turn after the
start is reported apart. A turn without a reply, one that was answered before the question was over, and one
that got an apology are counted apart and have no time; with one of them the exit code is 1. Each question is
asked in each voice before a recording is heard again, which is after 50. `the question's end clear`: the
recordings that sound finished to Smart Turn, judged before the calls; those that don't are named.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.answers import Answer, ask, outcomes, times, unanswered
from benchmarks.report import Report, Times, of_server, served
from benchmarks.sounds import QUESTIONS, sound_file
from benchmarks.webrtc_client import AUDIBLE, Caller
from local_voice.audio import SPEECH_RATE, read_wav, silence
from local_voice.engines.smart_turn import SmartTurn
from local_voice.model_store import ModelStore
from local_voice.settings import TurnSettings
from local_voice.stages import StartupError

VOICES = ("flite:slt", "flite:rms", "espeak:en-us", "flite:awb", "espeak:en-gb")
ASKED = 10
"""Of the questions, those that a small model can answer."""
TURNS_A_CALL = 5
FROM_DECISION = "first sound"
FROM_RELEASE = "first packet"
READY_SECONDS = 300.0
REPLY_SECONDS = 90.0
"""A reply of `llm.max_tokens` takes more than a minute; asked into it, the next question would count as
answered too early."""
TAIL_SECONDS = 0.2
"""Silence after a recording for Smart Turn: what it is given of a turn that is over."""
PAUSE_SECONDS = 0.7
"""Silence between the end of a reply and the next question: nobody answers a machine faster."""


@dataclass(frozen=True)
class Turn:
    """One question."""

    answer: Answer
    marks: dict[str, float] = field(default_factory=dict)
    """The server's breakdown, seconds from the last voiced sample; empty where the reply is not one to it."""
    clear: bool = True
    """The recording sounds finished."""


def spoken(number: int) -> tuple[str, str]:
    """The words and the voice of a question. Each in each voice: the first 50 differ.

    Nor do two calls of `TURNS_A_CALL` of these begin with the same question: a prompt that the language
    model has read before takes it no time, and nobody asks twice.
    """
    again = number // ASKED
    return QUESTIONS[(number + again) % ASKED], VOICES[(number + 2 * again) % len(VOICES)]


def speak(text: str, voice: str, path: Path) -> None:
    """Render `text` into a WAV with a voice of flite or espeak-ng."""
    program, name = voice.split(":")
    command = (
        ["flite", "-voice", name, "-t", text, "-o", str(path)]
        if program == "flite"
        else ["espeak-ng", "-v", name, "-s", "150", "-w", str(path), text]
    )
    subprocess.run(command, check=True, capture_output=True)


def start_server(flags: list[str], scripted: str = "") -> tuple[subprocess.Popen[bytes], str]:
    """`local-voice serve` on a free port, in a process group of its own.

    `scripted`: engines that are scripts, as in `scripted_server.py`. From here on SIGTERM ends this program
    as Ctrl-C does, so that it takes the server along, also where a shell has begun it in the background.
    """
    # asyncio cancels its main task for SIGINT alone; torn down in any other order, a call waits for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "benchmarks.scripted_server" if scripted else "local_voice"
    command = [sys.executable, "-m", program, *flags, "serve", "--port", str(port)]
    environment = os.environ | ({"SCRIPTED": scripted} if scripted else {})
    return subprocess.Popen(command, start_new_session=True, env=environment), f"http://127.0.0.1:{port}"


async def until_ready(url: str, server: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for `/readyz`. Raises `TimeoutError`; ends the program when `server` has ended."""
    async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as http:
        while True:
            if server is not None and server.poll() is not None:
                sys.exit("The server did not start; it says why above.")
            try:
                async with http.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


async def call(url: str, wavs: list[Path]) -> list[Turn]:
    """One conversation."""
    turns: list[Turn] = []
    caller = Caller(url)
    caller.cancels_echo = True
    async with caller:
        await asyncio.sleep(1.0)
        for wav in wavs:
            seen = len(caller.events)
            _, answer = await ask(caller, read_wav(wav), seconds=REPLY_SECONDS, quiet=PAUSE_SECONDS)
            marks: dict[str, float] = {}
            for _, event in caller.events[seen:]:
                if event["type"] == "timing":
                    marks |= event["seconds"]
                if event["type"] == "caption" and event["final"]:
                    print(f"  {event['role']}: {event['text']}", flush=True)
            turns.append(Turn(answer, {} if answer.early or answer.apologised else marks))
    return turns


def recorded(count: int, folder: Path) -> list[Path]:
    """So many questions, in turns in all voices."""
    wavs = []
    for number in range(count):
        wavs.append(folder / f"{number}.wav")
        speak(*spoken(number), wavs[-1])
    return wavs


async def clear_ends(wavs: Sequence[Path], turn: TurnSettings) -> list[bool]:
    """Whether each sounds at least probably finished to Smart Turn, `TAIL_SECONDS` after its last sound."""
    clear = []
    async with SmartTurn(ModelStore().path(turn.model)) as judge:
        for number, wav in enumerate(wavs):
            sound = sound_file(wav)
            end = int(np.flatnonzero(np.abs(sound) >= AUDIBLE)[-1]) + 1
            heard = np.concatenate((sound[:end], silence(TAIL_SECONDS, SPEECH_RATE)))
            probability = await judge.probability(heard)
            clear.append(probability >= turn.likely_probability)
            if not clear[-1]:
                text, voice = spoken(number)
                print(f"no clear end ({probability:.2f}): turn {number}, {voice}: {text}", flush=True)
    return clear


async def measure(url: str, count: int, turn: TurnSettings) -> list[Turn]:
    """So many questions, in calls of `TURNS_A_CALL`."""
    turns: list[Turn] = []
    with tempfile.TemporaryDirectory() as folder:
        wavs = recorded(count, Path(folder))
        clear = await clear_ends(wavs, turn)
        for first in range(0, count, TURNS_A_CALL):
            turns += await call(url, wavs[first : first + TURNS_A_CALL])
    return [replace(one, clear=sure) for one, sure in zip(turns, clear, strict=True)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=20, help="after the first (default: 20)")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--plot", type=Path, help="draw it")
    parser.add_argument("--waterfall", type=Path, help="draw where the time goes")
    parser.add_argument("--quick", action="store_true", help="only see that it works: 1 turn after the first")
    parser.add_argument("flags", nargs="*", help="flags for local-voice, after --")
    args = parser.parse_args()
    about = {"flags": " ".join(args.flags) or "defaults"}
    report = of_server("bench_turn: voice to voice over WebRTC", about, args.flags, url=args.url or "")
    server, url = (None, args.url) if args.url else start_server(args.flags)
    started = time.perf_counter()
    try:
        asyncio.run(until_ready(url, server))
        warm_start = time.perf_counter() - started
        turns = asyncio.run(
            measure(url, (1 if args.quick else args.turns) + 1, served(args.flags).settings.turn)
        )
    except StartupError as error:  # a server elsewhere needs no models here; the judge of clear ends does
        sys.exit(str(error))
    finally:
        if server is not None:
            server.terminate()  # a shell may have it ignore SIGINT
            server.wait(30)

    if server is not None:
        report.row("warm start, to /readyz", seconds=Times([warm_start]))
    fill(report, turns)
    report.finish(args.json, args.plot)
    if args.waterfall is not None:
        from benchmarks.waterfall import draw  # a second to import

        draw(report.content(), args.waterfall)
    print(json.dumps([turn.answer.seconds for turn in turns]))
    sys.exit(1 if unanswered([turn.answer for turn in turns]) else 0)


def fill(report: Report, turns: Sequence[Turn]) -> None:
    """The rows: the first turn, and the others by mark."""
    answers = [turn.answer for turn in turns]
    first, *rest = [marks(turn) for turn in turns]
    report.row("first turn after the start", seconds=times(answers[:1]))
    for name in dict.fromkeys(["voice_to_voice", *(name for found in rest for name in found)]):
        where = {
            "voice_to_voice": "caller",
            FROM_DECISION: "server, from the decision",
            FROM_RELEASE: "server, from the release",
        }
        report.row(
            f"{name} ({where.get(name, 'server, from last voice')})",
            seconds=Times([found[name] for found in rest if name in found]),
            first_turn=Times([first[name]] if name in first else []),
        )
    clear = [found for turn, found in zip(turns[1:], rest, strict=True) if turn.clear]
    for name, where in (("voice_to_voice", "caller"), ("playback", "server, from last voice")):
        samples = [found[name] for found in clear if name in found]
        report.row(f"{name}, the question's end clear ({where})", seconds=Times(samples))
    labels = ("turns without a reply", "turns answered too early", "turns with an apology")
    for label, share in zip(labels, outcomes(answers).values(), strict=True):
        report.row(label, share=share)


def marks(turn: Turn) -> dict[str, float]:
    """The caller's, then the server's, and what follows from them."""
    found = dict(turn.marks)
    if "playback" in found and "decided" in found:
        found[FROM_DECISION] = found["playback"] - found["decided"]
        found[FROM_RELEASE] = found["playback"] - max(found["decided"], found.get("first_sound", 0.0))
    seconds = turn.answer.seconds
    return found if seconds is None else {"voice_to_voice": seconds, **found}


if __name__ == "__main__":
    main()
