"""What replaces a part of aiortc does the same."""

import numpy as np
import pytest
from aiortc import rtp
from av import AudioFrame

from local_voice.transports.inside_aiortc import audio_level

ORIGINAL = rtp.compute_audio_level_dbov


@pytest.mark.parametrize("amplitude", [0.0, 1 / 32767, 0.001, 0.03, 0.5, 1.0])
def test_loudness_is_aiortcs_own(amplitude):
    samples = np.sin(np.arange(960) / 7) * amplitude * 32767
    frame = AudioFrame.from_ndarray(samples.astype(np.int16)[None], layout="mono")
    assert audio_level(frame) == ORIGINAL(frame)


def test_the_loudest_frame_is_at_full_scale():
    frame = AudioFrame.from_ndarray(np.full((1, 960), -32768, np.int16), layout="mono")
    assert audio_level(frame) == ORIGINAL(frame) == 0
