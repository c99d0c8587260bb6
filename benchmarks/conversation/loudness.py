"""Where a voice is audible, by energy alone: what the judge and the renderer go by."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from local_voice.audio import Samples

RATE = 16_000
"""Hz of both channels of every recording here."""
FRAME = 80
"""Samples in a frame: 5 ms."""
FRAME_SECONDS = FRAME / RATE
VOICED_DB = -45.0
"""A frame at or above this, relative to full scale, is voiced; speech is rendered at -23."""
AUDIBLE_DB = -50.0
"""The assistant is audible at or above this; ducked by 12 dB its voice lies around -35."""

Extent: TypeAlias = tuple[float, float]
"""Beginning and end in seconds."""


def levels(samples: Samples) -> Samples:
    """Loudness of each whole frame in dB relative to full scale, shape `(len(samples) // FRAME,)`."""
    frames = samples[: len(samples) - len(samples) % FRAME].reshape(-1, FRAME)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-10)), np.float32)


def extents(samples: Samples, floor_db: float, *, join: float = 0.0) -> list[Extent]:
    """Where the sound is at or above `floor_db`; stretches closer than `join` seconds are one."""
    loud = np.flatnonzero(levels(samples) >= floor_db)
    found: list[Extent] = []
    for frame in loud:
        start, end = int(frame) * FRAME_SECONDS, (int(frame) + 1) * FRAME_SECONDS
        if found and start - found[-1][1] <= join + 1e-9:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
