"""A caller from outside: speaks WAV files to a running server over WebRTC and records what it hears.

    python -m benchmarks.webrtc_client http://localhost:8765 question.wav --out call.wav

Every frame in both directions is stamped on one clock, so that the time from the caller's last voiced
sample to the first audible sample of the reply is measured where a person would feel it. Any server that
answers `POST /offer` with JSON can be called.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from local_voice.audio import Resampler, Samples, read_wav, write_wav
from local_voice.transports.jitter import Pacer
from local_voice.transports.webrtc import offer_loopback_when_alone, own_receive_path

RATE = 48_000
FRAME = 960
AUDIBLE = 0.01
"""Amplitude from which a sample counts as sound: -40 dB of full scale, far above Opus's coding noise."""


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms of sound and when its packet was sent or had been decoded."""

    time: float
    """Seconds on the event loop's clock."""
    samples: Samples
    """48 kHz, shape `(960,)`."""


@dataclass(frozen=True, slots=True)
class Said:
    """When a sound was spoken, on the event loop's clock."""

    start: float
    first_voice: float
    """The first audible sample: from here a person wants to be heard."""
    last_voice: float
    """The last audible sample: from here a person waits for the answer."""


class CallError(Exception):
    """The server refused the call; `status` is HTTP's, `retry_after` what it said."""

    def __init__(self, status: int, sentence: str, retry_after: str | None) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status = status
        self.retry_after = retry_after


class Caller:
    """One call. Entering connects, leaving hangs up."""

    def __init__(self, url: str, *, channel: bool = True, network: RTCConfiguration | None = None) -> None:
        """`url` of the server; `channel`: open the data channel `events` and ping each second.

        `network`: STUN and TURN servers; none by default.
        """
        self.heard: list[Frame] = []
        self.said: list[Frame] = []
        self.events: list[tuple[float, dict[str, Any]]] = []
        """Messages of the data channel and when they came; pongs left out."""
        self.cancels_echo = False
        """Set it before entering: said to the server, whose echo canceller then stays out of the way."""
        self.playout_delay = 0.05
        """Seconds reported to the server with each ping."""
        self.conversation = ""
        """Secret name of the conversation; given before entering, one whose connection broke goes on."""
        self.resumed = False
        """The server remembered the conversation."""
        self.lose: Callable[[int], bool] = lambda sequence: False
        """Test of loss: packets for which it is true are dropped on arrival."""
        self._url = url.rstrip("/")
        self._peer = RTCPeerConnection(network or RTCConfiguration(iceServers=[]))
        self._mouth = _Mouth(self.said)
        self._connected = asyncio.Event()
        self._channel = self._peer.createDataChannel("events") if channel else None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Call and wait for the connection. Raises `CallError`, `TimeoutError`."""
        offer_loopback_when_alone()
        self._peer.addTrack(self._mouth)
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)
        if self._channel is not None:
            self._channel.on("message", self._on_message)
            self._channel.on("open", lambda: self._start(self._ping()))
        try:
            await self._peer.setLocalDescription(await self._peer.createOffer())
            await self._exchange()
            async with asyncio.timeout(10.0):
                await self._connected.wait()
        except BaseException:
            await self._peer.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(json.dumps({"type": "bye"}))
            await asyncio.sleep(0.05)
        await self.vanish()

    async def vanish(self) -> None:
        """Tear everything down without a goodbye on the data channel."""
        for task in self._tasks:
            task.cancel()
        self._mouth.stop()
        await self._peer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def say(self, samples: Samples, sample_rate: int) -> Said:
        """Speak a sound after what is still being spoken; returns when it has been sent."""
        resampler = Resampler(sample_rate, RATE)
        return await self._mouth.say(resampler.process(samples, last=True))

    def send(self, message: dict[str, Any]) -> None:
        """Send JSON on the data channel."""
        assert self._channel is not None
        self._channel.send(json.dumps(message))

    def first_sound(self, after: float) -> float | None:
        """When the first audible sample after `after` could be played, without any buffer."""
        for frame in self.heard:
            audible = np.flatnonzero(np.abs(frame.samples) >= AUDIBLE)
            if frame.time > after and len(audible):
                return frame.time + int(audible[0]) / RATE
        return None

    def last_sound(self) -> float | None:
        """When the last audible frame so far arrived."""
        return next((f.time for f in reversed(self.heard) if np.abs(f.samples).max() >= AUDIBLE), None)

    async def wait_until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait for something to become true; False when it didn't in time."""
        end = asyncio.get_running_loop().time() + seconds
        while not true():
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.01)
        return True

    async def wait_for_reply(
        self, after: float, *, seconds: float = 20.0, quiet: float = 1.0
    ) -> float | None:
        """Wait for a reply to begin after `after` and to be followed by `quiet` seconds of silence.

        Returns when it began, None if it didn't within `seconds`.
        """
        clock = asyncio.get_running_loop().time
        if not await self.wait_until(lambda: self.first_sound(after) is not None, seconds):
            return None
        await self.wait_until(lambda: clock() - (self.last_sound() or 0.0) >= quiet, seconds)
        return self.first_sound(after)

    def recording(self) -> list[Samples]:
        """What was said and what was heard, two channels at 48 kHz on one clock."""
        frames = [*self.said, *self.heard]
        origin = min(frame.time for frame in frames)
        length = round((max(frame.time for frame in frames) - origin) * RATE) + FRAME
        return [_laid(self.said, origin, length), _laid(self.heard, origin, length)]

    async def _exchange(self) -> None:
        local = self._peer.localDescription
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"{self._url}/offer",
                json={"sdp": local.sdp, "type": local.type},
                headers={"X-Conversation": self.conversation} if self.conversation else {},
            ) as response,
        ):
            reply = await response.json()
            if response.status != 200:
                raise CallError(response.status, reply["error"], response.headers.get("Retry-After"))
        self.conversation, self.resumed = reply.get("conversation", ""), reply.get("resumed", False)
        await self._peer.setRemoteDescription(RTCSessionDescription(reply["sdp"], reply["type"]))

    def _on_state(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self._peer.getReceivers() if r.track is track)
        receive = receiver._handle_rtp_packet

        async def through_loss(packet: Any, arrival_time_ms: int) -> None:
            if not self.lose(packet.sequence_number):
                await receive(packet, arrival_time_ms=arrival_time_ms)

        setattr(receiver, "_handle_rtp_packet", through_loss)  # noqa: B010
        own_receive_path(receiver, lambda: None)
        self._start(self._hear(track))

    async def _hear(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                stereo = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.float32)
                self.heard.append(Frame(loop.time(), stereo.mean(axis=1) / 32768.0))
        except MediaStreamError:
            pass

    def _on_message(self, text: str) -> None:
        message = json.loads(text)
        if message.get("type") != "pong":
            self.events.append((asyncio.get_running_loop().time(), message))

    async def _ping(self) -> None:
        if self.cancels_echo:
            # As a browser's page does; the server then leaves our sound as it is.
            self.send({"type": "hello", "echo_cancellation": True, "sample_rate": RATE})
        while self._channel is not None and self._channel.readyState == "open":
            self.send({"type": "ping", "delay": self.playout_delay})
            await asyncio.sleep(1.0)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Mouth(MediaStreamTrack):
    """Sends what is to be said, and silence between, 20 ms at a time."""

    kind = "audio"

    def __init__(self, said: list[Frame]) -> None:
        super().__init__()
        self._said = said
        self._pacer = Pacer()
        self._pts = 0
        self._unspoken: deque[Samples] = deque()
        self._empty = asyncio.Event()
        self._empty.set()

    async def say(self, samples: Samples) -> Said:
        padded = np.concatenate((samples, np.zeros(-len(samples) % FRAME, np.float32)))
        first = len(self._said) + len(self._unspoken)
        self._unspoken.extend(padded.reshape(-1, FRAME))
        self._empty.clear()
        await self._empty.wait()
        audible = np.flatnonzero(np.abs(samples) >= AUDIBLE)
        ends = (int(audible[0]), int(audible[-1])) if len(audible) else (0, len(samples) - 1)
        # A frame goes out when its last sample has been spoken.
        first_voice, last_voice = (
            self._said[first + place // FRAME].time - (FRAME - place % FRAME) / RATE for place in ends
        )
        return Said(self._said[first].time, first_voice, last_voice)

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._pacer.wait(loop.time()))
        if self.readyState != "live":
            raise MediaStreamError
        samples = self._unspoken.popleft() if self._unspoken else np.zeros(FRAME, np.float32)
        if not self._unspoken:
            self._empty.set()
        self._said.append(Frame(loop.time(), samples))
        frame = AudioFrame.from_ndarray(
            np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)[np.newaxis], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = self._pts
        self._pts += FRAME
        return frame


def _laid(frames: list[Frame], origin: float, length: int) -> Samples:
    """Frames on one line: each where it came, or right after the one before if it came in a burst."""
    line = np.zeros(length + FRAME * 50, np.float32)
    end = 0
    for frame in frames:
        place = max(end, round((frame.time - origin) * RATE))
        # A frame that came a little late still follows without a hole, as a jitter buffer would play it.
        place = end if place - end < 2 * FRAME else place
        end = min(place + len(frame.samples), len(line))
        line[place:end] = frame.samples[: end - place]
    return line[:length]


async def _call(url: str, wavs: list[Path], out: Path | None) -> None:
    async with Caller(url) as caller:
        for wav in wavs:
            chunk = read_wav(wav)
            said = await caller.say(chunk.samples, chunk.sample_rate)
            began = await caller.wait_for_reply(said.last_voice)
            wait = "no reply" if began is None else f"reply after {began - said.last_voice:.3f} s"
            print(f"{wav.name}: {wait}")
        for _, event in caller.events:
            if event["type"] == "caption" and event["final"]:
                print(f"  {event['role']}: {event['text']}")
        if out is not None:
            write_wav(out, caller.recording(), RATE)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("wav", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="stereo WAV: left what was said, right what was heard")
    args = parser.parse_args()
    asyncio.run(_call(args.url, args.wav, args.out))


if __name__ == "__main__":
    main()
