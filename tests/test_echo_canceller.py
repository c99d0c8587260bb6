"""AEC3 on a made-up room: a loudspeaker's sound comes back later, softer and smeared."""

import numpy as np
import pytest

from local_voice.audio import Samples
from local_voice.engines.echo_canceller import EchoCanceller

RATE = 16_000
BLOCK = 160


def babble(seconds: float, seed: int) -> Samples:
    """Noise with the spectrum and the syllables of speech: loud and silent about four times a second."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    noise = np.convolve(random.standard_normal(count), np.exp(-np.arange(24) / 4), mode="same")
    syllables = np.repeat(random.uniform(0, 1, count // 2000 + 1), 2000)[:count]
    sound = noise * np.where(syllables > 0.3, syllables, 0.01)
    return (0.25 * sound / np.abs(sound).max()).astype(np.float32)


def room(far: Samples, delay: float, loss: float = 0.5) -> Samples:
    """What the microphone hears of the loudspeaker: a delay, and a tail of 60 ms."""
    random = np.random.default_rng(7)
    tail = random.standard_normal(round(0.06 * RATE)) * np.exp(-np.arange(round(0.06 * RATE)) / 160)
    tail[0] = 3.0
    echo = np.convolve(far, loss * tail / np.abs(tail).sum() * 3)
    shifted = np.concatenate((np.zeros(round(delay * RATE)), echo))[: len(far)]
    return shifted.astype(np.float32)


def cancel(near: Samples, far: Samples, block: int = BLOCK) -> Samples:
    canceller = EchoCanceller(RATE)
    pieces = [
        canceller.process(near[at : at + block], far[at : at + block]) for at in range(0, len(near), block)
    ]
    return np.concatenate(pieces)


def level(samples: Samples) -> float:
    """Decibels relative to full scale."""
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-12))


@pytest.mark.parametrize("delay", [0.01, 0.08, 0.2, 0.35])
def test_an_echo_is_20_db_softer_once_the_filter_has_converged(delay):
    far = babble(8.0, seed=1)
    near = room(far, delay)
    out = cancel(near, far)
    converged = slice(4 * RATE, None)
    assert level(near[converged]) - level(out[converged]) > 20


def test_the_person_is_kept_while_the_echo_goes():
    far, person = babble(10.0, seed=1), babble(10.0, seed=2)
    person[: 6 * RATE] = 0
    out = cancel(room(far, 0.08) + person, far)
    talking = slice(6 * RATE, None)
    # Where the person is loud, what comes out is the person: the spectra of 20 ms frames agree.
    frames = person[talking].reshape(-1, 320)
    heard = out[talking].reshape(-1, 320)
    loud = np.sqrt((frames**2).mean(axis=1)) > 0.02
    assert loud.sum() > 50
    ratio = [level(mine) - level(theirs) for mine, theirs in zip(heard[loud], frames[loud], strict=True)]
    assert abs(np.median(ratio)) < 3


def test_without_a_reply_the_person_passes_unchanged_in_level():
    person = babble(5.0, seed=2)
    out = cancel(person, np.zeros_like(person))
    assert level(out[RATE:]) == pytest.approx(level(person[RATE:]), abs=1)


def test_blocks_of_any_length_come_back_at_their_length():
    canceller = EchoCanceller(RATE)
    for count in (0, 1, 100, 160, 161, 512, 1600, 37):
        out = canceller.process(np.full(count, 0.1, np.float32), np.zeros(count, np.float32))
        assert out.shape == (count,)
        assert out.dtype == np.float32


@pytest.mark.parametrize("block", [10, 97, 161, 187, 512])
def test_odd_blocks_give_what_whole_frames_give_at_most_10_ms_later(block: int):
    far = babble(8.0, seed=1)
    near = room(far, 0.08)
    whole, odd = cancel(near, far), cancel(near, far, block)
    late = BLOCK - 1
    assert np.array_equal(odd[RATE + late :], whole[RATE:-late])


def test_whole_frames_pass_in_8_ms():
    person = babble(3.0, seed=2)
    out = cancel(person, np.zeros_like(person), block=3 * BLOCK)
    lag = np.argmax(np.correlate(out[RATE : RATE + 16_000], person[RATE : RATE + 12_000], "valid"))
    assert lag == 128, "AEC3's own delay"


def test_sounds_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        EchoCanceller(RATE).process(np.zeros(160, np.float32), np.zeros(161, np.float32))
