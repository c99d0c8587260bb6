"""What ties an engine's child processes to us: they end when we end, and they are quiet.

vLLM 0.32 starts its engine core as our child and (on a CPU) a worker as its grandchild. The core does not
notice when we are killed, and prints on our terminal. A `Lifeline` travels inside the configuration that
vLLM pickles for its processes; arriving there, before any model is touched, it sets both right. This room
knows Linux processes; it must not know what they compute.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Lifeline:
    """Unpickled in another process than it was made in, it ties that process to its maker."""

    def __init__(self, log: Path) -> None:
        """`log` takes what the children print, so that a failure's reason can be read there."""
        self._parent = os.getpid()
        self._log = str(log)

    def compute_hash(self) -> str:
        """vLLM asks everything in its configuration for this; it keys compiled code, which is not ours."""
        return "lifeline"

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self._parent, self._log)


def _arrive(parent: int, log: str) -> Lifeline:
    if os.getpid() != parent:
        _tie(parent, log)
    lifeline = Lifeline(Path(log))
    lifeline._parent = parent
    return lifeline


def _tie(parent: int, log: str) -> None:
    if any(thread.name == "lifeline" for thread in threading.enumerate()):
        return
    with contextlib.suppress(OSError):  # a full disk must not stop the engine; then it prints
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        sys.stdout.flush()
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
    # A worker belongs to the engine core, which may die while the worker still loads its weights.
    threading.Thread(target=_end_with, args=({parent, os.getppid()},), name="lifeline", daemon=True).start()


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
        self._handles: list[int] = []
        waiting = list(roots)
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(ProcessLookupError):
                self._handles.append(os.pidfd_open(pid))
                waiting += children(pid)

    def ask_to_end(self) -> None:
        """Send those that still live a SIGTERM."""
        self._send(signal.SIGTERM)

    def end(self) -> None:
        """Kill those that still live. May be called twice."""
        self._send(signal.SIGKILL)
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()

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
