"""What the session expects of engines and transports.

Engines hold weights and are shared by all sessions; they keep nothing about a conversation. Engines and
transports are async context managers: entering loads and warms up, leaving frees.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

from local_voice.audio import AudioChunk, Samples
from local_voice.events import (
    ChooseMode,
    Command,
    Event,
    Message,
    PushToTalk,
    Stage,
    StopSpeaking,
    TurnMode,
    Typed,
)
from local_voice.playout import Playout
from local_voice.speakable import Clause
from local_voice.transcript import Transcript, Word


class StageError(Exception):
    """An engine failed at its work. The message says what happened and, where possible, what helps."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage: Stage = stage
        self.reason = reason


class StartupError(Exception):
    """Something needed at start-up is missing or broken; the message is a sentence that says what to do."""


class Engine(Protocol):
    """What all engines share: enter to load, leave to free."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Queued(Protocol):
    """An engine that users wait for."""

    @property
    def waiting(self) -> int:
        """Jobs of all sessions that have not begun."""
        ...


class VoiceActivityStream(Protocol):
    """One session's recurrent state in the voice activity detector."""

    def probability(self, window: Samples) -> float:
        """Speech probability of the stream's next window, shape `(detector.window,)`. Takes about 0.1 ms."""
        ...


class VoiceActivityDetector(Engine, Protocol):
    sample_rate: int
    """Hz."""
    window: int
    """Samples."""

    def stream(self) -> VoiceActivityStream:
        """Fresh state for one session."""
        ...


class TurnDetector(Engine, Protocol):
    async def probability(self, samples: Samples) -> float:
        """That the user is done, from the last seconds of the turn's sound at 16 kHz, shape `(n,)`.

        Raises `StageError`.
        """
        ...


class SpeechToText(Engine, Queued, Protocol):
    async def transcribe(self, samples: Samples, *, final: bool, draft: str = "") -> Transcript:
        """Words in `samples`, 16 kHz, shape `(n,)`, any length.

        `draft`: what was heard in their beginning before, which may save time. Final passes go before partial
        ones of all sessions. Cancelling drops a pass that has not begun. Raises `StageError`.
        """
        ...


class LanguageModel(Engine, Protocol):
    def generate(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """Pieces of the reply's text as they are written. Closing the iterator aborts the request.

        `messages` begins with the system prompt and fits the context. Raises `StageError`.
        """
        ...

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read a prompt ahead, so that a reply to one that begins alike starts sooner; or not, if it is busy.

        Raises `StageError`.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Length of `text` in the model's tokens (an estimate where the tokenizer is far away)."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """Sound of a clause, or of a part of it."""

    samples: Samples
    """Mono, shape `(n,)`, at the engine's `sample_rate`."""
    words: tuple[Word, ...]
    """Words that end in this piece; times in seconds from the piece's start."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a user wants to be spoken to."""

    voice: str = ""
    """Name of a voice; empty: the usual one."""
    speed: float | None = None
    """Speaking rate, 1.2 is a fifth faster than the voice's own; None: the usual one."""


class Speaker(Protocol):
    """One voice at one speed."""

    sample_rate: int
    """Hz."""

    def synthesize(self, clause: Clause) -> AsyncIterator[Speech]:
        """The sound of a clause, in pieces, with the pause that belongs after it; words as written.

        Nothing for a clause without any sound. Closing the iterator stops the work at the next piece.
        Raises `StageError`.
        """
        ...


def language_of(speaker: Speaker) -> str:
    """What the speaker takes text to be in, as "en" or "de"; English where it does not say (`language`)."""
    return str(getattr(speaker, "language", "en"))


class TextToSpeech(Engine, Speaker, Protocol):
    """An engine that is itself a speaker: its usual voice at its usual speed."""


class Speakers(Protocol):
    """An engine with more than one voice, or more than one speed."""

    @property
    def names(self) -> tuple[str, ...]:
        """Voices that can be had, the usual one first."""
        ...

    async def speaker(self, manner: Manner) -> Speaker:
        """Who speaks like that, for as long as it is held; nobody else's speaker changes.

        A voice that is not in memory yet is loaded first. Raises `StageError` with a sentence for the user.
        """
        ...


@dataclass(frozen=True, slots=True)
class Caption:
    """Text for the user's eyes."""

    role: Literal["user", "assistant"]
    turn: int
    text: str
    """For the user: the whole turn so far. For the assistant: the reply's words heard so far."""
    final: bool
    """No more changes are coming to this caption."""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What the assistant is doing."""

    state: Literal["listening", "hearing", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the stages of a turn took."""

    turn: int
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds from the last voiced sample to each mark of the timeline."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence about something that went wrong."""

    text: str


@dataclass(frozen=True, slots=True)
class Mode:
    """How turns are taken, said when the conversation opens and when it changes: for the talk key."""

    name: TurnMode


@dataclass(frozen=True, slots=True)
class Voices:
    """Who can speak and who does, said when the conversation opens and after each choice, taken or not."""

    names: tuple[str, ...]
    """The usual voice first."""
    chosen: str
    """One of them."""
    speed: float | None
    """As in `Manner`."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Whether the conversation is being recorded: said when it begins, and when it can't go on."""

    on: bool


Notification: TypeAlias = Caption | Status | Timing | Notice | Mode | Voices | Recording

Control: TypeAlias = PushToTalk | StopSpeaking | Typed | ChooseMode | Manner
"""What a user can press, write and choose."""


class Observer(Protocol):
    """Counts what happens in one conversation."""

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """At `now` seconds of audio the conversation was told `event` and answered `commands`."""
        ...

    def notify(self, notification: Notification) -> None:
        """What the user was shown."""
        ...


class RemovesEcho(Protocol):
    """An echo canceller with one conversation's state, as transports use it."""

    def process(self, near: Samples, far: Samples) -> Samples:
        """The near sound without the far one, same length."""
        ...


class Transport(Protocol):
    """Carries sound to and from one user. Entering opens it, leaving closes it."""

    playout: Playout
    """The transport reads the assistant's voice from here, at its own pace."""
    echo: bool
    """The user's sound may hold some of the assistant's voice."""
    on_control: Callable[[Control], None]
    """Told what the user presses, on the event loop."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def incoming(self) -> AsyncIterator[AudioChunk]:
        """The user's sound, echo already removed, gaps filled; ends when the user has gone."""
        ...

    def notify(self, notification: Notification) -> None:
        """Show something to the user. Never blocks; drops when the user can't be reached."""
        ...
