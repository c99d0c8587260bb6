"""What ties an engine's child processes to us: they end when we end, and they are quiet.

vLLM 0.32 starts its engine core as our child, which may have workers of its own. The core does not notice
when we are killed, and prints on our terminal. A `Lifeline` travels inside the configuration that vLLM
pickles for its processes; arriving there, before any model is touched, it sets both right, and calls what
else should happen there. This room knows Linux processes; it must not know what they compute.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

END_SECONDS = 5.0
"""A killed process that has not given back its memory by then is stuck in the kernel."""


class Lifeline:
    """Unpickled in another process than it was made in, it ties that process to its maker."""

    def __init__(self, log: Path, on_arrival: Callable[[], None] | None = None) -> None:
        """`log` takes what the children print, so that a failure's reason can be read there. `on_arrival`,
        a function of a module, is called in each of them."""
        self._parent = os.getpid()
        self._log = str(log)
        self.on_arrival = on_arrival

    def compute_hash(self) -> str:
        """vLLM asks everything in its configuration for this; it keys compiled code, which is not ours."""
        return "lifeline"

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self._parent, self._log, self.on_arrival)


def _arrive(parent: int, log: str, on_arrival: Callable[[], None] | None) -> Lifeline:
    if os.getpid() != parent and _tie(parent, log) and on_arrival is not None:
        on_arrival()
    lifeline = Lifeline(Path(log), on_arrival)
    lifeline._parent = parent
    return lifeline


def _tie(parent: int, log: str) -> bool:
    """False when this process is tied already."""
    if any(thread.name == "lifeline" for thread in threading.enumerate()):
        return False
    with contextlib.suppress(OSError):  # a full disk must not stop the engine; then it prints
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        sys.stdout.flush()
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
    # A worker belongs to the engine core, which may die while the worker still loads its weights.
    threading.Thread(target=_end_with, args=({parent, os.getppid()},), name="lifeline", daemon=True).start()
    return True


def _end_with(others: set[int]) -> None:
    """Wait in the kernel for one of the processes to end, then end this one without asking it."""
    poll = select.poll()
    with contextlib.suppress(ProcessLookupError):
        for pid in others:
            poll.register(os.pidfd_open(pid), select.POLLIN)
        poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


class Family:
    """Handles on processes and all that descend from them; a handle never comes to mean another process."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._handles: dict[int, int] = {}
        """Handle -> process id."""
        waiting = list(roots)
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(ProcessLookupError):
                self._handles[os.pidfd_open(pid)] = pid
                waiting += children(pid)

    def ask_to_end(self) -> None:
        """Send those that still live a SIGTERM."""
        self._send(signal.SIGTERM)

    def end(self) -> None:
        """Kill those that still live, and wait until their memory is free for others. May be called twice.

        Blocks, usually for a moment and at most `END_SECONDS`.
        """
        self._send(signal.SIGKILL)
        for pid in self._wait():
            log.warning("process %d is still there %g s after it was killed", pid, END_SECONDS)
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()

    def _wait(self) -> list[int]:
        """The ids of those that have not ended in time. A handle is readable when its process is a zombie,
        which holds no memory any more."""
        left = dict(self._handles)
        poll = select.poll()
        for handle in left:
            poll.register(handle, select.POLLIN)
        deadline = time.monotonic() + END_SECONDS
        while left and (seconds := deadline - time.monotonic()) > 0:
            for handle, _ in poll.poll(seconds * 1000):
                poll.unregister(handle)
                del left[handle]
        return list(left.values())

    def _send(self, number: signal.Signals) -> None:
        for handle in self._handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)


def children(pid: int) -> list[int]:
    """Process ids of the children that any of its threads started; empty when it has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found
