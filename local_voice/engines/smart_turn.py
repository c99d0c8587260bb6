"""Smart Turn: from the sound of a turn's last seconds, is the user done?

It hears intonation, not words. This room runs the network (onnxruntime, on a thread of its own); it must
not know how long anybody waits: `endpointing.py` judges that.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from local_voice.audio import SPEECH_RATE, Samples
from local_voice.log_mel import LogMel
from local_voice.onnx_session import cpu_session
from local_voice.stages import StageError, StartupError
from local_voice.worker import Worker, WorkerBusyError

SECONDS = 8
"""Sound the network looks at; shorter turns follow silence (pipecat-ai/smart-turn, v3)."""
BANDS = 80
_VARIANCE_FLOOR = 1e-7
"""Keeps digital silence finite; the value of transformers' `zero_mean_unit_var_norm`."""


class SmartTurn:
    """Smart Turn v3, ONNX. Satisfies `TurnDetector`."""

    def __init__(self, model_path: Path, threads: int = 1) -> None:
        """`model_path`: `smart-turn-v3.2-cpu.onnx`, read when the detector is entered.

        `threads`: CPU threads for one verdict. It is wanted only at the end of the silence that is waited
        for anyway, and meanwhile the final transcript needs the other cores.
        """
        self._model_path = model_path
        self._threads = threads
        self._session: Any = None
        self._mel = LogMel(BANDS)
        # One verdict per session at most is wanted at a time; with 16 waiting, the next one is refused and
        # that turn ends by its silence alone.
        self._worker = Worker("smart-turn", limit=16)

    async def __aenter__(self) -> Self:
        """Load and run once. Raises `StartupError` for a missing or broken file."""
        try:
            self._session = await self._worker.run(self._load)
        except BaseException:
            await self._worker.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.close()
        self._session = None

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return self._worker.waiting

    async def probability(self, samples: Samples) -> float:
        """That the user is done, from the end of the turn's sound at 16 kHz, shape `(n,)`.

        The last 8 s count. `samples` should end with at most 0.2 s of silence: the verdict drifts to
        "done" with longer silence (measured by its users and by us). Raises `StageError`.
        """
        try:
            return await self._worker.run(self._judge, samples)
        except WorkerBusyError as error:
            raise StageError("stt", f"the turn detector can't keep up: {error}") from error
        except Exception as error:  # onnxruntime's errors share no base class of their own.
            raise StageError("stt", f"the turn detector failed: {_first_line(error)}") from error

    def _judge(self, samples: Samples) -> float:
        features = turn_features(samples, self._mel)
        (verdict,) = self._session.run(None, {"input_features": features[None]})
        # The model's output is named `logits` but has already been through the sigmoid.
        return float(np.clip(verdict[0, 0], 0.0, 1.0))

    def _load(self) -> Any:
        if not self._model_path.is_file():
            raise StartupError(
                f"the turn detector's model {self._model_path} is missing: run `local-voice models pull`"
            )
        try:
            self._session = cpu_session(self._model_path, self._threads)
            self._judge(np.zeros(SPEECH_RATE, np.float32))
        except Exception as error:
            raise StartupError(
                f"{self._model_path} is not a Smart Turn model that onnxruntime can run "
                f"({_first_line(error)}): run `local-voice models verify`"
            ) from error
        return self._session


def turn_features(samples: Samples, mel: LogMel) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What Smart Turn v3 was trained on: log-mel of the last 8 s, shape `(80, 800)`.

    Shorter sound is padded with zeros in front; then all 8 s are brought to zero mean and unit variance,
    as transformers' `WhisperFeatureExtractor(chunk_length=8)` does with `do_normalize=True`.
    """
    length = SECONDS * SPEECH_RATE
    recent = samples[-length:]
    window = np.zeros(length, np.float32)
    window[length - len(recent) :] = recent
    window -= window.mean()
    window /= np.sqrt(window.var() + _VARIANCE_FLOOR)
    return mel(window)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
