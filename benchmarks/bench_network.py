"""A bad network between the browser and the server: what is recognised of the user, and what the user hears.

    python -m benchmarks.bench_network [--json FILE] [--plot FILE] [--quick] [--set NAME=VALUE ...]

A caller and the server's WebRTC door in one program, with packets of sound lost, delayed and swapped between
them in both directions. People's sentences go up and down at the same time and are transcribed at the other
end, by the same recogniser: `recognised` and `understood` are the word errors of what the server and what the
user got. `given up`: packets that never came, or so late that the door no longer waited. A browser also
conceals holes and waits longer, which this caller does not: its user hears rather more than here.

Before that a minute of packets goes through aiortc's own receive buffer and through the one that took its
place: `held` is how long a packet that has arrived waits there, `never_handed_on` how many were given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import jiwer
import numpy as np
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks import report as reports
from benchmarks.report import Report, Share, Times
from benchmarks.sounds import Spoken, people
from benchmarks.webrtc_client import FRAME, RATE, Caller
from local_voice.audio import SPEECH_RATE, Resampler, Samples
from local_voice.engines.whisper import Whisper
from local_voice.model_store import ModelStore
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.transports.jitter import InOrder
from local_voice.transports.webrtc import WebRtcTransport

HELD = ((0.0, 0.0), (0.0, 0.03), (0.01, 0.03), (0.05, 0.03))
"""Shares lost and seconds of jitter for the receive buffers."""
HELD_SECONDS = 60.0
LOSSES = (0.0, 0.01, 0.05, 0.10)
JITTERS = (0.0, 0.04)
"""Seconds by which a packet may be late, at random; 0.04 swaps every second pair of packets of 0.02."""
PAUSE_SECONDS = 0.5

normalise = EnglishTextNormalizer()


class Network:
    """Loses and delays packets, each by its own dice: one that is late enough is overtaken."""

    def __init__(self, loss: float, jitter: float, seed: int) -> None:
        """`loss`: share of packets; `jitter`: seconds."""
        self.packets = 0
        self.lost = 0
        self._loss = loss
        self._jitter = jitter
        self._dice = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()

    async def carry(self, deliver: Callable[[], Awaitable[Any]]) -> None:
        """Bring a packet, or don't; returns at once."""
        self.packets += 1
        if self._dice.random() < self._loss:
            self.lost += 1
            return
        wait = self._dice.uniform(0.0, self._jitter)

        async def later() -> None:
            await asyncio.sleep(wait)
            with contextlib.suppress(ConnectionError):  # the call is over
                await deliver()

        if not wait:
            await deliver()
            return
        task = asyncio.create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def held(hand_on: Callable[[int], list[int]], loss: float, jitter: float) -> tuple[Times, Share]:
    """How long packets wait in a receive buffer, and how many it never hands on of those that arrived.

    `hand_on`: put packet number so-and-so in; the numbers of those that may go on now.
    """
    dice = random.Random(1)
    count = round(HELD_SECONDS * RATE / FRAME)
    sent = [number * FRAME / RATE for number in range(count)]
    came = {n: at + dice.uniform(0.0, jitter) for n, at in enumerate(sent) if dice.random() >= loss}
    waited = {
        out: now - came[out] for n, now in sorted(came.items(), key=lambda one: one[1]) for out in hand_on(n)
    }
    ended = max(waited)  # what is still waiting then is neither late nor lost
    lost = [n for n in came if n <= ended and n not in waited]
    return Times(list(waited.values())), Share([(len(lost), len(lost) + len(waited))])


def of_aiortc() -> Callable[[int], list[int]]:
    """aiortc's buffer as its audio receiver makes it."""
    buffer = JitterBuffer(capacity=16, prefetch=4)

    def hand_on(number: int) -> list[int]:
        packet = RtpPacket(sequence_number=number, timestamp=number * FRAME)
        packet._data = b""  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        return [frame.timestamp // FRAME] if frame is not None else []

    return hand_on


def of_ours() -> Callable[[int], list[int]]:
    """What `inside_aiortc.own_receive_path` puts in its place."""
    order: InOrder[int] = InOrder()
    return lambda number: order.push(number, number)


@dataclass
class Far:
    """The server's side: keeps what it hears, and speaks the same sentences."""

    sentences: list[Samples]
    """At the rate of the network."""
    heard: list[Samples] = field(default_factory=list)
    transport: WebRtcTransport | None = None

    async def __call__(self, transport: WebRtcTransport) -> None:
        self.transport = transport
        async for chunk in transport.incoming():
            self.heard.append(chunk.samples)

    def say(self, number: int) -> None:
        """Begin to speak a sentence."""
        assert self.transport is not None
        playout = self.transport.playout
        playout.open(number + 1, 0)
        playout.write(number + 1, 0, self.sentences[number])
        playout.finish(number + 1, 0)
        playout.release(number + 1, 0)


def spoil(caller: Caller, network: Network) -> None:
    """Put the network between the caller and the server, in both directions."""
    for sender in caller._peer.getSenders():
        send = sender.transport._send_rtp

        async def carry(data: bytes, send: Callable[[bytes], Awaitable[None]] = send) -> None:
            await network.carry(lambda: send(data))

        sender.transport._send_rtp = carry
    for receiver in caller._peer.getReceivers():
        receive = receiver._handle_rtp_packet

        async def arrive(packet: Any, arrival_time_ms: int, receive: Callable[..., Any] = receive) -> None:
            await network.carry(lambda: receive(packet, arrival_time_ms=arrival_time_ms))

        receiver._handle_rtp_packet = arrive


@dataclass
class Found:
    """What came out at both ends, sentence by sentence, at the rate of the network."""

    up: list[Samples] = field(default_factory=list)
    down: list[Samples] = field(default_factory=list)
    given_up: list[tuple[float, float]] = field(default_factory=list)
    """Packets on the way down that never were played, and all that were sent, sentence by sentence."""
    lost: tuple[int, int] = (0, 0)


async def talk(speech: list[Spoken], loss: float, jitter: float) -> Found:
    """Both sides speak all sentences, one after the other and at the same time."""
    sounds = [Resampler(SPEECH_RATE, RATE).process(samples, last=True) for samples, _ in speech]
    far, found = Far(sounds), Found()
    network = Network(loss, jitter, seed=1)
    settings = ServerSettings(port=0, echo_cancellation=False)
    async with Server(far, lambda: "", settings) as server, Caller(server.url) as caller:
        await caller.wait_until(lambda: bool(far.heard) and bool(caller.heard), 5.0)
        spoil(caller, network)
        assert far.transport is not None
        for number, sound in enumerate(sounds):
            up, down, sent = len(far.heard), len(caller.heard), far.transport._voice.position
            far.say(number)
            await caller.say(sound, RATE)
            await asyncio.sleep(PAUSE_SECONDS)
            found.up.append(np.concatenate(far.heard[up:]))
            frames = [frame.samples for frame in caller.heard[down:]]
            found.down.append(np.concatenate([np.zeros(1, np.float32), *frames]))
            due = (far.transport._voice.position - sent) // FRAME
            found.given_up.append((max(0, due - len(frames)), due))
        found.lost = (network.lost, network.packets)
    return found


async def errors(whisper: Whisper, sounds: list[Samples], speech: list[Spoken]) -> Share:
    """Word errors of what was recognised at one end."""
    counted: list[tuple[float, float]] = []
    for sound, (_, said) in zip(sounds, speech, strict=True):
        samples = Resampler(RATE, SPEECH_RATE).process(sound, last=True)
        transcript = await whisper.transcribe(samples, final=True)
        found = jiwer.process_words(normalise(said), normalise(transcript.text))
        wrong = found.substitutions + found.deletions + found.insertions
        counted.append((wrong, len(normalise(said).split())))
    return Share(counted)


async def measure(
    report: Report, whisper: Whisper, speech: list[Spoken], levels: list[tuple[float, float]]
) -> None:
    """One row for each network."""
    for loss, jitter in levels:
        found = await talk(speech, loss, jitter)
        lost, packets = found.lost
        report.row(
            f"{loss:.0%} lost, {jitter * 1000:.0f} ms of jitter",
            really_lost=Share([(lost, packets)]),
            recognised=await errors(whisper, found.up, speech),
            understood=await errors(whisper, found.down, speech),
            given_up=Share(found.given_up),
        )


async def run(report: Report, chosen: Any) -> None:
    """The whole table."""
    settings = reports.settings(chosen).stt
    for loss, jitter in HELD:
        for name, buffer in (("aiortc", of_aiortc()), ("ours", of_ours())):
            wait, lost = held(buffer, loss, jitter)
            what = f"receive buffer, {name}: {loss:.0%} lost, {jitter * 1000:.0f} ms of jitter"
            report.row(what, held=wait, never_handed_on=lost)
    speech = people()
    levels = [(loss, jitter) for jitter in JITTERS for loss in LOSSES]
    if chosen.quick:
        speech, levels = speech[:1], [(0.05, 0.04)]
    async with Whisper(ModelStore().path(settings.model), settings) as whisper:
        await measure(report, whisper, speech, levels)


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="one sentence through one network")
    chosen = parser.parse_args()
    stt = reports.settings(chosen).stt
    report = Report("bench_network: sound through a bad network", {"stt": stt.model}, [stt.model])
    asyncio.run(run(report, chosen))
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
