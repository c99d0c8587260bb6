"""Whose turn it is, when the assistant may speak, what was said and heard.

A conversation is a protocol with timers, and this is its state machine: it is told events and the time
and answers commands. It reads no clock, starts no task and holds no model, so every case can be written
as a table. `now` is seconds of audio received; it ticks with every `VoiceActivity`.

A user's turn: speech -> pause -> final transcript -> a draft reply is prepared -> the silence has lasted
long enough -> the draft is released. Speech before the release withdraws the draft and the turn goes on
as a new revision; speech right after it reopens the turn; speech later interrupts the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from local_voice.endpointing import (
    EPSILON,
    Endpointer,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    silence_that_ends,
)
from local_voice.events import (
    Command,
    Draft,
    Event,
    FinalTranscript,
    Interrupt,
    Message,
    PlaybackEnded,
    PlaybackStarted,
    PredictTurnEnd,
    Release,
    Say,
    Stage,
    StageFailed,
    Transcribe,
    TurnCompletion,
    VoiceActivity,
    Withdraw,
)
from local_voice.settings import Settings

APOLOGIES: dict[Stage, str] = {
    "stt": "Sorry, I could not make that out. Please say it again.",
    "llm": "Sorry, I can't think right now. Please try again in a moment.",
    "tts": "Sorry, I lost my voice for a moment. Please try again.",
}
"""What the user hears when a stage fails; rendered at start-up, so that no engine is needed.

They are not in the history: a small model that reads them there goes on apologising when it is well again
(Qwen2.5-Coder 0.5B did, turn after turn, in the browser test with a killed engine)."""

LONGEST_PARTIAL_SECONDS = 28.0
"""Longer speech is not decoded before it pauses: it would no longer fit one Whisper window."""


@dataclass(slots=True)
class _UserTurn:
    """The user has the floor."""

    start: float
    segment_start: float
    """Where the part of the turn begins whose transcript is not fixed yet."""
    fixed: list[str] = field(default_factory=list)
    pause_end: float = 0.0
    """Where the voice was last heard before the pause."""
    transcript: str | None = None
    """Of the open segment up to the pause; None until the final pass has answered."""
    completion: float | None = None
    asked: bool = False
    """Smart Turn has been asked in this pause."""
    ended: str | None = None
    """Why the silence is judged long enough; None while it is not."""
    drafted: bool = False
    failed: Stage | None = None
    next_partial: float = 0.0

    @property
    def text(self) -> str:
        return " ".join(part for part in (*self.fixed, self.transcript) if part)

    def fix_segment(self, start: float) -> None:
        """Keep the open segment's words and begin another one."""
        if self.transcript:
            self.fixed.append(self.transcript)
        self.segment_start = start

    def go_on(self) -> None:
        """The user speaks again: everything known about the pause is void."""
        self.transcript = self.completion = self.ended = self.failed = None
        self.asked = self.drafted = False


@dataclass(slots=True)
class _Reply:
    """The assistant has the floor."""

    turn: int
    revision: int
    user: _UserTurn | None
    """The turn it answers, to be reopened if the user goes on at once; None for an apology."""
    started: float | None = None
    """When its sound began."""
    broke_off: bool = False
    """An engine failed after the release; an apology follows what there is."""


class Conversation:
    """One conversation's judgement and its history."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.turn
        self._endpointer = Endpointer(settings.vad, settings.turn)
        self.history: list[Message] = []
        """What was said and heard, oldest first, without the system prompt."""
        self.turn = 0
        self.revision = 0
        self.ended_because = ""
        """Why the last turn was judged over, for the log."""
        self._user: _UserTurn | None = None
        self._reply: _Reply | None = None

    @property
    def state(self) -> Literal["listening", "hearing", "thinking", "speaking"]:
        if self._user is not None:
            return "hearing"
        if self._reply is not None:
            return "thinking" if self._reply.started is None else "speaking"
        return "listening"

    @property
    def replying(self) -> tuple[int, int]:
        """Turn and revision of the reply that has the floor; (0, 0) when none has."""
        return (self._reply.turn, self._reply.revision) if self._reply is not None else (0, 0)

    def user_text(self, transcript: str) -> str:
        """The whole turn's text, given the newest transcript of its open segment."""
        fixed = self._user.fixed if self._user is not None else []
        return " ".join(part for part in (*fixed, transcript) if part)

    def handle(self, event: Event, now: float) -> list[Command]:
        """What to do now that `event` has happened. Never raises; stale events change nothing."""
        match event:
            case VoiceActivity():
                return self._hear(event, now)
            case FinalTranscript() if self._is_open(event.turn, event.revision):
                return self._transcribed(event.text, now)
            case TurnCompletion() if self._user is not None and self._is_open(event.turn, event.revision):
                self._user.completion = event.probability
                return self._wait(self._user, now)
            case PlaybackStarted() if self._is_reply(event.turn, event.revision):
                assert self._reply is not None
                self._reply.started = now
            case PlaybackEnded() if self._is_reply(event.turn, event.revision):
                self._playback_ended(event)
            case StageFailed():
                return self._failed(event, now)
        return []

    # ---- the user's side ------------------------------------------------------------------------------

    def _hear(self, event: VoiceActivity, now: float) -> list[Command]:
        sounding = self._reply is not None and self._reply.started is not None
        onset = self._settings.interrupt_seconds if sounding else self._settings.start_seconds
        match self._endpointer.process(event.probability, event.seconds, now, onset):
            case SpeechStarted(start):
                return self._speech_started(start, now)
            case SpeechResumed(start):
                return self._speech_resumed(start)
            case SpeechPaused(end) if self._user is not None:
                self._user.pause_end = end
                return [self._transcribe(self._user, now, final=True)]
        if self._user is None:
            return []
        return self._partial(self._user, now) if self._endpointer.speaking else self._wait(self._user, now)

    def _speech_started(self, start: float, now: float) -> list[Command]:
        from_here = max(0.0, start - self._settings.pre_roll_seconds)
        reply = self._reply
        commands: list[Command] = []
        if reply is not None:
            commands.append(Interrupt(reply.turn, reply.revision))
            not_begun = reply.started is None or start <= reply.started + self._settings.yield_seconds
            if reply.user is not None and not_begun:
                self._reopen(reply.user, from_here)
                return commands
        self.turn += 1
        self.revision = 0
        self._user = _UserTurn(from_here, from_here, next_partial=now + self._settings.partial_seconds)
        return commands

    def _reopen(self, user: _UserTurn, start: float) -> None:
        """The user had not finished: the reply and the message it answered never were."""
        self._reply = None
        if self.history and self.history[-1].role == "user":
            self.history.pop()
        user.fix_segment(max(user.pause_end, start))
        user.go_on()
        self._user = user
        self.revision += 1

    def _speech_resumed(self, start: float) -> list[Command]:
        user = self._user
        if user is None:
            return []
        commands: list[Command] = [Withdraw(self.turn, self.revision)] if user.drafted else []
        if user.transcript and start - user.segment_start >= self._settings.segment_seconds:
            user.fix_segment(max(user.pause_end, start - self._settings.pre_roll_seconds))
        user.go_on()
        self.revision += 1
        return commands

    def _partial(self, user: _UserTurn, now: float) -> list[Command]:
        spoken = now - user.segment_start
        if not self._settings.partial_seconds or now < user.next_partial or spoken > LONGEST_PARTIAL_SECONDS:
            return []
        user.next_partial = now + self._settings.partial_seconds
        return [self._transcribe(user, now, final=False)]

    def _transcribe(self, user: _UserTurn, now: float, *, final: bool) -> Transcribe:
        return Transcribe(self.turn, self.revision, user.segment_start, now, final)

    def _transcribed(self, text: str, now: float) -> list[Command]:
        user = self._user
        assert user is not None
        user.transcript = text
        if not user.text:  # a cough, a door: no turn at all
            self._close_turn()
            return []
        user.drafted = True
        message = Message("user", user.text)
        return [Draft(self.turn, self.revision, (*self.history, message)), *self._wait(user, now)]

    def _wait(self, user: _UserTurn, now: float) -> list[Command]:
        """The user is silent: ask whether that was all, and let the reply go when it surely was."""
        if self._endpointer.speaking:
            return []
        commands: list[Command] = []
        silence = self._endpointer.silence(now) + EPSILON
        if not user.asked and silence >= self._settings.predict_seconds:
            user.asked = True
            commands.append(PredictTurnEnd(self.turn, self.revision, user.start, now))
        enough, why = silence_that_ends(self._settings, user.completion, now - user.start)
        if user.ended is None and silence >= enough:
            user.ended = f"{silence:.2f} s of silence, {why}"
        if user.ended is not None and (user.drafted or user.failed):
            commands.append(self._give_floor(user, user.ended))
        return commands

    def _close_turn(self) -> None:
        self._user = None
        self._endpointer.reset()

    # ---- the assistant's side -------------------------------------------------------------------------

    def _give_floor(self, user: _UserTurn, why: str) -> Command:
        self._close_turn()
        self.ended_because = why
        if not user.failed:
            self.history.append(Message("user", user.text))
        self._reply = _Reply(self.turn, self.revision, None if user.failed else user)
        if user.failed:
            return Say(self.turn, self.revision, APOLOGIES[user.failed])
        return Release(self.turn, self.revision)

    def _failed(self, event: StageFailed, now: float) -> list[Command]:
        if self._user is not None and self._is_open(event.turn, event.revision):
            self._user.failed = event.stage
            return self._wait(self._user, now)
        if self._reply is not None and self._user is None and self._is_reply(event.turn, event.revision):
            self._reply.user = None
            self._reply.broke_off = True
            return [Say(event.turn, event.revision, APOLOGIES[event.stage])]
        return []

    def _playback_ended(self, event: PlaybackEnded) -> None:
        broke_off = self._reply is not None and self._reply.broke_off
        self._reply = None
        if event.heard:
            self.history.append(Message("assistant", event.heard, event.interrupted))
        elif broke_off and self.history and self.history[-1].role == "user":
            self.history.pop()  # it got an apology for an answer, and will be said again

    def _is_open(self, turn: int, revision: int) -> bool:
        return self._user is not None and (self.turn, self.revision) == (turn, revision)

    def _is_reply(self, turn: int, revision: int) -> bool:
        reply = self._reply
        return reply is not None and (reply.turn, reply.revision) == (turn, revision)
