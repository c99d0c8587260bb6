"""Whether words recognised while the assistant speaks are the assistant's own.

Where an echo canceller leaves something over, Whisper reads the reply back: cut off at both ends, and in
words that only sound like it ("the river sane and has a bout"). So the sounds of what was heard are looked
for in the sounds of what is being said. A user may repeat a few words of it ("Paris? Are you sure?"): the
less was heard, the closer must it fit. This room must not know about sound itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from local_voice.sounds_like import costs_within, sounds, weight
from local_voice.turn_words import NUMBERS, TurnWords, phrase_at, skip_phrases, turn_words, words_of

LARGEST_MISFIT = 0.35
"""Share of the sounds that may differ in a long echo. Of 234 pieces of Piper's voice at -10 and -20 dB, as
whisper-base read them, a third of them muffled, 106 of 120 from 1.8 s on are known again, of the shorter ones
44 of 114; 7 of 2106 are taken for the echo of another reply. 0.4 finds 4 more, and would swallow "I mean the
capital of Germany"."""
FULL_WEIGHT = 10.0
"""Sounds from which on so many may differ; of half as many, half the share."""
QUESTION_MISFIT = 0.15
"""The same for a question where the assistant asks none."""
SOFT_MISFIT = 1.5
"""So many times more may differ in what is clearly softer than the user."""
WORD_MISFIT = 0.5
"""A word of which more differs than this is not the assistant's."""
OWN_MISFIT = 0.15
"""The same for what a user says to answer or to stop."""
FEWEST_WORDS = 3
"""Echoed words at the beginning that are taken off what the user says."""
SHORTEST_ECHO = 4
"""Letters of a single word that can be an echo: a shorter one is said by too many."""

_LONG_NUMBER = "#"
"""Stands for numbers that are written in digits and said in words: "384,000"."""
_SAID_IN_ONE_WORD = frozenset(str(value) for value in NUMBERS.values() if value < 100)


def is_echo(transcript: str, spoken: str, language: str, *, soft: bool = False) -> bool:
    """Whether all of `transcript` is what the assistant is saying.

    `soft`: it was softer than this user speaks, so that it may fit worse and may even be "please stop", where
    the assistant says "trees stop".
    `spoken`: text of the reply around the playback position, or all of it (a short sentence is laid over 30
    words of it in 2 ms). Answers, stop and question words that the assistant does not say at this place are
    the user's, and so are a few backchannels alone.
    """
    known = turn_words(language)
    words = words_of(transcript)
    users_own = known.answers | known.backchannels | known.stops | known.hums
    if not soft and len(words) < 2 * FEWEST_WORDS and skip_phrases(words, 0, users_own) == len(words):
        return False
    heard = _laid_over(transcript, spoken)
    if not heard or (len(heard) == 1 and (len(words[0]) < SHORTEST_ECHO or heard[0].is_number)):
        return False
    asks = _asks(transcript, spoken)
    if asks and len(heard) < 2 * FEWEST_WORDS:
        return False
    return _echoed(heard, known) == len(heard) and _fits(heard, asks=asks, soft=soft)


def without_echo(transcript: str, spoken: str, language: str = "") -> str:
    """What is left of `transcript` after the assistant's own words at its beginning.

    All of it when it does not begin with at least three of them; "" when there is nothing else.
    """
    heard = _laid_over(transcript, spoken)
    for size in range(_echoed(heard, turn_words(language)), FEWEST_WORDS - 1, -1):
        last = heard[size - 1]
        asks = size == len(heard) and _asks(transcript, spoken)
        if asks and size < 2 * FEWEST_WORDS:
            continue
        if not last.misfits(WORD_MISFIT) and _fits(heard[:size], asks=asks):
            return " ".join(transcript.split()[last.token + 1 :])
    return transcript


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word heard, or several that make a number."""

    word: str
    token: int
    """Which of the text's tokens it ends in."""
    sound: str
    weight: float
    cost: float = 0.0
    """How much of the weight does not fit what is said at its place."""

    def misfits(self, share: float) -> bool:
        return self.cost > share * self.weight

    @property
    def is_number(self) -> bool:
        return self.sound == _LONG_NUMBER or self.sound.isdecimal()


def _laid_over(transcript: str, spoken: str) -> list[_Piece]:
    """The words heard, and how well each fits where all of them together fit best."""
    heard = _pieces(transcript)
    said = "".join(piece.sound for piece in _pieces(spoken))
    costs = costs_within([piece.sound for piece in heard], said)
    return [replace(piece, cost=cost) for piece, cost in zip(heard, costs, strict=True)]


def _pieces(text: str) -> list[_Piece]:
    """The words, each run of numbers as one piece ("three hundred and four", "384,000")."""
    pieces: list[_Piece] = []
    for place, token in enumerate(text.split()):
        for word in words_of(token):
            sound = number = _number(word)
            if number and [piece.word for piece in pieces[-1:]] == ["and"] and _is_counting(pieces[:-1]):
                pieces.pop()
            if number and _is_counting(pieces):
                pieces.pop()
                sound = _LONG_NUMBER
            sound = sound or sounds(word)
            pieces.append(_Piece(word, place, sound, weight(sound)))
    return pieces


def _is_counting(pieces: list[_Piece]) -> bool:
    return bool(pieces) and pieces[-1].is_number


def _number(word: str) -> str:
    """Digits for "seven" and "7", the sign of a long number for "hundred" and "384", "" for other words."""
    digits = str(NUMBERS[word]) if word in NUMBERS else word
    if not digits[0].isdecimal():
        return ""
    return digits if digits in _SAID_IN_ONE_WORD else _LONG_NUMBER


def _echoed(heard: list[_Piece], known: TurnWords) -> int:
    """How many words come before the first that is the user's: another number, or one that users say."""
    words = [piece.word for piece in heard]
    for start, piece in enumerate(heard):
        if piece.is_number and piece.misfits(OWN_MISFIT):
            return start
        for table, misfit in (
            (known.stops | known.answers, OWN_MISFIT),
            (known.licences | known.auxiliaries, WORD_MISFIT),
        ):
            said = heard[start : start + phrase_at(words, start, table)]
            if said and all(part.misfits(misfit) for part in said):
                return start
    return len(heard)


def _fits(heard: list[_Piece], *, asks: bool, soft: bool = False) -> bool:
    whole = sum(piece.weight for piece in heard)
    misfit = min(LARGEST_MISFIT * whole / FULL_WEIGHT, QUESTION_MISFIT if asks else LARGEST_MISFIT)
    if soft:
        misfit *= SOFT_MISFIT
    return whole > 0 and sum(piece.cost for piece in heard) <= misfit * whole


def _asks(transcript: str, spoken: str) -> bool:
    """A question where the assistant asks none: "Paris is the capital?"."""
    return transcript.rstrip().endswith("?") and "?" not in spoken
