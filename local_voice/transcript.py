"""Words, and where in the sound they lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where its sound lies."""

    text: str
    """As written, with its punctuation, without surrounding spaces."""
    start: float
    """Seconds from the start of the sound that it belongs to."""
    end: float
    """Seconds, as `start`."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised in a piece of sound."""

    text: str
    """The words as written; empty when the sound held no speech."""
    language: str = "en"
    """Whisper's language code."""
