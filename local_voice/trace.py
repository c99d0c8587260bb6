"""A conversation's events and commands as JSON lines, and the judgement run again over them.

A trace holds no sound, but it holds what was said: it is written only when asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

from pydantic import TypeAdapter, ValidationError

import local_voice
from local_voice.conversation import Conversation
from local_voice.events import (
    Command,
    Event,
    FinalTranscript,
    PartialTranscript,
    PlaybackEnded,
    ReplyText,
    Resumed,
    StageFailed,
    Typed,
)
from local_voice.settings import (
    AudioSettings,
    LlmSettings,
    RecordingSettings,
    ServerSettings,
    Settings,
    SttSettings,
    TtsSettings,
)
from local_voice.turn_words import DIGITS, known_words

EVENT_TYPES = {kind.__name__: kind for kind in get_args(Event)}


class TraceError(ValueError):
    """A trace that can't be read; the message names the file, the line and the reason."""


def _plain(item: Event | Command) -> dict[str, object]:
    return {"type": type(item).__name__, **asdict(item)}


class TraceWriter:
    """Writes one conversation's trace. A context manager; each line is on disk when `write` returns."""

    def __init__(self, path: Path, settings: Settings) -> None:
        path.touch(mode=0o600)  # what was said is nobody else's to read
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


def numbered(trace: Path | None) -> Iterator[Path | None]:
    """The file of each conversation: FILE, FILE-2, FILE-3 ... before the suffix."""
    yield trace
    number = 2
    while True:
        yield trace.with_stem(f"{trace.stem}-{number}") if trace else None
        number += 1


def replay(path: Path) -> list[str]:
    """Tell a fresh `Conversation` the trace's events; says in a sentence each where it answers otherwise.

    Raises `TraceError` for a file that is not a trace, or was cut off in the middle of a line.
    """
    settings, steps = read(path)
    conversation = Conversation(settings)
    differences: list[str] = []
    for step in steps:
        got = _commands(conversation, step.event, step.now)
        if got != step.commands:
            differences.append(
                f"line {step.line}, at {step.now:.3f} s: {step.event} gave {step.commands}, now gives {got}"
            )
    return differences


def hide_words(path: Path, out: Path) -> list[str]:
    """Write the trace again without what was said, to be shown to others; times and decisions stay.

    Each word becomes another one, always the same, unless the judgement looks for it ("to", "stop", "mm-hm").
    Says in a sentence each where the judgement decides otherwise over the hidden words. Raises `TraceError`.
    """
    settings, steps = read(path)
    veil = Veil(settings.stt.language)
    shown = settings.model_copy(
        update={
            "llm": LlmSettings(),
            "stt": SttSettings(language=settings.stt.language),
            # Names of hosts, folders, devices and people, on which no decision hangs.
            "tts": TtsSettings(),
            "audio": AudioSettings(),
            "recording": RecordingSettings(),
            "server": ServerSettings(),
            "turn": settings.turn.model_copy(update={"wake_phrase": veil(settings.turn.wake_phrase)}),
        }
    )
    conversation = Conversation(shown)
    differences: list[str] = []
    with TraceWriter(out, shown) as writer:
        for step in steps:
            event = veil.event(step.event)
            commands = conversation.handle(event, step.now)
            writer.write(step.now, event, commands)
            kinds = [type(command).__name__ for command in commands]
            if kinds != [command["type"] for command in step.commands]:
                differences.append(f"line {step.line}, at {step.now:.3f} s: now gives {kinds}")
    return differences


class Veil:
    """Words by other names, the same word always by the same one."""

    NO_VALUE = frozenset({"oh", "o", "double", "triple"})
    """Said among digits, and none of them."""
    WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001

    def __init__(self, language: str) -> None:
        self._known = known_words("en" if language == "auto" else language)
        self._names: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Punctuation and capitals stay, and so do words that the judgement knows; digits become 1."""
        return self.WORD.sub(lambda found: self._name(found.group()), text)

    def event(self, event: Event) -> Event:
        """The event with its words hidden."""
        match event:
            case PartialTranscript() | FinalTranscript() | ReplyText() | Typed():
                return replace(event, text=self(event.text))
            case Resumed():
                hidden = (replace(message, content=self(message.content)) for message in event.messages)
                return replace(event, messages=tuple(hidden))
            case PlaybackEnded():
                return replace(event, heard=self(event.heard))
            case StageFailed():
                return replace(event, reason="hidden")
            case _:
                return event

    def _name(self, word: str) -> str:
        plain = word.lower()
        if plain in DIGITS and plain not in self.NO_VALUE:  # a digit to the judgement, of somebody's PIN
            return "One" if word[0].isupper() else "one"
        if plain in self._known or plain in self.NO_VALUE:
            return word
        if any(letter.isdigit() for letter in plain):
            return "".join("1" if letter.isdigit() else "x" for letter in plain)
        name = self._names.setdefault(plain, _letters(len(self._names)))
        return name.capitalize() if word[0].isupper() else name


def _letters(number: int) -> str:
    """0 -> "qaa", 1 -> "qab" ...: no word of any table."""
    first, second = divmod(number, 26)
    return f"q{_letters(first - 26)[1:] if first >= 26 else chr(97 + first)}{chr(97 + second)}"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a trace."""

    line: int
    now: float
    event: Event
    commands: list[dict[str, object]]


def read(path: Path) -> tuple[Settings, list[Step]]:
    """A trace's settings and lines. Raises `TraceError`."""
    try:
        content = path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"can't read the trace {path}: {error}") from error
    lines = content.split("\n")  # not at other ends of a line, which JSON leaves as they are
    if not content:
        raise TraceError(f"the trace {path} is empty")
    number = 1
    try:
        settings = Settings.model_validate(json.loads(lines[0])["settings"])
        steps: list[Step] = []
        for number, line in enumerate(lines[1:], start=2):
            item = json.loads(line)
            plain = dict(item["event"])
            event: Event = TypeAdapter(EVENT_TYPES[plain.pop("type")]).validate_python(plain)
            steps.append(Step(number, float(item["now"]), event, item["commands"]))
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise TraceError(f"line {number} of {path} is not a line of a trace: {error!r}") from error
    return settings, steps


def _commands(conversation: Conversation, event: Event, now: float) -> list[dict[str, object]]:
    """As they stand in a trace."""
    commands = [_plain(command) for command in conversation.handle(event, now)]
    found: list[dict[str, object]] = json.loads(json.dumps(commands))
    return found
