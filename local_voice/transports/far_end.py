"""How much later than our sending the user hears: from what the far end reports, or else a careful guess.

The history may hold only words that were played. A WebRTC client buffers sound, and more of it where the
network is bad; one that says which RTP timestamp it has played makes this exact. Everything is counted in
samples sent, which also is the clock: this is judgement, it reads no clock and must not know aiortc.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

ASSUMED_SECONDS = 0.12
"""Until the client says anything: its buffer's 0.1 and a short way."""
ASSUMED_LATENCY = 0.05
"""From the client's mixer to the ear where it doesn't know: Chromium on Linux says 0.03 to 0.05."""
LONGEST_SECONDS = 1.5
"""No delay is believed to be longer: a client that says so is broken, or lies."""
REPORTS = 5
"""The slowest of this many reports counts: one may have waited on its way, and none is too early."""
PATIENCE_SECONDS = 0.5
"""So much voice may be sent without a report from a client that used to report; the page sends 10 a second.
Beyond that the ear is taken to stand still: both may be stuck in the same hole of the network."""
CODER_DELAY = 312
"""Samples by which Opus's sound is later than its timestamp: libopus's look-ahead of 6.5 ms at 48 kHz."""

Source = Literal["assumed", "estimated", "reported"]


def sample_of(timestamp: int, last_timestamp: int, last_sample: int) -> int:
    """The sample that a 32-bit RTP timestamp means, when `last_timestamp` is known to mean `last_sample`.

    Timestamps wrap after 24.8 hours at 48 kHz; the nearest meaning is taken.
    """
    ahead = (timestamp - last_timestamp) & 0xFFFFFFFF
    return last_sample + (ahead - 2**32 if ahead >= 2**31 else ahead)


class FarEnd:
    """One client's ear. Told each frame that is sent and each report that comes back."""

    def __init__(self, rate: int) -> None:
        """`rate`: Hz of the samples that are counted."""
        self.source: Source = "assumed"
        """Where `seconds` comes from: nobody said anything, the client's own estimate, or its reports."""
        self.ignored = 0
        """Reports that can't be true."""
        self._rate = rate
        self._estimate = ASSUMED_SECONDS
        self._sent = 0
        self._played = 0
        """The last position reported, in samples sent."""
        self._behind: deque[int] = deque(maxlen=REPORTS)
        """How far the ear was behind at the last reports, in samples."""
        self._unreported = 0
        """Samples of voice since the last report; silence doesn't count, the page reports less in it."""

    @property
    def seconds(self) -> float:
        """Time from sending a sample to the user's hearing it: rather too long than too short."""
        if not self._behind:
            return self._estimate
        overdue = max(0, self._unreported - round(PATIENCE_SECONDS * self._rate))
        return min(max((max(self._behind) + overdue) / self._rate, 0.0), LONGEST_SECONDS)

    @property
    def least(self) -> float:
        """The shortest of the last reported delays, or the estimate: what comes back can't come sooner."""
        return min(self._behind) / self._rate if self._behind else self._estimate

    def sent(self, count: int, *, voice: bool) -> None:
        """`count` samples have gone out; `voice`: they are not all silence."""
        self._sent += count
        if voice:
            self._unreported += count

    def estimated(self, seconds: float) -> None:
        """The client guesses its delay. It counts until the client reports what it has played."""
        if not self._behind:
            self._estimate = min(max(seconds, 0.0), LONGEST_SECONDS)
            self.source = "estimated"

    def reported(self, sample: int, latency: float | None) -> None:
        """The client has handed sample number `sample` to its output, `latency` seconds before the ear.

        A step back is believed as long as it is small: a jitter buffer that has bridged a hole may play on
        from before it, and then the ear is further behind. What can't be true is ignored: a sample that has
        not been sent, or one further back than the longest delay.
        """
        earliest = max(0, self._played - round(LONGEST_SECONDS * self._rate))
        if not earliest <= sample <= self._sent:
            self.ignored += 1
            return
        self._played = sample
        late = ASSUMED_LATENCY if latency is None else latency
        self._behind.append(self._sent - sample + CODER_DELAY + round(late * self._rate))
        self._unreported = 0
        self.source = "reported"
