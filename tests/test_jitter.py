"""Order, gaps, pacing and presence, without a network and without a clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench_network import held, of_aiortc, of_ours
from local_voice.transports.jitter import InOrder, Pacer, Presence, Unbroken

RATE = 48_000
FRAME = 960


def through(order: InOrder[int], sequence: list[int]) -> list[list[int]]:
    return [order.push(number, number) for number in sequence]


@pytest.mark.parametrize(
    ("arrives", "released"),
    [
        ([5, 6, 7], [[5], [6], [7]]),
        ([5, 7, 6, 8], [[5], [], [6, 7], [8]]),
        ([5, 7, 8, 9], [[5], [], [7, 8], [9]]),
        ([5, 7, 8, 6, 9], [[5], [], [7, 8], [], [9]]),
        ([5, 5, 6, 6, 7], [[5], [], [6], [], [7]]),
        ([5, 8, 7, 6, 9], [[5], [], [7, 8], [], [9]]),
        ([65_534, 65_535, 0, 1], [[65_534], [65_535], [0], [1]]),
        ([65_534, 0, 65_535, 1], [[65_534], [], [65_535, 0], [1]]),
        ([5, 4, 6], [[5], [], [6]]),
        ([5, 7, 30_000, 30_001], [[5], [], [7, 30_000], [30_001]]),
        ([5, 40_000, 40_001], [[5], [40_000], [40_001]]),
    ],
    ids=[
        "in order",
        "neighbours swapped",
        "one lost",
        "one too late",
        "doubled",
        "reversed beyond the depth",
        "numbers wrap",
        "swapped at the wrap",
        "older than the first",
        "a new stream while one waits",
        "a new stream",
    ],
)
def test_packets_go_on_in_order(arrives, released):
    assert through(InOrder(), arrives) == released


def test_a_loss_leaves_no_lasting_delay_and_is_counted():
    order: InOrder[int] = InOrder()
    through(order, [*range(10), *range(11, 30)])
    assert order.push(30, 30) == [30]
    assert order.lost == 1


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(0, 65_535), st.sets(st.integers(0, 59))
)
def test_whatever_the_network_does_nothing_is_doubled_or_out_of_order(shifts, origin, lost):
    arrives = sorted(range(len(shifts)), key=lambda n: n + shifts[n])
    order: InOrder[int] = InOrder()
    released = [out for n in arrives if n not in lost for out in order.push((origin + n) % 65_536, n)]
    assert released == sorted(set(released))


@given(st.sets(st.integers(1, 199), max_size=100))
def test_of_packets_that_come_in_order_only_those_lost_are_missing(lost):
    order: InOrder[int] = InOrder()
    arrives = [n for n in range(220) if n not in lost]
    assert [out for n in arrives for out in order.push(n, n)] == arrives


def frame(value: float) -> np.ndarray:
    return np.full(FRAME, value, np.float32)


def total(chunks: list[np.ndarray]) -> int:
    return sum(len(chunk) for chunk in chunks)


def test_a_lost_packet_becomes_silence_of_its_length():
    line = Unbroken(RATE)
    line.push(7_000, frame(0.1))
    silence, sound = line.push(7_000 + 2 * FRAME, frame(0.2))
    assert len(silence) == FRAME
    assert not silence.any()
    assert (sound == np.float32(0.2)).all()


def test_a_gap_is_never_longer_than_the_limit_and_the_line_goes_on_after_it():
    line = Unbroken(RATE, longest_seconds=2.0)
    line.push(0, frame(0.1))
    silence, _ = line.push(2**31, frame(0.2))
    assert len(silence) == 2 * RATE
    assert len(line.push(2**31 + FRAME, frame(0.3))) == 1


def test_a_sender_that_falls_silent_is_replaced_by_silence_in_real_time():
    line = Unbroken(RATE, stall_seconds=0.2)
    line.push(0, frame(0.1))
    made = [total(line.idle(0.05)) for _ in range(8)]
    assert made[:3] == [0, 0, 0]
    assert sum(made) == round(0.38 * RATE)
    after = line.push(20 * FRAME, frame(0.2))
    assert total(after) == FRAME


def test_a_sender_that_sends_now_and_then_loses_no_time():
    line = Unbroken(RATE, stall_seconds=0.2)
    position = total(line.push(0, frame(0.1)))
    for packet in range(1, 20):
        for _ in range(8):
            position += total(line.idle(0.05))
        position += total(line.push(packet * 20 * FRAME, frame(0.1)))
    assert position == 19 * 20 * FRAME + FRAME


def test_sound_that_was_held_up_is_kept_whole():
    line = Unbroken(RATE, stall_seconds=0.2)
    line.push(0, frame(0.1))
    for _ in range(10):
        line.idle(0.05)
    late = [chunk for n in range(1, 26) for chunk in line.push(n * FRAME, frame(0.2))]
    assert [len(chunk) for chunk in late] == [FRAME] * 25
    assert all(chunk.all() for chunk in late)


def test_no_silence_is_made_before_the_first_packet():
    assert Unbroken(RATE).idle(10.0) == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 2**34)), st.tuples(st.just("idle"), st.floats(0, 0.5))
        )
    )
)
def test_the_line_keeps_every_sample_and_stays_bounded(steps):
    line = Unbroken(RATE)
    for kind, value in steps:
        chunks = line.push(int(value), frame(1.0)) if kind == "push" else line.idle(float(value))
        assert sum(int(chunk.sum()) for chunk in chunks) == (FRAME if kind == "push" else 0)
        assert total(chunks) <= 5 * RATE + FRAME


def test_frames_are_due_every_20_ms_however_late_each_wakes():
    pacer = Pacer()
    now = 100.0
    wake = [0.0, 0.004, 0.0, 0.015, 0.001, 0.0]
    sent = []
    for late in wake:
        now += pacer.wait(now) + late
        sent.append(now)
    assert sent[-1] == pytest.approx(100.0 + 5 * 0.02)
    assert pacer.skipped_seconds == 0


def test_a_few_overdue_frames_go_at_once():
    pacer = Pacer()
    pacer.wait(0.0)
    assert pacer.wait(0.07) == 0.0
    assert pacer.wait(0.07) == 0.0
    assert pacer.wait(0.07) == 0.0
    assert pacer.wait(0.07) == pytest.approx(0.01)


def test_a_long_stall_is_not_followed_by_a_burst():
    pacer = Pacer()
    pacer.wait(0.0)
    assert pacer.wait(3.0) == 0.0
    assert pacer.wait(3.0) == pytest.approx(0.02)
    assert pacer.skipped_seconds == pytest.approx(2.98)


def test_a_peer_is_gone_after_three_quiet_seconds():
    presence = Presence()
    assert [presence.tick(0.5) for _ in range(6)] == [False] * 5 + [True]


def test_anything_heard_proves_the_peer_alive():
    presence = Presence()
    for _ in range(50):
        assert not presence.tick(0.5)
        assert not presence.tick(0.5)
        presence.heard()


def test_a_stall_of_our_own_is_no_proof_of_absence():
    presence = Presence()
    assert not presence.tick(10.0)
    presence.heard()
    assert not presence.tick(0.05)


def test_a_packet_that_is_next_does_not_wait_as_it_does_in_aiortcs_buffer():
    ours, lost = held(of_ours(), 0.01, 0.03)
    theirs, _ = held(of_aiortc(), 0.01, 0.03)
    assert np.percentile(ours.samples, 95) < 0.01
    assert lost.value == 0.0
    assert np.percentile(theirs.samples, 50) > 0.2
