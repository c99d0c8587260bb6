"""A Piper voice cut in parts, so that a clause can be heard while the rest of it is still being made.

A voice is one VITS network. Its encoder reads all phonemes and decides how long each lasts and how it sounds;
that gives a frame for every 12 ms of sound. A normalising flow of four couplings turns these frames into
others, and HiFi-GAN turns those into samples. Flow and HiFi-GAN are convolutions that see a few frames to
either side: run in windows with that many frames around them, they give the same samples as in one go.

So the encoder runs once for a clause, and what lies behind it in windows. The flow is cut before each
coupling, which sees 8 frames to either side, and HiFi-GAN before its second upsampling: what lies behind that
is three quarters of its work and sees 1 frame, what lies before it sees 10. Each part keeps what it has made,
so that a window repeats no more than the frames at its own edges, and the first sound waits for the flow of
some 60 frames, however long the clause is. With a cut between flow and HiFi-GAN alone, and the same first
piece of 24 frames, it came after 0.089 s on one core instead of 0.063 for 37 characters, and after 0.22
instead of 0.12 for 137.

Windows are the idea of streaming-vits (MIT), which cuts once, before the flow, and repeats 34 frames and 28.
The file on the disk is never changed; the cuts are made in memory at start-up.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from local_voice.audio import Samples
from local_voice.onnx_session import cpu_session

COUPLING = r"flow\.flows\.\d+\.pre\.weight"
"""The first weight of a coupling, as a regular expression."""
LEAST_SEAMS = 3
"""Before HiFi-GAN, before its second upsampling, and the sound."""
EVERY_FRAME = "every_frame"
"""The name of a constant 1."""

Frames = npt.NDArray[np.float32]
"""Shape `(1, channels, columns)`. What has been upsampled has several columns for each frame."""


class NotAVoiceError(Exception):
    """The file is no single-speaker Piper voice; the message says what is missing."""


@dataclass(frozen=True)
class Part:
    """A piece of the network that can be run in windows."""

    session: onnxruntime.InferenceSession
    margin: int
    """Frames of its input, to either side of one, that it sees."""

    def run(self, window: Frames) -> Frames:
        """What it makes of these frames, as if nothing lay beyond them."""
        (made,) = self.session.run(None, {self.session.get_inputs()[0].name: np.ascontiguousarray(window)})
        return np.asarray(made, np.float32).reshape(1, -1, made.shape[-1])


class VoiceGraph:
    """The ONNX sessions made of one voice file."""

    def __init__(self, path: Path, threads: int) -> None:
        """`threads`: CPU threads within one call; 0 leaves the choice to onnxruntime.

        Raises `NotAVoiceError` where the file is not a voice, and what onnx and onnxruntime raise for broken
        files.
        """
        model = onnx.load(str(path))
        durations, seams = _seams(model.graph)
        inputs = [value.name for value in model.graph.input]
        if sorted(inputs) != ["input", "input_lengths", "scales"]:
            raise NotAVoiceError(f"its inputs are {', '.join(inputs)}; voices of several speakers don't fit")
        if len(seams) > LEAST_SEAMS:
            _drop_mask(model.graph)
        cutter = onnx.utils.Extractor(model)
        encoder = cutter.extract_model(inputs, [seams[0], durations])
        self.encoder = cpu_session(encoder.SerializeToString(), threads)
        parts: list[Part] = []
        rate = 1
        for begin, end in pairwise(seams):
            part = cutter.extract_model([begin], [end])
            margin, rate = _margin(part.graph, rate)
            parts.append(Part(cpu_session(part.SerializeToString(), threads), margin))
        self._parts = tuple(parts)

    def encode(self, ids: list[int], scales: tuple[float, float, float]) -> tuple[Rendering, list[int]]:
        """The clause, ready to be turned into sound, and how many frames each phoneme id takes.

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
        rendering = Rendering(self._parts, np.asarray(frames, np.float32))
        return rendering, [int(count) for count in np.ravel(durations)]


class Rendering:
    """A clause on its way through the parts. Used by one thread at a time."""

    def __init__(self, parts: tuple[Part, ...], encoded: Frames) -> None:
        """`encoded`: what the encoder made, one column a frame, the noise included."""
        self.encoded = encoded
        self.frames = encoded.shape[2]
        """How long the clause is."""
        self._parts = parts
        self._done = [0] * len(parts)
        """Frames that each part has made."""
        self._kept = [(0, encoded), *[(0, encoded[:, :0, :0])] * (len(parts) - 1)]
        """What each part takes in: the first frame that is still kept, and all that is made from it on."""

    def sound(self, until: int) -> Samples:
        """The samples from the frame where the last call stopped up to `until`, which lies behind it."""
        samples = np.ravel(self._make(len(self._parts) - 1, until))
        return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)

    def _make(self, number: int, until: int) -> Frames:
        """What part `number` makes, from where it stopped up to frame `until`."""
        part, begin = self._parts[number], self._done[number]
        left, right = max(0, begin - part.margin), min(self.frames, until + part.margin)
        made = part.run(self._taken(number, left, right))
        rate = made.shape[2] // (right - left)
        self._done[number] = until
        return made[:, :, (begin - left) * rate : (until - left) * rate]

    def _taken(self, number: int, left: int, right: int) -> Frames:
        """What part `number` takes in, from frame `left` to `right`. What lies before `left` is let go."""
        first, columns = self._kept[number]
        there = self._done[number - 1] if number else self.frames
        if there < right:
            more = self._make(number - 1, right)
            columns = np.concatenate((columns, more), axis=2) if there else more
            there = right
        rate = columns.shape[2] // (there - first)
        columns = columns[:, :, (left - first) * rate :]
        self._kept[number] = left, columns
        return columns[:, :, : (right - left) * rate]


def _seams(graph: onnx.GraphProto) -> tuple[str, list[str]]:
    """Names of tensors: the frames per phoneme id; and what enters each part in turn, the sound last.

    The Ceil of the duration predictor is where Piper's own alignment patch looks too.
    """
    durations = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    decoders = [node.input[0] for node in _with_weight(graph, r"dec\.conv_pre\.weight")]
    upsamplings = [node.input[0] for node in graph.node if node.op_type == "ConvTranspose"]
    sounds = [value.name for value in graph.output]
    if not (len(durations) == len(decoders) == len(sounds) == 1 and len(upsamplings) > 1):
        raise NotAVoiceError("its network is not a Piper (VITS) voice")
    return durations[0], [*_couplings(graph), *decoders, upsamplings[1], *sounds]


def _couplings(graph: onnx.GraphProto) -> list[str]:
    """What enters each coupling of the flow; none where it has another form: then the encoder does it whole.

    A coupling begins by splitting the channels in two halves, one of which enters the convolution `pre`.
    """
    halves = {name: node.input[0] for node in graph.node if node.op_type == "Split" for name in node.output}
    found = [halves.get(node.input[0], "") for node in _with_weight(graph, COUPLING)]
    return found if all(found) and _mask(graph) else []


def _mask(graph: onnx.GraphProto) -> str:
    """What marks a clause's own frames in a batch: each coupling multiplies by it. "" where there is none."""
    made = {node.output[0] for node in _with_weight(graph, COUPLING)}
    masked = [node for node in graph.node if node.op_type == "Mul" and made & {*node.input}]
    factors = {name for node in masked for name in node.input} - made
    return factors.pop() if len(factors) == 1 and len(masked) == len(made) else ""


def _drop_mask(graph: onnx.GraphProto) -> None:
    """Take it out: of one clause all frames are its own."""
    mask = _mask(graph)
    graph.initializer.append(onnx.numpy_helper.from_array(np.ones((), np.float32), EVERY_FRAME))
    for node in graph.node:
        if node.op_type == "Mul" and mask in node.input:
            node.input[:] = [EVERY_FRAME if name == mask else name for name in node.input]


def _with_weight(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The nodes with a weight of this name (a regular expression), in the order in which they run."""
    return [node for node in graph.node if any(re.fullmatch(name, one) for one in node.input)]


def _margin(graph: onnx.GraphProto, rate: int) -> tuple[int, int]:
    """Frames of a part's input, to either side of one, that the part sees; and columns of its output a frame.

    `rate`: columns of its input a frame. Walks from the output back to the input: convolutions see columns
    beside their own, everything else in these parts looks at each column alone.
    """
    upsampled = rate * math.prod(
        _kernel(graph, node)[0] for node in graph.node if node.op_type == "ConvTranspose"
    )
    seen = {graph.output[0].name: (0, upsampled - 1)}
    """First and last column of each tensor that the output's first frame is made of."""
    for node in reversed(graph.node):
        spans = [seen[name] for name in node.output if name in seen]
        if not spans:
            continue
        first, last = min(first for first, _ in spans), max(last for _, last in spans)
        if node.op_type == "Conv":
            _, padding, width = _kernel(graph, node)
            first, last = first - padding, last - padding + width
        elif node.op_type == "ConvTranspose":
            stride, padding, width = _kernel(graph, node)
            first, last = -((width - padding - first) // stride), (last + padding) // stride
        for name in node.input:
            known = seen.get(name, (first, last))
            seen[name] = min(known[0], first), max(known[1], last)
    first, last = seen[graph.input[0].name]
    return max(-(first // rate), last // rate), upsampled


def _kernel(graph: onnx.GraphProto, node: onnx.NodeProto) -> tuple[int, int, int]:
    """Of a convolution: its stride, its padding on the left, and the columns between its outermost taps."""
    found = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    sizes = [list(weight.dims[2:]) for weight in graph.initializer if weight.name == node.input[1]]
    try:
        (size,) = found.get("kernel_shape") or sizes[0]
        (stride,), (dilation,) = found.get("strides", [1]), found.get("dilations", [1])
    except (IndexError, ValueError) as error:
        raise NotAVoiceError(f"the convolution {node.output[0]} has no known form") from error
    if node.op_type == "Conv" and stride != 1:
        raise NotAVoiceError(f"the convolution {node.output[0]} skips frames")
    return stride, found.get("pads", [0])[0], (size - 1) * dilation
