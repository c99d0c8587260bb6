"""Words that were there before: found again whatever their capitals, and never across a message's end."""

from __future__ import annotations

import numpy as np
import pytest

from local_voice.prompt_lookup import CONTROL, REACH, guess, words_of

QUESTION = ["<user>", "What", "Ġis", "Ġthe", "Ġtallest", "Ġmountain", "Ġin", "ĠEurope", "?", "<end>"]
TOKENS = [*QUESTION, "The", "Ġcity", "▁the"]
VOCABULARY = {token: number for number, token in enumerate(TOKENS)}
END, USER = VOCABULARY["<end>"], VOCABULARY["<user>"]
WORDS = words_of(VOCABULARY, {END, USER}, size=16)


def after(*tokens: str, most: int = 3) -> list[str]:
    found = guess(np.array([VOCABULARY[token] for token in tokens], np.int32), WORDS, most)
    return [TOKENS[number] for number in found]


def test_a_word_is_one_at_a_sentences_beginning_and_inside_it_but_a_control_token_is_none():
    assert WORDS[VOCABULARY["The"]] == WORDS[VOCABULARY["Ġthe"]] == WORDS[VOCABULARY["▁the"]]
    assert WORDS[VOCABULARY["Ġcity"]] not in (CONTROL, WORDS[VOCABULARY["The"]])
    # So are numbers that the model knows and the tokenizer doesn't.
    assert [WORDS[number] for number in (END, USER, 13, 15)] == [CONTROL] * 4


def test_tokens_beyond_the_models_are_left_out():
    assert len(words_of({"a": 1, "b": 9}, (), size=4)) == 4


def test_an_answer_takes_up_its_question():
    assert after(*QUESTION, "The") == ["Ġtallest", "Ġmountain", "Ġin"]
    assert after(*QUESTION, "The", "Ġtallest", "Ġmountain", "Ġin", most=1) == ["ĠEurope"]


def test_a_guess_ends_where_the_message_does():
    assert after(*QUESTION, "ĠEurope") == ["?"]
    assert after(*QUESTION, "?") == []


def test_two_words_that_stood_together_count_more_than_one_that_stood_later():
    assert after("The", "Ġcity", "?", "Ġin", "Ġcity", "ĠEurope", "The", "Ġcity") == ["?", "Ġin", "Ġcity"]


def test_of_several_places_the_last_one_counts():
    assert after("The", "Ġcity", "Ġthe", "Ġmountain", "The") == ["Ġmountain", "The"]


@pytest.mark.parametrize("tokens", [("The",), ("Ġcity", "The"), (*QUESTION, "<end>"), (*QUESTION, "Ġcity")])
def test_without_a_hint_there_is_no_guess(tokens):
    assert after(*tokens) == []


def test_no_more_is_guessed_than_asked_for():
    assert after(*QUESTION, "The", most=0) == []
    assert after(*QUESTION, "The", most=-1) == []


def test_what_is_long_past_is_forgotten():
    pause = ["Ġcity"] * (REACH - 3)
    assert after("The", "Ġmountain", *pause, "The") == ["Ġmountain", "Ġcity", "Ġcity"]
    assert after("The", "Ġmountain", "Ġcity", *pause, "The") == []
