"""What a caller does, and when: sounds with known voiced extents, triggers, scenarios, conversations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from benchmarks.conversation.loudness import RATE, VOICED_DB, Extent, extents
from local_voice.audio import Samples

LEAD_SECONDS = 0.03
TAIL_SECONDS = 0.06
"""Kept around a voiced stretch: attack and decay below the voiced level."""
LEAST_PAUSE = 0.2
"""Shorter gaps in a recording lie within words and are no pauses, as in LiveKit's eot-bench."""
LEAST_VOICE = 0.05
"""Shorter sounds in a recording are clicks and breath."""


@dataclass(frozen=True)
class Sound:
    """Something the caller utters, and where in it the voice is."""

    samples: Samples
    """At `RATE`."""
    voiced: tuple[Extent, ...]
    """Seconds from the first sample, oldest first; the pauses lie between them."""
    words: str = ""
    dead: Extent | None = None
    """The line carries nothing here, not even noise."""

    @property
    def pauses(self) -> tuple[Extent, ...]:
        """Seconds from the first sample."""
        return tuple((a[1], b[0]) for a, b in zip(self.voiced, self.voiced[1:], strict=False))


def line(*parts: Samples | float, words: str = "") -> Sound:
    """Stretches of voice with pauses of exactly so many seconds between them.

    A pause counts from the last voiced frame of one stretch to the first of the next.
    """
    samples = np.zeros(round(LEAD_SECONDS * RATE), np.float32)
    voiced: list[Extent] = []
    at = LEAD_SECONDS
    for part in parts:
        if isinstance(part, float):
            at += part
            continue
        sounding = extents(part, VOICED_DB, join=10.0)
        if not sounding:
            raise ValueError("a stretch without any voice in it")
        first, last = sounding[0]
        piece = _faded(part, first, last)
        start = round((at - min(first, LEAD_SECONDS)) * RATE)
        end = start + len(piece)
        samples = np.pad(samples, (0, max(0, end - len(samples))))
        samples[start:end] += piece
        voiced.append((at, at + last - first))
        at += last - first
    return Sound(samples, tuple(voiced), words)


def natural(*recordings: Samples, pause: float = 0.5, words: str = "") -> Sound:
    """Long recordings one after the other, with the pauses of the speakers themselves."""
    sounds: list[Samples] = []
    voiced: list[Extent] = []
    at = 0.0
    for recording in recordings:
        for start, end in extents(recording, VOICED_DB, join=LEAST_PAUSE):
            if end - start >= LEAST_VOICE:
                voiced.append((at + start, at + end))
        after = np.zeros(round(pause * RATE), np.float32)
        sounds += [recording, after]
        at += (len(recording) + len(after)) / RATE
    return Sound(np.concatenate(sounds), tuple(voiced), words)


def _faded(part: Samples, first: float, last: float) -> Samples:
    """The voiced stretch with a little around it, faded in and out there."""
    start = round(max(0.0, first - LEAD_SECONDS) * RATE)
    end = min(len(part), round((last + TAIL_SECONDS) * RATE))
    piece = part[start:end].copy()
    head = round(first * RATE) - start
    tail = end - round(last * RATE)
    piece[:head] *= np.linspace(0, 1, head, dtype=np.float32)
    if tail > 0:
        piece[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)
    return piece


@dataclass(frozen=True)
class Quiet:
    """When nobody has made a sound for so many seconds and no reply is waiting to go on."""

    seconds: float = 0.6


@dataclass(frozen=True)
class IntoReply:
    """So many seconds after the first audible sample of the reply to what was said last."""

    seconds: float


@dataclass(frozen=True)
class BeforeReplyEnds:
    """So many seconds before the end of the reply that is being spoken."""

    seconds: float


@dataclass(frozen=True)
class AfterOwn:
    """So many seconds after the caller's own last voiced sample."""

    seconds: float


Trigger: TypeAlias = Quiet | IntoReply | BeforeReplyEnds | AfterOwn
Kind: TypeAlias = Literal["turn", "going on", "interruption", "distractor"]


@dataclass(frozen=True)
class Action:
    """One thing the caller does."""

    kind: Kind
    sound: Sound
    when: Trigger = field(default_factory=Quiet)
    label: str = ""
    """The class in the report: question, short answer, comma, cough, early..."""
    reply: str = ""
    """What the scripted language model answers from now on; empty: as before."""
    first_token_seconds: float | None = None
    """How long that model takes to begin; None: as usual."""
    hushes: bool = False
    """It asks for silence ("one moment, please"), and silence is the right answer."""


@dataclass(frozen=True)
class Scenario:
    """Actions that belong together."""

    name: str
    actions: tuple[Action, ...]
    quick: bool = False
    """Part of the short form."""


@dataclass(frozen=True)
class Call:
    """A conversation: one caller, one room, one scenario after the other."""

    name: str
    scenarios: tuple[Scenario, ...]
    fan_db: float | None = None
    """A fan at this level during all of it."""
    echo_db: float | None = None
    """The assistant's own voice comes back this much softer."""
    echo_seconds: float = 0.08
    """...and this much later."""
    echo_cancelled: bool = True
    """The transport takes the echo out, as the microphone's does."""
