"""Ctrl-C and its kin: work that is told to stop cleans up; told twice, the program ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

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
    return asyncio.run(_until_told_to_stop(work))


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
