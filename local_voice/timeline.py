"""When the stages of a turn happened, and how long each took.

One timeline serves production, benchmarks and tests. Times are wall-clock seconds given by the caller.
"""

from __future__ import annotations

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
