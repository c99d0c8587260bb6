"""What words heard while the assistant speaks mean: nothing, go on, stop, or something to say.

A person who listens says "mm-hm" and "yeah" without wanting the floor; after a question the same words are
its answer. This room must not know how long or how loud they were, nor what is done about them.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from local_voice.hallucinations import invented
from local_voice.turn_words import TurnWords, made_of, phrase_at, skip_phrases, turn_words, words_of

Meaning: TypeAlias = Literal["nothing", "backchannel", "stop", "content"]

MOST_BACKCHANNELS = 2
"""Different ones in a row; who says more has something to say. Sounds ("oh", "mm") don't count, and saying
one again does not either."""


def meaning(text: str, language: str, *, asked: bool) -> Meaning:
    """What `text`, recognised under a reply, means for the reply.

    `asked`: the assistant has just asked something, so that "yes" and "okay" are answers. In a language
    without tables all words are content.
    """
    known = turn_words(language)
    words = words_of(text)
    if not words or invented(text, language, math.inf):
        return "nothing"
    if _opens_with_stop(words, known):
        return "stop"
    if asked and skip_phrases(words, 0, known.answers | known.courtesy) == len(words):
        return "content"
    return "backchannel" if _is_backchannel(words, known) else "content"


def asks_for_silence(text: str, language: str) -> bool:
    """Whether silence is all that is wanted: "okay, stop please", but not "no no, Paris"."""
    known = turn_words(language)
    words = words_of(text)
    nothing_else = known.stops | known.openers | known.hums | known.courtesy
    return _opens_with_stop(words, known) and made_of(words, nothing_else)


def _opens_with_stop(words: list[str], known: TurnWords) -> bool:
    """A stop phrase comes first, or after nothing but "um", "okay", "please" and the like."""
    before = known.openers | known.backchannels | known.hums | known.courtesy
    start = 0
    while start < len(words):
        if phrase_at(words, start, known.stops):
            return True
        size = phrase_at(words, start, before)
        if not size:
            return False
        start += size
    return False


def _is_backchannel(words: list[str], known: TurnWords) -> bool:
    start = 0
    said: set[str] = set()
    while start < len(words):
        size = phrase_at(words, start, known.backchannels | known.hums)
        if not size:
            return False
        phrase = " ".join(words[start : start + size])
        if phrase not in known.hums:
            said.add(phrase)
        start += size
    return len(said) <= MOST_BACKCHANNELS
