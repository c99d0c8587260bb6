"""A Piper voice cut in two, so that a clause can be heard while the rest of it is still being made.

A voice is one VITS network. Its first part reads all phonemes and decides how long each lasts and how it
sounds; its second part, a HiFi-GAN of convolutions, turns frames of that into samples and sees only a few
frames to either side. Run in windows with that many frames around them, the second part gives the same
samples as in one go. The cut follows streaming-vits (MIT) in its idea, but lies behind the normalising flow
instead of before it: the window's margin falls from 34 and 28 frames to 12 on either side, and the first
part, which a long clause waits for, does a little more. The file on the disk is never changed; the cut is
made in memory at start-up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from local_voice.audio import Samples
from local_voice.onnx_session import cpu_session

MARGIN = 12
"""Frames the decoder sees to either side. Measured on en_US-joe-medium: the greatest difference to one
pass is 2e-6 of full scale with 12 and 3e-3 with 8."""

Frames = npt.NDArray[np.float32]
"""Shape `(1, channels, frames)`."""


class NotAVoiceError(Exception):
    """The file is no single-speaker Piper voice; the message says what is missing."""


class VoiceGraph:
    """Two ONNX sessions made of one voice file."""

    def __init__(self, path: Path, threads: int) -> None:
        """`threads`: CPU threads within one call; 0 leaves the choice to onnxruntime.

        Raises `NotAVoiceError` where the file is not a voice, and what onnx and onnxruntime raise for broken
        files.
        """
        model = onnx.load(str(path))
        durations, frames, sound = _seams(model.graph)
        inputs = [value.name for value in model.graph.input]
        if sorted(inputs) != ["input", "input_lengths", "scales"]:
            raise NotAVoiceError(f"its inputs are {', '.join(inputs)}; voices of several speakers don't fit")
        parts = onnx.utils.Extractor(model)
        encoder = parts.extract_model(inputs, [frames, durations]).SerializeToString()
        decoder = parts.extract_model([frames], [sound]).SerializeToString()
        self._frames_name = frames
        self.encoder = cpu_session(encoder, threads)
        self._decoder = cpu_session(decoder, threads)

    def encode(self, ids: list[int], scales: tuple[float, float, float]) -> tuple[Frames, list[int]]:
        """The clause as frames, and how many of them each phoneme id takes.

        `scales`: noise, length (2 is half the speed), noise of the durations, as Piper's settings have them.
        """
        frames, durations = self.encoder.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(scales, np.float32),
            },
        )
        return np.asarray(frames, np.float32), [int(count) for count in np.ravel(durations)]

    def decode(self, frames: Frames, first: int, last: int, hop: int) -> Samples:
        """The samples of frames `first` to `last`, shape `((last - first) * hop,)`."""
        left, right = max(0, first - MARGIN), min(frames.shape[2], last + MARGIN)
        window = np.ascontiguousarray(frames[:, :, left:right])
        (sound,) = self._decoder.run(None, {self._frames_name: window})
        samples = np.ravel(sound)[(first - left) * hop : (last - left) * hop]
        return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)


def _seams(graph: onnx.GraphProto) -> tuple[str, str, str]:
    """Names of the tensors at the cut: frames per phoneme id, the decoder's input, the sound.

    The Ceil of the duration predictor is where Piper's own alignment patch looks too; the decoder begins at
    the convolution that holds the weight `dec.conv_pre.weight`.
    """
    durations = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    entries = [node.input[0] for node in graph.node if "dec.conv_pre.weight" in node.input]
    sounds = [value.name for value in graph.output]
    if len(durations) != 1 or len(entries) != 1 or not sounds:
        raise NotAVoiceError("its network is not a Piper (VITS) voice")
    return durations[0], entries[0], sounds[0]
