"""Words that nobody said: what Whisper writes when it hears silence, noise or music.

They come from a small recurring set of phrases, mostly the ends of subtitled films (Barański et al. 2025,
arXiv 2501.11378). People say some of them too, so they are judged together with how much voice the VAD has
heard. This room must not know how sure the recogniser was; `whisper_windows.py` judges that.
"""

from __future__ import annotations

import re

from local_voice.turn_words import phrase_at, turn_words, words_of

SPOKEN_SECONDS = 0.2
"""Shorter than any word: the shortest "hi" and "what" have 0.26 s of voice (flite and espeak-ng)."""
WORDS_PER_SECOND = 8.0
"""More words to a second of voice than anybody says; fast speech has 5 to 6."""
WORDS_ON_TOP = 4
"""The VAD misses the soft beginnings and ends of words: so many more are believed."""
WORDS_OF_A_QUESTION = 4
"""So many after "thanks for listening" make it somebody who asks: films end without a question."""
MOST_EQUAL = 8
"""One word said more often than this in a row is a loop, however long the voice."""

_TAG = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|<[^>]*>|♪[^♪]*♪?|[♩♫♬🎵🎶]")
_CREDIT = re.compile(r"amara\.?org|opensubtitles|zeoranger", re.IGNORECASE)


def invented(text: str, language: str, voiced_seconds: float) -> bool:
    """Whether the words are a recogniser's invention.

    `voiced_seconds`: voice that was heard in the sound they are said to be in; infinite if it is unknown.
    Tags ("[Music]"), subtitle credits and text without letters are inventions whatever was heard.
    """
    words = words_of(_TAG.sub(" ", text))
    if not words or _CREDIT.search(text):
        return True
    known = turn_words(language)
    phrase = phrase_at(words, 0, known.never_said)
    asked = text.rstrip().endswith("?") and len(words) - phrase >= WORDS_OF_A_QUESTION
    if phrase and not asked:
        return True
    if len(words) > MOST_EQUAL and len(set(words)) == 1:
        return True
    if len(words) > WORDS_ON_TOP + WORDS_PER_SECOND * voiced_seconds:
        return True
    return voiced_seconds < SPOKEN_SECONDS and " ".join(words) in known.invented
