"""What bench_barge_in makes of what a caller hears."""

import numpy as np
import pytest

from benchmarks.answers import Answer
from benchmarks.bench_barge_in import VOICE, Stop, fill, judge
from benchmarks.report import Report
from benchmarks.webrtc_client import FRAME, Frame, Said

STEP = 0.02
pytestmark = pytest.mark.usefixtures("at_once")


def heard(*parts: tuple[float, float]) -> list[Frame]:
    """Frames of (seconds, level), one after the other from time 0."""
    levels = [level for seconds, level in parts for _ in range(round(seconds / STEP))]
    return [Frame(place * STEP, np.full(FRAME, level, np.float32)) for place, level in enumerate(levels)]


SAID = Said(1.98, 2.0, 3.0)


def test_a_reply_that_is_ducked_and_cut():
    stop = judge(heard((2.1, 0.5), (0.2, 0.12), (2.0, 0.0), (1.0, 0.5)), 0.0, SAID, 2.3)
    assert isinstance(stop, Stop)
    assert stop.stop == stop.quiet == pytest.approx(0.3, abs=0.03)
    assert stop.duck == pytest.approx(0.1, abs=0.03)
    assert stop.answer == Answer(pytest.approx(1.3, abs=0.03))


def test_a_pause_between_sentences_is_not_quiet():
    stop = judge(heard((2.1, 0.5), (0.22, 0.0), (0.3, 0.5), (2.0, 0.0)), 0.0, SAID, 2.62)
    assert isinstance(stop, Stop)
    assert stop.stop == stop.quiet == pytest.approx(0.62, abs=0.03)
    assert stop.answer == Answer(None)


def test_a_reply_that_pauses_goes_on_and_is_then_cut():
    stop = judge(heard((2.3, 0.5), (0.5, 0.0), (0.4, 0.5), (2.0, 0.0)), 0.0, SAID, 3.2)
    assert isinstance(stop, Stop)
    assert stop.quiet == pytest.approx(0.3, abs=0.03)
    assert stop.stop == pytest.approx(1.2, abs=0.03)


def test_a_reply_that_is_not_cut_went_on():
    stop = judge(heard((6.0, 0.5), (1.0, 0.0)), 0.0, SAID, None)
    assert isinstance(stop, Stop)
    assert stop.stop is None


def test_a_reply_that_was_over_tells_nothing():
    assert judge(heard((1.5, 0.5), (3.0, 0.0)), 0.0, SAID, None) == "over already"
    assert judge(heard((3.0, 0.0)), 0.0, SAID, 2.5) == "over already"
    # It ended by itself just before, and what sounds later is the answer.
    assert judge(heard((1.9, 0.5), (2.0, 0.0), (3.0, 0.5)), 0.0, SAID, None) == "over already"
    # Paused for the interruption, and then it went on all the same.
    went_on = judge(heard((2.2, 0.5), (0.8, 0.0), (3.0, 0.5)), 0.0, SAID, None)
    assert went_on == Stop(None, None, None, None)


def test_a_reply_that_sounds_on_after_the_server_has_called_it_cut_has_not_stopped():
    stop = judge(heard((3.5, 0.5), (1.5, 0.0), (1.0, 0.5)), 0.0, SAID, 2.3)
    assert isinstance(stop, Stop)
    assert stop.stop == pytest.approx(1.5, abs=0.03)
    assert stop.answer == Answer(pytest.approx(2.0, abs=0.03))


def test_an_answer_that_begins_under_the_interruption_is_too_early():
    stop = judge(heard((2.2, 0.5), (0.5, 0.0), (2.0, 0.5)), 0.0, SAID, 2.3)
    assert isinstance(stop, Stop)
    assert stop.stop == pytest.approx(0.2, abs=0.03)
    assert stop.answer == Answer(None, early=True)


def test_an_apology_is_no_answer_to_an_interruption():
    stop = judge(heard((2.2, 0.5), (1.5, 0.0), (2.0, 0.5)), 0.0, SAID, 2.3, sorry=True)
    assert isinstance(stop, Stop)
    assert stop.answer == Answer(None, apologised=True)


def test_a_reply_that_never_came_and_an_interruption_never_answered_are_told_apart():
    report = Report("bench_barge_in", {})
    went_on = Stop(None, None, None, None)
    stops = [Stop(0.2, 0.2, None, Answer(seconds)) for seconds in (None, 1.0, 1.0)]
    fill(report, VOICE, ["no reply", "no reply", "over already", went_on, *stops])
    (told,) = report.rows
    assert told["no_reply"].value == pytest.approx(2 / 7)
    assert told["unanswered"].value == pytest.approx(1 / 3)
    assert told["went_on"].value == 0.25
    assert told["over_already"] == 1
    assert told["answer"].samples == [1.0, 1.0]
