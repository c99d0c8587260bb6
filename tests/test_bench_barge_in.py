"""What bench_barge_in makes of what a caller hears."""

import numpy as np
import pytest

from benchmarks.bench_barge_in import judge
from benchmarks.webrtc_client import FRAME, Frame, Said

STEP = 0.02


def heard(*parts: tuple[float, float]) -> list[Frame]:
    """Frames of (seconds, level), one after the other from time 0."""
    levels = [level for seconds, level in parts for _ in range(round(seconds / STEP))]
    return [Frame(place * STEP, np.full(FRAME, level, np.float32)) for place, level in enumerate(levels)]


SAID = Said(1.98, 2.0, 3.0)


def test_a_reply_that_is_ducked_and_cut():
    stop = judge(heard((2.1, 0.5), (0.2, 0.12), (2.0, 0.0), (1.0, 0.5)), 0.0, SAID, 2.3)
    assert stop is not None
    assert stop.stop == stop.quiet == pytest.approx(0.3, abs=0.03)
    assert stop.duck == pytest.approx(0.1, abs=0.03)
    assert stop.answer == pytest.approx(1.3, abs=0.03)


def test_a_pause_between_sentences_is_not_quiet():
    stop = judge(heard((2.1, 0.5), (0.22, 0.0), (0.3, 0.5), (2.0, 0.0)), 0.0, SAID, 2.62)
    assert stop is not None
    assert stop.stop == stop.quiet == pytest.approx(0.62, abs=0.03)
    assert stop.answer is None


def test_a_reply_that_pauses_goes_on_and_is_then_cut():
    stop = judge(heard((2.3, 0.5), (0.5, 0.0), (0.4, 0.5), (2.0, 0.0)), 0.0, SAID, 3.2)
    assert stop is not None
    assert stop.quiet == pytest.approx(0.3, abs=0.03)
    assert stop.stop == pytest.approx(1.2, abs=0.03)


def test_a_reply_that_is_not_cut_went_on():
    stop = judge(heard((6.0, 0.5), (1.0, 0.0)), 0.0, SAID, None)
    assert stop is not None
    assert stop.stop is None


def test_a_reply_that_was_over_tells_nothing():
    assert judge(heard((1.5, 0.5), (3.0, 0.0)), 0.0, SAID, None) is None
    assert judge(heard((3.0, 0.0)), 0.0, SAID, 2.5) is None
