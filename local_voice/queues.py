"""How many jobs wait for each engine, averaged over the last seconds: whether one more user can be served.

A job that waits now and then is how a queue works; jobs that wait all the time are turns that are answered
late. Told the numbers from outside; reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping

WEIGHT = 0.02
"""Of the newest sample in the average: at ten samples a second, 5 s until a change has mostly arrived."""


class Queues:
    """Averages per engine."""

    def __init__(self) -> None:
        self._averages: dict[str, float] = {}

    def note(self, waiting: Mapping[str, int]) -> None:
        """So many jobs wait for each engine at this moment."""
        for engine, jobs in waiting.items():
            before = self._averages.get(engine, 0.0)
            self._averages[engine] = before + WEIGHT * (jobs - before)

    def average(self, engine: str) -> float:
        """Jobs that waited for an engine, lately."""
        return self._averages.get(engine, 0.0)

    @property
    def longest(self) -> tuple[str, float]:
        """The engine that most jobs waited for, and how many; ("", 0.0) before the first sample."""
        return max(self._averages.items(), key=lambda pair: pair[1], default=("", 0.0))
