"""Whether a transcript opens with the wake phrase, and what comes after it."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

CLOSE_ENOUGH = 0.8
"""Likeness of the first words to the phrase: "computor" has 0.88, "commuter" 0.75."""
MOST_BEFORE = 1
"""Words that may come before it: "hey", "okay", "um"."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001


def after_wake_phrase(text: str, phrase: str) -> str | None:
    """The rest of a transcript that opens with the phrase, "" if that is all; None if it does not."""
    wanted = "".join(_WORD.findall(phrase.lower()))
    words = list(_WORD.finditer(text))
    if not wanted:
        return None
    for first in range(min(MOST_BEFORE + 1, len(words))):
        if first and len(words[first - 1].group()) > 5:
            return None
        for last in range(first, min(first + len(phrase.split()) + 1, len(words))):
            said = "".join(word.group().lower() for word in words[first : last + 1])
            if SequenceMatcher(None, wanted, said, autojunk=False).ratio() >= CLOSE_ENOUGH:
                return text[words[last].end() :].lstrip(" ,.!?;:-–—")  # noqa: RUF001
    return None
