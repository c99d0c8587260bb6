"""The tables of words, and how phrases are found in a sentence."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.turn_words import (
    TABLES,
    TurnWords,
    holds_any,
    last_phrase,
    phrase_at,
    skip_phrases,
    turn_words,
    words_of,
)
from local_voice.turn_words.table import LONGEST_PHRASE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Uh-huh. I SEE!", ["uh", "huh", "i", "see"]),
        ("I’m sooo happy", ["i'm", "so", "happy"]),  # noqa: RUF001
        ("Hmmmm...", ["hm"]),
        ("It's 10:30, or 1000.", ["it's", "10", "30", "or", "1000"]),
        ("¿Qué?", ["qué"]),
        ("[...] - ♪", []),
        ("", []),
    ],
)
def test_words_lose_case_punctuation_and_drawl(text: str, words: list[str]):
    assert words_of(text) == words


def test_the_longest_phrase_is_found():
    table = frozenset({"hold", "hold on", "on"})
    assert phrase_at(["hold", "on", "please"], 0, table) == 2
    assert phrase_at(["please", "hold"], 0, table) == 0
    assert skip_phrases(["hold", "on", "on", "please"], 0, table) == 3
    assert last_phrase(["please", "hold", "on"], table) == "hold on"
    assert last_phrase(["hold", "on", "please"], table) == ""
    assert holds_any(["please", "hold", "it"], table)
    assert not holds_any(["please"], table)


def test_a_region_does_not_matter_and_an_unknown_language_is_empty():
    assert turn_words("en-GB") is turn_words("EN") is TABLES["en"]
    assert turn_words("xx") == turn_words("") == TurnWords()


@pytest.mark.parametrize("language", TABLES)
def test_every_phrase_is_short_enough_to_be_found(language: str):
    table = TABLES[language]
    for field in fields(TurnWords):
        held = getattr(table, field.name)
        sets = held.values() if isinstance(held, dict) else [held] if isinstance(held, frozenset) else []
        for phrase in (phrase for phrases in sets for phrase in phrases):
            assert 1 <= len(phrase.split()) <= LONGEST_PHRASE, phrase
            assert words_of(phrase) == phrase.split()


@pytest.mark.parametrize("language", TABLES)
def test_a_language_says_all_that_the_judgement_asks_for(language: str):
    table = TABLES[language]
    for name in (
        "hums",
        "backchannels",
        "answers",
        "stops",
        "openers",
        "auxiliaries",
        "licences",
        "invented",
    ):
        assert len(getattr(table, name)) >= 8, name
    assert {"an article", "a conjunction", "a preposition", "a filler"} <= set(table.never_last)


@pytest.mark.parametrize("language", TABLES)
def test_what_stops_is_no_backchannel_and_what_answers_is_never_invented(language: str):
    table = TABLES[language]
    assert not table.stops & (table.backchannels | table.hums)
    assert not table.invented & (table.never_said | table.answers | table.stops)


@given(st.text())
def test_words_of_words_are_the_same_words(text: str):
    words = words_of(text)
    assert words_of(" ".join(words)) == words
