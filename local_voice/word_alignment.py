"""Where each written word ends in the phonemes of the clause it was spoken in.

The pronouncer joins words ("of the" becomes one), weakens them ("a", "the") and reads numbers as several, so
counting its spaces would drift. Each word is therefore also pronounced alone, and the two strings of
phonemes are matched. This room must not know how phonemes become sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

_LONG = "\N{MODIFIER LETTER TRIANGULAR COLON}"
_WITHOUT_SOUND = frozenset(f"ˈˌ{_LONG}.,;:!?")
"""Stress, length and punctuation: they differ between a word alone and the same word in a clause."""


def word_ends(clause: Sequence[str], words: Sequence[Sequence[str]]) -> list[int]:
    """For each word, how many of the clause's phonemes have been spoken when it is over; never falling.

    `clause`: its phonemes, spaces between words. `words`: each word's phonemes when it is said alone.
    Where the two differ the later place is taken: a word is never counted as heard too early.
    """
    places = [i for i, phoneme in enumerate(clause) if phoneme not in _WITHOUT_SOUND]
    alone: list[str] = []
    borders: list[int] = []
    for word in words:
        alone += [phoneme for phoneme in word if phoneme not in _WITHOUT_SOUND]
        borders.append(len(alone))
        alone.append(" ")
    blocks = SequenceMatcher(
        None, alone, [clause[place] for place in places], autojunk=False
    ).get_matching_blocks()
    ends: list[int] = []
    for border in borders:
        block = next((b for b in blocks if border <= b.a + b.size), blocks[-1])
        matched = max(block.b + border - block.a, block.b) if border > block.a else block.b
        sounded = places[matched - 1] + 1 if matched else 0
        if clause[sounded : sounded + 1] == [_LONG]:
            sounded += 1
        ends.append(max(sounded, ends[-1] if ends else 0))
    if ends:
        ends[-1] = len(clause)
    return ends
