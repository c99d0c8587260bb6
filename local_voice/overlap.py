"""What to do about a sound while the assistant has the floor: duck, pause, and what its words mean.

A sound ducks the reply, a longer one pauses it; only words decide whether it goes on or is cut. This room
must not know how a reply is ducked or cut, nor what happens to the words of an interruption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from local_voice.barge_in import meaning
from local_voice.echo_guard import is_echo
from local_voice.endpointing import EPSILON
from local_voice.events import Command, Duck, Pause, Resume
from local_voice.hallucinations import invented
from local_voice.settings import TurnSettings
from local_voice.turns import Reply, UserTurn

Verdict: TypeAlias = Literal["nothing", "background", "echo", "backchannel", "stop", "content"]

TAKES_THE_FLOOR: frozenset[Verdict] = frozenset(("stop", "content"))

PARTIAL_SECONDS = 0.3
"""Time between partial transcripts under a reply: sooner than in a turn, because the reply waits for them."""

WORDLESS = 2
"""Partial transcripts without words that let the reply go on; the first one hears a fifth of a second."""

WORDS_TO_CUT_IN = 2
"""Words in a partial transcript that take the floor while the user still speaks; a single one is too often
half a word, or the "yeah" of "yeah, go on"."""


@dataclass(slots=True)
class Overlap:
    """One sound under a reply."""

    reply: Reply
    user: UserTurn
    """The turn that it would open, or go on with."""
    start: float
    """Where the voice began, seconds of audio."""
    early: bool
    """The reply had hardly begun: if these are words, the user had not finished."""
    words_only: bool
    """The voice alone may not pause this reply."""
    next_partial: float
    step: Literal["none", "duck", "pause"] = "none"
    """What has been done about it."""
    wordless: int = 0
    """How many of the newest partial transcripts in a row held no words of the user."""
    let_on: bool = False
    """The reply went on although the sound was not understood yet; only words can stop it now."""

    def voice_goes_on(self, turn: TurnSettings, now: float) -> list[Command]:
        """The voice is still there."""
        lasted = now - self.start + EPSILON
        long_enough = lasted >= (turn.duck_seconds if self.early else turn.interrupt_seconds)
        if self.let_on:
            return []
        if self.step != "pause" and long_enough and not self.words_only:
            self.step = "pause"
            return [Pause(*self.reply.key, "the user goes on" if self.early else "somebody keeps speaking")]
        if self.step == "none" and lasted >= turn.duck_seconds:
            self.step = "duck"
            return [Duck(*self.reply.key, "somebody speaks")]
        if self.step == "pause" and self.wordless >= WORDLESS and lasted >= turn.resume_seconds:
            return self._let_on("it goes on without words")
        return []

    def silence_goes_on(self, turn: TurnSettings, seconds: float) -> list[Command]:
        """The voice has been silent for `seconds`, and its words are not known yet."""
        if self.step != "none" and seconds + EPSILON >= turn.resume_seconds:
            return self._let_on("silence, and no words yet")
        return []

    def wants_partial(self, now: float) -> bool:
        """It is time for a partial transcript; asked once for each."""
        due = now + EPSILON >= self.next_partial
        if due:
            self.next_partial = now + PARTIAL_SECONDS
        return due

    def takes_floor(self, found: Verdict, text: str) -> bool:
        """The words so far, while the voice goes on, are enough to cut the reply."""
        self.wordless = self.wordless + 1 if found in ("nothing", "background", "echo") else 0
        return found == "stop" or (found == "content" and len(text.split()) >= WORDS_TO_CUT_IN)

    def dismiss(self, why: str) -> list[Command]:
        """It was no interruption."""
        self.reply.dismissed += 1
        return [Resume(*self.reply.key, why)] if self.step != "none" else []

    def _let_on(self, why: str) -> list[Command]:
        self.step = "none"
        self.let_on = True
        return [Resume(*self.reply.key, why)]


def verdict(
    text: str,
    language: str,
    *,
    spoken: str,
    asked: bool,
    echo: bool,
    voiced_seconds: float,
    below_user_db: float,
    turn: TurnSettings,
) -> Verdict:
    """What words recognised under a reply are.

    `spoken`: text of the reply, as far as it is known. `asked`: the assistant has just asked something.
    `echo`: the microphone may hear the assistant. `voiced_seconds`: how much of the sound was voice.
    `below_user_db`: how much softer it was than the user.
    """
    if not text or invented(text, language, voiced_seconds):
        return "nothing"
    if is_echo(text, spoken, language, soft=echo and below_user_db > turn.background_db / 2):
        return "echo"
    if below_user_db > turn.background_db:
        return "background"
    found = meaning(text, language, asked=asked)
    # A clap is "Boom!" to Whisper; the shortest words have 0.26 s of voice (four flite voices, espeak-ng).
    return "nothing" if found == "content" and voiced_seconds < turn.interrupt_seconds else found
