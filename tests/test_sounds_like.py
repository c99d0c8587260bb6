"""How alike texts sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.sounds_like import costs_within, difference, sounds, weight


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("computer", "computor"),
        ("there", "their"),
        ("Eiffel", "I fell"),
        ("assemble", "a symbol"),
        ("Jarvis", "jervis"),
        ("knight", "night"),
        ("phone", "fone"),
        ("hey computer", "a computer"),
        ("Café", "cafe"),
        ("Jo-Ann!", "jo ann"),
    ],
)
def test_the_same_sound_in_other_letters(one: str, other: str):
    assert difference(one, other) <= 0.12


@pytest.mark.parametrize(
    ("near", "one", "far"),
    [
        ("computers", "computer", "commuter"),
        ("jar miss", "jarvis", "travis"),
        ("never", "nova", "over"),
        ("bat", "pat", "cat"),
        ("compute", "computer", "company"),
    ],
)
def test_a_slip_of_the_ear_costs_less_than_another_word(near: str, one: str, far: str):
    assert 0 < difference(near, one) < difference(far, one)


def test_nothing_sounds_like_nothing_and_like_no_word():
    assert difference("", "...") == 0
    assert difference("", "word") == 1


def test_parts_are_found_where_they_are():
    said = sounds("the capital of france is paris")
    assert costs_within([sounds("capital"), sounds("of"), sounds("france")], said) == [0, 0, 0]
    capital, other = costs_within([sounds("the capital"), sounds("Budapest")], said)
    assert capital < weight(sounds("capital")) / 4
    assert other > weight(sounds("Budapest")) / 2
    assert costs_within([], said) == []
    assert costs_within(["kat"], "") == [weight("kat")]


@given(st.text(), st.text())
def test_difference_is_symmetric_and_within_bounds(one: str, other: str):
    assert 0 <= difference(one, other) <= 1
    assert difference(one, other) == pytest.approx(difference(other, one))
    assert difference(one, one.upper()) == pytest.approx(difference(one.upper(), one))
    assert difference(one, one) == 0


letters = st.text("kptdmnslraeo", max_size=12)


@given(st.lists(letters, max_size=5), letters, letters)
def test_what_is_there_costs_nothing_and_nothing_costs_more_than_its_absence(parts, before, after):
    there = costs_within(parts, before + "".join(parts) + after)
    assert there == pytest.approx([0] * len(parts))
    costs = costs_within(parts, before)
    assert len(costs) == len(parts)
    assert all(cost >= 0 for cost in costs)
    assert sum(costs) <= weight("".join(parts)) + 1e-9
