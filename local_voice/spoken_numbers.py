"""How numbers in written English are said: money, dates, times, units, telephone numbers, fractions, sums.

Each rule is a pattern and what is said for what it matches; num2words spells what the voice would not. This
room must not know in which words or clauses the numbers stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from num2words import num2words

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str | None]]
"""What is said for what the pattern matches; None where the words around it mean something else."""

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_PRICE = rf"(?:\d+,\d\d(?!\d)|{_NUMBER})"
_AMOUNT = rf"(?:{_NUMBER})(?:[-–](?:{_NUMBER}))?"  # noqa: RUF001
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¢": ("cent", "cents", "cent", "cents"),
}
CURRENCY_SIGNS = "".join(_CURRENCIES)
_DOLLARS = {
    country: (f"{name} dollar", f"{name} dollars")
    for country, name in {
        "US": "US", "CA": "Canadian", "C": "Canadian", "AU": "Australian", "A": "Australian",
        "NZ": "New Zealand", "HK": "Hong Kong", "S": "Singapore",
    }.items()
} | {"R": ("real", "reais")}  # fmt: skip
"""By what is written before the sign."""
_PREFIXES = {"~": "about", "≈": "about", "<": "less than", ">": "more than", "≤": "at most"} | {
    "≥": "at least", "+": "plus", "-": "minus", "−": "minus",  # noqa: RUF001
}  # fmt: skip
_PER = {"hr": "hour", "h": "hour", "mo": "month", "yr": "year", "wk": "week", "lb": "pound", "kg": "kilogram"}
_MAGNITUDES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "bn": "billion"} | {
    "B": "billion", "b": "billion", "T": "trillion"
}  # fmt: skip
_UNITS = {
    "km/h": "kilometers per hour", "kph": "kilometers per hour", "mph": "miles per hour",
    "m/s": "meters per second", "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters",
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "lb": "pounds", "lbs": "pounds", "oz": "ounces",
    "ft": "feet", "mi": "miles", "L": "liters", "l": "liters", "ml": "milliliters", "mL": "milliliters",
    "KB": "kilobytes", "kB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "W": "watts",
    "kW": "kilowatts", "kWh": "kilowatt hours", "V": "volts", "ms": "milliseconds", "s": "seconds",
    "min": "minutes", "h": "hours", "hr": "hours", "hrs": "hours", "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit", "℃": "degrees Celsius", "℉": "degrees Fahrenheit", "°": "degrees",
    "%": "percent", "px": "pixels",
}  # fmt: skip
_SINGULAR = {"feet": "foot", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz"} | {
    "gigahertz": "gigahertz", "percent": "percent"
}  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_MONTH_BY_SHORT = {month[:3].lower(): month for month in _MONTHS}
_FRACTIONS = {str(below): num2words(below, to="ordinal") for below in range(3, 11)} | {
    "2": "half", "4": "quarter"
}  # fmt: skip
_SIGN_FRACTIONS = {
    "½": "a half", "⅓": "a third", "¼": "a quarter", "⅔": "2 thirds", "¾": "3 quarters", "⅕": "a fifth",
    "⅖": "2 fifths", "⅗": "3 fifths", "⅘": "4 fifths", "⅙": "a sixth", "⅚": "5 sixths", "⅛": "an eighth",
    "⅜": "3 eighths", "⅝": "5 eighths", "⅞": "7 eighths",
}  # fmt: skip
_DECADES = {str(tens): num2words(10 * tens).removesuffix("y") + "ies" for tens in range(2, 10)} | {
    "0": "hundreds", "1": "tens"
}  # fmt: skip
OPERATORS = {"+": "plus", "=": "equals", "<": "less than", ">": "greater than", "×": "times"} | {  # noqa: RUF001
    "*": "times", "÷": "divided by", "−": "minus", "≈": "about", "≠": "is not", "≤": "at most",  # noqa: RUF001
    "≥": "at least", "→": "to", "&": "and", "±": "plus or minus", "²": "squared", "³": "cubed",
    "**": "to the power of", "==": "equals", "!=": "is not", "<=": "at most", ">=": "at least", "->": "to",
    "=>": "to",
}  # fmt: skip


def _digits(text: str) -> str:
    return " ".join(c for c in text if c.isdecimal())


def _amount(text: str) -> str:
    """A number or a range of numbers."""
    return " to ".join(part.strip() for part in re.split("[-–]", text))  # noqa: RUF001


def _ordinal(day: str) -> str:
    return str(num2words(int(day), to="ordinal_num"))


def _one_or_many(amount: str, plural: str) -> str:
    if amount != "1":
        return plural
    first, _, rest = plural.partition(" ")
    singular = _SINGULAR.get(first, first.removesuffix("s"))
    return f"{singular} {rest}".strip()


def _year(text: str) -> str:
    """The pronouncer reads years from 2000 on well; a hyphen would make it swallow the last word's stress."""
    return text if int(text) >= 2000 else str(num2words(int(text), to="year")).replace("-", " ")


def _money(m: Match) -> str:
    one, many, cent, cents = _CURRENCIES[m["sign"] or m["after"]]
    if m["country"]:
        one, many = _DOLLARS[m["country"]]
    before = _PREFIXES.get(m["minus"] or m["prefix"] or "", "")
    per = "".join(f" per {_PER.get(unit, unit)}" for unit in (m["per"] or "").split("/") if unit)
    magnitude = _MAGNITUDES.get(m["magnitude"] or "", m["magnitude"])
    # "10,50 €" is how Europe writes it; a comma before three digits groups thousands everywhere.
    amount = re.sub(r",(?=\d\d(?!\d))", ".", m["amount"] or m["before"])
    amount = re.sub(rf"(?<=\d)({_magnitudes})", lambda found: f" {_MAGNITUDES[found[0]]}", amount)
    amount = re.sub(rf"[{CURRENCY_SIGNS}]", "", amount)
    whole, _, part = amount.partition(".")
    if magnitude:
        said = f"{_amount(amount)} {magnitude} {many}"
    elif len(part) == 2 and part.isdecimal() and int(part) == 0:
        said = f"{whole} {one if whole == '1' else many}"
    elif len(part) == 2 and part.isdecimal():
        small = f"{int(part)} {cent if int(part) == 1 else cents}"
        said = small if whole in ("", "0") else f"{whole} {one if whole == '1' else many} and {small}"
    else:
        said = f"{_amount(amount)} {one if amount == '1' else many}"
    return f"{before} {said}{per}"


def name_currencies(text: str) -> str:
    """Money that no rule knows ("$100-a-night"), without losing its currency."""

    def with_amount(m: Match) -> str:
        return f"{m['amount']} {_CURRENCIES[m['sign']][1]} "

    text = re.sub(rf"(?P<sign>[{CURRENCY_SIGNS}])(?P<amount>{_NUMBER})", with_amount, text)
    alone = rf"(?<![^\W\d])[{CURRENCY_SIGNS}]|[{CURRENCY_SIGNS}](?!\w)"  # within a word it is a name: Ke$ha
    return re.sub(alone, lambda m: f" {_CURRENCIES[m[0]][0]} ", text)


def _date(m: Match) -> str:
    year, month, day = int(m["year"]), int(m["month"]), int(m["day"])
    if month > 12 >= day:
        month, day = day, month
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return _digits(m[0])
    return f"{_MONTHS[month - 1]} {_ordinal(str(day))}, {_year(str(year))}"


def _month_day(m: Match) -> str:
    return f"{_MONTH_BY_SHORT[m['month'][:3].lower()]} {_ordinal(m['day'])}"


def _time(m: Match) -> str:
    hour, minute = str(int(m["hour"])), m["minute"]
    half = f" {m['half'][0].upper()}M" if m["half"] else ""
    if minute == "00":
        return f"{hour}{half}" if half else f"{hour} o'clock"
    return f"{hour} {'oh ' + minute[1] if minute[0] == '0' else minute}{half}"


def _phone(m: Match) -> str:
    """Digit by digit, with a comma's pause between the groups."""
    return ", ".join(_digits(group) for group in re.findall(r"\d+", m[0]))


def _fraction(m: Match) -> str:
    above, below, said_before = m["above"], m["below"], m.string[: m.start()]
    whole = f"{m['whole']} and " if m["whole"] else ""
    joined = f" {m['joined'][1:]}" if m["joined"] else ""
    pair = int(above) + int(below) == 100 or (above == "20" and int(below) >= 20)
    if (above, below) in (("24", "7"), ("9", "11")) or pair:
        return f"{above} {below}"
    if re.search(r"\b(?:on|until|before|after|since)\s$", said_before, re.IGNORECASE) and (
        1 <= int(above) <= 12 < int(below) <= 31
    ):
        return f"{_MONTHS[int(above) - 1]} {_ordinal(below)}"
    is_part = above == "1" or re.match(r"\s+of\b", m.string[m.end() :])
    if below == "100" or (below == "10" and not is_part) or (below == "5" and above == "5"):
        return f"{above} out of {below}"
    if below not in _FRACTIONS or int(above) >= int(below):
        return f"{whole}{above} over {below}{joined}"
    if above == "1":
        article = "a " if whole else "" if joined or re.search(r"\ban?\s$", said_before) else "a "
        return f"{whole}{article if below in '24' else 'one '}{_FRACTIONS[below]}{joined}"
    return f"{whole}{above} {_FRACTIONS[below].replace('half', 'halve')}s{joined}"


_WAITED = re.compile(r"\b(?:for|wait|hold|every|after|within|than|about|least)\s$")
_NO_NOUN = re.compile(r"\W*$|[,.;!?]|\s+(?:then|and|or|at|in|on|before|to|while|until|with|each|per|ago)\b")
_EXERCISE = re.compile(r"\s+(?:rest|work|plank|hold|break|sprint|timer|on|off|pause)\b")


def _decade(m: Match) -> str | None:
    """Not "30s" where seconds are counted: "wait 30s", "30s rest"."""
    if not m["century"] and not m["part"]:
        before, after = m.string[: m.start()], m.string[m.end() :]
        if (_WAITED.search(before) and _NO_NOUN.match(after)) or _EXERCISE.match(after):
            return None
    decade = f"{m['century']} {_DECADES[m['decade']]}"
    return f"{m['part'] or ''} {'two thousands' if m['century'] + m['decade'] == '200' else decade}"


def _counted(m: Match) -> str:
    """The figure itself, more than one of it: "1s and 0s", "100s of people"."""
    if m["figure"] == "00":
        return "two thousands"
    named = str(num2words(int(m["figure"].replace(",", "")))).replace("-", " ")
    return (named if named == "one" else named.removeprefix("one ")) + "s"


def _emergency(m: Match) -> str | None:
    """Digit by digit where it is called."""
    called = re.search(
        r"\b(?:call|dial|text|phone|ring)(?:s|ed|ing)?\b[^.!?]{0,40}$", m.string[: m.start()], re.I
    )
    counted = re.match(r"\s+(?:people|times|customers|clients)\b", m.string[m.end() :])
    answers = re.match(r"\s+(?:call|operator|dispatch|emergency)", m.string[m.end() :])
    return _digits(m[0]) if (called and not counted) or answers else None


def _scaled(m: Match) -> str | None:
    """ "1.5M" and "200K"; not the company 3M, a 4K film, a 10K run, room 12B or a 401K."""
    things = re.match(
        r"\s+(?:run|race|gold|resolution|video|TV|dash|sprint|freestyle|relay|ultra|marathon)",
        m.string[m.end() :],
    )
    round_number = len(m["amount"]) > 1 and m["magnitude"] != "B" and m[0] != "401K"
    many = m["magnitude"] != "K" and re.match(
        r"\s+(?:people|parameters|users|views|followers|downloads|copies)\b", m.string[m.end() :]
    )
    if things or not (m["part"] or round_number or many):
        return None
    return f"{m['amount']} {_MAGNITUDES[m['magnitude']]}"


def _quantity(m: Match) -> str:
    amount = _amount(m["amount"])
    unit = _one_or_many(amount, _UNITS[m["unit"]])
    power = {"²": "square ", "^2": "square ", "³": "cubic ", "^3": "cubic "}.get(m["power"] or "", "")
    return f"{'minus ' if m['minus'] else ''}{amount} {power}{unit}"


def _power(m: Match) -> str:
    power = m["power"].lstrip("^*").translate(str.maketrans("²³", "23"))
    return f"{m['base']} " + {"2": "squared", "3": "cubed"}.get(power, f"to the power of {power}")


def _sum(m: Match) -> str:
    names = [name for name in re.findall(r"\w+", m[0]) if name.isalpha()]
    product = all(len(name) == 1 for name in names) or all(len(name) > 2 for name in names)
    text = m[0] if product else m[0].replace("*", "")  # "a*b" and "length*width", but "f*ck"
    return "".join(f" {OPERATORS[c]} " if c in OPERATORS else c for c in text)


_units = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_magnitudes = "|".join(sorted(_MAGNITUDES, key=len, reverse=True))
_prefixes = "".join(re.escape(sign) for sign in _PREFIXES)
_short = "|".join(f"{month[:3]}(?:t|{month[3:]})?" for month in _MONTHS)
NUMBER_RULES: list[Rule] = [
    (re.compile(pattern), speak)
    for pattern, speak in (
        (rf"(?P<prefix>[{_prefixes}])?(?:(?P<country>{'|'.join(_DOLLARS)})?(?P<sign>[{CURRENCY_SIGNS}])(?P<minus>-)?\s?"
         rf"(?P<amount>{_PRICE}(?:(?:{_magnitudes})?\s?[-–][{CURRENCY_SIGNS}]?{_PRICE})?)"  # noqa: RUF001
         rf"|(?P<before>{_PRICE})\s?(?P<after>[{CURRENCY_SIGNS}]))"
         rf"(?:[\s-]?(?P<magnitude>thousand|million|billion|trillion|{_magnitudes})(?![A-Za-z]))?(?P<per>(?:/[A-Za-z]+)+)?",
         _money),
        (r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", _date),
        (r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})", _date),
        (rf"(?P<month>{_short})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?", _month_day),
        (r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?:\s?(?P<half>[aApP]\.?[mM]\b\.?))?", _time),
        (r"(?P<hour>1[0-2]|[1-9])(?P<minute>)\s?(?P<half>[aApP]\.?[mM]\b\.?)",
         lambda m: f"{m['hour']} {m['half'][0].upper()}M"),
        (r"(?<!\d)(?P<number>911|988|999|112|113|110|119|101|111|000|311|411)(?=\W|$)", _emergency),
        # Of 500-1000 both ends are round: no telephone number.
        (r"\+?(?:\d{1,3}[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|(?!\d\d0-[1-9]\d\d0)\d{3}-\d{4}"
         r"|\d{3}-\d{2}-\d{4}|\+\d{1,3}(?:[ .-]?\d{2,4}){2,5}", _phone),
        (r"(?:(?P<whole>\d+)(?:\s+|-))?(?P<above>\d{1,3})/(?P<below>[1-9]\d{0,2})(?P<joined>-[a-z]+)?",
         _fraction),
        (rf"(?P<whole>\d+)?(?P<sign>[{''.join(_SIGN_FRACTIONS)}])",
         lambda m: (f"{m['whole']} and " if m["whole"] else "") + _SIGN_FRACTIONS[m["sign"]]),
        (r"(?:(?P<part>mid|early|late)-)?(?P<century>1[1-9]|20)(?P<decade>\d)0s", _decade),
        (r"(?:(?P<part>mid|early|late)-)?'?(?P<century>)(?P<decade>[2-9])0s", _decade),
        (r"(?P<figure>[01]|(?:\d|,(?=\d{3}))*00|10(?=s\s+of\b))s", _counted),
        (r"(?<=[Pp]hone )(?P<number>\d)[sS]", lambda m: f"{m['number']} S"),
        (r"(?P<amount>\d+(?P<part>\.\d+)?)(?P<magnitude>[KMB])", _scaled),
        (rf"(?P<minus>[-−])?(?P<amount>{_AMOUNT})\s?(?P<unit>{_units})(?P<power>²|³|\^[23])?", _quantity),  # noqa: RUF001
        (r"(?P<from>1[1-9]\d\d)[-–](?P<to>\d{4})", lambda m: f"{_year(m['from'])} to {_year(m['to'])}"),  # noqa: RUF001
        (r"1[1-9]\d\d", lambda m: _year(m[0])),
        (r"[vV](?P<number>\d+(?:\.\d+)+)", lambda m: "version " + m["number"].replace(".", " point ")),
        (r"\d+(?:\.\d+){2,}", lambda m: m[0].replace(".", " point ")),
        (rf"(?:{_NUMBER})(?:-|\s?–\s?)(?:{_NUMBER})", lambda m: _amount(m[0])),  # noqa: RUF001
        (r"(?P<base>[A-Za-z]|\d+)(?P<power>(?:\^|\*\*)-?\w+|²|³)", _power),
        (r"\w+²?(?:[+*=<>×÷−]\w+²?)+", _sum),  # noqa: RUF001
        (rf"[~≈](?P<amount>{_NUMBER})", lambda m: f"about {m['amount']}"),
        (rf"[−-](?P<amount>{_NUMBER})", lambda m: f"minus {m['amount']}"),  # noqa: RUF001
        (r"\.(?P<digits>\d+)", lambda m: f"point {m['digits']}"),
    )
]  # fmt: skip
"""In this order."""
