"""Silero VAD: how likely each 32 ms of sound is speech.

One set of weights, one recurrent state per session. This room runs the network (onnxruntime, no torch); it
must not know what counts as a pause or a turn: `endpointing.py` judges that.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from local_voice.audio import SPEECH_RATE, Samples
from local_voice.onnx_session import cpu_session
from local_voice.stages import StartupError
from local_voice.worker import Worker

WINDOW = 512
"""Samples the network judges at a time at 16 kHz (32 ms)."""
CONTEXT = 64
"""Samples of the window before, which it wants to see again (snakers4/silero-vad, `utils_vad.py`)."""


class SileroVad:
    """Silero VAD v5 or v6, ONNX. Satisfies `VoiceActivityDetector`."""

    sample_rate = SPEECH_RATE
    window = WINDOW

    def __init__(self, model_path: Path) -> None:
        """`model_path`: `silero_vad.onnx`, read when the detector is entered."""
        self._model_path = model_path
        self._session: Any = None

    async def __aenter__(self) -> Self:
        """Load and run once. Raises `StartupError` for a missing or broken file."""
        async with Worker("silero-vad-load") as worker:
            self._session = await worker.run(_load, self._model_path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None

    def stream(self) -> SileroStream:
        """Fresh state for one session. The detector must have been entered."""
        return SileroStream(self._session)


class SileroStream:
    """One session's recurrent state. Satisfies `VoiceActivityStream`; not to be shared by threads."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = np.zeros((1, CONTEXT + WINDOW), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._feeds = {"input": self._input, "state": self._state, "sr": np.array(SPEECH_RATE, np.int64)}

    def probability(self, window: Samples) -> float:
        """That the stream's next window, shape `(512,)` at 16 kHz, is speech; about 0.1 ms of one core."""
        self._input[0, :CONTEXT] = self._input[0, -CONTEXT:]
        self._input[0, CONTEXT:] = window
        output, self._state[:] = self._session.run(None, self._feeds)
        return float(output[0, 0])


def _load(model_path: Path) -> Any:
    """An onnxruntime session on one thread that has proved to be Silero."""
    if not model_path.is_file():
        raise StartupError(
            f"the voice detector's model {model_path} is missing: run `local-voice models pull`"
        )
    try:
        # The network is so small that a second thread only waits for the first.
        session = cpu_session(model_path, threads=1)
        SileroStream(session).probability(np.zeros(WINDOW, np.float32))
    except Exception as error:  # onnxruntime's errors share no base class of their own.
        raise StartupError(
            f"{model_path} is not a Silero voice detector that onnxruntime can run ({_first_line(error)}): "
            "run `local-voice models verify`"
        ) from error
    return session


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
