"""How Roman numerals are said: "World War II" as "World War 2", "Henry VIII" as "Henry the eighth".

The voice's own pronouncer says "World War roman two". Capitals that may be something else ("an IV drip", "XX
chromosomes", "Malcolm X") are numbers only after words that are counted or reign.
"""

from __future__ import annotations

import re

from num2words import num2words

Match = re.Match[str]

ROMAN = (
    r"(?P<roman>(?:(?!I\b)|(?<=\bWorld War ))(?=[IVXL])L?X{0,3}(?:IX|IV|V?I{0,3}))"
    r"(?P<genitive>['’]s)?(?!\w)"  # noqa: RUF001
)
"""Up to 89. A lone "I" is one in "World War I" alone; "XL", "CD" and the like are none."""

_COUNTED = re.compile(
    r"wars?|chapters?|parts?|acts?|scene|type|phase|stage|class|grade|volume|vol|book|article|section|title|"
    r"appendix|figure|fig|episode|mark|division|group|category|factor|tier|bowl",
    re.IGNORECASE,
)
"""What stands before a numeral, even before one letter. Not "series": that is an Xbox."""
_REIGNING = re.compile(
    "Albert|Alexander|Alfonso|Benedict|Carlos|Catherine|Charles|Christian|Clement|Constantine|Darius|Edward|"
    "Elizabeth|Felipe|Ferdinand|Francis|Frederick|George|Gregory|Gustav|Haakon|Harald|Henry|Innocent|Ivan|"
    "James|John|Joseph|Julius|Leo|Leopold|Louis|Margrethe|Mary|Mehmed|Napoleon|Nicholas|Olav|Otto|Paul|Peter|"
    "Philip|Pius|Ptolemy|Ramesses|Ramses|Richard|Robert|Rudolf|Thutmose|Urban|Victor|Wilhelm|William|Xerxes"
)
_OPENER = re.compile(
    "An?|The|This|That|Your|My|His|Her|Our|Their|No|Some|Any|If|In|On|By|For|With|And|Or|Of|From|Through|Via|"
    "Use|Start|Insert|Give|Get|Place|Remove|Hospital"
)
"""Capitalised where a sentence begins, and no name."""
_INFUSED = re.compile(
    r"\s+(?:drips?|fluids?|lines?|bags?|poles?|pumps?|sites?|needles?|tubes?|tubing|access|catheters?|infusions?|"
    r"injections?|medications?|meds|antibiotics?|therapy|treatments?|iron|push|saline)\b"
)
"""What follows an "IV" that is intravenous."""
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def say_roman(m: Match) -> str | None:
    """The numeral as a number where it is one; else its letters, where the voice would not say those."""
    roman, genitive = m["roman"], "'s" if m["genitive"] else ""
    before = re.search(r"([A-Za-z]+)\.?\s+$", m.string[: m.start()])
    word = before[1] if before else ""
    if len(roman) == 1 and re.match(r"\.\s+[A-Z]", m.string[m.end() :]):
        return None  # an initial: "Mary V. Smith"
    if not (roman == "IV" and _INFUSED.match(m.string, m.end())):
        if _REIGNING.fullmatch(word):
            return f"the {_ordinal(_value(roman))}{genitive}"
        named = word[:1].isupper() and not _OPENER.fullmatch(word) and roman in ("IV", "VI")
        if named or _COUNTED.fullmatch(word):
            return f"{_value(roman)}{genitive}"
    if roman in ("IV", "XX", "XXX") or word.lower().startswith("numeral"):
        return f"{' '.join(roman)}{genitive}"
    if roman in ("V", "X", "VI") or roman[0] == "L":
        return None
    return f"{_value(roman)}{genitive}"


def _value(roman: str) -> int:
    values = [_VALUES[letter] for letter in roman]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _ordinal(number: int) -> str:
    # In words, for "14th's" would be spelled; a hyphen would swallow the last word's stress.
    return str(num2words(number, to="ordinal")).replace("-", " ")
