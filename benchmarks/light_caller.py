"""Many callers at little cost: their questions are encoded once, and what comes back is counted, not decoded.

    python -m benchmarks.light_caller URL --callers 16 --seconds 40

One caller sends 50 packets a second, as a browser does. What is voice is seen from the size of a packet: Opus
makes a few bytes of silence. So times are true to one packet, 20 ms. Questions that were answered before they
were over, or by an apology, are counted and have no time. Prints a line of JSON for each caller that is
connected, for each question, and at the end for what came late; added up they are the result. With SIGTERM
the end comes sooner: every caller listens to its reply and hangs up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import tempfile
from collections import deque
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.codecs.opus import OpusEncoder
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from av.packet import Packet

from benchmarks.answers import Answer, answer
from benchmarks.bench_turn import ASKED, speak, spoken
from benchmarks.webrtc_client import AUDIBLE, FRAME, RATE, Caller, CallError
from local_voice.audio import Resampler, Samples, read_wav
from local_voice.loop_lag import LoopLag
from local_voice.transports.jitter import Pacer

VOICE_BYTES = 60
"""A packet at least this big holds voice: silence and faint noise take 3 to 20, with a copy of the packet
before it (FEC) 34 to 46, and voice 75 and more."""
VOICED_PACKETS = 2
"""In a row: one alone may be the end of a fade."""
REPLY_SECONDS = 15.0
QUIET_SECONDS = 1.0
RAMP_SECONDS = 0.15
"""Between two callers' beginnings."""
LATE_SECONDS = 0.04
"""A packet that comes later than so: 60 ms after the one before, not 20."""
RENDERED = 2 * ASKED
"""Each question in two voices: one that always had the same voice would be as slow as that voice is. All
five would take 6 s before each level, these take 2.4."""


@dataclass(frozen=True)
class Question:
    """Spoken and encoded."""

    packets: tuple[bytes, ...]
    last_voiced: int
    """Number of the packet that holds the last audible sample."""


@dataclass
class Counts:
    """Of callers: what one line of a process tells, or all of them added up."""

    connected: int = 0
    seconds: list[float] = field(default_factory=list)
    """From the packet with the last audible sample to the reply's first voiced one."""
    no_reply: int = 0
    too_early: int = 0
    apologised: int = 0
    refused: list[str] = field(default_factory=list)
    packets: list[tuple[int, int, int]] = field(default_factory=list)
    """A second of the clock, and of one caller's packets in it those that came late, and all."""
    naps: list[tuple[float, float]] = field(default_factory=list)
    """When a nap of the callers' own event loop was over, and how much too late."""

    @property
    def questions(self) -> int:
        """All that were asked."""
        return len(self.seconds) + self.no_reply + self.too_early + self.apologised

    def add(self, found: Answer) -> None:
        """One more question."""
        if found.seconds is not None:
            self.seconds.append(found.seconds)
        self.no_reply += found.silent
        self.too_early += found.early
        self.apologised += found.apologised

    def hear(self, told: dict[str, Any]) -> None:
        """What one more line tells."""
        for name, more in told.items():
            setattr(self, name, getattr(self, name) + more)

    def tell(self) -> None:
        """Print it as such a line."""
        print(json.dumps({name: value for name, value in asdict(self).items() if value}), flush=True)


def encode(samples: Samples) -> Question:
    """A sound at 48 kHz as packets."""
    encoder = OpusEncoder()
    padded = np.concatenate((samples, np.zeros(-len(samples) % FRAME + 2 * FRAME, np.float32)))
    packets: list[bytes] = []
    for number, block in enumerate(padded.reshape(-1, FRAME)):
        frame = AudioFrame.from_ndarray(
            np.rint(np.clip(block, -1, 1) * 32767).astype(np.int16)[np.newaxis], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * FRAME, Fraction(1, RATE)
        packets += encoder.encode(frame)[0]
    voiced = np.flatnonzero(np.abs(samples) >= AUDIBLE)
    return Question(tuple(packets), int(voiced[-1]) // FRAME if len(voiced) else 0)


SILENCE = encode(np.zeros(10 * FRAME, np.float32)).packets[-1]


class Tape(MediaStreamTrack):
    """Sends encoded sound, and silence between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._waiting: deque[bytes] = deque()
        self._marks: dict[int, asyncio.Future[float]] = {}
        self._pacer = Pacer()

    def say(self, question: Question) -> asyncio.Future[float]:
        """Speak it next; the result is when the packet with its last audible sample was sent."""
        told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._marks[self.sent + len(self._waiting) + question.last_voiced] = told
        self._waiting.extend(question.packets)
        return told

    async def recv(self) -> Packet:  # type: ignore[override]
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._pacer.wait(loop.time()))
        if self.readyState != "live":
            raise MediaStreamError
        packet = Packet(self._waiting.popleft() if self._waiting else SILENCE)
        packet.pts, packet.time_base = self.sent * FRAME, Fraction(1, RATE)
        if (told := self._marks.pop(self.sent, None)) is not None and not told.done():
            told.set_result(loop.time())
        self.sent += 1
        return packet


class LightCaller(Caller):
    """One call whose sound is never decoded."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.came: list[tuple[float, int, int]] = []
        """When each packet came, its timestamp and its size."""
        self.tape = Tape()
        self.cancels_echo = True
        self._mouth = self.tape  # type: ignore[assignment]

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self._peer.getReceivers() if r.track is track)
        clock = asyncio.get_running_loop().time

        async def count(packet: Any, arrival_time_ms: int) -> None:
            self.came.append((clock(), packet.timestamp, len(packet.payload)))

        setattr(receiver, "_handle_rtp_packet", count)  # noqa: B010

    def first_sound(self, after: float) -> float | None:
        """When the first voiced packet came after `after`."""
        row = 0
        for place in range(len(self.came) - 1, -1, -1):
            if self.came[place][0] <= after:
                break
            row = place
        voiced = 0
        for time, _, size in self.came[row:]:
            voiced = voiced + 1 if size >= VOICE_BYTES and time > after else 0
            if voiced == VOICED_PACKETS:
                return time - (VOICED_PACKETS - 1) * FRAME / RATE
        return None

    def last_sound(self) -> float | None:
        """When the last voiced packet so far came."""
        return next((time for time, _, size in reversed(self.came) if size >= VOICE_BYTES), None)

    def lateness(self) -> list[float]:
        """How much later than 20 ms after the one before each packet came."""
        pairs = zip(self.came, self.came[1:], strict=False)
        return [
            max(0.0, now - before - ((stamp - last) & 0xFFFFFFFF) / RATE)
            for (before, last, _), (now, stamp, _) in pairs
        ]

    def packets(self) -> list[tuple[int, int, int]]:
        """As in `Counts`. Seconds, since what makes one packet late makes its neighbours late as well."""
        late: dict[int, int] = {}
        every: dict[int, int] = {}
        for (came, _, _), seconds in zip(self.came[1:], self.lateness(), strict=True):
            second = int(came)
            late[second] = late.get(second, 0) + (seconds > LATE_SECONDS)
            every[second] = every.get(second, 0) + 1
        return [(second, late[second], count) for second, count in every.items()]


async def talk(url: str, questions: list[Question], wait: float, end: asyncio.Event) -> None:
    """One caller, to the last reply that it listens to."""
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(wait)
    try:
        async with LightCaller(url) as caller:
            Counts(connected=1).tell()
            await asyncio.sleep(1.0 + random.uniform(0, 3.0))
            while not end.is_set():
                asked = clock()
                said = await caller.tape.say(random.choice(questions))
                await caller.wait_for_reply(said, seconds=REPLY_SECONDS, quiet=QUIET_SECONDS)
                counts = Counts()
                counts.add(answer(caller, asked, said))
                counts.tell()
            Counts(packets=caller.packets()).tell()
    except (CallError, TimeoutError, OSError) as error:
        Counts(refused=[f"{type(error).__name__}: {error}"]).tell()


async def call(url: str, callers: int, seconds: float) -> None:
    """All callers of this process, until so long after the last one's beginning, or until SIGTERM."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    questions = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RENDERED):
            path = Path(folder) / "question.wav"
            speak(*spoken(number), path)
            sound = read_wav(path)
            questions.append(encode(Resampler(sound.sample_rate, RATE).process(sound.samples, last=True)))
    counts = Counts()
    watching = asyncio.create_task(LoopLag(lambda late: counts.naps.append((loop.time(), late))).watch())
    loop.call_later(callers * RAMP_SECONDS + seconds, end.set)
    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(talk(url, questions, number * RAMP_SECONDS, end))
    watching.cancel()
    counts.tell()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--callers", type=int, default=1, help="at once (default: 1)")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="which questions are asked when")
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    asyncio.run(call(chosen.url, chosen.callers, chosen.seconds))


if __name__ == "__main__":
    main()
