"""Throws generated nonsense at everything that comes from outside, for as long as you like.

    python -m benchmarks.fuzz --seconds 3600
    python -m benchmarks.fuzz --only offers --examples 500

Offers and HTTP go to a real server over sockets; messages of the data channel go to a transport's own
handler; sound files to the reader. No answer may be a 500, nothing may take long, nothing may be left behind
(peers, tasks, file descriptors) and nothing may go wrong unseen. Hypothesis makes the examples and shrinks
the first one that fails. `tests/test_fuzz.py` runs the same for a few seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, given, seed, settings
from rich.console import Console
from rich.table import Table

from benchmarks.nonsense import MESSAGES, REQUESTS, SOUND_FILES, offers
from local_voice.audio import AudioFileError, read_wav
from local_voice.gate import REQUEST_SECONDS
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.stages import Transport
from local_voice.transports.messages import parse
from local_voice.transports.webrtc import WebRtcTransport

ANSWER_SECONDS = 5.0
"""Longest answer; the server would give up after `REQUEST_SECONDS`, which nothing here should need."""
QUIET_SECONDS = 0.1
"""Silence on a connection after which nothing more is waited for."""
STATUS = re.compile(rb"^HTTP/1\.[01] (\d+)", re.MULTILINE)
TRACE = b"Traceback"
ROUND = 100
"""Examples between two looks at what was left behind."""

assert ANSWER_SECONDS < REQUEST_SECONDS


class Target:
    """A server and an event loop that runs while an example is at work."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        """What became of the examples."""
        self.slowest = 0.0
        """Seconds."""
        self.loop = asyncio.new_event_loop()
        self.unseen: list[str] = []
        """What the event loop complained of."""
        self.loop.set_exception_handler(lambda loop, context: self.unseen.append(str(context)))
        self._server = Server(
            _listen, lambda: "", ServerSettings(port=0, requests_per_minute=0, max_sessions=8)
        )
        self.offer = self.run(self._start())
        """A real client's offer."""
        self._before = self._left()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Free everything."""
        self.run(self._http.close())
        self.run(self._server.__aexit__(None, None, None))
        self.loop.close()

    async def _start(self) -> str:
        await self._server.__aenter__()
        self._http = aiohttp.ClientSession()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("audio")
        peer.createDataChannel("events")
        await peer.setLocalDescription(await peer.createOffer())
        sdp = peer.localDescription.sdp
        await peer.close()
        assert await self._post({"sdp": sdp, "type": "offer"}) == 200, (
            "the offer that is broken below is whole"
        )
        await self._hang_up()
        return sdp

    async def _post(self, body: Any) -> int:
        async with self._http.post(
            f"{self._server.url}offer",
            data=json.dumps(body),
            headers={"Content-Type": "application/json"},
        ) as response:
            await response.read()
            return response.status

    async def _hang_up(self) -> None:
        sessions = self._server._sessions
        for transport in list(sessions.values()):
            await transport.close("the example is over")
        await asyncio.gather(*sessions, return_exceptions=True)

    def throw_offer(self, body: Any) -> None:
        async def throw() -> int:
            status = await self._post(body)
            await self._hang_up()
            return status

        status = self._timed(throw)
        assert status in (200, 400, 413), f"HTTP {status}"
        self.outcomes[f"HTTP {status}"] += 1

    def throw_request(self, data: bytes) -> None:
        async def throw() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            received = b""
            try:
                writer.write(data)
                # A connection that stays open tells nothing about its end; most answers come within 5 ms.
                while part := await asyncio.wait_for(reader.read(65_536), QUIET_SECONDS):
                    received += part
            except (ConnectionError, TimeoutError):
                pass
            writer.close()
            await self._hang_up()
            return received

        received = self._timed(throw)
        statuses = set(STATUS.findall(received))
        assert not {status for status in statuses if status.startswith(b"5") and status != b"503"}, received
        assert TRACE in data or TRACE not in received  # a request that is no HTTP is quoted
        self.outcomes[b" ".join(sorted(statuses)).decode() or "no answer"] += 1

    def throw_message(self, text: str | bytes) -> None:
        async def throw() -> str:
            transport = WebRtcTransport(RTCPeerConnection(RTCConfiguration(iceServers=[])))
            transport._on_message(text)
            await asyncio.sleep(0)
            await transport.close("the example is over")
            return type(parse(text)).__name__

        self.outcomes[self._timed(throw)] += 1

    def throw_sound(self, data: bytes) -> None:
        began = time.perf_counter()
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            Path(file.name).write_bytes(data)
            try:
                chunk = read_wav(Path(file.name))
            except AudioFileError:
                self.outcomes["refused"] += 1
            else:
                assert np.isfinite(chunk.samples).all()
                assert np.abs(chunk.samples).max() <= 1.0
                assert chunk.sample_rate > 0
                self.outcomes["read"] += 1
        self.slowest = max(self.slowest, time.perf_counter() - began)

    def _timed(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        began = time.perf_counter()
        try:
            result = self.run(asyncio.wait_for(work(), ANSWER_SECONDS))
        except TimeoutError:
            raise AssertionError(f"no end after {ANSWER_SECONDS} s") from None
        self.slowest = max(self.slowest, time.perf_counter() - began)
        unseen, self.unseen = self.unseen, []
        assert not unseen, unseen
        return result

    def _left(self) -> dict[str, int]:
        return {
            "conversations": self._server.sessions,
            "tasks": len(asyncio.all_tasks(self.loop)),
            "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
        }

    def check_nothing_is_left(self) -> None:
        """Raises `AssertionError` where examples have left something behind."""
        deadline = time.monotonic() + 5.0
        while (left := self._left()) != self._before:
            grown = {name: now - self._before[name] for name, now in left.items() if now > self._before[name]}
            if not grown:  # a connection that was kept has gone
                return
            assert time.monotonic() < deadline, f"left behind: {grown}"
            self.run(asyncio.sleep(0.05))


async def _listen(transport: Transport) -> None:
    async for _ in transport.incoming():
        pass


@contextmanager
def target() -> Iterator[Target]:
    """A server to throw things at."""
    found = Target()
    try:
        yield found
    finally:
        found.close()


KINDS = ("offers", "requests", "messages", "sounds")


def throw(at: Target, kind: str, examples: int, number: int) -> None:
    """So many examples of a kind; the same `number` gives the same ones. Raises the first failure."""
    strategy, run = {
        "offers": (offers(at.offer), at.throw_offer),
        "requests": (REQUESTS, at.throw_request),
        "messages": (MESSAGES, at.throw_message),
        "sounds": (SOUND_FILES, at.throw_sound),
    }[kind]

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def one(example: Any) -> None:
        run(example)

    one()
    at.check_nothing_is_left()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long, all kinds together")
    parser.add_argument("--examples", type=int, help="of each kind, instead of a time")
    parser.add_argument("--only", choices=KINDS, help="one kind")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="to run the same again")
    args = parser.parse_args()
    kinds = [args.only] if args.only else KINDS
    table = Table("what", "examples", "slowest", "what became of them", title=f"seed {args.seed}")
    for kind in kinds:
        with target() as at:
            began, number = time.monotonic(), args.seed
            while (
                at.outcomes.total() < args.examples
                if args.examples
                else time.monotonic() - began < args.seconds / len(kinds)
            ):
                throw(at, kind, min(ROUND, args.examples or ROUND), number)
                number += 1
            became = ", ".join(f"{what} {times}" for what, times in at.outcomes.most_common())
            table.add_row(kind, str(at.outcomes.total()), f"{at.slowest:.3f} s", became)
    Console().print(table)


if __name__ == "__main__":
    main()
