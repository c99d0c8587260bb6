"""What happened (events) and what to do about it (commands).

These are the only words that pass between the judgement (`conversation.py`) and the machinery
(`session.py`). Times are seconds of audio received since the conversation began. Everything about a reply
carries `(turn, revision)`; whatever arrives with an old pair is dropped at the door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["stt", "llm", "tts"]
TurnMode: TypeAlias = Literal["full_duplex", "half_duplex", "push_to_talk"]
"""How turns are taken: listening while speaking, or not, or only while the talk key is held."""


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the chat, as the language model is given it."""

    role: Literal["system", "user", "assistant"]
    content: str
    """For the assistant: only words that were heard."""
    interrupted: bool = False
    """The assistant was cut off after `content`; for the user: the connection broke before the answer."""


# ---- events -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EchoPossible:
    """The user's microphone may hear the assistant's loudspeaker, or can't."""

    possible: bool


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """One window of the microphone has been judged. The conversation's clock ticks with these."""

    probability: float
    """That the window holds speech, 0 to 1."""
    seconds: float
    """Length of the window."""
    level: float = 0.0
    """Loudness of the window, dB relative to full scale."""


@dataclass(frozen=True, slots=True)
class TurnCompletion:
    """Smart Turn has listened to the end of the user's speech."""

    turn: int
    revision: int
    probability: float
    """That the user is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """Words recognised while the user is still speaking."""

    turn: int
    revision: int
    text: str
    language: str = ""
    """Code of the language they are in; empty when nobody knows."""


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """Words of everything the user said up to the pause."""

    turn: int
    revision: int
    text: str
    """Empty when there was no speech in the sound."""
    language: str = ""
    """As in `PartialTranscript`."""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A clause of the reply has been written by the language model."""

    turn: int
    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sample of a reply has been handed to the loudspeaker or the network."""

    turn: int
    revision: int


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """A reply's sound is over: played to its end, or cut."""

    turn: int
    revision: int
    heard: str
    """The words whose samples were all played."""
    interrupted: bool


@dataclass(frozen=True, slots=True)
class StageFailed:
    """An engine raised an error or missed its deadline."""

    stage: Stage
    turn: int
    revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class PushToTalk:
    """The user pressed the talk key or let it go."""

    down: bool


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """The user pressed the button that silences the assistant."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The user wrote a message instead of saying it: a whole turn."""

    text: str


@dataclass(frozen=True, slots=True)
class ChooseMode:
    """The user wants turns to be taken in another way from now on."""

    name: TurnMode


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was said and heard before the connection broke; comes first of all."""

    messages: tuple[Message, ...]


Event: TypeAlias = (
    EchoPossible
    | VoiceActivity
    | TurnCompletion
    | PartialTranscript
    | FinalTranscript
    | ReplyText
    | PlaybackStarted
    | PlaybackEnded
    | StageFailed
    | PushToTalk
    | StopSpeaking
    | Typed
    | ChooseMode
    | Resumed
)


# ---- commands -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Decode the microphone's sound from `start` to `end`."""

    turn: int
    revision: int
    start: float
    """Seconds of audio since the conversation began."""
    end: float
    """As `start`."""
    final: bool
    """Final passes go first; a partial is dropped when the recogniser is busy."""


@dataclass(frozen=True, slots=True)
class PredictTurnEnd:
    """Ask Smart Turn whether the user, whose speech lies from `start` to `end`, is done."""

    turn: int
    revision: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Warm:
    """Let the language model read a prompt ahead whose last message is not complete yet."""

    messages: tuple[Message, ...]
    """As `Draft`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Prepare a reply, text and sound, and hold it. Has no side effects."""

    turn: int
    revision: int
    messages: tuple[Message, ...]
    """The conversation so far without the system prompt; the last is the user's."""


@dataclass(frozen=True, slots=True)
class _AboutReply:
    turn: int
    revision: int
    why: str = field(default="", compare=False)
    """The reason, for the log and the trace."""


@dataclass(frozen=True, slots=True)
class Release(_AboutReply):
    """Let the reply be heard, as soon as there is sound."""


@dataclass(frozen=True, slots=True)
class Withdraw(_AboutReply):
    """Drop a reply that nobody has heard."""


@dataclass(frozen=True, slots=True)
class Duck(_AboutReply):
    """Lower the reply's voice: somebody may be interrupting."""


@dataclass(frozen=True, slots=True)
class Pause(_AboutReply):
    """Hold the reply where it is, until it is known what was said."""


@dataclass(frozen=True, slots=True)
class Resume(_AboutReply):
    """Go on with the reply, at full loudness and with the very next sample."""


@dataclass(frozen=True, slots=True)
class Interrupt(_AboutReply):
    """Silence the reply now and stop writing it."""


@dataclass(frozen=True, slots=True)
class Say:
    """Play a short sentence that was rendered at start-up, instead of a reply."""

    turn: int
    revision: int
    text: str


Command: TypeAlias = (
    Transcribe | PredictTurnEnd | Warm | Draft | Release | Withdraw | Duck | Pause | Resume | Interrupt | Say
)
