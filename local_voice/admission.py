"""Whether one more conversation can be served well, judged by what has been measured in the last seconds.

Free places, how late the event loop is and how many jobs wait for each engine. The answer is known before it
is asked for, so that a refusal costs nothing. This room must not know who asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

from local_voice.gate import RETRY_SECONDS, RefusalError
from local_voice.loop_lag import LoopLag
from local_voice.metrics import Metrics
from local_voice.queues import Queues
from local_voice.settings import ServerSettings

log = logging.getLogger(__name__)

Waiting: TypeAlias = Callable[[], Mapping[str, int]]
"""Jobs that wait for each engine at this moment, by its name."""
Warming: TypeAlias = Callable[[], str]
"""What start-up is still doing, as a short clause ("loading the voice"); empty when all models are warm."""


class Admission:
    """Looks on while `watch` runs."""

    def __init__(
        self, settings: ServerSettings, warming: Warming, waiting: Waiting, metrics: Metrics
    ) -> None:
        self.stopping = False
        """Nobody is let in any more."""
        self.lag = LoopLag(self._sample)
        self.queues = Queues()
        self.settings = settings
        self._warming = warming
        self._waiting = waiting
        self._metrics = metrics

    async def watch(self) -> None:
        """Runs until cancelled."""
        await self.lag.watch()

    def check(self, sessions: int) -> None:
        """Refuse what can't be served well, with `sessions` conversations open. Raises `RefusalError`."""
        settings, warming = self.settings, self._warming()
        if self.stopping:
            raise RefusalError(503, "The server is stopping.", "stopping", RETRY_SECONDS)
        if warming:
            sentence = f"The assistant is still warming up: {warming}."
            raise RefusalError(503, sentence, "warming", RETRY_SECONDS)
        if sessions >= settings.max_sessions:
            sentence = "All conversations are taken; try again in a moment."
            raise RefusalError(503, sentence, "full", RETRY_SECONDS)
        if self.lag.seconds > settings.busy_lag_seconds:
            sentence = "The machine can't keep up with its conversations; try again in a moment."
            raise RefusalError(503, sentence, "busy", RETRY_SECONDS)
        engine, jobs = self.queues.longest
        if jobs > settings.busy_jobs:
            log.debug("refused: %.1f jobs wait for %s", jobs, engine)
            sentence = "The machine can't keep up with what is being said; try again in a moment."
            raise RefusalError(503, sentence, "queue", RETRY_SECONDS)

    def _sample(self, late: float) -> None:
        """Ten times a second: how the machine keeps up."""
        self._metrics.loop_lag.observe(late)
        waiting = self._waiting()
        self.queues.note(waiting)
        self._metrics.waiting_jobs(waiting)
