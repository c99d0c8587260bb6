"""How late the event loop is: a nap that lasts longer than it should shows how long nobody else ran either.

The loop paces every conversation's sound in frames of 20 ms, so its lag is what listeners hear first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NAP_SECONDS = 0.1
WEIGHT = 0.02
"""Of the newest nap in the average: 50 naps, or 5 s, until a change has mostly arrived."""


class LoopLag:
    """Naps and looks at the clock; `seconds` is the average lateness of the last seconds."""

    def __init__(self, on_lag: Callable[[float], None] = lambda seconds: None) -> None:
        """`on_lag` is told the lateness of each nap."""
        self.seconds = 0.0
        self._on_lag = on_lag

    async def watch(self) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(NAP_SECONDS)
            self.note(max(0.0, loop.time() - began - NAP_SECONDS))

    def note(self, late: float) -> None:
        """A nap ended `late` seconds after its time."""
        self.seconds += WEIGHT * (late - self.seconds)
        self._on_lag(late)
