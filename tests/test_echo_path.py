"""The voice laid beside what is heard: kept there through jitter, moved when clocks drift apart."""

import numpy as np
import pytest

from local_voice.audio import Samples
from local_voice.transports.echo_path import (
    EARLY_SECONDS,
    KEPT_SECONDS,
    LATE_SECONDS,
    LEAST_SECONDS,
    MARGIN_SECONDS,
    WATCH_SECONDS,
    EchoPath,
)

RATE = 48_000
FRAME = 960
LEAST = round(LEAST_SECONDS * RATE)


class Notes:
    """A canceller that keeps what it is given and takes nothing out."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.far: list[Samples] = []

    def process(self, near: Samples, far: Samples) -> Samples:
        assert near.shape == far.shape
        self.far.append(far)
        return near


class Way:
    """A path whose voice counts its samples from 1, so that any piece says where it is from."""

    def __init__(self) -> None:
        self.notes: Notes
        self.path = EchoPath(self._make, RATE)
        self.count = 0

    def _make(self, rate: int) -> Notes:
        self.notes = Notes(rate)
        return self.notes

    def send(self, frames: int = 1, skipped: int = 0) -> None:
        for _ in range(frames):
            first = self.count + skipped + 1
            self.path.played(np.arange(first, first + FRAME, dtype=np.float32), skipped)
            self.count += skipped + FRAME

    def hear(self, frames: int = 1, delay: float = 0.0, length: int = FRAME) -> None:
        for _ in range(frames):
            near = np.full(length, 0.5, np.float32)
            assert np.array_equal(self.path.clean(near, delay), near)

    @property
    def age(self) -> int:
        """How many samples old the last voice was that the canceller got."""
        return round(self.count - float(self.notes.far[-1][-1]))

    @property
    def jumps(self) -> int:
        """Places where the canceller's voice doesn't go on with its next sample."""
        far = np.concatenate(self.notes.far)
        return int(np.count_nonzero(np.diff(far[far > 0]) != 1))


def test_the_voice_comes_a_little_before_the_soonest_echo():
    way = Way()
    way.send(100)
    way.hear()
    assert way.notes.rate == RATE
    assert way.age == LEAST


@pytest.mark.parametrize("delay", [0.1, 0.4, 1.2])
def test_a_known_delay_is_waited_for(delay):
    way = Way()
    way.send(100)
    way.hear(delay=delay)
    assert way.age == pytest.approx((delay - MARGIN_SECONDS) * RATE, abs=1)


def test_before_the_voice_began_there_is_silence():
    way = Way()
    way.hear(2)
    assert not np.concatenate(way.notes.far).any()
    way.send()
    way.hear(2)
    assert way.jumps == 0


def test_packets_in_bursts_and_a_packet_early_move_nothing():
    way = Way()
    way.send(10)
    way.hear()
    for _ in range(100):
        way.send(6)
        way.hear(6)
        way.send(1)
        way.hear(2)
        way.send(1)
    assert way.path.moves == 0
    assert way.jumps == 0


@pytest.mark.parametrize("together", [2, 3])
def test_a_first_packet_that_was_late_leaves_no_holes_in_the_voice_for_long(together):
    way = Way()
    way.send(10)
    way.hear()
    for _ in range(200):  # as many as were sent, but read first
        way.hear(together)
        way.send(together)
    assert way.path.moves == 1
    assert all(far.all() for far in way.notes.far[round(WATCH_SECONDS * RATE / FRAME) + together :])
    assert way.age <= (1 + together) * FRAME + LEAST


def test_a_tenth_of_the_packets_a_little_early_moves_nothing():
    way = Way()
    way.send(10)
    way.hear()
    for _ in range(100):
        way.hear(2)
        way.send(2)
        for _ in range(20):
            way.send()
            way.hear()
    assert way.path.moves == 0


def test_a_clock_that_runs_slow_is_followed_now_and_then():
    way = Way()
    way.send(10)
    ages = []
    for number in range(6_000):  # two minutes, and 1 in 500 packets doesn't come
        way.send()
        if number % 500:
            way.hear()
        ages.append(way.age if way.notes.far else LEAST)
    assert 2 <= way.path.moves <= 8
    assert way.jumps == way.path.moves
    assert max(ages) < LEAST + (LATE_SECONDS + 0.06) * RATE


def test_a_clock_that_runs_fast_is_followed_now_and_then():
    way = Way()
    way.send(10)
    for number in range(6_000):
        way.send()
        way.hear(1 + (number % 500 == 0))
    assert 2 <= way.path.moves <= 15
    assert way.age >= 0


def test_a_delay_that_grows_much_moves_the_voice_and_a_little_does_not():
    way = Way()
    way.send(100)
    way.hear(delay=0.1)
    for _ in range(100):
        way.send()
        way.hear(delay=0.1 + EARLY_SECONDS - 0.01)
    assert way.path.moves == 0
    for _ in range(100):
        way.send()
        way.hear(delay=0.6)
    assert way.path.moves == 1
    assert way.age == pytest.approx((0.6 - MARGIN_SECONDS) * RATE, abs=1)


def test_a_delay_that_shrinks_moves_the_voice_before_its_echo():
    way = Way()
    way.send(100)
    way.hear(delay=0.6)
    for _ in range(210):
        way.send()
        way.hear(delay=0.1)
    assert way.path.moves == 1
    assert way.age <= (0.1 - MARGIN_SECONDS + LATE_SECONDS) * RATE


def test_after_a_stall_of_our_own_the_place_is_kept():
    way = Way()
    way.send(10)
    for _ in range(5):
        for _ in range(50):
            way.send()
            way.hear()
        way.hear(15)  # what waited in the socket is read before the next frame goes out
        way.send(1, skipped=14 * FRAME)
    way.send()
    way.hear()
    assert way.path.moves == 0
    assert way.age == LEAST
    far = np.concatenate(way.notes.far)
    assert np.count_nonzero(far == 0) >= 5 * 14 * FRAME


def test_time_in_which_nothing_could_be_sent_is_silence_in_the_voice():
    way = Way()
    way.send(10)
    way.hear()
    way.send(1, skipped=4_800)
    way.hear(6)
    far = np.concatenate(way.notes.far[1:])
    assert np.count_nonzero(far == 0) == 4_800
    assert way.path.moves == 0


def test_a_hole_longer_than_all_that_is_kept_is_survived():
    way = Way()
    way.send(10)
    way.hear(1, length=round(2 * KEPT_SECONDS * RATE))
    way.send(1, skipped=round(2 * KEPT_SECONDS * RATE))
    way.hear()
    for _ in range(210):
        way.send()
        way.hear()
    assert way.age <= LEAST + LATE_SECONDS * RATE
