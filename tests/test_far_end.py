"""How far the far end has played: from reports that may be late, wild or missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.transports.far_end import (
    ASSUMED_LATENCY,
    ASSUMED_SECONDS,
    CODER_DELAY,
    LONGEST_SECONDS,
    PATIENCE_SECONDS,
    REPORTS,
    FarEnd,
    sample_of,
)

RATE = 48_000
FRAME = 960


def send(ear: FarEnd, seconds: float, *, voice: bool = True) -> None:
    for _ in range(round(seconds * RATE / FRAME)):
        ear.sent(FRAME, voice=voice)


def exactly(behind: int, latency: float) -> float:
    return (behind + CODER_DELAY) / RATE + latency


def test_without_reports_a_careful_guess_counts_and_then_the_client_s_own():
    ear = FarEnd(RATE)
    assert (ear.seconds, ear.source) == (ASSUMED_SECONDS, "assumed")
    ear.estimated(0.31)
    assert (ear.seconds, ear.source) == (0.31, "estimated")
    send(ear, 60.0)
    assert ear.seconds == 0.31


def test_a_report_says_how_far_the_ear_is_behind_and_beats_an_estimate():
    ear = FarEnd(RATE)
    send(ear, 2.0)
    ear.reported(2 * RATE - 4_800, 0.03)
    ear.estimated(0.01)
    assert ear.source == "reported"
    assert ear.seconds == pytest.approx(exactly(4_800, 0.03))


def test_an_unknown_output_latency_is_assumed_and_not_left_out():
    ear = FarEnd(RATE)
    send(ear, 2.0)
    ear.reported(2 * RATE, None)
    assert ear.seconds == pytest.approx(exactly(0, ASSUMED_LATENCY))


def test_of_the_last_few_reports_the_slowest_counts_and_then_is_forgotten():
    ear = FarEnd(RATE)
    send(ear, 2.0)
    position = 2 * RATE - 30_000
    ear.reported(position, 0.0)
    for number in range(REPORTS):
        assert ear.seconds == pytest.approx(exactly(30_000, 0.0)), number
        send(ear, 0.1)
        ear.reported((ear._sent) - 2_000, 0.0)
    assert ear.seconds == pytest.approx(exactly(2_000, 0.0))


def test_reports_that_cannot_be_true_are_ignored_and_counted():
    ear = FarEnd(RATE)
    send(ear, 4.0)
    ear.reported(4 * RATE - 5_000, 0.0)
    for impossible in (4 * RATE + 1, 4 * RATE - 5_001 - round(LONGEST_SECONDS * RATE), -1, 2**31):
        ear.reported(impossible, 0.0)
    assert ear.ignored == 4
    assert ear.seconds == pytest.approx(exactly(5_000, 0.0))


def test_before_the_first_sample_there_is_nothing_to_step_back_to():
    ear = FarEnd(RATE)
    send(ear, 1.0)
    ear.reported(960, 0.0)
    ear.reported(-1, 0.0)
    assert ear.ignored == 1


def test_a_small_step_back_means_that_the_ear_is_further_behind():
    ear = FarEnd(RATE)
    send(ear, 2.0)
    ear.reported(2 * RATE - 4_800, 0.0)
    ear.reported(2 * RATE - 6_720, 0.0)
    assert ear.ignored == 0
    assert ear.seconds == pytest.approx(exactly(6_720, 0.0))
    for _ in range(REPORTS):
        ear.reported(2 * RATE - 4_800, 0.0)
    assert ear.seconds == pytest.approx(exactly(4_800, 0.0))


def test_an_ear_that_stands_still_is_followed_up_to_a_limit():
    ear = FarEnd(RATE)
    send(ear, 1.0)
    for _ in range(40):
        ear.reported(RATE - 960, 0.0)
        send(ear, 0.1)
    assert ear.seconds == LONGEST_SECONDS


def test_voice_without_reports_is_taken_as_not_yet_heard():
    ear = FarEnd(RATE)
    send(ear, 1.0)
    ear.reported(RATE - 4_800, 0.0)
    known = ear.seconds
    send(ear, PATIENCE_SECONDS)
    assert ear.seconds == known
    send(ear, 0.4)
    assert ear.seconds == pytest.approx(known + 0.4)
    send(ear, 5.0)
    assert ear.seconds == LONGEST_SECONDS
    ear.reported(ear._sent - 4_800, 0.0)
    assert ear.seconds == pytest.approx(known)


def test_silence_needs_no_reports():
    ear = FarEnd(RATE)
    send(ear, 1.0)
    ear.reported(RATE - 4_800, 0.0)
    known = ear.seconds
    send(ear, 30.0, voice=False)
    assert ear.seconds == known


@pytest.mark.parametrize("origin", [0, 1, 2**31, 2**32 - 500])
def test_timestamps_are_mapped_across_their_wrap(origin):
    for sample in (0, 960, 2**31 - 1, 2**33 + 7):
        last = sample + 4_800
        wrapped = (origin + sample) % 2**32
        assert sample_of(wrapped, (origin + last) % 2**32, last) == sample
        assert sample_of((origin + last) % 2**32, wrapped, sample) == last


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 100_000)),
            st.tuples(st.just("quiet"), st.integers(1, 100_000)),
            st.tuples(st.just("report"), st.integers(-(2**33), 2**33)),
            st.tuples(st.just("behind"), st.integers(0, 200_000)),
        )
    )
)
def test_whatever_is_reported_the_delay_stays_in_bounds_and_never_counts_what_was_not_reported(steps):
    ear = FarEnd(RATE)
    for kind, value in steps:
        if kind in ("send", "quiet"):
            ear.sent(value, voice=kind == "send")
        else:
            sample = value if kind == "report" else ear._sent - value
            ignored = ear.ignored
            ear.reported(sample, 0.0)
            possible = ear.ignored == ignored
            assert not possible or 0 <= sample <= ear._sent
            if possible and ear.seconds < LONGEST_SECONDS:
                assert ear._sent - ear.seconds * RATE <= sample
        assert 0.0 <= ear.seconds <= LONGEST_SECONDS
