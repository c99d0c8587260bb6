"""Threads of one engine's own, fed by priority.

Engines block for milliseconds to seconds inside native code; they do it here and never on the event loop
nor on its default executor, which aiortc uses for Opus. A thread that never comes back from there can be
given up and replaced. This room runs functions in order; it must not know what they do.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

log = logging.getLogger(__name__)

MOST_GIVEN_UP = 3
"""Threads of one worker that may hang at once: each keeps its memory, and perhaps a core, for ever."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class WorkerBusyError(Exception):
    """The queue is full of work that is at least as urgent; the message says whose queue and how long."""


class WorkerClosedError(Exception):
    """The worker was closed before the job began."""


@dataclass(slots=True, order=True)
class _Job:
    priority: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    done: asyncio.Future[Any] = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    began: float = field(default=math.inf, compare=False)
    """On the monotonic clock."""


class Worker:
    """A few threads and one queue: lower priority numbers first, first come first served within one.

    The threads start with the first job and end with `close`. A job whose caller was cancelled before it
    began leaves the queue; one that has begun runs to its end, and its result is dropped.
    """

    def __init__(self, name: str, threads: int = 1, limit: int = 64, patience: float = math.inf) -> None:
        """`limit`: most jobs that may wait. `patience`: seconds after which a job that nobody waits for any
        more is taken to hang: its thread is given up, and a new one takes over.

        When `limit` jobs wait, the least urgent and newest of them and the newcomer is refused with
        `WorkerBusyError`: a final pass pushes out a partial one, never the other way round. With a `patience`
        a job that comes back after all may for a moment run beside the next one.
        """
        self._name = name
        self._size = threads
        self._limit = limit
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        """A heap, guarded by `_changed`, as everything below."""
        self._count = 0
        self._made = 0
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._running: dict[threading.Thread, _Job] = {}
        self._given_up: set[threading.Thread] = set()
        """Not back yet."""

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._waiting)

    async def run(
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments, priority: int = 0
    ) -> Result:
        """The function's result, or its exception; computed on one of the worker's threads.

        Raises `WorkerBusyError` when the queue is full, `WorkerClosedError` when the worker closes first.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        with self._changed:
            if self._closed:
                raise WorkerClosedError(f"{self._name} is closed")
            self._count += 1
            job = _Job(priority, self._count, lambda: function(*arguments), done, loop)
            heapq.heappush(self._waiting, job)
            if len(self._waiting) > self._limit:
                self._refuse(max(self._waiting))
            self._give_up()
            self._start()
            self._changed.notify()
        try:
            return await done
        except asyncio.CancelledError:
            self._withdraw(job)
            raise

    async def close(self) -> None:
        """Refuse what still waits, let what runs end, and join the threads. May be called twice.

        For what hangs it waits no longer than the worker's patience.
        """
        loop = asyncio.get_running_loop()
        joined: asyncio.Future[None] = loop.create_future()
        with self._changed:
            self._closed = True
            for job in self._waiting:
                _deliver(job, None, WorkerClosedError(f"{self._name} was closed"))
            self._waiting.clear()
            self._give_up()
            threads, self._threads = self._threads, []
            self._changed.notify_all()

        def join() -> None:
            for thread in threads:
                thread.join(None if math.isinf(self._patience) else self._patience)
            loop.call_soon_threadsafe(lambda: None if joined.done() else joined.set_result(None))

        if threads:
            # A thread that waits for threads: joining here would stop the loop for as long as the job runs.
            threading.Thread(target=join, name=f"{self._name}-close", daemon=True).start()
            await joined

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _start(self) -> None:
        while len(self._threads) < self._size:
            # Daemons, so that Ctrl-C ends the program even when native code hangs; `close` joins them.
            name = f"{self._name}-{self._made}"
            self._made += 1
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._changed:
                self._running.pop(me, None)
                while not self._waiting and me in self._threads:
                    self._changed.wait()
                if me not in self._threads:  # closed, or given up
                    self._given_up.discard(me)
                    return
                job = heapq.heappop(self._waiting)
                job.began = monotonic()
                self._running[me] = job
            if not job.done.cancelled():
                _execute(job)
            del job  # Its sound must not stay in memory until the next job comes.

    def _give_up(self) -> None:
        """Let go of threads that hang."""
        for thread, job in list(self._running.items()):
            seconds = monotonic() - job.began
            if not job.done.cancelled() or seconds < self._patience or len(self._given_up) >= MOST_GIVEN_UP:
                continue
            self._threads.remove(thread)
            del self._running[thread]
            self._given_up.add(thread)
            many = f"{len(self._given_up)} of at most {MOST_GIVEN_UP}"
            log.error("%s hangs for %.0f s: another thread takes over (%s)", thread.name, seconds, many)

    def _withdraw(self, job: _Job) -> None:
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                heapq.heapify(self._waiting)
            self._give_up()
            if self._waiting:
                self._start()

    def _refuse(self, job: _Job) -> None:
        self._waiting.remove(job)
        heapq.heapify(self._waiting)
        _deliver(job, None, WorkerBusyError(f"{self._name} has {self._limit} jobs waiting"))


def _execute(job: _Job) -> None:
    try:
        result = job.work()
    except StopIteration as error:  # A future can't carry it.
        _deliver(job, None, RuntimeError(f"a job raised {error!r}"))
    except BaseException as error:
        _deliver(job, None, error)
    else:
        _deliver(job, result, None)


def _deliver(job: _Job, result: Any, error: BaseException | None) -> None:
    def settle() -> None:
        if job.done.done():  # The caller was cancelled meanwhile.
            return
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # The caller's loop is closed, so there is nobody left to tell.
