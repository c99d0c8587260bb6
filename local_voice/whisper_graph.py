"""Whisper's decoder as a network that keeps its weights packed, made in memory from CTranslate2's file.

On a CPU CTranslate2 repacks a layer's weights for every token: 10 to 13 ms for each of whisper-base's on two
threads. Packed once, with 8 bits in blocks of 128 (MatMulNBits of ONNX Runtime), a token takes 3 to 5 ms on
one thread in the same minutes. The layers are those of openai/whisper, `model.py`. This room must not know
which token comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from local_voice.ctranslate2_file import UnknownLayoutError, Weights
from local_voice.onnx_session import cpu_session
from local_voice.whisper_search import Scores

BLOCK = 128
"""Weights that share a scale. It divides the width of every Whisper, 384 to 1,280."""
_ROWS = 4096
"""Rows quantized at once: whisper-base's vocabulary in one piece would take 300 MB for a moment."""
_LAYOUT = {"activation": 3, "pre_norm": 1, "scale_embeddings": 0}
"""What the layers below do: GELU; norms before each part, not behind it; embeddings as they are."""
_MICROSOFT = ("MatMulNBits", "MultiHeadAttention")
"""Kinds of nodes that ONNX Runtime knows beside ONNX's own."""

Array: TypeAlias = npt.NDArray[np.float32]
_Tensors: TypeAlias = dict[str, Array]
"""By name. Keys and values have the shape `(beams, heads, tokens, size of a head)`; those of what was heard,
which all beams look at, `(1, heads, frames, size of a head)`."""


class WhisperDecoder:
    """The network. Each decode has a `Reading` of its own."""

    def __init__(self, weights: Weights, threads: int) -> None:
        """`weights`: those of a Whisper. `threads`: CPU threads within one call.

        Raises `UnknownLayoutError`.
        """
        self._weights = weights
        try:
            kind = {name: int(weights[f"decoder/{name}"]) for name in _LAYOUT}
            if kind != _LAYOUT:
                raise ValueError(f"{kind} instead of {_LAYOUT}")
            self._positions = _float(weights, "decoder/position_encodings/encodings")
            heads = int(weights["decoder/num_heads"])
            size = self._positions.shape[1] // heads
            self._nothing = np.zeros((1, heads, 0, size), np.float32)
            self._listener = _listener(weights, heads, size).session(threads)
            self._reader = _reader(weights, heads, size).session(threads)
        except Exception as error:  # also what onnxruntime raises, which has no class of its own
            raise UnknownLayoutError(f"it is not laid out as other Whispers are ({error})") from error

    def begin(self, encoded: Array) -> Reading:
        """A decode of what the encoder heard, shape `(1, frames, width)`."""
        memory = _run(self._listener, {"encoded": encoded})
        nothing = {name.replace("memory", "past"): self._nothing for name in memory}
        return Reading(self._read, memory, nothing)

    def _read(self, tokens: Sequence[int], memory: _Tensors, past: _Tensors) -> _Tensors:
        """`tokens`: the next ones of each beam, one beam after another."""
        beams, _, at, _ = past["past_key_0"].shape
        embedded = _float(self._weights, "decoder/embeddings/weight", list(tokens))
        embedded = embedded.reshape(beams, -1, embedded.shape[1])
        embedded += self._positions[at : at + embedded.shape[1]]
        return _run(self._reader, {"embedded": embedded, **memory, **past})


class Reading:
    """One decode on its way: keys and values of what was heard and of what was read. A `Reader`."""

    def __init__(self, run: Callable[..., _Tensors], memory: _Tensors, past: _Tensors) -> None:
        self._run = run
        self._memory = memory
        self._past = past

    def __call__(self, tokens: Sequence[int], at: int) -> Scores:
        """As `Reader`."""
        scores: Scores
        (scores,) = self._go_on(tokens, {name: values[:1, :, :at] for name, values in self._past.items()})
        return scores

    def side_by_side(self, tokens: Sequence[int], parents: Sequence[int]) -> Scores:
        """As `Reader`."""
        scores: Scores = self._go_on(tokens, {name: past[list(parents)] for name, past in self._past.items()})
        return scores[:, 0]

    def _go_on(self, tokens: Sequence[int], past: _Tensors) -> Array:
        """Returns scores of the shape `(beams, tokens of each, vocabulary)`."""
        past = {name: np.ascontiguousarray(values) for name, values in past.items()}
        made = self._run(tokens, self._memory, past)
        scores = made.pop("scores")
        self._past = {name.replace("now", "past"): values for name, values in made.items()}
        return scores


class _Graph:
    """Nodes, weights, inputs and outputs, gathered while walking through the layers."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> str:
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, name: str, values: npt.NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """Returns the first output's name."""
        domain = "com.microsoft" if kind in _MICROSOFT else ""
        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def add(self, states: str, more: str) -> str:
        return self.node("Add", [states, more], f"{more}/added")

    def split(self, values: str, parts: int) -> list[str]:
        names = [f"{values}/{number}" for number in range(parts)]
        self.node("Split", [values], *names, axis=-1, num_outputs=parts)
        return names

    def attention(self, inputs: Sequence[str], *outputs: str, heads: int, causal: bool = False) -> str:
        """`inputs`, `outputs`: those of ONNX Runtime's MultiHeadAttention."""
        return self.node("MultiHeadAttention", inputs, *outputs, num_heads=heads, unidirectional=int(causal))

    def norm(self, states: str, name: str) -> str:
        gamma = self.constant(f"{name}/gamma", _float(self.weights, f"{name}/gamma"))
        beta = self.constant(f"{name}/beta", _float(self.weights, f"{name}/beta"))
        return self.node("LayerNormalization", [states, gamma, beta], name, axis=-1, epsilon=1e-5)

    def linear(self, states: str, name: str) -> str:
        """8 bits, in blocks."""
        packed, scales = _quantized(self.weights, f"{name}/weight")
        inputs = [states, self.constant(f"{name}/weight", packed), self.constant(f"{name}/scales", scales)]
        if f"{name}/bias" in self.weights:
            inputs += ["", "", self.constant(f"{name}/bias", _float(self.weights, f"{name}/bias"))]
        rows, blocks = packed.shape[:2]
        return self.node(
            "MatMulNBits",
            inputs,
            name,
            N=rows,
            K=blocks * BLOCK,
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,  # The activations are 8-bit numbers too, as in CTranslate2.
        )

    def session(self, threads: int) -> onnxruntime.InferenceSession:
        graph = helper.make_graph(self._nodes, "whisper", self._inputs, self._outputs, self._constants)
        versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        # The version of the file format that goes with opset 20.
        model = helper.make_model(graph, opset_imports=versions, ir_version=9)
        return cpu_session(model.SerializeToString(), threads)


def _listener(weights: Weights, heads: int, size: int) -> _Graph:
    """What the encoder heard -> the keys and values that every layer looks at, once for each decode."""
    graph = _Graph(weights)
    graph.input("encoded", [1, "frames", heads * size])
    split = graph.constant("split", np.array([0, 0, heads, size], np.int64))
    for number in range(_layers(weights)):
        both = graph.linear("encoded", f"decoder/layer_{number}/attention/linear_1")
        for part, values in zip(("key", "value"), graph.split(both, 2), strict=True):
            rows = graph.node("Reshape", [values, split], f"{values}/heads")
            graph.node("Transpose", [rows], f"memory_{part}_{number}", perm=[0, 2, 1, 3])
            graph.output(f"memory_{part}_{number}", [1, heads, "frames", size])
    return graph


def _reader(weights: Weights, heads: int, size: int) -> _Graph:
    """Embedded tokens, what was heard and what was read before -> scores, and what has been read now."""
    graph = _Graph(weights)
    states = graph.input("embedded", ["beams", "new", heads * size])
    shape = graph.node("Shape", [states], "shape")
    # Tokens of all beams look at what was heard as those of one: which came first does not matter there.
    one_beam = graph.constant("one_beam", np.array([1, -1, heads * size], np.int64))
    for number in range(_layers(weights)):
        name = f"decoder/layer_{number}"
        memory, past, now = (
            [f"{what}_{part}_{number}" for part in ("key", "value")] for what in ("memory", "past", "now")
        )
        for part in range(2):
            graph.input(memory[part], [1, heads, "frames", size])
            graph.input(past[part], ["beams", heads, "past", size])
            graph.output(now[part], ["beams", heads, "now", size])

        normed = graph.norm(states, f"{name}/self_attention/layer_norm")
        parts = graph.split(graph.linear(normed, f"{name}/self_attention/linear_0"), 3)
        read = graph.attention([*parts, "", "", "", *past], f"{name}/read", *now, heads=heads, causal=True)
        states = graph.add(states, graph.linear(read, f"{name}/self_attention/linear_1"))

        normed = graph.norm(states, f"{name}/attention/layer_norm")
        query = graph.linear(normed, f"{name}/attention/linear_0")
        query = graph.node("Reshape", [query, one_beam], f"{name}/query")
        heard = graph.attention([query, *memory], f"{name}/all_heard", heads=heads)
        heard = graph.node("Reshape", [heard, shape], f"{name}/heard")
        states = graph.add(states, graph.linear(heard, f"{name}/attention/linear_2"))

        normed = graph.norm(states, f"{name}/ffn/layer_norm")
        wide = graph.node("Gelu", [graph.linear(normed, f"{name}/ffn/linear_0")], f"{name}/ffn/wide")
        states = graph.add(states, graph.linear(wide, f"{name}/ffn/linear_1"))
    scores = graph.linear(graph.norm(states, "decoder/layer_norm"), "decoder/projection")
    graph.node("Identity", [scores], "scores")
    graph.output("scores", ["beams", "new", "vocabulary"])
    return graph


def _layers(weights: Weights) -> int:
    return sum(name.startswith("decoder/") and name.endswith("/ffn/linear_0/weight") for name in weights)


def _float(weights: Weights, name: str, rows: Sequence[int] | slice = slice(None)) -> Array:
    """`rows` of a variable, whatever numbers it is kept in."""
    values: Array = weights[name][rows].astype(np.float32)
    scales = weights.get(f"{name}_scale")
    return values if scales is None else values / scales[rows].astype(np.float32)[:, None]


def _quantized(weights: Weights, name: str) -> tuple[npt.NDArray[np.uint8], Array]:
    """A matrix of shape `(rows, columns)` in 8 bits around 128, and the blocks' scales."""
    rows, columns = weights[name].shape
    packed = np.empty((rows, columns // BLOCK, BLOCK), np.uint8)
    scales = np.empty((rows, columns // BLOCK), np.float32)
    for begin in range(0, rows, _ROWS):
        some = slice(begin, begin + _ROWS)
        blocks = _float(weights, name, some).reshape(-1, columns // BLOCK, BLOCK)
        # A block of zeros has any scale.
        scales[some] = np.maximum(np.abs(blocks).max(axis=2) / 127, np.finfo(np.float32).tiny)
        packed[some] = np.rint(blocks / scales[some, :, None]) + 128
    return packed, scales


def _run(session: onnxruntime.InferenceSession, inputs: dict[str, npt.NDArray[Any]]) -> _Tensors:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
