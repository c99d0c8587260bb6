"""What else a microphone hears: the room, a fan, coughs, claps, and the assistant's own voice coming back.

Coughs and claps are made of filtered noise: recordings of them that may be passed on were not to be had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.conversation.loudness import RATE
from local_voice.audio import Samples

ROOM_DB = -62.0
"""Loudness of a quiet room; nothing is ever digitally silent."""


def _shaped(count: int, low: float, high: float, rng: np.random.Generator, *, slope: float = 0.0) -> Samples:
    """Noise of unit power between two frequencies in Hz; `slope`: dB an octave, from 500 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 1.0)
    spectrum *= (hertz / 500) ** (slope / 6.02) * (hertz >= low) * (hertz <= high)
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / noise.std(), np.float32)


def room(seconds: float, rng: np.random.Generator, decibels: float = ROOM_DB) -> Samples:
    """Noise that falls by 3 dB an octave."""
    return (_shaped(round(seconds * RATE), 20, 8000, rng, slope=-3) * 10 ** (decibels / 20)).astype(
        np.float32
    )


def fan(seconds: float, rng: np.random.Generator, decibels: float) -> Samples:
    """Rushing air below 2 kHz, and the hum of blades and motor."""
    count = round(seconds * RATE)
    at = np.arange(count) / RATE
    hum = sum(np.sin(2 * np.pi * hertz * at) / n for n, hertz in enumerate((98, 196, 392), start=1))
    air = _shaped(count, 40, 2000, rng, slope=-4)
    mixed = air + 0.4 * hum / np.std(hum)
    return np.asarray(mixed / mixed.std() * 10 ** (decibels / 20), np.float32)


def cough(rng: np.random.Generator, decibels: float = -18.0) -> Samples:
    """The burst of the opening glottis, rushing air through a throat, and a voiced end: 0.35 s."""
    count = round(0.35 * RATE)
    at = np.arange(count) / RATE
    burst = _shaped(count, 300, 6000, rng) * np.exp(-at / 0.025)
    throat = sum(_shaped(count, hertz * 0.8, hertz * 1.25, rng) for hertz in (550, 1350, 2500))
    air = throat * np.clip(at / 0.04, 0, 1) * np.exp(-np.maximum(at - 0.06, 0) / 0.07)
    voice = np.sign(np.sin(2 * np.pi * (170 - 200 * at) * at)) * np.exp(-np.square((at - 0.25) / 0.05)) * 0.3
    return _at_level(1.6 * burst + air + voice, decibels)


def coughs(rng: np.random.Generator) -> Samples:
    """Two coughs, as coughs come."""
    gap = np.zeros(round(0.18 * RATE), np.float32)
    return np.concatenate((cough(rng), gap, cough(rng, -21.0)))


def claps(rng: np.random.Generator, count: int = 2) -> Samples:
    """Hands, 0.4 s apart, and what the room makes of them."""
    length = round(0.4 * RATE)
    at = np.arange(length) / RATE
    hands = [
        _shaped(length, 500, 5000, rng) * (np.exp(-at / 0.008) + 0.1 * np.exp(-at / 0.08))
        for _ in range(count)
    ]
    return np.concatenate([_at_level(hand, -22.0) for hand in hands])


def _at_level(sound: npt.NDArray[np.floating[Any]], decibels: float) -> Samples:
    """Its loudest 50 ms at `decibels`."""
    width = round(0.05 * RATE)
    power = np.convolve(np.square(sound), np.ones(width) / width, mode="valid").max()
    return np.asarray(np.clip(sound * np.sqrt(10 ** (decibels / 10) / power), -1, 1), np.float32)


class EchoPath:
    """From the loudspeaker back to the microphone: a delay and a short room, block by block."""

    ROOM_SECONDS = 0.12

    def __init__(self, decibels: float, delay: float, block: int, rng: np.random.Generator) -> None:
        """`decibels`: how much softer the echo is than what was played. `block`: samples in each step."""
        tail = round(self.ROOM_SECONDS * RATE)
        response = rng.standard_normal(tail) * np.exp(-np.arange(tail) / RATE / 0.025) * 0.2
        response[0] = 1.0
        response *= 10 ** (-abs(decibels) / 20) / np.sqrt(np.sum(np.square(response)))
        response = np.concatenate((np.zeros(round(delay * RATE)), response))
        self._block = block
        self._played: Samples = np.zeros(len(response) - 1 + block, np.float32)
        self._size = 1 << (len(self._played) - 1).bit_length()
        self._response = np.fft.rfft(response, self._size)

    def hear(self, played: Samples) -> Samples:
        """The echo during the block in which `played`, shape `(block,)`, leaves the loudspeaker."""
        self._played = np.concatenate((self._played[self._block :], played))
        whole = np.fft.irfft(np.fft.rfft(self._played, self._size) * self._response, self._size)
        return whole[len(self._played) - self._block : len(self._played)].astype(np.float32)
