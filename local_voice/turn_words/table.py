"""What is known of one language, and how to look for phrases in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST_PHRASE = 6
"""Words in the longest phrase of any table."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")


def words_of(text: str) -> list[str]:
    """Words in lower case; hyphens part words ("uh-huh"), drawn-out letters count once ("sooo", "hmmm")."""
    plain = text.lower().replace("’", "'")  # noqa: RUF001
    return [_DRAWN_OUT.sub(r"\1", word) for word in _WORD.findall(plain)]


def phrases(listed: str) -> frozenset[str]:
    """The phrases between the commas."""
    found = (" ".join(words_of(phrase)) for phrase in listed.split(","))
    return frozenset(phrase for phrase in found if phrase)


def phrase_at(words: Sequence[str], start: int, table: frozenset[str]) -> int:
    """How many words the longest phrase of the table at `start` has; 0 when there is none."""
    for size in range(min(LONGEST_PHRASE, len(words) - start), 0, -1):
        if " ".join(words[start : start + size]) in table:
            return size
    return 0


def skip_phrases(words: Sequence[str], start: int, table: frozenset[str]) -> int:
    """Where the words go on after all phrases of the table that stand at `start`."""
    while size := phrase_at(words, start, table):
        start += size
    return start


def made_of(words: Sequence[str], table: frozenset[str]) -> bool:
    """Whether the words are phrases of the table and nothing else, however they are cut: "stop, that is
    enough" is made of "stop" and "that is enough", though "stop that" is a phrase too."""
    reached = {0}
    for end in range(1, len(words) + 1):
        sizes = range(1, min(LONGEST_PHRASE, end) + 1)
        if any(end - size in reached and " ".join(words[end - size : end]) in table for size in sizes):
            reached.add(end)
    return len(words) in reached


def last_phrase(words: Sequence[str], table: frozenset[str]) -> str:
    """The longest phrase of the table with which the words end; "" when they end in none."""
    for size in range(min(LONGEST_PHRASE, len(words)), 0, -1):
        if (phrase := " ".join(words[-size:])) in table:
            return phrase
    return ""


def holds_any(words: Sequence[str], table: frozenset[str]) -> bool:
    """Whether a phrase of the table is anywhere in the words."""
    return any(phrase_at(words, start, table) for start in range(len(words)))


_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TurnWords:
    """What one language says to take, keep and give the floor. Every set holds phrases of 1 to 6 words."""

    hums: frozenset[str] = _NONE
    """Sounds of listening that are no words: "mm", "oh"."""
    backchannels: frozenset[str] = _NONE
    """Say "go on, I am listening"."""
    answers: frozenset[str] = _NONE
    """Whole answers to a yes/no question."""
    courtesy: frozenset[str] = _NONE
    """Say nothing by themselves: "please"."""
    stops: frozenset[str] = _NONE
    """Say "be silent"."""
    openers: frozenset[str] = _NONE
    """May come before the real beginning of a sentence: "hey", "well", "and"."""
    never_last: dict[str, frozenset[str]] = field(default_factory=dict)
    """A kind of word ("an article") -> words of this kind that end no sentence."""
    auxiliaries: frozenset[str] = _NONE
    """Verbs that mostly wait for another word."""
    licences: frozenset[str] = _NONE
    """Let a clause end in such a verb ("I know *where* it is"): question words and the like."""
    drops_pronouns: bool = False
    """A question word and a verb are a sentence: "¿dónde está?"."""
    pronouns: frozenset[str] = _NONE
    """Subjects; one and a verb may be a sentence: "I am"."""
    strands: frozenset[str] = _NONE
    """Prepositions that may come last because their object came first: "who is he *with*"."""
    gaps: frozenset[str] = _NONE
    """Question words that can be such an object."""
    copulas: frozenset[str] = _NONE
    """Verbs that link such a word to the preposition: "what *is* the book about"."""
    lean_on_prepositions: frozenset[str] = _NONE
    """Want a preposition and no other object, so that "what are you looking for" lacks nothing."""
    particles: dict[str, frozenset[str]] = field(default_factory=dict)
    """A word that seems to want more -> verbs that it may belong to: "turn the light *on*"."""
    subordinators: frozenset[str] = _NONE
    """Begin a clause that the main one follows: "if", "before"."""
    joiners: frozenset[str] = _NONE
    """Stand before the last thing in a list: "and"."""
    determiners: frozenset[str] = _NONE
    """Begin a thing in a list: "my", "two"."""
    complete: frozenset[str] = _NONE
    """Endings that are complete although their last word looks otherwise: "I think so"."""
    unfinished: frozenset[str] = _NONE
    """Endings that are not complete although their last word looks so: "could you"."""
    asks_yes_no: frozenset[str] = _NONE
    """First words of a question that yes or no answers."""
    tags: frozenset[str] = _NONE
    """Last words of such a question: "right?"."""
    requests: frozenset[str] = _NONE
    """Beginnings that look like a yes/no question or an order, and ask for more than yes."""
    alternatives: frozenset[str] = _NONE
    """The question wants one of two things, not yes: "or"."""
    asks_digits: frozenset[str] = _NONE
    """In a question: its answer is read out digit by digit."""
    asks_spelling: frozenset[str] = _NONE
    """In a question: its answer is spelled, or is an address."""
    asks_list: frozenset[str] = _NONE
    """In a question: its answer has several parts."""
    invented: frozenset[str] = _NONE
    """What Whisper writes when it hears next to nothing; people say most of it too."""
    never_said: frozenset[str] = _NONE
    """Beginnings of what Whisper writes when it hears nothing, and nobody says to an assistant."""
