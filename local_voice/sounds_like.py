"""How alike two pieces of text sound, whatever their spelling.

A recogniser writes what it heard with the likeliest letters: "computor", "hey jervis", "the cap it all". Here
letters become rough sounds, and sounds are compared with a price for each kind of slip. The rules are those
of English spelling, which do for the other European languages too. This room must not know what is compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_SPELLINGS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^kn|^gn", "n"),
        (r"^wr", "r"),
        (r"t?ch|tsch", "C"),
        (r"sch|sh", "S"),
        (r"ph", "f"),
        (r"ck|q", "k"),
        (r"[sc]c(?=[eiy])", "s"),
        (r"c(?=[eiy])", "s"),
        (r"c", "k"),
        (r"gh", ""),
        (r"th", "T"),
        (r"wh", "w"),
        (r"dg|j", "J"),
        (r"x", "ks"),
        (r"z", "s"),
        (r"^y(?=[aeou])", "j"),
        (r"(?<=[^aeiouy])e$", ""),
        (r"[ou]+w?", "o"),
        (r"[eiy]+", "e"),
        (r"[aeo]*a[aeo]*|[eo]{2,}", "a"),
        (r"(.)\1+", r"\1"),
    )
)
_VOWELS = frozenset("aeo")
_ALIKE = tuple(frozenset(group) for group in ("pb", "tdT", "kg", "fvT", "szSCJ", "mn", "lrw"))
_PRICE = {**dict.fromkeys(_VOWELS, 0.4), "h": 0.3, "r": 0.5, "w": 0.5, "j": 0.4}
"""Of a sound too much or too little; 1 for the consonants that are not listed. English "r" is often mute."""
_OTHER = 1.0
_SLIPS = {(one, other): 0.2 for one in _VOWELS for other in _VOWELS} | {
    (one, other): 0.5 for group in _ALIKE for one in group for other in group
}
"""Of one sound taken for another; all other pairs cost 1."""


@lru_cache(maxsize=4096)
def sounds(text: str) -> str:
    """One letter for each rough sound; spaces and punctuation are gone."""
    plain = unicodedata.normalize("NFD", text.lower())
    words = re.findall(r"[a-z0-9]+|[^\W\d_a-z]+", "".join(c for c in plain if not unicodedata.combining(c)))
    return "".join(_word_sounds(word) for word in words)


def _word_sounds(word: str) -> str:
    for pattern, sound in _SPELLINGS:
        word = pattern.sub(sound, word)
    return word


@lru_cache(maxsize=16_384)
def difference(one: str, other: str) -> float:
    """0 when both texts sound the same, 1 when nothing is alike. Symmetric."""
    heard, meant = sounds(one), sounds(other)
    longest = max(weight(heard), weight(meant))
    if not longest:
        return 0.0
    row = _empty_row(meant)
    for sound in heard:
        row = _next_row(row, sound, meant)
    return min(1.0, row[-1] / longest)


def costs_within(parts: Sequence[str], whole: str) -> list[float]:
    """What each part costs where all parts in a row are likest to a piece of `whole`; both are sounds.

    0 for a part that is there; about its weight, or more, for one that is not (Sellers 1980, traced back).
    """
    heard = "".join(parts)
    rows = [[0.0] * (len(whole) + 1)]
    for sound in heard:
        rows.append(_next_row(rows[-1], sound, whole))
    line = len(heard)
    place = min(range(len(whole) + 1), key=lambda end: rows[line][end])
    costs: list[float] = []
    for part in reversed(parts):
        spent = rows[line][place]
        for _ in part:
            place = _place_before(rows[line - 1], rows[line], place, heard[line - 1], whole)
            line -= 1
        costs.append(spent - rows[line][place])
    return costs[::-1]


def _place_before(above: list[float], row: list[float], place: int, sound: str, whole: str) -> int:
    """Where in `whole` the way to this place was before `sound` was heard."""
    while place and row[place] == row[place - 1] + _PRICE.get(whole[place - 1], _OTHER):
        place -= 1
    found = place and row[place] == above[place - 1] + _slip(sound, whole[place - 1])
    return place - 1 if found else place


def weight(sequence: str) -> float:
    """What it costs to miss all of these sounds."""
    return sum(_PRICE.get(sound, _OTHER) for sound in sequence)


def _empty_row(meant: str) -> list[float]:
    row = [0.0]
    for sound in meant:
        row.append(row[-1] + _PRICE.get(sound, _OTHER))
    return row


def _next_row(above: list[float], sound: str, meant: str) -> list[float]:
    """One more sound heard: cheapest ways to each beginning of `meant` (Wagner and Fischer 1974)."""
    extra = _PRICE.get(sound, _OTHER)
    row = [above[0] + extra]
    for place, target in enumerate(meant):
        missed = row[place] + _PRICE.get(target, _OTHER)
        row.append(min(above[place] + _slip(sound, target), above[place + 1] + extra, missed))
    return row


def _slip(heard: str, meant: str) -> float:
    return 0.0 if heard == meant else _SLIPS.get((heard, meant), _OTHER)
