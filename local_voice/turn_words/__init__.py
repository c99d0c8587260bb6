"""The words by which people take, keep and give the floor.

Everything that the judgement knows about single words stands here, one file per language. A language without
a file has empty tables: nothing is known of it, and nothing is held back. This room must not know what
follows from a word.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import chain

from local_voice.turn_words.dutch import DUTCH
from local_voice.turn_words.english import ENGLISH
from local_voice.turn_words.french import FRENCH
from local_voice.turn_words.german import GERMAN
from local_voice.turn_words.italian import ITALIAN
from local_voice.turn_words.portuguese import PORTUGUESE
from local_voice.turn_words.spanish import SPANISH
from local_voice.turn_words.table import (
    TurnWords,
    holds_any,
    last_phrase,
    made_of,
    phrase_at,
    phrases,
    skip_phrases,
    words_of,
)

__all__ = [
    "DIGITS",
    "NUMBERS",
    "TABLES",
    "TurnWords",
    "holds_any",
    "known_words",
    "last_phrase",
    "made_of",
    "phrase_at",
    "skip_phrases",
    "turn_words",
    "words_of",
]

TABLES: dict[str, TurnWords] = {
    "de": GERMAN,
    "en": ENGLISH,
    "es": SPANISH,
    "fr": FRENCH,
    "it": ITALIAN,
    "nl": DUTCH,
    "pt": PORTUGUESE,
}

DIGITS = phrases(
    "zero, oh, o, one, two, three, four, five, six, seven, eight, nine, double, triple, "
    "null, eins, zwei, zwo, drei, vier, fünf, sechs, sieben, acht, neun, "
    "zéro, deux, trois, quatre, cinq, sept, huit, neuf, "
    "cero, uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, "
    "due, tre, quattro, cinque, sei, sette, otto, nove, "
    "dois, três, quatro, sete, oito, meia, "
    "nul, twee, drie, vijf, zes, zeven, negen"
)
"""Single digits as people read them out, all languages together."""

_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
    "million",
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig "
    "hundert tausend",
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien "
    "mil",
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove venti trenta quaranta cinquanta sessanta settanta ottanta "
    "novanta cento mille",
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem mil",
    "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien "
    "zeventien achttien negentien twintig dertig veertig vijftig zestig zeventig tachtig negentig honderd "
    "duizend",
)
_VALUES = (*range(20), *range(20, 100, 10), 100, 1000, 1_000_000)
NUMBERS: dict[str, int] = {
    word: value for counted in _COUNTED for word, value in zip(counted.split(), _VALUES, strict=False)
}
"""One word for a number -> the number, all languages together."""

_UNKNOWN = TurnWords()


def turn_words(language: str) -> TurnWords:
    """The tables of a language ("en", "en-GB"); empty ones when it is unknown."""
    return TABLES.get(language.lower().partition("-")[0], _UNKNOWN)


def known_words(language: str) -> frozenset[str]:
    """Every single word that stands in a language's tables."""
    tables = turn_words(language)
    parts = [getattr(tables, part.name) for part in fields(tables)]
    parts += chain.from_iterable(part.values() for part in parts if isinstance(part, dict))
    listed = chain.from_iterable(part for part in parts if isinstance(part, frozenset))
    return frozenset(word for phrase in listed for word in phrase.split())
