"""Voice to voice: from the caller's last voiced sample to the first audible sample of the reply.

    python -m benchmarks.bench_turn [--turns 20] [--url http://...] [--json FILE] [--plot FILE]
                                    [--waterfall FILE] [-- SERVER FLAGS]

Starts `local-voice serve`, calls it over WebRTC like a browser would, speaks questions in voices that are
not the assistant's own (flite, espeak-ng) and listens. Both clocks are the caller's; the time in the
caller's own jitter buffer and loudspeaker is not in it. The server's breakdown stands beside it, from the
last voiced sample that reached it and, for the first sound, from its decision that the turn was over;
`--waterfall` draws it. The first turn after the start is reported apart. A turn without a reply is counted,
never dropped.
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
from pathlib import Path

import aiohttp

from benchmarks.report import Report, Share, Times
from benchmarks.sounds import QUESTIONS
from benchmarks.webrtc_client import Caller
from local_voice.audio import read_wav

VOICES = ("flite:slt", "flite:rms", "espeak:en-us", "flite:awb", "espeak:en-gb")
ASKED = 10
"""Of the questions, those that a small model can answer."""
TURNS_A_CALL = 5
FROM_DECISION = "first sound"
READY_SECONDS = 300.0
PAUSE_SECONDS = 0.7
"""Silence between the end of a reply and the next question: nobody answers a machine faster."""


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


async def call(url: str, wavs: list[Path]) -> list[dict[str, float | None]]:
    """One conversation; for each question the seconds to the reply (None without one) and the breakdown."""
    turns: list[dict[str, float | None]] = []
    caller = Caller(url)
    caller.cancels_echo = True
    async with caller:
        await asyncio.sleep(1.0)
        for wav in wavs:
            sound = read_wav(wav)
            seen = len(caller.events)
            said = await caller.say(sound.samples, sound.sample_rate)
            began = await caller.wait_for_reply(said.last_voice, seconds=30.0, quiet=PAUSE_SECONDS)
            turn: dict[str, float | None] = {"voice_to_voice": began and began - said.last_voice}
            for _, event in caller.events[seen:]:
                if event["type"] == "timing":
                    turn |= event["seconds"]
                if event["type"] == "caption" and event["final"]:
                    print(f"  {event['role']}: {event['text']}", flush=True)
            turns.append(turn)
    return turns


async def measure(url: str, count: int) -> list[dict[str, float | None]]:
    turns: list[dict[str, float | None]] = []
    with tempfile.TemporaryDirectory() as folder:
        wavs = []
        for number in range(count):
            wavs.append(Path(folder) / f"{number}.wav")
            speak(QUESTIONS[number % ASKED], VOICES[number % len(VOICES)], wavs[-1])
        for first in range(0, count, TURNS_A_CALL):
            turns += await call(url, wavs[first : first + TURNS_A_CALL])
    return turns


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--plot", type=Path, help="draw it")
    parser.add_argument("--waterfall", type=Path, help="draw where the time goes")
    parser.add_argument("--quick", action="store_true", help="only see that it works: 1 turn after the first")
    parser.add_argument("flags", nargs="*", help="flags for local-voice, after --")
    args = parser.parse_args()
    report = Report("bench_turn: voice to voice over WebRTC", {"flags": " ".join(args.flags) or "defaults"})
    server, url = (None, args.url) if args.url else start_server(args.flags)
    started = time.perf_counter()
    try:
        asyncio.run(until_ready(url, server))
        warm_start = time.perf_counter() - started
        turns = asyncio.run(measure(url, (1 if args.quick else args.turns) + 1))
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
    silent = sum(turn["voice_to_voice"] is None for turn in turns)
    print(json.dumps([turn["voice_to_voice"] for turn in turns]))
    sys.exit(1 if silent else 0)


def fill(report: Report, turns: list[dict[str, float | None]]) -> None:
    """The rows: the first turn, and the others by mark."""
    first, rest = turns[0], turns[1:]
    for turn in turns:
        if (playback := turn.get("playback")) is not None and (decided := turn.get("decided")) is not None:
            turn[FROM_DECISION] = playback - decided
    began = first["voice_to_voice"]
    report.row("first turn after the start", seconds=Times([] if began is None else [began]))
    for name in dict.fromkeys(key for turn in rest for key in turn):
        where = {"voice_to_voice": "caller", FROM_DECISION: "server, from the decision"}
        values = [value for turn in rest if (value := turn.get(name)) is not None]
        alone = first.get(name)
        report.row(
            f"{name} ({where.get(name, 'server, from last voice')})",
            seconds=Times(values),
            first_turn=Times([] if alone is None else [alone]),
        )
    report.row(
        "turns without a reply", share=Share([(float(t["voice_to_voice"] is None), 1.0) for t in turns])
    )


if __name__ == "__main__":
    main()
