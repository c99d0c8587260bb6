"""Cuts the reply into clauses while the language model is still writing it.

The first clause is cut as early as it can be spoken naturally, so that the voice starts soon; later ones
are longer, since they sound better and there is sound in hand. A cut never falls inside a number, an
abbreviation or an address. This room reads no clock and must not know how a clause is voiced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_voice.plain_text import PlainText
from local_voice.spoken_form import SpokenWord, say

FIRST_WORDS = 1
"""Words before the first clause may end at a comma, colon, semicolon or dash: people say "Well," too."""
NEXT_WORDS = 3
"""The same until `SOON_WORDS` have been said."""
SOON_WORDS = 4
"""Words said before the rules for the first clause end: "Sure!" alone is over before the next one is made."""
FIRST_PHRASE_WORDS = 3
"""Words before the first clause may end where a phrase begins that can be said in a breath of its own."""
FIRST_THOUGHT_WORDS = 4
"""Words before it may end at a conjunction, or at its verb: a long subject is said in a breath of its own."""
FIRST_LONG_WORDS = 5
"""Words before it may end at "and", "or", "of" and "to", which often hold the words beside them together."""
LATER_WORDS = 10
"""Words before a later clause may end at a comma, colon, semicolon or dash."""
LONGEST_CLAUSE = 250
"""Characters: a clause without any break is cut at a space near here (about 15 s of speech)."""
NOTHING_TO_SAY = "That part of my answer can't be read aloud."
"""Said in place of a reply that held only code or symbols: a reply is never silence."""


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TITLES = _listed("Dr Mr Mrs Ms Mx Prof Gen Sen Rep Gov Capt Cmdr Col Lt Sgt Rev Hon Pres")
_NEVER_LAST = _listed("e.g i.e eg ie vs cf viz approx esp incl")
_BEFORE_NUMBERS = _listed("no nos fig vol ch sec pp eq jan feb apr jun jul aug sep sept oct nov dec")
_PERHAPS_LAST = _listed("etc inc co corp ltd jr sr st ave blvd rd mt ft dept al a.m p.m ph.d")
_OPENERS = _listed(
    "a an the this that these those it its he she they we i you there here in on at by for from with as if "
    "when while after before but and so or yet however also then what why how who where which is are was "
    "were do does did can could would should will let my your his her their our no yes not please some many "
    "most all it's i'm i'll you're they're that's there's let's don't"
)
"""Words that open a sentence more often than they follow an abbreviation inside one."""
_CONJUNCTIONS = _listed("because but although whereas unless so if")
_CLOSE_JOINTS = _listed("and or of to")
_VERBS = _listed("is are was were has have can will would should")
_PHRASE_OPENERS = _listed(
    "after at before by during for from in into since that through until when where while which who with "
    "within without"
)
"""Prepositions and the like before which a speaker may breathe; not "on", which often belongs to the word
before ("turn on")."""
_LEAN_ON_NEXT = _listed("of to or not than about like only even just") | (
    _OPENERS - _listed("he she they we i you there here it this that these those it's")
)
"""Words that no breath may follow."""
_DOTTED = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.):]+")
_PLAIN_END = re.compile(r"(?:^|\s)[\"'“‘(]*[^\W_]+(?:['’-][^\W_]+)*(.)$")  # noqa: RUF001
_SPEAKER = re.compile(r"(?:assistant|ai)\s*:\s*", re.IGNORECASE)
_CLOSERS = "\"'”’)]}»"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of the reply that is spoken in one breath."""

    words: tuple[SpokenWord, ...]
    """At least one; each says how it is written and how it is spoken."""
    ends_sentence: bool
    """A sentence's pause follows, else a comma's."""

    @property
    def written(self) -> str:
        """For the eyes: as the model wrote it, without markup."""
        return " ".join(word.written for word in self.words)

    @property
    def spoken(self) -> str:
        """For the voice: numbers, signs and abbreviations as words, one closing mark, no other full stop."""
        return " ".join(word.spoken for word in self.words)


class ClauseCutter:
    """Text in, in pieces of any size; clauses out. One for each reply."""

    def __init__(self, language: str = "en") -> None:
        """`language`: of the voice; signs and numbers are turned into words only for English."""
        self.cut_off = False
        """The model has begun to repeat itself: nothing more will come out, and it can be stopped."""
        self._language = language
        self._plain = PlainText()
        self._text = ""
        """What has not been cut yet; starts with a word, holds single spaces."""
        self._just_cut = False
        """Marks that come now belong to the clause before and are dropped: the `!` of `?!`."""
        self._asked = False
        """The model has written something, speakable or not."""
        self._words_said = 0
        self._said: list[str] = []
        """The clauses so far, in lower case without punctuation."""

    def push(self, delta: str) -> list[Clause]:
        """The clauses that are complete once `delta` has been added."""
        self._asked = self._asked or bool(delta.strip())
        return [clause for character in delta for clause in self._add(self._plain.push(character))]

    def finish(self) -> list[Clause]:
        """The text is over: the clauses that are left."""
        clauses = self._add(self._plain.finish())
        if not self.cut_off:
            clauses += self._cut(len(self._text), ends_sentence=True)
        if self._asked and not self._said:
            self._text = NOTHING_TO_SAY
            clauses += self._cut(len(self._text), ends_sentence=True)
        return clauses

    def likely(self) -> Clause | None:
        """The first clause where the next piece of text will probably show that it is over: at a full stop,
        or before a word that opens a breath of its own, unless that word goes on.

        It can be spoken ahead, and is to be thrown away when another one comes.
        """
        *before, word = self._text.split(" ") if self._text else [""]
        if self._said or not word:
            return None
        if word.endswith("."):
            ends_sentence = word[:-1].isalpha() and self._ends_sentence(word, self._text, "")
            text = self._text if ends_sentence else ""
        else:
            ends_sentence = False
            sure = self._opens_breath([*before, word]) and not self._perhaps_last(before[-1])
            text = " ".join(before) if sure else ""
        words = say(text, self._language) if text else ()
        return Clause(_closed(words, ends_sentence), ends_sentence) if words else None

    def _add(self, plain: str) -> list[Clause]:
        clauses: list[Clause] = []
        for character in plain:
            if self.cut_off:
                break
            if character == "\n":
                clauses += self._cut(len(self._text), ends_sentence=True)
                self._just_cut = False
                continue
            stray = self._just_cut and character in _CLOSERS + ".,!?…"
            self._just_cut = stray
            if stray or (character == " " and self._text[-1:] in ("", " ")):
                continue
            if character in "!?,;":
                self._text = self._text.rstrip()
            self._text += character
            if place := self._break():
                clauses += self._cut(*place)
                self._just_cut = not self._text and character != " "
        return clauses

    def _break(self) -> tuple[int, bool] | None:
        """Where the text can be cut now that its last character is known: (length, ends a sentence)."""
        text, last = self._text, self._text[-1]
        if last in "!?,;—" and (found := _PLAIN_END.search(text)):
            # No look-ahead is needed after a plain word: that saves the time of one token.
            open_marks = text.count('"') % 2 or text.count("(") > text.count(")")
            number_goes_on = last == "," and text[-2].isdigit()
            if not open_marks and not number_goes_on and found[1] == last:
                return self._if_long_enough(len(text), ends_sentence=last in "!?")
        if last in "。！？।؟۔":  # noqa: RUF001
            return len(text), True
        if last == " ":
            return self._break_at_word(text)
        if text[-2:-1] == " ":
            return self._break_before(text, last)
        if len(text) >= 2 * LONGEST_CLAUSE:
            return len(text), False
        return None

    def _break_at_word(self, text: str) -> tuple[int, bool] | None:
        """A word has just ended."""
        words = text.split()
        start = len(text) - 1 - len(words[-1])
        if len(words) > 1 and self._perhaps_last(words[-2]) and self._opens_sentence(words[-1]):
            return start, True
        if self._words_said < SOON_WORDS and self._opens_breath(words):
            return start, False
        if len(text) >= LONGEST_CLAUSE:
            return len(text), False
        return (len(text), False) if self._repeats(text) else None

    def _opens_breath(self, words: list[str]) -> bool:
        """The last word opens a new thought or a phrase, and enough words come before it."""
        last, before = words[-1].lower(), len(words) - 1
        if before < FIRST_PHRASE_WORDS or words[-2].lower() in _LEAN_ON_NEXT | _PHRASE_OPENERS:
            return False
        if last in _PHRASE_OPENERS:
            return True
        if self._said:
            return False
        if last in _CONJUNCTIONS or (last in _VERBS and words[-2].lower() not in _OPENERS):
            return before >= FIRST_THOUGHT_WORDS
        return last in _CLOSE_JOINTS and before >= FIRST_LONG_WORDS

    def _break_before(self, text: str, following: str) -> tuple[int, bool] | None:
        """A new word begins with `following`: does the one before it end a clause?"""
        before = text[:-2]
        word = before.rsplit(" ", 1)[-1]
        bare = word.rstrip(_CLOSERS)
        if bare.endswith((".", "!", "?", "…")):
            ends = self._ends_sentence(bare, before, following)
            return (len(text) - 1, True) if ends else None
        if bare.endswith((",", ";", ":", "—")) or bare in ("-", "–"):  # noqa: RUF001
            number_goes_on = bare[-2:-1].isdigit() and following.isdigit()
            return None if number_goes_on else self._if_long_enough(len(text) - 1, ends_sentence=False)
        return None

    def _ends_sentence(self, word: str, before: str, following: str) -> bool:
        stem = word.lstrip("\"'“‘([").rstrip(".!?…")  # noqa: RUF001
        if not word.endswith(".") or word.endswith(".."):
            return True
        if _LIST_NUMBER.fullmatch(before.strip()):
            return False
        if stem in _TITLES or stem.lower() in _NEVER_LAST:
            return False
        if stem.lower() in _BEFORE_NUMBERS:
            return not following.isdigit()
        return not self._perhaps_last(word)

    @staticmethod
    def _perhaps_last(word: str) -> bool:
        """An abbreviation that may or may not end a sentence: the next whole word decides."""
        stem = word.strip("\"'“”‘’()[]").removesuffix(".")  # noqa: RUF001
        return word.rstrip(_CLOSERS).endswith(".") and (
            stem.lower() in _PERHAPS_LAST or bool(_DOTTED.fullmatch(stem))
        )

    @staticmethod
    def _opens_sentence(word: str) -> bool:
        bare = word.strip("\"'“”‘’(),.:;!?").replace("’", "'")  # noqa: RUF001
        return word.lstrip("\"'“‘(")[:1].isupper() and bare.lower() in _OPENERS  # noqa: RUF001

    def _if_long_enough(self, length: int, *, ends_sentence: bool) -> tuple[int, bool] | None:
        words = sum(any(c.isalnum() for c in word) for word in self._text[:length].split())
        least = LATER_WORDS if self._words_said >= SOON_WORDS else NEXT_WORDS if self._said else FIRST_WORDS
        return (length, ends_sentence) if ends_sentence or words >= least else None

    def _cut(self, length: int, ends_sentence: bool) -> list[Clause]:
        """Take the first `length` characters as a clause; none when there is nothing to say in them."""
        text, self._text = self._text[:length].strip(), self._text[length:].lstrip()
        if not self._said and (speaker := _SPEAKER.match(text)):
            text = text[speaker.end() :]
        if self._repeats(text):
            self.cut_off = True
            text = self._once(text)
        words = say(text, self._language)
        if not words:
            return []
        self._said.append(_comparable(text))
        self._words_said += len(words)
        if self._loops():
            self.cut_off = True
            return []
        return [Clause(_closed(words, ends_sentence or self.cut_off), ends_sentence or self.cut_off)]

    def _loops(self) -> bool:
        """The last one to four clauses have come four times in a row (six times, if very short).

        Three times is how songs go: "We wish you a merry Christmas".
        """
        for period in range(1, 5):
            unit = self._said[-period:]
            times = 4 if sum(len(clause.split()) for clause in unit) > 2 else 6
            if len(self._said) >= times * period and self._said[-times * period :] == unit * times:
                return True
        return False

    @staticmethod
    def _repeats(text: str) -> bool:
        """The text ends in the same one to eight words, again and again: a model that is stuck."""
        words = text.lower().split()
        for period in range(1, 9):
            times = 8 if period == 1 else 4
            if len(words) >= times * period and words[-times * period :] == words[-period:] * times:
                return True
        return False

    @staticmethod
    def _once(text: str) -> str:
        """A text that `_repeats`, with what it repeats said once."""
        words = text.split()
        lower = [word.lower() for word in words]
        for period in range(1, 9):
            while len(words) >= 2 * period and lower[-period:] == lower[-2 * period : -period]:
                del words[-period:], lower[-period:]
        return " ".join(words)


def _comparable(text: str) -> str:
    return " ".join("".join(c for c in word if c.isalnum()) for word in text.lower().split())


def _closed(words: tuple[SpokenWord, ...], ends_sentence: bool) -> tuple[SpokenWord, ...]:
    """The words with one mark at the end of the last: the voice falls or stays up by it."""
    last = words[-1]
    mark = last.spoken[-1] if last.spoken[-1] in "?!" else "." if ends_sentence else ","
    return (*words[:-1], SpokenWord(last.written, last.spoken.rstrip(".,;:!?") + mark))
