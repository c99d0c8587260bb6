"""What a person sees on the terminal: progress of start-up and pull, settings, models, findings.

Only shows; it must not decide anything. Progress goes to standard error, so that answers can be piped.
"""

from __future__ import annotations

import logging
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.status import Status
from rich.table import Table

from local_voice.log_lines import BareLines, JsonLines, PlainLines
from local_voice.printable import printable
from local_voice.settings import Settings
from local_voice.settings_sources import LEAVES, hidden, unit, value

if TYPE_CHECKING:
    from local_voice.doctor import Finding
    from local_voice.model_store import Listing

out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, soft_wrap=True, highlight=False)


LINE_FEED = "\n"


def runnable(sentence: str) -> str:
    """The sentence with our commands as they can be typed here: `.venv/bin` is on few people's PATH."""
    program = sys.argv[0]
    if shutil.which("local-voice") or not program.endswith("/local-voice"):
        return sentence
    commands = r"(?<![\w/.-])local-voice (?=(?:models|serve|talk|ask|doctor|settings|devices)\b)"
    return re.sub(commands, lambda _: f"{shlex.quote(program)} ", sentence)


def complain(sentence: str) -> None:
    """An error, for the eyes of a person."""
    err.print(f"[bold red]Error:[/] {escape(printable(runnable(sentence), keep=LINE_FEED))}")


def set_up_logging(verbose: bool, *, as_json: bool = False) -> None:
    """Our own log lines on standard error; other libraries only when something is wrong."""
    handler: logging.Handler
    if err.is_terminal and not as_json:
        handler = RichHandler(console=err, show_path=False, show_level=False, log_time_format="%H:%M:%S")
        handler.setFormatter(BareLines())
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines() if as_json else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("local_voice").setLevel(logging.DEBUG if verbose else logging.INFO)


def show_ready(seconds: float, invitation: str) -> None:
    """Where to talk. The only place where a token that was made at the start is shown."""
    out.print(f"Ready after {seconds:.0f} s: open {escape(invitation)} and talk. Ctrl-C stops.")


class StartProgress:
    """Says which engines are being loaded: a context manager, and an `assistant.Progress`."""

    def __init__(self) -> None:
        self._pending: dict[str, float] = {}
        self._status: Status | None = None
        self._began = time.perf_counter()
        self._finished = False

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        self._status = err.status("Starting") if err.is_terminal else None
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def __call__(self, step: str, seconds: float | None) -> None:
        if seconds is None:
            self._pending[step] = time.perf_counter()
            if self._status is None:
                err.print(f"Loading the {step}")
        else:
            self._pending.pop(step, None)
            err.print(f"Loaded the {step} in {seconds:.1f} s")
        if self._status is not None:
            self._status.update(self.warming())

    def finish(self) -> float:
        """No more progress is coming; the seconds since entering."""
        self._finished = True
        if self._status is not None:
            self._status.stop()
            self._status = None
        return time.perf_counter() - self._began

    def warming(self) -> str:
        """What start-up is still doing, as a short clause; empty when it is over."""
        if self._finished:
            return ""
        return f"loading the {' and the '.join(self._pending)}" if self._pending else "warming up"


class PullProgress:
    """Shows how a pull goes: a bar on a terminal, a line for each tenth elsewhere. A context manager."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=err,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err.is_terminal:
            self._bars.stop()

    def say(self, sentence: str) -> None:
        err.print(escape(runnable(sentence)))

    def step(self, what: str, done: int, total: int) -> None:
        if not err.is_terminal:
            self._line(what, done, total)
            return
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(escape(what), total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
        if done >= total:
            self._bars.remove_task(self._tasks.pop(what))

    def _line(self, what: str, done: int, total: int) -> None:
        """A log file wants few lines: nothing for small files, one for each tenth of large ones."""
        tenth = 10 * done // max(total, 1)
        if total >= 20_000_000 and tenth > self._tenths.get(what, 0):
            self._tenths[what] = tenth
            err.print(f"{escape(what)}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def show_settings(settings: Settings, origins: Mapping[str, str]) -> None:
    """Every setting with its value, unit and origin; what is not a default stands out."""
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "unit", "from"):
        table.add_column(heading, overflow="fold", max_width=60 if heading == "value" else None)
    section = ""
    for name in LEAVES:
        if name.rpartition(".")[0] != section:
            section = name.rpartition(".")[0]
            table.add_section()
        style = "" if origins[name] == "default" else "bold"
        cells = (name, shown(settings, name), unit(name), origins[name])
        table.add_row(*(escape(cell) for cell in cells), style=style)
    out.print(table)


def shown(settings: Settings, name: str) -> str:
    """A value as it would be written on the command line; a secret is not shown."""
    item = value(settings, name)
    if hidden(name):
        return "(set)" if item else ""
    if isinstance(item, bool):
        return str(item).lower()
    return ",".join(item) if isinstance(item, tuple) else str(item)


def show_models(listings: Sequence[Listing]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "role", "size", "licence", "default for", "installed", "about"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for one in listings:
        size = f"{one.size / 1e6:,.0f} MB" if one.size else ""
        state = "yes" if one.installed else "no"
        cells = (one.name, one.role or "", size, one.licence, " ".join(one.default), state, one.about)
        table.add_row(*(escape(cell) for cell in cells))
    out.print(table)


MARKS = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "bad": "[bold red]bad [/]"}


def show_findings(findings: Sequence[Finding]) -> None:
    for one in findings:
        out.print(f"{MARKS[one.status]}  {escape(one.subject)}: {escape(one.found)}")
        if one.mend:
            out.print(f"      {escape(runnable(one.mend))}")
