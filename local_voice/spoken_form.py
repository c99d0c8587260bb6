"""How a clause is said, word by word.

Every spoken piece keeps the written words it stands for, so that the history can hold what was heard as it
was written. This room must not know where the text came from or how it becomes sound.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from local_voice.spoken_english import RULES
from local_voice.spoken_numbers import CURRENCY_SIGNS, OPERATORS, name_currencies


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A written word and what is said for it."""

    written: str
    """With its punctuation; may hold a space where two words are said as one ("$5 million")."""
    spoken: str
    """One or more words for the voice; never empty."""


_LEAD = re.compile(r"[\"'“‘(\[{«¿¡]*")  # noqa: RUF001
_TAIL = re.compile(r"[\"'”’)\]}»,;:!?.]*(?:[—…][\"'”’)\]}»]*|\.{2,}|(?=\s|$))")  # noqa: RUF001
_TOKEN = re.compile(r"[^\s—…]+?(?:[—…]+|\.{2,}(?=\w))|\S+")
_SPACED = {"_": " ", "/": " ", "\\": " ", "@": " at ", "%": " percent", "#": " ", "©": "copyright "} | {
    "°": " degrees "
}  # fmt: skip
_LEFT_TO_VOICE = frozenset("%‰€$£¥₹¢&°+=×÷±§@#")  # noqa: RUF001
"""Signs that espeak-ng has a word for in most languages."""
_HYPHENS = str.maketrans("‐‑‒", "--–")  # noqa: RUF001
"""Models write these where a keyboard has "-"; one that may not break a line means nothing to a voice."""
_APOSTROPHES = "’´ʼ"  # noqa: RUF001
_BEFORE_TO = re.compile(r"(?:\d:\d\d|\d[%°]\S*|\d\s?[ap]\.?m\.?|[$€£]\S*\d)\s+$", re.IGNORECASE)
_AFTER_TO = re.compile(r"\s+[$€£]?\d")
_NUMERIC = re.compile(r"[$€£]?\d[\d.,]*")


def say(text: str, language: str = "en") -> tuple[SpokenWord, ...]:
    """The words of a clause, each with what is said for it; empty when nothing in it can be said.

    `language`: of the voice. Only English is rewritten; for others numbers and signs are left to the voice's
    own pronouncer, which knows its language's words for most of them.
    """
    english = language.startswith("en")
    words: list[SpokenWord] = []
    unsaid = ""
    position = 0
    as_typed = text.translate(_HYPHENS)
    while (position := _after_spaces(text, position)) < len(text):
        word, spoken = _next_word(as_typed, position, english=english)
        written = text[position : position + len(word)]
        position += len(word)
        if any(c.isalnum() for c in spoken):
            words.append(SpokenWord(f"{unsaid} {written}".strip(), spoken))
            unsaid = ""
        elif words and not english and any(c in _LEFT_TO_VOICE for c in word):
            # With the word before it, for it may be silent: "25 %".
            words[-1] = SpokenWord(f"{words[-1].written} {written}", f"{words[-1].spoken} {spoken}")
        elif words:
            # A lone dash is heard when the word before it has been.
            pause = _pause(written) if written[0] in "-–—….," else ""  # noqa: RUF001
            words[-1] = SpokenWord(f"{words[-1].written} {written}", words[-1].spoken + pause)
        else:
            unsaid = f"{unsaid} {written}".strip()
    return (*(SpokenWord(w.written, _without_stop(w.spoken)) for w in words[:-1]), *words[-1:])


def _after_spaces(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _next_word(text: str, position: int, *, english: bool) -> tuple[str, str]:
    """The word at `position` as written and as spoken."""
    lead = _LEAD.match(text, position)
    start = lead.end() if lead else position
    for pattern, speak in RULES if english else ():
        found = pattern.match(text, start)
        tail = _TAIL.match(text, found.end()) if found else None
        if found and tail and (said := speak(found)) is not None:
            spoken = " ".join(said.split())
            return text[position : tail.end()], spoken + _pause(tail[0] or found[0][-1:])
    token = _TOKEN.match(text, position)
    written = token[0] if token else text[position]
    if english and written in OPERATORS:
        return written, OPERATORS[written]
    dash = english and written in ("-", "–")  # noqa: RUF001
    if dash and _BEFORE_TO.search(text[:position]) and _AFTER_TO.match(text, position + 1):
        return written, "to"
    between_numbers = re.search(r"\d\s+$", text[:position]) and re.match(r"\s+\d", text[position + 1 :])
    if dash and between_numbers:
        return written, "minus"
    spoken = _range(written) if english else ""
    return written, f"{spoken}{_pause(written)}" if spoken else _plain(written, english)


def _range(token: str) -> str:
    """Of "9:00-17:00" what is said, with "to"; empty where the word is no range."""
    lead = _LEAD.match(token)
    core = token[lead.end() if lead else 0 :].rstrip("\"'”’)]}»,;:!?.…—")  # noqa: RUF001
    parts = core.split("–") if "–" in core else core.split("-")  # noqa: RUF001
    if len(parts) != 2 or not all(re.search(r"\d", part) for part in parts):
        return ""
    said = [_by_rule(part) for part in parts]
    # A hyphen joins other things too: there both sides must be quantities to the last letter.
    if "–" not in core and not all(said):  # noqa: RUF001
        return ""
    return " to ".join(whole or _plain(part, english=True) for whole, part in zip(said, parts, strict=True))


def _by_rule(part: str) -> str:
    """A quantity that a rule knows whole, or a number; else empty."""
    if not _NUMERIC.match(part):
        return ""
    for pattern, speak in RULES:
        if (found := pattern.fullmatch(part)) and (said := speak(found)) is not None:
            return " ".join(said.split())
    return part if _NUMERIC.fullmatch(part) else ""


def _plain(token: str, english: bool) -> str:
    """A word that no rule knows: signs inside it become spaces or words, its last mark stays."""
    kept = []
    token = re.sub(r"(?<=\w)\((e?s)\)", r"\1", unicodedata.normalize("NFC", token))
    if english:
        token = re.sub(r"<([A-Za-z][\w-]*)>", r" \1 ", token)
        token = re.sub(r"(?<=[^\W\d])\*+(?=[^\W\d])", "", token)
        token = re.sub(r"^\*(?=[\w.])", "star ", token)
    for c in name_currencies(token) if english else token:
        if english and c in OPERATORS:
            kept.append(f" {OPERATORS[c]} ")
        elif c in _SPACED and (english or c not in _LEFT_TO_VOICE):
            kept.append(_SPACED[c] if english else " ")
        elif english and "\u1e00" <= c <= "\u1eff":
            kept.append(unicodedata.normalize("NFD", c)[0])  # "phở", whose last letter no English voice knows
        elif c.isalnum() or c in "'-.,:" or (not english and c.isprintable()):
            # Letters of other scripts would be read as "Chinese letter", one by one.
            kept.append(c if not english or c < "\u0530" or not c.isalpha() else " ")
        elif c in _APOSTROPHES:
            kept.append("'")
        elif c == "–":  # noqa: RUF001
            kept.append("-")
        elif unicodedata.category(c)[0] in "PSZ" and c not in CURRENCY_SIGNS:
            kept.append(" ")
    said = " ".join("".join(kept).strip(" '-.,:").split()).replace(". ", " ")
    return said + _pause(token)


def _pause(written: str) -> str:
    """The one mark that closing punctuation comes down to."""
    marks = re.search(r"[^\w\s]*$", written)
    closing = marks[0] if marks else ""
    if "?" in closing:
        return "?"
    if "!" in closing:
        return "!"
    if any(mark in closing for mark in ("…", "..", "—")) or (written in ("-", "–")):  # noqa: RUF001
        return ","
    return next((mark for mark in closing if mark in ".,;:"), "")


def _without_stop(spoken: str) -> str:
    """A word inside a clause: the voice would take its full stop for the end of a sentence."""
    mark = "," if spoken[-1] in "?!" or (spoken[-1] == "." and spoken[:-1].isdecimal()) else ""
    return spoken[:-1] + mark if spoken[-1] in ".?!" else spoken
