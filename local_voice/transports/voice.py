"""The assistant's voice as a WebRTC track: the playout read in frames of 20 ms, each when it is due.

Whoever needs to know what went out is told of each frame. This room must not know who listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from local_voice.audio import Samples
from local_voice.playout import Playout
from local_voice.transports.jitter import Pacer

RATE = 48_000
"""Hz of everything in WebRTC's Opus."""
FRAME = 960
"""Samples in 20 ms, the frame that aiortc's Opus encoder takes without buffering."""


class Voice(MediaStreamTrack):
    """The playout as a track, silence when there is nothing to say.

    The timestamps grow by exactly 960, whatever the clock did: Chromium conceals heavily where they jump.
    """

    kind = "audio"

    def __init__(self, playout: Playout, on_frame: Callable[[Samples, int], None]) -> None:
        """`on_frame`: told each frame, and how many samples of real time were skipped before it."""
        super().__init__()
        self.position = 0
        """Samples handed out; also the timestamp of the frame that comes next."""
        self.pacer = Pacer()
        self._playout = playout
        self._on_frame = on_frame
        self._skipped = 0

    async def recv(self) -> AudioFrame:
        """The next frame, when it is due. Raises `MediaStreamError` after `stop`."""
        await asyncio.sleep(self.pacer.wait(asyncio.get_running_loop().time()))
        if self.readyState != "live":
            raise MediaStreamError
        samples = self._playout.read(FRAME)
        skipped = round(self.pacer.skipped_seconds * RATE)
        self._on_frame(samples, skipped - self._skipped)
        self._skipped = skipped
        scaled = np.clip(samples, -1.0, 1.0) * 32767.0
        frame = AudioFrame.from_ndarray(
            np.rint(scaled).astype(np.int16)[np.newaxis], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = self.position
        self.position += FRAME
        return frame


def mono(frame: AudioFrame) -> Samples:
    """Decoded s16 sound, channels interleaved, as mono float32 of shape `(n,)`."""
    channels = len(frame.layout.channels)
    samples = frame.to_ndarray().reshape(-1, channels).astype(np.float32)
    return np.asarray(samples.mean(axis=1) / 32768.0, np.float32)
