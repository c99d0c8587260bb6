"""What a conversation knows besides whose turn it is: what was said and heard, and the user's habits.

From these it judges words: whether a turn is over, meant for the assistant, or only a sound under its voice.
"""

from __future__ import annotations

from dataclasses import replace

from local_voice.barge_in import asks_for_silence
from local_voice.completeness import expected_answer
from local_voice.echo_guard import without_echo
from local_voice.endpointing import Evidence, UsualPause
from local_voice.events import Message, ReplyText
from local_voice.overlap import Verdict, verdict
from local_voice.settings import Settings
from local_voice.turns import UserTurn
from local_voice.wake_phrase import after_wake_phrase

SAME_BREATH_SECONDS = 1.5
"""After "stop" a turn that begins sooner may be more of the same: "... that is enough"."""


class Memory:
    """One conversation's messages and habits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.turn
        self.language = settings.stt.language if settings.stt.language != "auto" else "en"
        """Code of the language that was last spoken."""
        self.history: list[Message] = []
        """What was said and heard, oldest first, without the system prompt."""
        self.usual_pause = UsualPause()
        self.echo = False
        """The user's microphone may hear the assistant."""
        self.attentive_until = 0.0
        """Until then a turn needs no wake phrase; seconds of audio."""
        self.silenced_at: float | None = None
        """Where the user's last request for silence ended; seconds of audio."""
        self._level: float | None = None
        """Loudness of the user's voice, dB."""
        self._writing: tuple[tuple[int, int], str] = ((0, 0), "")
        """The newest reply, by turn and revision, as far as its text is written."""

    def write(self, clause: ReplyText) -> None:
        """A reply has grown by a clause."""
        key, text = self._writing
        of = (clause.turn, clause.revision)
        self._writing = (of, f"{text} {clause.text}" if key == of else clause.text)

    def learn_level(self, user: UserTurn) -> None:
        """The turn was surely the user's: this is how loud they are."""
        if user.voiced_seconds:
            self._level = user.level if self._level is None else (self._level + user.level) / 2

    def drop_question(self) -> None:
        """The message that waits for an answer will be said again, or goes on."""
        if self.history and self.history[-1].role == "user":
            self.history.pop()

    def leave_question(self) -> None:
        """The connection broke before the newest message was answered: the next one may do so."""
        if self.history and self.history[-1].role == "user":
            self.history[-1] = replace(self.history[-1], interrupted=True)

    def evidence(self, user: UserTurn, now: float) -> Evidence:
        """What speaks for and against the end of the turn, in the pause at `now`."""
        return Evidence(
            completion=user.completion,
            text=user.punctuated if user.transcript is not None else "",
            language=self.language,
            asked_for=expected_answer(self._said((0, 0)), self.language),
            turn_seconds=now - user.start,
            usual_pause=self.usual_pause.seconds,
            cut_off=user.cut_off,
        )

    def addressed(self, user: UserTurn, text: str) -> str | None:
        """What of the turn's `text` was said to the assistant; None if the turn was not meant for it."""
        if user.typed or not self._settings.wake_phrase:
            return text
        said = after_wake_phrase(text, self._settings.wake_phrase)
        meant = user.addressed or user.start < self.attentive_until
        return text if said is None and meant else said

    def own_words(self, user: UserTurn, text: str) -> str:
        """What the user said of the words recognised in the open segment: they may begin with an echo."""
        if not self.echo or not any(user.under):
            return text
        return without_echo(text, self._said(user.under), self.language)

    def wants_silence(self, user: UserTurn) -> bool:
        """The turn only told the assistant to be quiet, and quiet is its answer."""
        newest = user.transcript if user.cut_off else user.text
        over_it = user.interrupts or user.cut_off or any(user.under)  # the reply may have ended meanwhile
        more_of_it = self.silenced_at is not None and user.start - self.silenced_at < SAME_BREATH_SECONDS
        return (over_it or more_of_it) and asks_for_silence(newest or "", self.language)

    def verdict(self, user: UserTurn, text: str) -> Verdict:
        """What `text`, recognised in the tentative turn `user`, is while a reply has the floor."""
        said = self._said(user.under)
        return verdict(
            text,
            self.language,
            spoken=said,
            asked=said.rstrip().endswith("?"),
            echo=self.echo,
            voiced_seconds=user.voiced_seconds,
            below_user_db=0.0 if self._level is None else self._level - user.level,
            turn=self._settings,
        )

    def is_not_the_users(self, user: UserTurn, text: str) -> bool:
        """Whether a turn that began under a reply, which has ended since, was its echo or a television."""
        committed = user.interrupts or user.cut_off or user.fixed
        return any(user.under) and not committed and self.verdict(user, text) in ("echo", "background")

    def _said(self, reply: tuple[int, int]) -> str:
        """The reply with the floor, as far as it is written; without one, what the assistant said last."""
        key, text = self._writing
        if key == reply and any(reply):
            return text
        last = self.history[-1] if self.history else None
        return last.content if last is not None and last.role == "assistant" else ""
