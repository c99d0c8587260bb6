"""The event loop, and Ctrl-C and its kin: work that is told to stop cleans up; told twice, the program ends
at once.

SIGHUP means a closed terminal where there is one, and elsewhere that the settings are to be read again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  (not an error: somebody wants us to stop)
    """The system asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end; Ctrl-C, SIGTERM and a closed terminal cancel it, so that it can clean up.

    A second signal ends the program at once; the engine's processes see that and end too.
    Raises `Stopped`.
    """
    # With uvloop 16 conversations on scripts were answered after 0.66 s and asyncio's own loop took 0.75, and
    # was late in 7 of 10 naps where uvloop was in 1 (bench_concurrency).
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_told_to_stop(work))


async def _until_told_to_stop(work: Coroutine[Any, Any, T]) -> T:
    told: list[int] = []
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def stop(number: int, frame: object) -> None:
        # A handler of the signal module runs even while the loop is held up by a long import.
        if told:
            os._exit(128 + told[0])
        told.append(number)
        os.write(
            2, b"Stopping; a second time: at once\n"
        )  # print could meet itself here, in the middle of a line
        loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as `nohup` leaves it
            signal.signal(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            raise Stopped(told[0]) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def reloading(reload: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls `reload` on the running loop, where no terminal could be closed."""
    if has_terminal():
        yield
        return
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: object) -> None:
        # In no coroutine, and perhaps in the middle of anything: only the loop may do it.
        loop.call_soon_threadsafe(reload)

    before = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def has_terminal() -> bool:
    """Whether a terminal controls this program; a service has none."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False
