"""Whose turn it is, when the assistant may speak, what was said and heard.

A conversation is a protocol with timers, and this is its state machine: it is told events and the time
and answers commands. It reads no clock, starts no task and holds no model, so every case can be written
as a table. `now` is seconds of audio received; it ticks with every `VoiceActivity`.

A user's turn: speech -> pause -> final transcript -> a draft reply is prepared -> the silence has lasted
long enough -> the draft is released. Speech before the release withdraws the draft and the turn goes on
as a new revision.

A sound under a reply is an `Overlap`: it opens a turn that is only tentative, ducks the reply and pauses it,
and its words decide. Words of the user right after the reply began reopen the turn that was answered too
early; later ones interrupt; a "mm-hm", a cough or the assistant's own echo let the reply go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from local_voice.completeness import looks_complete
from local_voice.endpointing import (
    EPSILON,
    Endpointer,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    silence_that_ends,
)
from local_voice.events import (
    ChooseMode,
    Command,
    Draft,
    EchoPossible,
    Event,
    FinalTranscript,
    Interrupt,
    Message,
    PartialTranscript,
    PlaybackEnded,
    PlaybackStarted,
    PredictTurnEnd,
    PushToTalk,
    Release,
    ReplyText,
    Resumed,
    Say,
    StageFailed,
    StopSpeaking,
    Transcribe,
    TurnCompletion,
    Typed,
    VoiceActivity,
    Warm,
    Withdraw,
)
from local_voice.hallucinations import invented
from local_voice.memory import Memory
from local_voice.overlap import (
    TAKES_THE_FLOOR,
    Overlap,
)
from local_voice.read_ahead import worth_reading
from local_voice.sentences import APOLOGIES, STILL_THERE, YES
from local_voice.settings import Settings
from local_voice.turns import Reply, UserTurn, plain

LONGEST_PARTIAL_SECONDS = 28.0
"""Longer speech is not decoded before it pauses: it would no longer fit one Whisper window."""

FALSE_ALARMS = 2
"""After this many sounds that were no interruption, only words interrupt the reply that goes on."""


class Conversation:
    """One conversation's judgement and its history."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.turn
        self._endpointer = Endpointer(settings.vad, settings.turn)
        self._vad = settings.vad
        self._memory = Memory(settings)
        self._to_the_token = settings.profile == "cpu" and not settings.llm.url
        self.turn = 0
        self.revision = 0
        self._user: UserTurn | None = None
        self._overlap: Overlap | None = None
        """The user's turn is tentative: a sound under a reply whose words are not known yet."""
        self._reply: Reply | None = None
        self._key_down = False
        self._first_sound: float | None = None
        """When the first reply of the conversation began to sound."""
        self._answered_until = 0.0
        """Where the voice of the newest answered turn was last heard."""
        self._quiet_since = 0.0
        self._has_asked_after = False

    @property
    def state(self) -> Literal["listening", "hearing", "thinking", "speaking"]:
        if self._user is not None and (self._overlap is None or self._overlap.step == "pause"):
            return "hearing"
        if self._reply is not None:
            return "thinking" if self._reply.started is None else "speaking"
        return "listening"

    @property
    def history(self) -> list[Message]:
        """What was said and heard, oldest first, without the system prompt."""
        return self._memory.history

    @property
    def tentative(self) -> bool:
        """What is heard now may not be the user's turn at all: it is not to be shown as such."""
        return self._overlap is not None

    @property
    def replying(self) -> tuple[int, int]:
        """Turn and revision of the reply that has the floor; (0, 0) when none has."""
        return self._reply.key if self._reply is not None else (0, 0)

    @property
    def last_voice(self) -> float:
        """When the open turn's voice was last heard, seconds of audio; 0 before its first pause."""
        return self._user.pause_end if self._user is not None else 0.0

    def user_text(self, transcript: str) -> str:
        """The whole turn's text, given the newest transcript of its open segment."""
        fixed = self._user.fixed if self._user is not None else []
        return " ".join(part for part in (*fixed, transcript) if part)

    def handle(self, event: Event, now: float) -> list[Command]:
        """What to do now that `event` has happened. Never raises; stale events change nothing."""
        match event:
            case VoiceActivity():
                return self._hear(event, now)
            case PartialTranscript(turn, revision, text) if self._user and self._is_open(turn, revision):
                return self._partial_words(self._user, text)
            case FinalTranscript(turn, revision, text) if self._user and self._is_open(turn, revision):
                self._memory.language = event.language or self._memory.language
                if self._overlap is not None:
                    return self._overlap_words(self._overlap, text, now)
                return self._transcribed(self._user, text, now)
            case TurnCompletion(turn, revision) if self._user and self._is_open(turn, revision):
                self._user.completion = event.probability
                return self._wait(self._user, now)
            case ReplyText():
                self._memory.write(event)
            case PlaybackStarted() if self._is_reply(event.turn, event.revision):
                return self._playback_started(now)
            case PlaybackEnded() if self._is_reply(event.turn, event.revision):
                return self._playback_ended(event, now)
            case StageFailed():
                return self._failed(event, now)
            case EchoPossible():
                self._memory.echo = event.possible
            case PushToTalk():
                return self._press(now) if event.down else self._let_go(now)
            case StopSpeaking():
                return self._silence("the user pressed the button")
            case Typed() if event.text.strip():
                return self._typed(event.text.strip(), now)
            case ChooseMode():
                self._settings = self._settings.model_copy(update={"mode": event.name})
            case Resumed():
                return self._resumed(event.messages, now)
        return []

    # ---- the user's side ------------------------------------------------------------------------------

    def _hear(self, event: VoiceActivity, now: float) -> list[Command]:
        turn = self._settings
        heard = 0.0 if self._deaf else event.probability
        if self._reply is None:
            fact = self._endpointer.process(heard, event.seconds, now, turn.start_seconds, level=event.level)
        else:
            from_here = self._vad.overlap_probability
            fact = self._endpointer.process(
                heard, event.seconds, now, turn.duck_seconds, from_here, event.level
            )
        if self._user is not None and heard >= self._vad.start_probability:
            self._user.hear(event)
        match fact:
            case SpeechStarted(start) if self._user is None:
                self._speech_started(start, event, now)
            case SpeechStarted(start):  # the talk key had opened the turn
                return self._speech_resumed(start)
            case SpeechResumed(start):
                if self._user is not None:
                    self._memory.usual_pause.learn(start - self._user.pause_end)
                return self._speech_resumed(start)
            case SpeechPaused(end) if self._user is not None:
                self._user.pause_end = end
                return [self._transcribe(self._user, now, final=True)]
        if self._user is None:
            return self._idle(now)
        if self._overlap is not None:
            return self._overlap_goes_on(self._overlap, now)
        return self._partial(self._user, now) if self._endpointer.speaking else self._wait(self._user, now)

    @property
    def _deaf(self) -> bool:
        mode = self._settings.mode
        replying = self._reply is not None
        return (mode == "push_to_talk" and not self._key_down) or (mode == "half_duplex" and replying)

    @property
    def fading(self) -> float | None:
        """Where the user's speech begins, seconds of audio, while it may be about to pause."""
        return self._user.segment_start if self._user is not None and self._endpointer.fading else None

    def _speech_started(self, start: float, event: VoiceActivity, now: float) -> None:
        # Words before it that were answered are not to be heard twice.
        from_here = max(min(self._answered_until, start), start - self._settings.pre_roll_seconds)
        reply = self._reply if self._reply is not None and not self._reply.cut else None
        answered = reply.user if reply is not None and self._just_begun(reply, start) else None
        if answered is not None:
            self.revision += 1
            user = answered.continued(from_here)
        else:
            self.turn += 1
            self.revision = 0
            user = UserTurn(from_here, from_here)
        user.next_partial = now + self._settings.partial_seconds
        user.hear(replace(event, seconds=now - start))
        self._user = user
        if reply is not None:
            user.under = reply.key
            words_only = reply.dismissed >= FALSE_ALARMS or self._in_grace(now)
            first_partial = start + self._settings.interrupt_seconds
            self._overlap = Overlap(reply, user, start, answered is not None, words_only, first_partial)

    def _just_begun(self, reply: Reply, start: float) -> bool:
        return reply.started is None or start <= reply.started + self._settings.yield_seconds

    def _in_grace(self, now: float) -> bool:
        """The first reply's first seconds, in which an echo canceller still learns the room."""
        began = self._first_sound
        return self._memory.echo and began is not None and now - began < self._settings.echo_grace_seconds

    def _speech_resumed(self, start: float) -> list[Command]:
        user = self._user
        if user is None:
            return []
        commands = self._withdraw(user, "the user went on")
        long = start - user.segment_start >= self._settings.segment_seconds
        if user.transcript and (long or user.typed):
            user.fix_segment(max(user.pause_end, start - self._settings.pre_roll_seconds))
        user.go_on()
        self.revision += 1
        return commands

    def _partial(self, user: UserTurn, now: float) -> list[Command]:
        spoken = now - user.segment_start
        if not self._settings.partial_seconds or now < user.next_partial or spoken > LONGEST_PARTIAL_SECONDS:
            return []
        if self._endpointer.quiet:  # perhaps the end: its final pass would have to wait for this one
            return []
        user.next_partial = now + self._settings.partial_seconds
        return [self._transcribe(user, now, final=False)]

    def _transcribe(self, user: UserTurn, now: float, *, final: bool) -> Transcribe:
        return Transcribe(self.turn, self.revision, user.segment_start, now, final)

    def _partial_words(self, user: UserTurn, text: str) -> list[Command]:
        before, user.partial = user.partial, text
        if self._overlap is not None:
            return self._partial_overlap_words(self._overlap, text)
        if user.drafted is not None or not self._endpointer.speaking:
            return []
        if (
            self._settings.draft_from_partials
            and plain(before) == plain(text)
            and looks_complete(text, self._memory.language)
            and self._reply is None
        ):
            return self._draft(user, self.user_text(text))
        return self._read_ahead(user, before, text) if self._reply is None else []

    def _read_ahead(self, user: UserTurn, before: str, text: str) -> list[Command]:
        """Of a partial transcript only what would be answered: no echo, nothing for others."""
        words = worth_reading(before, text, user.warmed_words, to_the_token=self._to_the_token)
        own = self._memory.own_words(user, " ".join(words))
        said = self._memory.addressed(user, self.user_text(own)) if own else None
        if not said:
            return []
        user.warmed_words = len(words)
        return [Warm((*self.history, Message("user", said)))]

    def _transcribed(self, user: UserTurn, text: str, now: float) -> list[Command]:
        if self._memory.is_not_the_users(user, text):
            return self._drop(user, now)
        text = self._memory.own_words(user, text)
        heard = user.typed or not invented(text, self._memory.language, user.voiced_seconds)
        user.transcript = text if heard else ""
        if self._reply is not None:
            return []  # it is being cut, and its last words go into the history first
        if not user.text:  # a cough, a door: no turn at all
            return self._drop(user, now)
        if self._memory.wants_silence(user):
            self.history.append(Message("user", user.text))
            self._answered_until = self._memory.silenced_at = user.pause_end
            return self._drop(user, now)
        said = self._memory.addressed(user, user.text)
        if said is None:
            return self._drop(user, now)
        if not said:
            return [*self._drop(user, now), self._say(YES)]
        return [*self._draft(user, said), *self._wait(user, now)]

    def _draft(self, user: UserTurn, text: str) -> list[Command]:
        """Prepare the reply to `text`, unless that has been done."""
        if user.drafted is not None and plain(user.drafted) == plain(text):
            return []
        commands: list[Command] = []
        if user.drafted is not None:
            commands.append(Withdraw(self.turn, self.revision, "the words are other ones"))
            self.revision += 1
            user.asked = False
            user.failed = None
        user.drafted = text
        commands.append(Draft(self.turn, self.revision, (*self.history, Message("user", text))))
        return commands

    def _withdraw(self, user: UserTurn, why: str) -> list[Command]:
        """Drop the prepared reply, if there is one."""
        return [Withdraw(self.turn, self.revision, why)] if user.drafted is not None else []

    def _wait(self, user: UserTurn, now: float) -> list[Command]:
        """The user is silent: ask whether that was all, and let the reply go when it surely was."""
        if self._endpointer.speaking or self._key_down:
            return []
        commands: list[Command] = []
        silence = self._endpointer.silence(now) + EPSILON
        if not user.asked and user.ended is None and silence >= self._settings.predict_seconds:
            user.asked = True
            commands.append(PredictTurnEnd(self.turn, self.revision, user.start, now))
        # Judged with the words: without them "by the" sounds as finished as it does to Smart Turn.
        if user.ended is None and (user.transcript is not None or user.failed):
            enough, why = silence_that_ends(self._settings, self._memory.evidence(user, now))
            if silence >= enough:
                user.ended = f"{silence:.2f} s of silence, {why}"
        if user.ended is not None and ((user.transcript is not None and user.drafted) or user.failed):
            commands += self._give_floor(user, user.ended, now)
        return commands

    def _drop(self, user: UserTurn, now: float) -> list[Command]:
        """The turn wants no reply."""
        commands = self._withdraw(user, "it wants no reply")
        self._close_turn(now)
        return commands

    def _close_turn(self, now: float) -> None:
        self._user = self._overlap = None
        self._quiet_since = now
        self._endpointer.reset()

    # ---- a sound under a reply ------------------------------------------------------------------------

    def _overlap_goes_on(self, overlap: Overlap, now: float) -> list[Command]:
        if not self._endpointer.speaking:
            return overlap.silence_goes_on(self._settings, self._endpointer.silence(now))
        commands = overlap.voice_goes_on(self._settings, now)
        if self._settings.partial_seconds and overlap.wants_partial(now):
            commands.append(self._transcribe(overlap.user, now, final=False))
        return commands

    def _partial_overlap_words(self, overlap: Overlap, text: str) -> list[Command]:
        found = self._memory.verdict(overlap.user, self._memory.own_words(overlap.user, text))
        return self._commit(overlap, found) if overlap.takes_floor(found, text) else []

    def _overlap_words(self, overlap: Overlap, text: str, now: float) -> list[Command]:
        """The sound has ended and its words are known."""
        found = self._memory.verdict(overlap.user, self._memory.own_words(overlap.user, text))
        if found in TAKES_THE_FLOOR:
            return [*self._commit(overlap, found), *self._transcribed(overlap.user, text, now)]
        self._close_turn(now)
        return overlap.dismiss(found)

    def _commit(self, overlap: Overlap, why: str) -> list[Command]:
        """The sound was an interruption, or the user had not finished: the turn is no longer tentative."""
        self._overlap = None
        if overlap.early:
            # The reply and the message it answered never were.
            self._memory.usual_pause.learn(overlap.start - overlap.user.pause_end)
            self._memory.drop_question()
            self._reply = None
        else:
            overlap.reply.cut = True
            overlap.user.interrupts = True
        return [Interrupt(*overlap.reply.key, why)]

    # ---- the assistant's side -------------------------------------------------------------------------

    def _give_floor(self, user: UserTurn, why: str, now: float) -> list[Command]:
        self._close_turn(now)
        self._answered_until = user.pause_end
        self._has_asked_after = False
        if user.failed:
            self._reply = Reply(self.turn, self.revision, None)
            apology = Say(self.turn, self.revision, APOLOGIES[user.failed])
            if user.failed == "stt":
                return [*self._withdraw(user, "its words are not certain"), apology]
            self._reply.question = user.drafted or ""  # what there is of the reply is heard first
            return [apology]
        assert user.drafted is not None
        self.history.append(Message("user", user.drafted))
        self._reply = Reply(self.turn, self.revision, user)
        self._memory.learn_level(user)
        return [Release(self.turn, self.revision, why)]

    def _say(self, sentence: str) -> Command:
        self.turn += 1
        self.revision = 0
        self._reply = Reply(self.turn, self.revision, None, says=sentence)
        self._memory.write(ReplyText(self.turn, self.revision, sentence))
        return Say(self.turn, self.revision, sentence)

    def _idle(self, now: float) -> list[Command]:
        """Nobody speaks: ask once whether the user is still there."""
        idle = self._settings.idle_seconds
        if self._reply is not None or not idle or self._has_asked_after or now - self._quiet_since < idle:
            return []
        self._has_asked_after = True
        return [self._say(STILL_THERE)]

    def _failed(self, event: StageFailed, now: float) -> list[Command]:
        reply = self._reply
        if reply is not None and self._is_reply(event.turn, event.revision) and not reply.cut:
            reply.user = None
            reply.broke_off = True
            return [Say(event.turn, event.revision, APOLOGIES[event.stage])]
        if self._overlap is not None and self._is_open(event.turn, event.revision):
            return self._overlap_words(self._overlap, "", now)
        if self._user is not None and self._is_open(event.turn, event.revision):
            self._user.failed = event.stage
            return self._wait(self._user, now)
        return []

    def _playback_started(self, now: float) -> list[Command]:
        assert self._reply is not None
        self._reply.started = now
        if self._first_sound is None:
            self._first_sound = now
        return []

    def _playback_ended(self, event: PlaybackEnded, now: float) -> list[Command]:
        reply = self._reply
        assert reply is not None
        self._reply = None
        self._quiet_since = now
        self._memory.attentive_until = now + self._settings.follow_up_seconds
        heard = event.heard or (reply.says if not event.interrupted else "")
        if heard:
            if reply.question:
                self.history.append(Message("user", reply.question))
            self.history.append(Message("assistant", heard, event.interrupted))
        elif reply.broke_off:
            self._memory.drop_question()  # it got an apology for an answer
        elif event.interrupted and not reply.cut and reply.user is not None:
            self._memory.leave_question()
        user = self._user
        if user is None:
            return []
        if self._overlap is not None:  # what began under the reply is a turn of its own now
            self._overlap = None
            user.stands_alone()
            user.reply_ended()
        return self._transcribed(user, user.transcript, now) if user.transcript is not None else []

    # ---- the talk key, the button and the keyboard -----------------------------------------------------

    def _press(self, now: float) -> list[Command]:
        if self._key_down:
            return []
        self._key_down = True
        commands = self._silence("the user pressed the talk key")
        if self._user is not None:
            return [*commands, *self._speech_resumed(now)]
        self.turn += 1
        self.revision = 0
        self._user = UserTurn(
            now, now, next_partial=now + self._settings.partial_seconds, interrupts=bool(commands)
        )
        return commands

    def _let_go(self, now: float) -> list[Command]:
        if not self._key_down:
            return []
        self._key_down = False
        user = self._user
        if user is None:
            return []
        user.ended = "the user let the talk key go"
        if user.transcript is not None and not self._endpointer.speaking:
            return self._wait(user, now)
        self._endpointer.reset()
        user.pause_end = now
        user.failed = None if user.failed == "stt" else user.failed  # it is tried again
        return [self._transcribe(user, now, final=True)]

    def _resumed(self, messages: tuple[Message, ...], now: float) -> list[Command]:
        """A question whose answer broke off with the connection is answered now."""
        unanswered = [message for message in messages[-1:] if message.role == "user" and message.interrupted]
        self.history[:0] = messages[: len(messages) - len(unanswered)]
        if not unanswered:
            return []
        return self._typed(unanswered[0].content, now, "the connection broke before its answer")

    def _typed(self, text: str, now: float, why: str = "the user wrote it") -> list[Command]:
        """A written message takes the place of whatever is being said, by either side."""
        user = self._user if self._overlap is None else None
        commands = self._withdraw(user, "the user wrote instead") if user is not None else []
        certain = user.certain_words() if user is not None else []
        self._close_turn(now)
        commands += self._silence("the user wrote")
        self.turn += 1
        self.revision = 0
        self._user = UserTurn(now, now, pause_end=now, typed=True, interrupts=self._reply is not None)
        self._user.transcript, self._user.ended = text, why
        self.history.extend(Message("user", words) for words in certain)
        return [*commands, *self._transcribed(self._user, text, now)]

    def _silence(self, why: str) -> list[Command]:
        """Cut the reply, whoever may be speaking."""
        if self._reply is None or self._reply.cut:
            return []
        if self._overlap is not None:
            self._overlap.early = False  # whatever the sound was, the reply is not wanted again
            self._overlap.user.stands_alone()
            return self._commit(self._overlap, why)
        self._reply.cut = True
        return [Interrupt(*self.replying, why)]

    def _is_open(self, turn: int, revision: int) -> bool:
        return self._user is not None and (self.turn, self.revision) == (turn, revision)

    def _is_reply(self, turn: int, revision: int) -> bool:
        return (turn, revision) == self.replying and self._reply is not None
