"""Whether a turn begins with the wake phrase, and what comes after it.

No extra model listens for the phrase: every turn is transcribed anyway. Whisper writes a name it does not
know as words it knows ("hey jar miss"), so sounds are compared, not letters. This room must not know what
becomes of turns that are meant for somebody else.
"""

from __future__ import annotations

import re

from local_voice.sounds_like import difference
from local_voice.turn_words import TABLES, skip_phrases, words_of

APART = 0.24
"""Largest difference in sound from a phrase that Whisper sets apart with a comma or a full stop."""
RUN_ON = 0.12
"""The same where the sentence goes on: "computers are" differs by 0.15, "commuter traffic" by 0.18.

Measured with whisper-base on "computer", "hey jarvis" and "okay nova" in 8 voices of flite and espeak-ng.
With `hint` none of 120 calls is missed, and 8 of 315 sentences chosen to sound alike are taken for one
("Commuter traffic", "Hey Jude"). Without it 52 are missed, all but one of the two names, and 2 taken."""
MOST_BEFORE = 3
"""Words that may come before the phrase: "um, okay, hey"."""
MOST_SPLIT = 2
"""Words more than the phrase has that Whisper may make of it: "come pewter"."""

_BEFORE = frozenset[str]().union(*(table.openers | table.hums for table in TABLES.values()))
_ENGLISH = TABLES["en"]
_PAUSE = re.compile(r"[,.;:!?…—–-][\"'”’]*$")  # noqa: RUF001
_LEADING = re.compile(r"^[^\w\"'“‘¿¡(\[]+")  # noqa: RUF001


def hint(phrase: str) -> str:
    """What to tell the recogniser beforehand, as its `hotwords`, so that it can spell the phrase.

    Two sentences that begin with it: of the phrase alone Whisper thinks that it has been written already,
    and leaves it out (20 of 40 "hey jarvis").
    """
    return f"{phrase}, hello. {phrase}, what's up?"


def after_wake_phrase(text: str, phrase: str) -> str | None:
    """What follows the wake phrase, "" if nothing does; None if the text does not begin with it.

    Fillers may come before the phrase, and it may be said twice. A sentence about the thing that the phrase
    names, and that Whisper writes without a pause, can't always be told ("computer science is hard").
    """
    rest = _once(text, phrase)
    while rest and (again := _once(rest, phrase)) is not None:
        rest = again
    return rest


def _once(text: str, phrase: str) -> str | None:
    tokens = text.split()
    length = len(phrase.split())
    best, end = 1.0, 0
    for start in range(min(MOST_BEFORE + 1, len(tokens))):
        before = words_of(" ".join(tokens[:start]))
        if skip_phrases(before, 0, _BEFORE) < len(before):
            break
        for stop in range(start + 1, min(start + length + MOST_SPLIT, len(tokens)) + 1):
            pauses = sum(_PAUSE.search(token) is not None for token in tokens[start : stop - 1])
            found = difference(" ".join(tokens[start:stop]), phrase)
            if found < best and pauses < length:
                best, end = found, stop
    following = words_of(" ".join(tokens[end:]))
    apart = not following or _PAUSE.search(tokens[end - 1]) is not None
    if best > (APART if apart else RUN_ON) or (not apart and _is_subject(following, text)):
        return None
    return _LEADING.sub("", " ".join(tokens[end:])) if following else ""


def _is_subject(following: list[str], text: str) -> bool:
    """The phrase is what an English sentence is about: "computer is a word", not "computer, is it late"."""
    if following[0] in _ENGLISH.never_last["a conjunction"] | {"of"}:
        return True
    asks = text.rstrip().endswith("?") or following[1:2] == [] or following[1] in _ENGLISH.pronouns
    return following[0] in _ENGLISH.auxiliaries and not asks
