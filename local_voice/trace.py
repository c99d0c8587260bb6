"""A conversation's events and commands as JSON lines, and the judgement run again over them.

A trace holds no sound, but it holds what was said: it is written only when asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

from pydantic import TypeAdapter, ValidationError

import local_voice
from local_voice.conversation import Conversation
from local_voice.events import Command, Event
from local_voice.settings import Settings

EVENT_TYPES = {kind.__name__: kind for kind in get_args(Event)}


class TraceError(ValueError):
    """A trace that can't be read; the message names the file, the line and the reason."""


def _plain(item: Event | Command) -> dict[str, object]:
    return {"type": type(item).__name__, **asdict(item)}


class TraceWriter:
    """Writes one conversation's trace. A context manager; each line is on disk when `write` returns."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        shown = settings.model_dump(mode="json", exclude={"llm": {"api_key"}})
        self._put({"local_voice": local_voice.__version__, "settings": shown})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """`now`: seconds of audio at which the conversation was told `event`."""
        self._put({"now": now, "event": _plain(event), "commands": [_plain(c) for c in commands]})

    def _put(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


def replay(path: Path) -> list[str]:
    """Tell a fresh `Conversation` the trace's events; says in a sentence each where it answers otherwise.

    Raises `TraceError` for a file that is not a trace, or was cut off in the middle of a line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"can't read the trace {path}: {error}") from error
    if not lines:
        raise TraceError(f"the trace {path} is empty")
    conversation: Conversation | None = None
    differences: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            item = json.loads(line)
            if conversation is None:
                conversation = Conversation(Settings.model_validate(item["settings"]))
                continue
            plain = dict(item["event"])
            event: Event = TypeAdapter(EVENT_TYPES[plain.pop("type")]).validate_python(plain)
            now, expected = float(item["now"]), item["commands"]
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise TraceError(f"line {number} of {path} is not a line of a trace: {error!r}") from error
        got = json.loads(json.dumps([_plain(command) for command in conversation.handle(event, now)]))
        if got != expected:
            differences.append(f"line {number}, at {now:.3f} s: {event} gave {expected}, now gives {got}")
    return differences
