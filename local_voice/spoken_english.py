"""How written English is said: "$5.99" as "5 dollars and 99 cents", "Dr." as "Doctor".

Only what the voice's own pronouncer (espeak-ng) says wrongly is rewritten: it reads whole and decimal
numbers, ordinals, capitals and plain words well. This room must not know what a clause is.
"""

from __future__ import annotations

import re

from local_voice.roman_numerals import ROMAN, say_roman
from local_voice.spoken_numbers import NUMBER_RULES, Match, Rule

_TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Gen": "General",
    "Sen": "Senator", "Rep": "Representative", "Gov": "Governor", "Capt": "Captain", "Lt": "Lieutenant",
    "Col": "Colonel", "Sgt": "Sergeant", "Rev": "Reverend", "Mt": "Mount",
}  # fmt: skip
"""Before a name."""
_NO_OTHER_WORD = {"Dr", "Mr", "Mrs", "Prof"}
"""Titles that are known even without a name."""
_ABBREVIATIONS = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Co": "Company",
    "Corp": "Corporation", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dept": "Department",
    "dept": "department",
    "e.g": "for example", "E.g": "for example", "eg": "for example", "i.e": "that is", "I.e": "that is",
    "ie": "that is", "etc": "et cetera", "vs": "versus", "approx": "approximately", "Approx": "approximately",
    "Ph.D": "PHD",
}  # fmt: skip
"""By the letters before the full stop: in other cases they are a sentence's last word ("3 PM EST.")."""
_BEFORE_NUMBERS = {"fig": "Figure", "est": "established", "no": "number", "nos": "number"}
_BARE_ABBREVIATIONS = {"Dr", "Mr", "Mrs", "Ms", "Prof", "vs", "etc", "Jr", "Sr", "approx"}
"""Those that are also written without the full stop."""
_DAYS = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"


def _dots(text: str) -> str:
    """An address."""
    for sign, name in (
        (".", "dot"),
        (":", "port"),
        ("-", "dash"),
        ("_", "underscore"),
        ("+", "plus"),
        ("@", "at"),
    ):
        text = text.replace(sign, f" {name} ")
    return text


def _abbreviation(m: Match) -> str:
    stem, after = m["stem"], m.string[m.end() :]
    named, counted = re.match(r"\s+[A-Z]", after), re.match(r"\s+\d", after)
    if stem.lower() == "st":
        return "Saint" if named else "Street"
    if stem.lower() in ("a.m", "p.m"):
        return f"{stem[0].upper()}M"
    if stem == "Dr" and _in_address(m.string[: m.start()], bool(named)):
        return "Drive"
    title = stem.capitalize()
    if title in _TITLES and stem in (title, stem.lower()) and (named or title in _NO_OTHER_WORD):
        return _TITLES[title]
    if stem.lower() in _BEFORE_NUMBERS and not stem.isupper() and counted:
        return _BEFORE_NUMBERS[stem.lower()]
    return _ABBREVIATIONS.get(stem, stem.replace(".", ""))


def _in_address(before: str, named: bool) -> bool:
    """After "12 Oak" or, where no name follows, after "on Elm" a "Dr." is no doctor."""
    return bool(re.search(r"\d\s+(?:[A-Z]\w+\s+){1,3}$" if named else r"\S\s+[A-Z][a-z]+\s+$", before))


_PATH = r"(?:[/?#](?:[^\s<>\"]*(?:\w|/))?)?"
"""Of an address, not said; may be a lone slash."""
_ADDRESS_RULES: list[Rule] = [
    (re.compile(pattern), speak)
    for pattern, speak in (
        (rf"(?:https?://|www\.)(?:www\.)?(?P<host>[^\s/?#<>\"]*\w){_PATH}", lambda m: _dots(m["host"])),
        (r"[\w.+-]+@\w[\w-]*(?:\.[\w-]+)+", lambda m: _dots(m[0])),
        (rf"(?P<host>[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]+)*\.[a-z][a-z\d]+(?::\d+)?){_PATH}",
         lambda m: _dots(m["host"])),
        (rf"(?P<host>(?:localhost|\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?::\d+)?){_PATH}",
         lambda m: _dots(m["host"])),
    )
]  # fmt: skip
_WORD_RULES: list[Rule] = [
    (re.compile(pattern), speak)
    for pattern, speak in (
        # "<Enter>", "<your name>", "List<String>"
        (r"(?P<kind>\w*)<(?P<inside>/?[A-Za-z][^<>]*)>",
         lambda m: (f"{m['kind']} of " if m["kind"] else "") + re.sub(r"[^\w'.]", " ", m["inside"])),
        (r"(?:WW|ww)(?P<number>I{1,3}|[123])(?=\W|$)",
         lambda m: f"World War {m['number'] if m['number'].isdecimal() else len(m['number'])}"),
        (ROMAN, say_roman),
        (r"(?P<feet>\d)['’′](?P<inches>\d{1,2})(?:[\"”″]|'')?",  # noqa: RUF001
         lambda m: f"{m['feet']} foot {m['inches']}"),
        (rf"(?P<from>{_DAYS})[-–](?P<to>{_DAYS})", lambda m: f"{m['from']} to {m['to']}"),  # noqa: RUF001
        (r"#(?P<number>\d+)", lambda m: f"number {m['number']}"),
        (r"#(?P<name>\w+)", lambda m: f"hashtag {m['name']}"),
        (r"(?P<letter>[A-Z])(?P<sign>\+\+|#)",
         lambda m: m["letter"] + (" sharp" if m["sign"] == "#" else " plus plus")),
        (r"w/o\b", lambda m: "without"),
        (r"w/(?=\s)", lambda m: "with"),
        (r"and/or", lambda m: "and or"),
        # Smileys. "XP", "8)" and "(=)" are none, and "<3 weeks" is no heart.
        (r"(?<!\()(?:[:;=]['’]?-?[()DPpO/|*]+|8-\)+|[xX]-D+|xD+|<3+(?=\s*$|\s+(?:you|u|it|this)\b))(?=\s|$)",  # noqa: RUF001
         lambda m: ""),
        (r"(?P<stem>(?:[A-Za-z]{1,2}\.)+[A-Za-z]|[A-Za-z]+)\.(?=[\s,;:!?)]|$)", _abbreviation),
        (rf"(?P<stem>{'|'.join(sorted(_BARE_ABBREVIATIONS))})(?=[\s,;:!?)]|$)", _abbreviation),
    )
]  # fmt: skip
RULES = (*_ADDRESS_RULES, *NUMBER_RULES, *_WORD_RULES)
"""In this order; a rule must cover a whole word, or several, up to closing punctuation."""
