"""The program as a user runs it: started in a process group of its own, stopped with Ctrl-C, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Self

STOP_SECONDS = 20.0


class Program:
    """`python -m local_voice ...` with its output kept. A context manager."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> None:
        """`prefix`: a command that runs the program, such as one that takes its network away."""
        self.lines: list[str] = []
        self._command = [*prefix, sys.executable, "-m", "local_voice", *arguments]
        self._environment = {**(environment or os.environ), "COLUMNS": "200"}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the program has printed `text`. Raises `AssertionError` with all it said."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < end, f"no {text!r} in {seconds} s:\n{self.output}"
            time.sleep(0.05)

    def wait(self, seconds: float) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(seconds)

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it to everything in the foreground; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def left_behind(self, seconds: float = 2.0) -> list[tuple[int, str]]:
        """Its `processes` that are still there after `seconds`: Python's resource tracker, for one, ends only
        once it sees that we have."""
        end = time.monotonic() + seconds
        while (found := self.processes()) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def processes(self) -> list[tuple[int, str]]:
        """Number and command line of each process of its group, dead ones left out."""
        columns = ["ps", "-eo", "pgid=,pid=,stat=,args="]
        listed = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
        rows = (line.split(None, 3) for line in listed.splitlines())
        mine = str(self.process.pid)
        return [(int(row[1]), row[3]) for row in rows if row[0] == mine and not row[2].startswith("Z")]
