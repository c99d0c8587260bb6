"""A server that is looked at while others use it: what it holds, second by second, and whether that grows.

Memory, threads and file descriptors are read from /proc, tasks and conversations from `/metrics`.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import aiohttp
import numpy as np

from benchmarks.bench_concurrency import memory_of

GAUGES = {"tasks": "local_voice_tasks", "conversations": "local_voice_sessions"}
HELD = ("memory", "threads", "descriptors", "tasks")
MOST_GROWTH = {"memory": 20.0, "threads": 2.0, "descriptors": 2.0, "tasks": 2.0}
"""Per thousand that were done. An object that is kept each time weighs at least 1 KiB; 20 MiB is 20 such."""
WARMING = 0.2
PARTS = 8
Growth: TypeAlias = Literal["flat", "grows", "can't tell"]
UNITS = {"memory": "MiB", "threads": "", "descriptors": "", "tasks": ""}


@dataclass(frozen=True)
class Look:
    """What the server held at a moment."""

    at: float
    """Seconds since the watch began."""
    done: int
    """Of what its users do: cycles, or turns."""
    memory: float
    """MiB, of all its processes."""
    threads: int
    """Of its main process, as the next."""
    descriptors: int
    tasks: int
    conversations: int


class Watch:
    """Looks at a server. `done` is told from outside."""

    def __init__(self, url: str, process: int) -> None:
        """`process`: leader of the server's session."""
        self.looks: list[Look] = []
        self.done = 0
        self._url = url
        self._process = process
        self._began = time.monotonic()

    async def look(self) -> Look:
        """Once, and keep it."""
        async with aiohttp.ClientSession() as http, http.get(f"{self._url}/metrics") as response:
            text = await response.text()
        found = {
            name: int(float(re.search(rf"^{gauge} (\S+)$", text, re.MULTILINE)[1]))  # type: ignore[index]
            for name, gauge in GAUGES.items()
        }
        folder = Path(f"/proc/{self._process}")
        threads = len(list((folder / "task").iterdir()))
        descriptors = len(list((folder / "fd").iterdir()))
        memory = await asyncio.to_thread(memory_of, self._process)
        at = time.monotonic() - self._began
        self.looks.append(Look(at, self.done, memory, threads, descriptors, **found))
        return self.looks[-1]

    async def watch(self, seconds: float) -> None:
        """Look every so many seconds until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(seconds)

    async def quiet(self, seconds: float = 30.0) -> Look:
        """Wait until nobody is there any more and look once more. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while (await self.look()).conversations:  # noqa: ASYNC110 (they are in another process)
                await asyncio.sleep(0.5)
        await asyncio.sleep(1.0)
        return await self.look()

    def steady(self) -> list[Look]:
        """The looks without their first part: caches fill, and allocators learn how much is needed."""
        return [look for look in self.looks if look.done >= WARMING * self.done]

    def slope(self, name: str) -> float:
        """How much more of it is held per thousand that were done: a line through the steady looks."""
        looks = self.steady()
        if len({look.done for look in looks}) < 2:
            return 0.0
        return float(
            np.polyfit([look.done for look in looks], [getattr(look, name) for look in looks], 1)[0] * 1000
        )

    def uncertainty(self, name: str) -> float:
        """The standard error of the slope; infinite where the looks are too few to tell.

        It is that of a line through the medians of equal parts: looks that follow one another see the same
        conversation, so each alone is no sample of its own.
        """
        looks = self.steady()
        if len(looks) < 2 * PARTS:
            return float("inf")
        size = len(looks) / PARTS
        parts = [looks[round(number * size) : round((number + 1) * size)] for number in range(PARTS)]
        done = np.array([np.median([look.done for look in part]) for part in parts])
        held = np.array([np.median([getattr(look, name) for look in part]) for part in parts])
        spread = float(np.sum((done - done.mean()) ** 2))
        if not spread:
            return float("inf")
        left = held - np.polyval(np.polyfit(done, held, 1), done)
        return float(np.sqrt(np.sum(left**2) / (PARTS - 2) / spread) * 1000)

    def growth(self, name: str) -> Growth:
        """Whether it grows by more than `MOST_GROWTH`, as surely as two standard errors tell."""
        slope, doubt, most = self.slope(name), 2 * self.uncertainty(name), MOST_GROWTH[name]
        if slope - doubt > most:
            return "grows"
        return "flat" if slope + doubt <= most else "can't tell"

    def content(self) -> list[dict[str, Any]]:
        """For a JSON file."""
        return [{name: round(value, 2) for name, value in asdict(look).items()} for look in self.looks]


def draw(
    watch: Watch, title: str, along: str, path: Path, latency: list[tuple[float, float]] | None = None
) -> None:
    """What was held over what was done; `latency`: (seconds since the beginning, seconds) of each turn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    names = (*HELD, "conversations")
    figure = Figure(figsize=(9, 1.5 * (len(names) + bool(latency)) + 1), layout="constrained")
    panels = figure.subplots(len(names) + bool(latency), 1, sharex=True)
    over = [look.at / 60 if latency else look.done for look in watch.looks]
    for axes, name in zip(panels, names, strict=False):
        axes.plot(over, [getattr(look, name) for look in watch.looks], color="#2f6f75", linewidth=1.2)
        axes.set_ylabel(f"{name}\n{UNITS[name]}" if UNITS.get(name) else name, fontsize=9)
        axes.set_ylim(bottom=0)
    if latency:
        panels[-1].plot(
            [at / 60 for at, _ in latency], [took for _, took in latency], ".", color="#2f6f75", ms=3
        )
        panels[-1].set_ylabel("voice to voice\ns", fontsize=9)
        panels[-1].set_ylim(bottom=0)
    panels[-1].set_xlabel("minutes" if latency else along)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
