"""How a line of the log looks: for people, or one JSON object each.

Whatever a line holds may come from outside, so nothing in it is obeyed by a terminal or begins another line.
What was said is not logged here or anywhere else, unless `server.log_conversations` asks for it.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime

from local_voice.printable import printable

LONGEST = 20_000
"""Characters of one line; a traceback with all its causes has a few thousand."""


class PlainLines(logging.Formatter):
    """One line a record; a traceback below it, indented, so that it can't be taken for further lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = printable(self._line(record))
        trace = "\n".join(f"    {printable(part)}" for part in _trace(record).split("\n") if part)
        return _cut(f"{line}\n{trace}" if trace else line)

    def _line(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        return f"{when} {record.levelname} {record.name}: {record.getMessage()}"


class BareLines(PlainLines):
    """As `PlainLines` without time and name, for a terminal that shows its own time."""

    def _line(self, record: logging.LogRecord) -> str:
        return record.getMessage()


class JsonLines(logging.Formatter):
    """One JSON object a record: `time` (UTC, ISO 8601), `level`, `logger`, `message`, perhaps `exception`.

    What a caller adds with `extra={"facts": {...}}` stands beside them, so that nobody parses sentences.
    """

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        item: dict[str, object] = {
            **(facts if isinstance(facts, dict) else {}),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        trace = _trace(record)
        if trace:
            item["exception"] = _cut(trace)
        return printable(json.dumps(item, ensure_ascii=False, default=str))


def _trace(record: logging.LogRecord) -> str:
    formatter = logging.Formatter()
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} (and {len(text) - LONGEST} characters more)"
