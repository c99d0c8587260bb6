"""From speech probabilities to "started", "paused", "went on"; and how long a silence must last to be an end.

Silence is counted in seconds of audio, so a recording gives the same answer at any speed. This room must
not know what is done about its answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from local_voice.settings import TurnSettings, VadSettings

EPSILON = 1e-6
"""Seconds: windows add up in floats, and 3 x 0.032 must reach 0.096."""

RESUME_SECONDS = 0.064
"""Voice needed within a pause to go on with the turn: one loud window alone is a click or a breath."""


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

    @property
    def speaking(self) -> bool:
        """The voice is heard, or was within the last `pause_seconds`."""
        return self._phase is _Phase.SPEECH

    def silence(self, now: float) -> float:
        """Seconds since the voice was last heard."""
        return now - self._last_voice

    def reset(self) -> None:
        """The turn is over: the next voice starts a new one."""
        self._phase = _Phase.QUIET

    def process(self, probability: float, seconds: float, now: float, onset_seconds: float) -> Fact | None:
        """Judge the window that ends at `now` and lasts `seconds`.

        `onset_seconds`: unbroken voice that counts as a start out of quiet.
        """
        threshold = self._vad.stop_probability if self._voiced else self._vad.start_probability
        voiced = probability >= threshold
        if voiced and not self._voiced:
            self._run_start = now - seconds
        self._voiced = voiced
        run = now - self._run_start + EPSILON if voiced else 0.0
        match self._phase:
            case _Phase.QUIET if voiced and run >= onset_seconds:
                return self._speak(SpeechStarted(self._run_start), now)
            case _Phase.PAUSE if voiced and run >= RESUME_SECONDS:
                return self._speak(SpeechResumed(self._run_start), now)
            case _Phase.SPEECH if voiced:
                self._last_voice = now
            case _Phase.SPEECH if now - self._last_voice + EPSILON >= self._pause_seconds:
                self._phase = _Phase.PAUSE
                return SpeechPaused(self._last_voice)
        return None

    def _speak(self, fact: Fact, now: float) -> Fact:
        self._phase = _Phase.SPEECH
        self._last_voice = now
        return fact


def silence_that_ends(turn: TurnSettings, completion: float | None, turn_seconds: float) -> tuple[float, str]:
    """How long the user must be silent for the turn to be over, in seconds, and why.

    `completion`: Smart Turn's probability that the user is done; None while it is unknown.
    `turn_seconds`: length of the turn so far.
    """
    if turn_seconds > turn.longest_seconds:
        return turn.pause_seconds, "the turn is longer than turn.longest_seconds"
    if completion is None:
        return turn.likely_seconds, "the turn detector has not answered"
    if completion >= turn.confident_probability:
        return turn.confident_seconds, f"surely done ({completion:.2f})"
    if completion >= turn.likely_probability:
        return turn.likely_seconds, f"probably done ({completion:.2f})"
    return turn.unfinished_seconds, f"sounds unfinished ({completion:.2f})"
