"""What a client may press, write and say."""

import pytest

from local_voice.transports.allowance import Allowance, SoundCredit


def test_so_many_in_any_span_and_no_more():
    allowed = Allowance(3, 5.0)
    assert [allowed.take(now) for now in (0.0, 1.0, 2.0, 4.9, 5.0, 5.5, 6.0)] == [
        True,
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_what_is_refused_does_not_count():
    allowed = Allowance(1, 1.0)
    assert allowed.take(0.0)
    assert not any(allowed.take(0.1 * number) for number in range(1, 10))
    assert allowed.take(1.0)


def test_sound_may_come_as_fast_as_time_passes_for_ever():
    credit = SoundCredit(10.0)
    assert all(credit.take(0.02, 0.02 * number) for number in range(10_000))
    assert credit.refused == 0


def test_a_burst_is_taken_once_and_earned_again():
    credit = SoundCredit(10.0)
    assert credit.take(10.0, 100.0)
    assert not credit.take(1.0, 100.5)
    assert credit.refused == pytest.approx(1.0)
    assert credit.take(1.0, 101.0)


def test_waiting_earns_no_more_than_one_burst():
    credit = SoundCredit(10.0)
    assert credit.take(1.0, 0.0)
    assert not credit.take(11.0, 1e6)
    assert credit.take(10.0, 1e6)
