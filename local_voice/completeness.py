"""Whether words can be all that somebody wanted to say, judged by the words alone.

Smart Turn hears how a sentence ends; this room reads it. It knows what a last word waits for, what kind of
answer the assistant's question wants, and when numbers are being read out. Of 111 spoken fragments
whisper-base ended 76 with a full stop or the like, so punctuation decides only where the words leave both
open. The last word held 75 of them, and 4 of 121 whole sentences, all four misheard. This room must not know
how long the silence has lasted.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from local_voice.turn_words import (
    DIGITS,
    TurnWords,
    holds_any,
    last_phrase,
    phrase_at,
    skip_phrases,
    turn_words,
    words_of,
)

AnswerKind: TypeAlias = Literal["yes_no", "digits", "spelling", "list", "open", "none"]
"""What a question wants to hear; "none": nothing was asked."""

FEWEST_DIGITS = 5
"""Digits in groups ("415-555") that are being read out; fewer are a time or a year."""

LONGEST_CLAUSE = 7
"""Words of a clause without a main one; Whisper leaves out the comma of longer sentences."""
LONGEST_ITEM = 4
"""Words of an item in a list."""

_TRAILS_OFF = re.compile(r"(?:\.\.+|…|[-–—]|[,;:])[\"'”’)\]\s]*$")  # noqa: RUF001
_ENDS = re.compile(r"[.!?][\"'”’)\]\s]*$")  # noqa: RUF001
_ASKS = re.compile(r"[?？؟][\"'”’)\]\s]*$")  # noqa: RUF001
_GROUP = re.compile(r"[^\W_]+(?:[.,:/'][^\W_]+)*")
_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def last_word_holds(text: str, language: str) -> str:
    """Why the last word can't be the last one; "" when it can be, or nothing is known of the language."""
    known = turn_words(language)
    words = words_of(text)
    if not words or not known.never_last:
        return ""
    if _TRAILS_OFF.search(text):
        return "trails off"
    if last_phrase(words, known.complete) or (len(words) == 1 and words[0] in known.answers):
        return ""
    if phrase := last_phrase(words, known.unfinished):
        return f'"{phrase}" wants more'
    for kind, table in known.never_last.items():
        if (word := last_phrase(words, table)) and not _has_its_object(words, known):
            return f'ends in {kind}, "{word}"'
    if last_phrase(words, known.auxiliaries) and _verb_waits(words, _ENDS.search(text) is not None, known):
        return f'"{words[-1]}" wants more'
    beginning = skip_phrases(words, 0, known.openers) == len(words)
    if beginning and not _ENDS.search(text) and not skip_phrases(words, 0, known.answers | known.courtesy):
        return f'"{words[-1]}" only begins a sentence'
    return ""


def clause_is_open(text: str, language: str) -> str:
    """Why a main clause must follow ("If it rains tomorrow"); "" when none need.

    After a question such a clause is a whole answer; that is for the caller to know.
    """
    known = turn_words(language)
    words = words_of(text)
    start = skip_phrases(words, 0, known.openers - known.subordinators)
    size = phrase_at(words, start, known.subordinators)
    clause = words[start + size :]
    asks = bool(clause) and (text.rstrip().endswith("?") or phrase_at(clause, 0, known.asks_yes_no) > 0)
    if not size or asks or "," in text or len(clause) > LONGEST_CLAUSE:
        return ""
    return f'a clause that begins with "{" ".join(words[start : start + size])}"'


def list_is_open(text: str, language: str) -> str:
    """Why another item must follow ("my shoes, my coat", without an "and"); "" when none need."""
    known = turn_words(language)
    items = [words_of(part) for part in re.split("[,.]", text.rstrip(" .!"))]
    items = [item for item in items if item]
    counts = bool(items) and all(word.isdecimal() or word in DIGITS for word in items[-1])
    if len(items) < 2 or counts or text.rstrip().endswith("?"):
        return ""
    last = items[-1]
    whole = skip_phrases(last, 0, known.answers | known.courtesy | known.backchannels | known.openers) == len(
        last
    )
    if whole or len(last) > LONGEST_ITEM or holds_any(last, known.joiners):
        return ""
    several = len(items) > 2 and all(len(item) <= LONGEST_ITEM for item in items[1:])
    if several or last[0].isdecimal() or phrase_at(last, 0, known.determiners):
        return "a list without its last item"
    return ""


def ends_as_question(text: str) -> bool:
    """Whisper wrote a question mark at its end."""
    return _ASKS.search(text) is not None


def is_question_with_particle(text: str, language: str) -> bool:
    """A question whose last word belongs to its verb as often as not: "Is the oven still on?"."""
    words = words_of(text)
    return bool(words) and text.rstrip().endswith("?") and words[-1] in turn_words(language).particles


def _has_its_object(words: list[str], known: TurnWords) -> bool:
    """The last word belongs to a verb ("turn it on"), or to the question word ("who is he with")."""
    *before, last = words
    if not before:
        return False
    if any(word in known.particles.get(last, ()) for word in before):
        return before[-1] not in known.auxiliaries
    gap = next((place for place, word in enumerate(before) if word.removesuffix("'s") in known.gaps), None)
    if last not in known.strands or gap is None or before[gap : gap + 2] == ["what", "time"]:
        return False
    clause = before[gap].replace("'s", " is").split() + before[gap + 1 :]
    if before[-1] in known.lean_on_prepositions:
        return True
    if before[-1] in known.pronouns:
        return len(clause) > 2  # "where is it from", not "what that of"
    linked = len(clause) > 3 and clause[1] in known.copulas
    return linked and (clause[0], last) in {("what", "about"), ("where", "from")}  # "what's the book about"


def _verb_waits(words: list[str], ends: bool, known: TurnWords) -> bool:
    """The verb at the end has nothing to lean on: "my name is", but not "yes, it is".

    `ends`: Whisper wrote an end of a sentence. It decides for a subject and a verb alone: "I am".
    """
    *before, _ = words
    subject = before[-1] if before else ""
    answered = phrase_at(words, 0, known.answers)
    if 0 < answered < len(words) <= skip_phrases(words, 0, known.answers | known.courtesy) + 2:
        return False  # "no, I don't"
    for place, word in enumerate(before):
        licensed = known.drops_pronouns or _is_subject(before[place + 1 :], known)
        if word in known.licences and licensed:
            return False  # "I know where the station is"
    return not (ends and (subject in known.pronouns or (subject in known.auxiliaries and len(before) > 1)))


def _is_subject(words: list[str], known: TurnWords) -> bool:
    """What stands between a question word and the last verb: "it", "the station", but not "time", "is it"."""
    if len(words) < 2:
        return bool(words) and words[0] in known.pronouns
    return words[-1] in known.pronouns or words[0] not in known.auxiliaries


def expected_answer(assistant_text: str, language: str) -> AnswerKind:
    """What the assistant's last question, or request, wants to hear."""
    known = turn_words(language)
    question = _last_question(assistant_text, known)
    words = words_of(question)
    if not words:
        return "none"
    start = skip_phrases(words, 0, known.openers - known.asks_yes_no)
    if _is_yes_no(question, words, start, known):
        return "yes_no"
    if holds_any(words, known.asks_spelling):
        return "spelling"
    if holds_any(words, known.asks_digits):
        return "digits"
    if holds_any(words, known.asks_list):
        return "list"
    return "open"


def _last_question(text: str, known: TurnWords) -> str:
    """The question in the last two sentences, or a request as the last one."""
    sentences = [sentence for sentence in _SENTENCES.split(text.strip()) if words_of(sentence)]
    for sentence in reversed(sentences[-2:]):
        if sentence.rstrip("\"'”’) ").endswith("?"):  # noqa: RUF001
            return sentence
    last = sentences[-1] if sentences else ""
    words = words_of(last)
    start = skip_phrases(words, 0, known.openers - known.requests)
    return last if phrase_at(words, start, known.requests) or phrase_at(words, 0, known.requests) else ""


def _is_yes_no(question: str, words: list[str], start: int, known: TurnWords) -> bool:
    """It begins with an auxiliary, here or after its last comma, or ends in a tag; and offers no choice."""
    if not question.rstrip("\"'”’) ").endswith("?"):  # noqa: RUF001
        return False
    if last_phrase(words, known.tags):
        return True
    clause = words_of(question.rpartition(",")[2])
    clause = clause[skip_phrases(clause, 0, known.openers - known.asks_yes_no) :]
    if any(phrase_at(part, 0, known.requests) for part in (words, words[start:], clause)):
        return False
    asks = any(phrase_at(part, 0, known.asks_yes_no) for part in (words[start:], clause))
    return asks and not holds_any(words, known.alternatives)


def answers_it(text: str, kind: AnswerKind, language: str) -> bool:
    """Whether the text is a short, plain answer of this kind; more may still follow one of several parts."""
    known = turn_words(language)
    words = words_of(text)
    if not words:
        return False
    match kind:
        case "yes_no":
            return _is_plain_answer(words, known)
        case "digits":
            return any(word.isdecimal() or word in DIGITS for word in words)
        case "spelling":
            return sum(len(word) == 1 for word in words) >= 2 or "@" in text
        case "list" | "open":
            return not last_word_holds(text, language) and skip_phrases(words, 0, known.openers) < len(words)
        case "none":
            return False


def _is_plain_answer(words: list[str], known: TurnWords) -> bool:
    """An answer, with nothing but courtesy and sounds around it."""
    before = known.hums | known.courtesy | known.openers
    start = 0
    while not phrase_at(words, start, known.answers):
        if not (size := phrase_at(words, start, before)):
            return False
        start += size
    return skip_phrases(words, start, known.answers | known.courtesy | known.hums) == len(words)


def looks_complete(text: str, language: str) -> bool:
    """Whether a partial transcript may be a whole sentence: it has an end and nothing in it waits."""
    known = turn_words(language)
    words = words_of(text)
    if not words or not known.never_last or not _ENDS.search(text):
        return False
    if last_word_holds(text, language) or digits_running(text):
        return False
    start = skip_phrases(words, 0, known.openers)
    return len(words) - start >= 2 or _is_plain_answer(words, known)


def digits_running(text: str) -> bool:
    """Whether the text ends within a run of digits or letters that are being read out.

    Two single digits or letters in a row are a run ("four one", "B-R"), groups of digits are one from five
    digits on ("415-555"). Times, years, amounts and fractions are none.
    """
    run: list[str] = []
    for group in reversed(_GROUP.findall(text)):
        if not (group.isdecimal() or group.lower() in DIGITS or (len(group) == 1 and group.isalpha())):
            break
        run.append(group)
    if run and run[-1] in ("a", "I", "i"):  # "a B", "I"
        run.pop()
    if len(run) >= 2 and all(len(group) == 1 or group.lower() in DIGITS for group in run[:2]):
        return True
    return sum(len(group) for group in run if group.isdecimal()) >= FEWEST_DIGITS
