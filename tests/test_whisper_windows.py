import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_voice.whisper_windows import (
    WINDOW_SECONDS,
    Hypothesis,
    deserves_second_chance,
    doubt,
    is_silent,
    second_chances,
    split_at_quiet,
    token_cap,
    window_seconds,
    within,
    without_loop,
)


@pytest.mark.parametrize(
    ("speech", "window"),
    [(0.0, 6), (1.6, 6), (2.56, 6), (5.0, 6), (5.01, 8), (9.0, 10), (14.1, 20), (19.5, 30), (28.0, 30)],
)
def test_a_window_is_at_least_six_seconds_and_one_longer_than_the_speech(speech: float, window: int):
    assert window_seconds(speech) == window


def test_no_window_has_the_two_lengths_that_ctranslate2_takes_for_a_spectrogram():
    for seconds in WINDOW_SECONDS:
        encoder_steps = seconds * 50
        assert encoder_steps not in (80, 128)


def test_the_token_cap_grows_with_the_speech_and_fits_whispers_context():
    assert token_cap(1.0) == 19
    assert token_cap(10.0) == 82
    # Half of Whisper's 448 positions are for the text.
    assert token_cap(28.0) == 208 < 224


def test_digital_silence_nothing_and_nan_are_silent_and_a_whisper_is_not():
    rng = np.random.default_rng(0)
    assert is_silent(np.zeros(16_000, np.float32))
    assert is_silent(np.zeros(0, np.float32))
    assert is_silent(np.ones(100, np.float32))
    assert is_silent(np.full(16_000, np.nan, np.float32))
    assert is_silent((rng.standard_normal(16_000) * 1e-5).astype(np.float32))
    assert not is_silent((rng.standard_normal(16_000) * 1e-3).astype(np.float32))


def test_long_sound_is_cut_in_its_pauses():
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(60 * 16_000) * 0.1).astype(np.float32)
    for pause in (10.0, 20.0, 36.0, 45.0):
        samples[round(pause * 16_000) : round((pause + 0.4) * 16_000)] *= 0.01
    cuts = np.cumsum([len(piece) for piece in split_at_quiet(samples)]) / 16_000
    # From 0 s: the pause at 20 s (that at 10 s makes too short a piece). From there: that at 36 or 45 s.
    assert 20.0 < cuts[0] < 20.4
    assert 36.0 < cuts[1] < 36.4 or 45.0 < cuts[1] < 45.4
    assert cuts[-1] == 60.0


@settings(max_examples=30, deadline=None)
@given(seconds=st.floats(0, 150), seed=st.integers(0, 9))
def test_no_sample_is_lost_and_no_piece_is_longer_than_28_s(seconds: float, seed: int):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16_000)).astype(np.float32)
    pieces = list(split_at_quiet(samples))
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(len(piece) <= 28 * 16_000 for piece in pieces)
    assert all(len(piece) >= 14 * 16_000 for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([], []),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ([5, 5, 5, 5], [5, 5, 5, 5]),
        ([1, 2, 3, 4, 1, 2, 3, 4, 9], [1, 2, 3, 4, 1, 2, 3, 4, 9]),
        ([8, 8] + [1] * 12, [8, 8, 1]),
        ([9, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 7], [9, 1, 2, 3, 4]),
        ([9] + [1, 2, 3] * 4 + [7, 7], [9, 1, 2, 3]),
    ],
)
def test_a_loop_is_cut_after_its_first_round(tokens: list[int], kept: list[int]):
    assert without_loop(tokens) == kept


@given(st.lists(st.integers(0, 3), max_size=60))
def test_cutting_a_loop_leaves_a_beginning_of_the_text_without_that_loop(tokens: list[int]):
    kept = without_loop(tokens)
    assert kept == tokens[: len(kept)]
    assert without_loop(kept) == kept


TIMES = 1000
"""The first timestamp of these."""


def at(seconds: float) -> int:
    return TIMES + round(seconds / 0.02)


@pytest.mark.parametrize(
    ("second_start", "kept"),
    [(1.0, 8), (2.6, 8), (2.8, 4), (3.0, 4), (5.0, 4)],
)
def test_a_phrase_that_begins_where_the_sound_is_over_was_not_said(second_start: float, kept: int):
    tokens = [at(0), 1, 2, at(second_start), at(second_start), 1, 2, at(9.0)]
    assert within(tokens, TIMES, 3.0) == tokens[:kept]


def test_the_end_of_the_last_phrase_may_be_anywhere():
    for tokens in ([], [at(0)], [at(0), 1, at(5.0)], [at(0), 1, at(5.0), at(5.0)], [1, 2, 3]):
        assert [token for token in within(tokens, TIMES, 3.0) if token < TIMES] == [
            token for token in tokens if token < TIMES
        ]


def heard(text: str, log_probability: float = -0.5, no_speech: float = 0.1, **more: bool) -> Hypothesis:
    return Hypothesis(text, len(text.split()) + 1, log_probability, no_speech, **more)


MOON = "Tell me how far away the moon is."


@pytest.mark.parametrize(
    ("hypothesis", "verdict"),
    [
        # Measured on speech with tiny.en and base.
        (heard("Thank you.", -1.0, 0.26), None),
        (heard("Okay.", -1.36, 0.37), None),
        (heard("8 of spades, 4 of close, 7 of hearts", -0.42, 0.76), None),
        (heard("No, no, no."), None),
        (heard("Well, how do I, how do I"), None),
        # Measured on hiss, hum, clicks, breath and thumps.
        (heard("you", -0.76, 0.99), "silence"),
        (heard("Thank you.", -0.86, 0.73), "silence"),
        (heard("I'm going to put the oil in the pan.", -1.54, 0.69), "silence"),
        (heard(". . . . . .", -0.47, 0.93), "silence"),
        (heard("", -1.3, 0.98), "silence"),
        (heard("I'm not sure if I can do it.", -0.85, 0.78, runaway=True), "silence"),
        (heard("Fffff", -0.52, 0.53, runaway=True), "silence"),
        # Loops in short windows.
        (heard("Yes.", -0.13, 0.05, runaway=True), "runaway"),
        (heard("10 of clubs 10 of clubs", -0.85, 0.02), "runaway"),
        (heard(f"Before you answered that. {MOON} Before you answered that. {MOON} {MOON}"), "runaway"),
        (heard("ha" * 60), "runaway"),
    ],
)
def test_what_noise_makes_whisper_say_is_doubted_and_what_people_say_is_not(
    hypothesis: Hypothesis, verdict: str | None
):
    assert doubt(hypothesis) == verdict


@pytest.mark.parametrize(
    ("window", "longer"), [(6, (10, 30)), (8, (12, 30)), (15, (20, 30)), (20, (30,)), (30, ())]
)
def test_a_loop_is_decoded_again_in_a_longer_window_and_then_in_the_full_one(window, longer):
    assert second_chances(window, "runaway") == longer
    assert second_chances(window, "silence") == longer[-1:]


def test_a_second_chance_is_for_what_may_be_speech():
    assert deserves_second_chance(heard("5 5", -1.01, 0.51))
    assert not deserves_second_chance(heard("you", -0.9, 0.9))
