"""When the stages of a turn happened, and how long each took.

One timeline serves production, benchmarks and tests. Times are wall-clock seconds given by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MARKS = (
    "last_voice",
    "transcript",
    "turn_completion",
    "first_token",
    "first_clause",
    "first_sound",
    "decided",
    "playback",
)
"""In the order in which they usually happen. `last_voice`: the user's last voiced sample arrived.
`decided`: the turn was judged over. `playback`: the reply's first sample left."""


class Timeline:
    """The marks of one pause, after which the turn may be over."""

    def __init__(self, last_voice: float | None = None) -> None:
        """`last_voice`: when the last voiced sample arrived; without it there is nothing to count from."""
        self._marks: dict[str, float] = {} if last_voice is None else {"last_voice": last_voice}

    def mark(self, name: str, at: float) -> None:
        """Note that `name`, one of `MARKS`, has happened at `at`; only the first time counts."""
        if name not in MARKS:
            raise ValueError(f"{name!r} is not a mark of the timeline; it has {', '.join(MARKS)}")
        self._marks.setdefault(name, at)

    def since(self, origin: str) -> dict[str, float]:
        """Seconds from the mark `origin` to each other mark that is set; empty without the origin."""
        if origin not in self._marks:
            return {}
        zero = self._marks[origin]
        return {name: self._marks[name] - zero for name in MARKS if name in self._marks and name != origin}

    def line(self) -> str:
        """One line with both clocks: what a person feels, and what the machine spent after deciding."""
        felt = ", ".join(f"{name} {seconds:.3f}" for name, seconds in self.since("last_voice").items())
        after = self.since("decided").get("playback")
        return f"from last voice: {felt}" + (f"; from decision: {after:.3f}" if after is not None else "")


class TurnClock:
    """The timelines of a conversation: what happens belongs to the newest pause, or to an older one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives wall-clock seconds."""
        self.newest = Timeline()
        """Of the newest pause."""
        self.answered = self.newest
        """Of the pause after which the newest reply was released: a cough before its first sound is a newer
        pause, and nothing that the reply is late by."""
        self._released: tuple[int, int] | None = None
        self._clock = clock
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=64)
        """(end of a window in seconds of audio, when it arrived): 2 s back, longer than any pause rule."""

    def arrived(self, end: float) -> None:
        """A window of sound that ends at `end`, seconds of audio, is here."""
        self._arrivals.append((end, self._clock()))

    def pause(self, last_voice: float) -> None:
        """The user paused: the clock that a person feels starts when the last voiced window arrived."""
        arrived = [at for end, at in self._arrivals if end <= last_voice + 1e-6]
        self.newest = Timeline(arrived[-1] if arrived else self._clock())

    def wrote(self) -> None:
        """The user wrote: there is no voice to count from."""
        self.newest = Timeline(self._clock())

    def release(self, reply: tuple[int, int]) -> None:
        """The reply of this turn and revision answers the newest pause; so do its marks from now on."""
        self.answered, self._released = self.newest, reply

    def mark(self, name: str, reply: tuple[int, int] | None = None) -> None:
        """Note that `name`, one of `MARKS`, has happened: to this reply, or else to what was said."""
        released = reply is not None and reply == self._released
        (self.answered if released else self.newest).mark(name, self._clock())
