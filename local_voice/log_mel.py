"""Sound -> the log-mel spectrogram that Whisper and Smart Turn look at.

NumPy only. This room knows Whisper's recipe for features; it must not know what is read from them.
Recipe: Radford et al. 2022 (arXiv 2212.04356), section 2.2; mel scale: Slaney's Auditory Toolbox, 1998.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from local_voice.audio import SPEECH_RATE, Samples

Features: TypeAlias = npt.NDArray[np.float32]
"""Log-mel energies, shape `(bands, frames)`."""

FRAME = 400
"""Samples under one analysis window (25 ms)."""
HOP = 160
"""Samples from one frame to the next (10 ms)."""

_FLOOR = 1e-10
_RANGE = 8.0
"""Energies more than 10^8 below the loudest are raised to that."""
_SINGLE_THREAD = 65_536 * 4
"""OpenBLAS multiplies matrices on several threads from this many products on. Beside busy cores those
threads wait for each other: 16 ms instead of 0.3 ms for 5 s of sound on 2 shared cores."""


class LogMel:
    """Turns sound at 16 kHz into features; holds only its tables, so one serves all threads."""

    def __init__(self, bands: int) -> None:
        """`bands`: 80 for Smart Turn and most Whisper models, 128 for large-v3 and its kin."""
        self._window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
        self._filters = np.ascontiguousarray(_mel_filters(bands).T, np.float32)
        self._block = _SINGLE_THREAD // self._filters.size

    def __call__(self, samples: Samples) -> Features:
        """Features of `samples`, shape `(n,)` with n > 200: shape `(bands, n // 160)`, about -1.5 to 1.5.

        They are relative to the loudest moment, so silence must be appended before, not after.
        """
        padded = np.pad(samples, FRAME // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[:-1:HOP]
        count = len(samples) // HOP
        spectrum = np.fft.rfft(frames[:count] * self._window)
        power = np.zeros((-(-count // self._block) * self._block, FRAME // 2 + 1), np.float32)
        np.square(spectrum.real, out=power[:count])
        power[:count] += np.square(spectrum.imag)
        energies = (power.reshape(-1, self._block, FRAME // 2 + 1) @ self._filters).reshape(len(power), -1)
        logarithm = np.log10(np.maximum(energies[:count].T, _FLOOR))
        features = (np.maximum(logarithm, logarithm.max() - _RANGE) + 4.0) / 4.0
        return np.ascontiguousarray(features, np.float32)


def _mel_filters(bands: int) -> npt.NDArray[np.float64]:
    """Triangles of equal area, evenly spaced in mel from 0 to 8 kHz: shape `(bands, 201)`."""
    hertz = np.linspace(0.0, SPEECH_RATE / 2, FRAME // 2 + 1)
    edges = _to_hertz(np.linspace(0.0, _to_mel(SPEECH_RATE / 2), bands + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (hertz - low) / (centre - low)
    falling = (high - hertz) / (high - centre)
    triangles: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (high - low))


_LINEAR_UNTIL = 1000.0
"""Hz: Slaney's scale is linear up to here (3 mel per 200 Hz) and logarithmic above."""
_MEL_AT_KNEE = 15.0
_LOG_STEP = np.log(6.4) / 27.0


def _to_mel(hertz: float) -> float:
    return float(_MEL_AT_KNEE + np.log(hertz / _LINEAR_UNTIL) / _LOG_STEP)


def _to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    curved = _LINEAR_UNTIL * np.exp((mel - _MEL_AT_KNEE) * _LOG_STEP)
    return np.where(mel < _MEL_AT_KNEE, mel * (200.0 / 3.0), curved)
