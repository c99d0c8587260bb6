"""Takes the assistant's own voice out of the microphone's sound, with WebRTC's AEC3.

It is given what the microphone heard (near) and what the loudspeaker was handed at about that time (far).
AEC3 finds the delay between the two by itself and follows it. It must not know what either means.
"""

from __future__ import annotations

import numpy as np
from pywebrtc_audio import AudioProcessor

from local_voice.audio import Samples


class EchoCanceller:
    """One microphone's filter. Costs 0.08 ms for 10 ms of sound at 16 kHz, so it may run on the loop.

    Noise suppression stays off: Whisper is trained on noisy speech and reads it better untreated.
    """

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate`: Hz of both sounds."""
        self._processor = AudioProcessor(
            sample_rate=sample_rate, echo_cancellation=True, high_pass_filter=True, noise_suppression=False
        )

    def process(self, near: Samples, far: Samples) -> Samples:
        """The near sound without the far one, same length, any length.

        The far sound has to come no later than its echo; up to half a second earlier is fine.
        Raises `ValueError` when the lengths differ.
        """
        if near.shape != far.shape:
            raise ValueError(f"near and far have to be of one length, not {len(near)} and {len(far)} samples")
        if not len(near):
            return near
        return np.asarray(self._processor.process(near, far), np.float32)
