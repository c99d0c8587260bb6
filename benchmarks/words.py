"""Which words were heard of those that were said: the same count in every benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.answers import Event

normalise = EnglishTextNormalizer()


def word_errors(said: str, heard: str) -> tuple[float, float]:
    """Word errors after Whisper's normaliser, and words said: a sample of a `Share`."""
    found = jiwer.process_words(normalise(said), normalise(heard))
    errors = found.substitutions + found.deletions + found.insertions
    return errors, len(normalise(said).split())


def captioned(events: Sequence[Event]) -> str:
    """What our server says that the user said. A turn that went on is told anew, from its beginning."""
    turns = {
        event["turn"]: event["text"]
        for _, event in events
        if event["type"] == "caption" and event["role"] == "user" and event["final"]
    }
    return " ".join(turns.values())
