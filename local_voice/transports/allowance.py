"""How much one client may press, write and say: more than any person could, and no more.

Each press may begin a reply and each second of sound costs 10 to 20 ms of the loop, which is everybody's.
Time is an argument, seconds of any steady clock. This room counts; it must not know what happens to the rest.
"""

from __future__ import annotations

from collections import deque


class Allowance:
    """At most so many in any span of so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._taken: deque[float] = deque(maxlen=most)

    def take(self, now: float) -> bool:
        """One more, if it may be; what was refused does not count."""
        if len(self._taken) == self.most and now - self._taken[0] < self.seconds:
            return False
        self._taken.append(now)
        return True


class SoundCredit:
    """As much sound as time passes, and a burst after a stall of ours."""

    PER_SECOND = 1.05
    """Clocks differ, by far less than 5 %."""

    def __init__(self, ahead: float) -> None:
        """`ahead`: seconds of sound that may come sooner than time passes."""
        self.refused = 0.0
        """Seconds of sound."""
        self._ahead = ahead
        self._credit = ahead
        self._at: float | None = None

    def take(self, seconds: float, now: float) -> bool:
        """So much sound more, if it may be: all of it or nothing."""
        passed = 0.0 if self._at is None else now - self._at
        self._credit = min(self._credit + self.PER_SECOND * passed, self._ahead)
        self._at = now
        if seconds > self._credit:
            self.refused += seconds
            return False
        self._credit -= seconds
        return True
