"""From speech probabilities to "started", "paused", "went on"; and how long a silence must last to be an end.

Silence is counted in seconds of audio, so a recording gives the same answer at any speed. This room must
not know what is done about its answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from local_voice.completeness import (
    AnswerKind,
    answers_it,
    clause_is_open,
    digits_running,
    ends_as_question,
    is_question_with_particle,
    last_word_holds,
    list_is_open,
    looks_complete,
)
from local_voice.settings import TurnSettings, VadSettings

EPSILON = 1e-6
"""Seconds: windows add up in floats, and 3 x 0.032 must reach 0.096."""

RESUME_SECONDS = 0.064
"""Voice needed within a pause to go on with the turn: one loud window alone is a click or a breath."""

QUIET_DB = 25.0
"""A window this much softer than the loudest of the speech before it holds nothing of it. Silero hears voice
for two or three windows more."""

FADE_DB = 10.0
"""A second: so a bang that was taken for voice is forgotten soon, and not all speech after it called soft."""

ASKS_PROBABILITY = 0.1
"""Smart Turn at or above this, and a whole question: half sure. Below it were three of the four pauses
that the question mark alone would have cut off (benchmarks/bench_conversation.py)."""

PAST_USUAL_PAUSE = 0.1
"""Seconds: what a pause may last longer than this user's usual one."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    start: float
    """Where the voice began, seconds of audio."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    end: float
    """Where the voice was last heard."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    start: float
    """Where the voice began again."""


Fact: TypeAlias = SpeechStarted | SpeechPaused | SpeechResumed


class _Phase(Enum):
    QUIET = auto()
    SPEECH = auto()
    PAUSE = auto()


class Endpointer:
    """Follows one voice. Hysteresis between two probabilities as in Silero's own iterator."""

    def __init__(self, vad: VadSettings, turn: TurnSettings) -> None:
        self._vad = vad
        self._pause_seconds = turn.pause_seconds
        self._phase = _Phase.QUIET
        self._voiced = False
        self._run_start = 0.0
        self._last_voice = 0.0
        self._loudest = -math.inf
        self._quiet = 0.0

    @property
    def quiet(self) -> bool:
        """The newest window was much softer than the speech before it, even if Silero calls it voice."""
        return self._quiet > 0.0

    @property
    def fading(self) -> bool:
        """It was quiet for as long as a pause lasts, and Silero still hears voice: a pause, or soft words."""
        return self.speaking and self.quiet and self._quiet + EPSILON >= self._pause_seconds

    @property
    def speaking(self) -> bool:
        """The voice is heard, or its silence is too short yet for a pause."""
        return self._phase is _Phase.SPEECH

    def silence(self, now: float) -> float:
        """Seconds since the voice was last heard."""
        return now - self._last_voice

    def reset(self) -> None:
        """The turn is over: the next voice starts a new one, however soft."""
        self._phase = _Phase.QUIET
        self._loudest = -math.inf

    def process(
        self,
        probability: float,
        seconds: float,
        now: float,
        onset_seconds: float,
        onset_probability: float | None = None,
        level: float = 0.0,
    ) -> Fact | None:
        """Judge the window that ends at `now` and lasts `seconds`.

        `onset_seconds`: unbroken voice that counts as a start out of quiet. `onset_probability`: from which a
        window is voice; None for the usual one. `level`: its loudness, dB. A pause is one at `pause_seconds`
        of silence, and at its first window when it was quiet for that long already.
        """
        onset = self._vad.start_probability if onset_probability is None else onset_probability
        threshold = min(self._vad.stop_probability, onset) if self._voiced else onset
        voiced = probability >= threshold
        if voiced and not self._voiced:
            self._run_start = now - seconds
            if self._phase is _Phase.QUIET:
                self._loudest = level
        if voiced:
            self._loudest = max(self._loudest - FADE_DB * seconds, level)
        self._quiet = self._quiet + seconds if level <= self._loudest - QUIET_DB else 0.0
        self._voiced = voiced
        run = now - self._run_start + EPSILON if voiced else 0.0
        match self._phase:
            case _Phase.QUIET if voiced and run >= onset_seconds:
                return self._speak(SpeechStarted(self._run_start), now)
            case _Phase.PAUSE if voiced and run >= RESUME_SECONDS:
                return self._speak(SpeechResumed(self._run_start), now)
            case _Phase.SPEECH if voiced:
                self._last_voice = now
            case _Phase.SPEECH if max(self._quiet, now - self._last_voice) + EPSILON >= self._pause_seconds:
                self._phase = _Phase.PAUSE
                return SpeechPaused(self._last_voice)
        return None

    def _speak(self, fact: Fact, now: float) -> Fact:
        self._phase = _Phase.SPEECH
        self._last_voice = now
        self._quiet = 0.0
        return fact


class UsualPause:
    """How long this user pauses within a turn: a running mean that follows the last few pauses."""

    LONG_ENOUGH = 0.2
    """Seconds: shorter gaps lie within words and phrases and say nothing about thinking."""
    WEIGHT = 0.3

    def __init__(self) -> None:
        self.seconds = 0.0
        """0 while nothing is known."""

    def learn(self, pause: float) -> None:
        """The user went on after this much silence."""
        if pause >= self.LONG_ENOUGH:
            self.seconds += (self.WEIGHT if self.seconds else 1.0) * (pause - self.seconds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a pause."""

    completion: float | None = None
    """Smart Turn's probability that the user is done; None while it is unknown."""
    text: str = ""
    """The turn's words so far; empty while they are unknown."""
    language: str = "en"
    asked_for: AnswerKind = "none"
    """What the assistant's last question wants to hear."""
    turn_seconds: float = 0.0
    """Length of the turn so far."""
    usual_pause: float = 0.0
    """`UsualPause.seconds`."""
    cut_off: bool = False
    """In this turn the user has been answered too early before."""


def silence_that_ends(turn: TurnSettings, evidence: Evidence) -> tuple[float, str]:
    """How long the user must be silent for the turn to be over, in seconds, and why."""
    if evidence.turn_seconds > turn.longest_seconds:
        return turn.pause_seconds, "the turn is longer than turn.longest_seconds"
    if hold := _hold(turn, evidence):
        return turn.hold_seconds, hold
    waits = (
        turn.confident_seconds,
        max(turn.confident_seconds, min(turn.half_sure_seconds, turn.likely_seconds)),
        _likely_seconds(turn, evidence.usual_pause),
        turn.doubtful_seconds,
        turn.unfinished_seconds,
    )
    step, why = _step(turn, evidence)
    if evidence.cut_off and step < 4:
        return waits[max(2, step + 1)], f"{why}, but went on after an answer before"
    return waits[step], why


def _hold(turn: TurnSettings, evidence: Evidence) -> str:
    """Why the words can't be all; "" when they can be."""
    text, language = evidence.text, evidence.language
    if hold := last_word_holds(text, language):
        sounds_done = evidence.completion is not None and evidence.completion >= turn.confident_probability
        return "" if sounds_done and is_question_with_particle(text, language) else hold
    return clause_is_open(text, language) if evidence.asked_for == "none" else ""


def _step(turn: TurnSettings, evidence: Evidence) -> tuple[int, str]:
    """0: surely done, 1: half sure, 2: probably, 3: its words only are, 4: sounds unfinished; and why."""
    text, language, asked_for = evidence.text, evidence.language, evidence.asked_for
    # No hold: of 9 ends that waited 2.4 s for another item, 5 were Whisper's mishearings.
    if open_list := list_is_open(text, language):
        return 4, open_list
    if asked_for == "yes_no" and answers_it(text, asked_for, language):
        return 0, "answers the question"
    if asked_for in ("digits", "spelling", "list") or digits_running(text):
        return 4, "may be spelling, counting or listing"
    if evidence.completion is None:
        return 2, "the turn detector has not answered"
    shown = f"{evidence.completion:.2f}"
    asks = ends_as_question(text)
    if evidence.completion >= turn.confident_probability:
        # Who states something, or asks for it to be done, may add to it: "Please add apples", "and honey".
        if text and not asks and asked_for == "none":
            return 1, f"surely done ({shown}), asking nothing"
        return 0, f"surely done ({shown})"
    if asks and evidence.completion >= ASKS_PROBABILITY and looks_complete(text, language):
        return 1, f"a whole question that sounds less than sure ({shown})"
    if evidence.completion >= turn.likely_probability:
        return 2, f"probably done ({shown})"
    if answers_it(text, "yes_no", language) or (asked_for == "open" and answers_it(text, "open", language)):
        return 2, f"a whole answer that sounds unfinished ({shown})"
    if looks_complete(text, language):
        return 3, f"a complete sentence that sounds unfinished ({shown})"
    return 4, f"sounds unfinished ({shown})"


def _likely_seconds(turn: TurnSettings, usual_pause: float) -> float:
    """Longer for a user whose pauses are long: just past the usual one."""
    return min(max(turn.likely_seconds, usual_pause + PAST_USUAL_PAUSE), turn.unfinished_seconds)
