"""Time in the WebRTC door: packets put in order, gaps filled, frames paced, a vanished peer noticed.

Sound comes in as packets that are late, swapped or lost and leaves here as one unbroken line of samples;
sound going out gets the moment at which each frame is due. This is judgement: it reads no clock, starts
no task and must not know aiortc.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from local_voice.audio import Samples

Packet = TypeVar("Packet")

FRAME_SECONDS = 0.02
"""Sound in one RTP packet, in both directions."""
SILENCE_STEP_SECONDS = 0.01
"""Silence is made in whole steps of what an echo canceller takes at a time: others would cost it 10 ms."""
RESTART_PACKETS = 100
"""A sequence number this far off is a new stream, not a late packet (RFC 3550's MAX_MISORDER)."""


class InOrder(Generic[Packet]):
    """Puts packets in the order of their 16-bit sequence numbers, without delaying those that are.

    aiortc's own buffer holds every packet for 80 ms, and after one loss stalls for 300 ms and keeps 280 ms
    of delay for good (measured on 1.16.0). Here a packet that is next goes on at once; behind a gap, packets
    wait until the missing one comes or `depth` of them wait, then the missing one is given up.
    """

    def __init__(self, depth: int = 2) -> None:
        """`depth`: packets that may wait behind a gap; 2 cost at most 20 ms, and only after a loss."""
        self.lost = 0
        """Packets given up, or dropped since they came too late."""
        self._depth = depth
        self._next: int | None = None
        self._held: dict[int, Packet] = {}

    def push(self, sequence: int, packet: Packet) -> list[Packet]:
        """Take a packet; returns those that may now go on, in order. Duplicates vanish."""
        if self._next is None:
            self._next = sequence
        ahead = (sequence - self._next) & 0xFFFF
        behind = 0x10000 - ahead
        if min(ahead, behind) > RESTART_PACKETS:
            released = [self._held[key] for key in self._waiting()]
            self._held.clear()
            self._next = (sequence + 1) & 0xFFFF
            return [*released, packet]
        if ahead > behind:
            return []
        self._held[sequence] = packet
        released = self._run()
        if len(self._held) >= self._depth:
            oldest = self._waiting()[0]
            self.lost += (oldest - self._next) & 0xFFFF
            self._next = oldest
            released += self._run()
        return released

    def _run(self) -> list[Packet]:
        released: list[Packet] = []
        while self._next is not None and self._next in self._held:
            released.append(self._held.pop(self._next))
            self._next = (self._next + 1) & 0xFFFF
        return released

    def _waiting(self) -> list[int]:
        origin = self._next or 0
        return sorted(self._held, key=lambda sequence: (sequence - origin) & 0xFFFF)


class Unbroken:
    """Lays received sound on one line of samples: silence where packets are missing, nothing twice.

    Packets carry the sample at which they begin, so a loss shows as a jump. While nothing comes at all
    (a sender that stops in silence, a network that stalls) silence is made in real time, so that the
    conversation's clock, which counts audio, goes on.
    """

    def __init__(self, sample_rate: int, *, stall_seconds: float = 0.2, longest_seconds: float = 5.0) -> None:
        """`stall_seconds` without a packet start the silence; no one gap is longer than `longest_seconds`."""
        self._rate = sample_rate
        self._stall = stall_seconds
        self._longest = round(longest_seconds * sample_rate)
        self._position = 0
        self._offset: int | None = None
        """Add it to a packet's timestamp to have its place on the line."""
        self._quiet = 0.0
        self._filled = 0.0

    def push(self, timestamp: int, samples: Samples) -> list[Samples]:
        """Sound whose first sample is number `timestamp` of the sender's stream; returns what is next."""
        if self._offset is None:
            self._offset = self._position - timestamp
        gap = timestamp + self._offset - self._position
        allowed = min(max(gap, 0), self._longest)
        # Sound that comes after silence was put in its place is late, not wrong: the line moves for it.
        self._offset += allowed - gap
        self._quiet = 0.0
        # The next packet brings the last of the quiet time itself, as much as this one did.
        self._filled = len(samples) / self._rate
        self._position += allowed + len(samples)
        return [np.zeros(allowed, np.float32), samples] if allowed else [samples]

    def idle(self, seconds: float) -> list[Samples]:
        """`seconds` passed without sound; returns the silence to put in its place, if it is time for that."""
        self._quiet += seconds
        if self._offset is None or self._quiet < self._stall:
            return []
        step = round(SILENCE_STEP_SECONDS * self._rate)
        missing = round((self._quiet - self._filled) * self._rate)
        count = min(max(missing, 0), self._longest) // step * step
        # What is beyond the longest gap is given up; what is less than a step comes the next time.
        self._filled = self._quiet if missing > self._longest else self._filled + count / self._rate
        self._position += count
        return [np.zeros(count, np.float32)] if count else []


class Pacer:
    """When each outgoing frame is due: every 20 ms on an absolute schedule, so that errors never add up.

    A frame or a few that are overdue go at once, which the listener's jitter buffer absorbs. After a longer
    stall the schedule starts again from now: the listener has bridged the hole already, and a burst would
    only make its buffer, and with it the delay, grow.
    """

    def __init__(self, frame_seconds: float = FRAME_SECONDS, catch_up_seconds: float = 0.06) -> None:
        self.skipped_seconds = 0.0
        """Time given up in stalls."""
        self._frame = frame_seconds
        self._catch_up = catch_up_seconds
        self._due: float | None = None

    def wait(self, now: float) -> float:
        """Seconds to wait at `now` before the next frame goes out; 0 when it is due."""
        self._due = now if self._due is None else self._due + self._frame
        overdue = now - self._due
        if overdue > self._catch_up:
            self.skipped_seconds += overdue
            self._due = now
        return max(0.0, self._due - now)


class Presence:
    """Whether the other side is still there. Quiet time is counted, so a stall of our own is no proof."""

    GONE_SECONDS = 3.0
    """Quiet on every way it could be heard for this long: gone. ICE alone takes 27 to 39 s to say so."""
    LONGEST_TICK = 0.5
    """A tick that comes later than this was held up here, with the packets still waiting to be read."""

    def __init__(self) -> None:
        self._quiet = 0.0

    def heard(self) -> None:
        """A packet of sound or a ping has arrived."""
        self._quiet = 0.0

    def tick(self, elapsed: float) -> bool:
        """`elapsed` seconds since the last tick; True when the peer has to be given up."""
        self._quiet += min(elapsed, self.LONGEST_TICK)
        return self._quiet >= self.GONE_SECONDS
