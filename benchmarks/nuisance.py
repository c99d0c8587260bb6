"""A client that nobody wants, until its time is over; called anew whenever the server has had enough of it.

    python -m benchmarks.nuisance nothing|flood|noise URL [--seconds 60]

`nothing`: it calls and sends not a packet of sound. `flood`: presses, written messages and nonsense, as many
as the data channel takes. `noise`: hiss, hum and clicks as loud as speech. Prints what it did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import suppress

import numpy as np
from aiortc.exceptions import InvalidStateError

from benchmarks.sounds import noises
from benchmarks.webrtc_client import Caller, CallError
from local_voice.audio import SPEECH_RATE

FLOOD = 50
"""Messages of each kind, every 0.05 s, as long as less than this waits to be sent."""
WAITING_BYTES = 2**16
LOUD = 0.3
OPEN_SECONDS = 5.0


async def nothing(caller: Caller, end: float) -> int:
    """Until the server gives up."""
    caller._mouth.recv = asyncio.Event().wait  # type: ignore[method-assign, assignment]
    await caller.wait_until(lambda: not connected(caller), end - time.monotonic())
    return 0


async def flood(caller: Caller, end: float) -> int:
    """How many messages it sent."""
    sent, channel = 0, caller._channel
    assert channel is not None
    await caller.wait_until(lambda: channel.readyState == "open", OPEN_SECONDS)
    while time.monotonic() < end and channel.readyState == "open":
        for _ in range(FLOOD if channel.bufferedAmount < WAITING_BYTES else 0):
            caller.send({"type": "mode", "name": "half_duplex" if sent % 2 else "full_duplex"})
            caller.send({"type": "say", "text": "x" * 1000})
            channel.send(json.dumps(["nonsense"] * 500))
            sent += 3
        await asyncio.sleep(0.05)
    return sent


async def noise(caller: Caller, end: float) -> int:
    """Without a pause."""
    sound = np.concatenate(noises())
    pieces = np.array_split(sound * np.float32(LOUD / np.abs(sound).max()), len(sound) // SPEECH_RATE)
    number = 0
    while time.monotonic() < end and connected(caller):
        await caller.say(pieces[number % len(pieces)], SPEECH_RATE)
        number += 1
    return 0


def connected(caller: Caller) -> bool:
    return caller._peer.connectionState == "connected"


WAYS = {"nothing": nothing, "flood": flood, "noise": noise}


async def be(way: str, url: str, seconds: float) -> dict[str, int]:
    """How often it called, and how many messages it sent."""
    end, calls, messages = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        with suppress(CallError, TimeoutError, OSError, InvalidStateError):
            async with Caller(url) as caller, asyncio.timeout(end - time.monotonic() + OPEN_SECONDS):
                calls += 1
                messages += await WAYS[way](caller, end)
    return {"calls": calls, "messages": messages}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(be(args.way, args.url, args.seconds))))


if __name__ == "__main__":
    main()
