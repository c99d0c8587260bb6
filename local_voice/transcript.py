"""Recognised words, and how much of a growing hypothesis can be trusted.

While the user speaks, the whole turn is decoded again and again; the words that two successive decodes
agree on are shown as firm. Nothing downstream relies on them: the final pass decodes everything once more.
"""

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


def comparable(text: str) -> list[str]:
    """Words in lower case without punctuation: two texts with equal lists say the same."""
    bare = ("".join(c for c in word.lower() if c.isalnum() or c == "'") for word in text.split())
    return [word for word in bare if word]


def agreed_prefix(earlier: str, later: str) -> str:
    """The opening words of `later` that `earlier` opened with too (local agreement of two passes).

    The method is LocalAgreement-2 of Macháček et al. 2023 (whisper_streaming), on words.
    """
    old = comparable(earlier)
    agreed: list[str] = []
    for word in later.split():
        bare = comparable(word)
        if bare and (len(old) == 0 or bare[0] != old.pop(0)):
            break
        agreed.append(word)
    return " ".join(agreed)
