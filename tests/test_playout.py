import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.events import PlaybackEnded, PlaybackStarted
from local_voice.playout import DUCKED, FADE_SECONDS, Playout
from local_voice.transcript import Word

RATE = 1000


def tone(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 0.5, np.float32)


def loaded() -> tuple[Playout, list]:
    playout, events = Playout(RATE), []
    playout.on_event = events.append
    playout.open(1, 0)
    playout.write(1, 0, tone(0.5), (Word("one", 0.0, 0.2), Word("two", 0.2, 0.5)))
    playout.write(1, 0, tone(0.5), (Word("three", 0.0, 0.4),))
    return playout, events


def test_nothing_is_heard_before_the_release():
    playout, events = loaded()
    assert not playout.read(100).any()
    assert events == []
    assert not playout.speaking


def test_a_released_reply_plays_through_and_reports_its_words():
    playout, events = loaded()
    playout.finish(1, 0)
    playout.release(1, 0)
    played = np.concatenate([playout.read(300) for _ in range(4)])
    assert np.count_nonzero(played) == 1000
    assert events == [PlaybackStarted(1, 0), PlaybackEnded(1, 0, "one two three", interrupted=False)]
    assert not playout.speaking


def test_a_reply_that_is_still_being_written_waits_in_silence():
    playout, events = loaded()
    playout.release(1, 0)
    playout.read(1000)
    assert not playout.read(100).any()
    assert events == [PlaybackStarted(1, 0)]


@pytest.mark.parametrize(
    ("played", "heard"),
    [(0, ""), (199, ""), (200, "one"), (499, "one"), (500, "one two"), (900, "one two three")],
)
def test_a_cut_reports_the_words_that_were_over(played, heard):
    playout, _ = loaded()
    playout.release(1, 0)
    playout.read(played)
    assert playout.clear(1, 0) == PlaybackEnded(1, 0, heard, interrupted=True)


def test_the_delay_to_the_ear_is_not_yet_heard():
    playout, _ = loaded()
    playout.delay_seconds = 0.15
    playout.release(1, 0)
    playout.read(300)
    assert playout.heard(1, 0) == ""
    playout.read(100)
    assert playout.heard(1, 0) == "one"


def test_a_cut_fades_and_is_silent_within_one_block():
    playout, _ = loaded()
    playout.release(1, 0)
    playout.read(100)
    playout.clear(1, 0)
    block = playout.read(20)
    fade = round(FADE_SECONDS * RATE)
    assert (np.diff(block[: fade + 1]) <= 0).all()
    assert not block[fade:].any()


def test_a_duck_lowers_the_voice_smoothly_and_a_resume_brings_it_back():
    playout, _ = loaded()
    playout.release(1, 0)
    playout.read(100)
    playout.duck(1, 0)
    fade = round(FADE_SECONDS * RATE)
    lowered = playout.read(50)
    assert (np.diff(lowered[: fade + 1]) <= 0).all()
    np.testing.assert_allclose(lowered[fade:], 0.5 * DUCKED)
    playout.resume(1, 0)
    raised = playout.read(50)
    assert (np.diff(raised[: fade + 1]) >= 0).all()
    np.testing.assert_allclose(raised[fade:], 0.5)


def test_a_pause_fades_and_a_resume_goes_on_with_the_next_sample():
    playout, events = Playout(RATE), []
    playout.on_event = events.append
    sound = np.linspace(0.1, 0.9, 1000, dtype=np.float32)
    playout.open(1, 0)
    playout.write(1, 0, sound)
    playout.finish(1, 0)
    playout.release(1, 0)
    fade = round(FADE_SECONDS * RATE)
    assert (playout.read(300) == sound[:300]).all()
    playout.pause(1, 0)
    silent = playout.read(200)
    assert (silent[:fade] <= sound[300 : 300 + fade]).all()
    assert not silent[fade:].any()
    assert playout.ready(200)
    playout.resume(1, 0)
    rest = playout.read(800)
    assert (np.diff(rest[: fade + 1]) > 0).all()
    np.testing.assert_allclose(rest[fade:700], sound[300 + fade :])
    assert [type(event) for event in events] == [PlaybackStarted, PlaybackEnded]


def test_a_reply_paused_before_its_first_sample_starts_when_it_is_resumed():
    playout, events = loaded()
    playout.pause(1, 0)
    playout.release(1, 0)
    assert not playout.read(100).any()
    assert events == []
    playout.resume(1, 0)
    assert playout.read(100).all()
    assert events == [PlaybackStarted(1, 0)]


def test_while_a_reply_is_paused_the_ear_catches_up_and_a_cut_clicks_no_more():
    playout, _ = loaded()
    playout.delay_seconds = 0.15
    playout.release(1, 0)
    playout.read(300)
    playout.pause(1, 0)
    assert playout.heard(1, 0) == ""
    for _ in range(8):
        playout.read(20)
    assert playout.heard(1, 0) == "one"
    playout.clear(1, 0)
    assert not playout.read(50).any()


def test_what_arrives_for_another_reply_is_dropped():
    playout, _ = loaded()
    playout.open(1, 1)
    playout.write(1, 0, tone(1.0))
    playout.finish(1, 0)
    playout.release(1, 1)
    assert not playout.read(100).any()
    assert playout.clear(1, 0) is None


@given(
    st.lists(st.integers(0, 400), max_size=8),
    st.lists(st.integers(1, 300), max_size=20),
)
def test_every_sample_is_played_once_and_in_order(written, reads):
    playout = Playout(RATE)
    playout.open(1, 0)
    playout.release(1, 0)
    sound = np.arange(1, sum(written) + 1, dtype=np.float32)
    at = 0
    for count in written:
        playout.write(1, 0, sound[at : at + count])
        at += count
    played = np.concatenate([playout.read(count) for count in reads] or [np.zeros(0)])
    expected = np.zeros(len(played), np.float32)
    expected[: min(len(sound), len(played))] = sound[: len(played)]
    assert (played == expected).all()
