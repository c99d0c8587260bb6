"""A voice cut in parts: on a tiny network of the same form, and on the real one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from local_voice.audio import Samples
from local_voice.settings import TtsSettings
from local_voice.voice_graph import Frames, NotAVoiceError, Part, Rendering, VoiceGraph, _seams

TINY = """
<ir_version: 8, opset_import: ["": 15]>
voice (int64[1, ids] input, int64[1] input_lengths, float[3] scales) => (float[1, 1, samples] output) {
    numbers = Cast <to = 1> (input)
    durations = Ceil (numbers)
    one = Constant <value_ints = [1]> ()
    row = Unsqueeze (numbers, one)
    nothing = Sub (row, row)
    mask = Exp (nothing)
    encoded = Conv <kernel_shape = [1], strides = [1], dilations = [1], pads = [0, 0]> (row, embedding)
    a, b = Split <axis = 1> (encoded)
    c = Conv <kernel_shape = [5], strides = [1], dilations = [1], pads = [2, 2]>
        (a, flow_flows_2_pre_weight)
    d = Mul (c, mask)
    e = Sub (b, d)
    flowing = Concat <axis = 1> (e, a)
    f, g = Split <axis = 1> (flowing)
    h = Conv <kernel_shape = [3], strides = [1], dilations = [1], pads = [1, 1]>
        (f, flow_flows_0_pre_weight)
    i = Mul (h, mask)
    j = Sub (g, i)
    k = Concat <axis = 1> (f, j)
    flowed = Mul (k, mask)
    l = Conv <kernel_shape = [7], strides = [1], dilations = [1], pads = [3, 3]>
        (flowed, dec_conv_pre_weight)
    m = ConvTranspose <kernel_shape = [4], strides = [2], dilations = [1], pads = [1, 1]>
        (l, dec_ups_0_weight)
    n = Conv <kernel_shape = [3], strides = [1], dilations = [3], pads = [3, 3]> (m, resblock)
    upsampled = Add (m, n)
    o = ConvTranspose <kernel_shape = [6], strides = [2], dilations = [1], pads = [2, 2]>
        (upsampled, dec_ups_1_weight)
    output = Tanh (o)
}
"""
WEIGHTS = {
    "embedding": (4, 1, 1),
    "flow.flows.2.pre.weight": (2, 2, 5),
    "flow.flows.0.pre.weight": (2, 2, 3),
    "dec.conv_pre.weight": (4, 4, 7),
    "dec.ups.0.weight": (4, 3, 4),
    "resblock": (3, 3, 3),
    "dec.ups.1.weight": (3, 1, 6),
}
GATE = ("i = Mul (h, mask)", "gate = Sigmoid (f)\n    i = Mul (h, gate)")
"""Makes of the flow one of another form."""
OTHERWISE = (
    ("", ""),
    GATE,
    ("i = Mul (h, mask)", "i = Mul (mask, h)"),
    ("i = Mul (h, mask)", "i = Identity (h)"),
    ("kernel_shape = [3], strides = [1], dilations = [3], pads", "dilations = [3], pads"),
)
"""Networks that do the same in another form."""
SCALES = (0.667, 1.0, 0.8)


def tiny(folder: Path, old: str = "", new: str = "") -> Path:
    """A voice file of the same form, with `new` for `old` in its text; every frame is one phoneme id."""
    random = np.random.default_rng(3)
    model = onnx.parser.parse_model(TINY.replace(old, new) if old else TINY)
    names = {name.replace(".", "_"): name for name in WEIGHTS}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    for name, shape in WEIGHTS.items():
        weight = random.normal(0, 0.3, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    path = folder / "tiny.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def sound(rendering: Rendering, sizes: Iterable[int]) -> Samples:
    """All of it, in pieces of so many frames."""
    pieces: list[Samples] = []
    at = 0
    for size in sizes:
        at = min(rendering.frames, at + size)
        pieces.append(rendering.sound(at))
        if at == rendering.frames:
            break
    return np.concatenate(pieces)


# ---- a tiny voice -----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("sizes", [[40], [1] * 40, [2, 4, 8, 16, 32], [5] * 8, [39, 1]])
@pytest.mark.parametrize("form", OTHERWISE)
def test_windows_give_the_samples_of_one_pass(
    tmp_path: Path, frames: int, sizes: list[int], form: tuple[str, str]
) -> None:
    path = tiny(tmp_path, *form)
    ids = np.random.default_rng(frames).integers(-3, 4, frames).tolist()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feed = {"input": np.array([ids]), "input_lengths": np.array([frames]), "scales": np.ones(3, np.float32)}
    (whole,) = session.run(["output"], {name: feed[name] for name in names})
    rendering, durations = VoiceGraph(path, 1).encode(ids, SCALES)
    assert durations == ids
    assert rendering.frames == frames
    assert np.abs(sound(rendering, sizes) - whole.ravel()).max() < 1e-6


def test_margins_are_what_the_convolutions_see_and_no_frame_more(tmp_path: Path) -> None:
    graph = VoiceGraph(tiny(tmp_path), 1)
    assert [part.margin for part in graph._parts] == [2, 1, 5, 1]
    encoded = graph.encode([3, -1, 2, 2, -3, 1] * 5, SCALES)[0].encoded
    whole = sound(Rendering(graph._parts, encoded), [30])
    for number, part in enumerate(graph._parts):
        narrow = [*graph._parts]
        narrow[number] = dataclasses.replace(part, margin=part.margin - 1)
        assert np.abs(sound(Rendering(tuple(narrow), encoded), [1] * 30) - whole).max() > 1e-5


def test_a_flow_of_another_form_stays_in_the_encoder(tmp_path: Path) -> None:
    assert [part.margin for part in VoiceGraph(tiny(tmp_path, *GATE), 1)._parts] == [5, 1]


def test_a_first_piece_costs_the_same_however_long_the_clause_is(tmp_path: Path) -> None:
    ran: list[int] = []

    class Counted(Part):
        def run(self, window: Frames) -> Frames:
            ran.append(window.shape[2])
            return super().run(window)

    graph = VoiceGraph(tiny(tmp_path), 1)
    parts = tuple(Counted(part.session, part.margin) for part in graph._parts)
    for frames in (100, 1000):
        rendering = Rendering(parts, graph.encode([1] * frames, SCALES)[0].encoded)
        ran.clear()
        rendering.sound(4)
        assert ran == [4 + 1 + 5 + 1 + 2, 4 + 1 + 5 + 1, 4 + 1 + 5, 2 * (4 + 1)]
        ran.clear()
        rendering.sound(8)
        assert ran == [4 + 2 * 2, 4 + 2 * 1, 4 + 2 * 5, 2 * (4 + 2 * 1)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("dec_conv_pre_weight", "embedding", r"is not a Piper \(VITS\) voice"),
        ("o = ConvTranspose", "o = Conv", r"is not a Piper \(VITS\) voice"),
        ("Ceil", "Floor", r"is not a Piper \(VITS\) voice"),
        ("strides = [1], dilations = [3]", "strides = [2], dilations = [3]", "skips frames"),
        ("dilations = [3], pads = [3, 3]", "dilations = [3, 3], pads = [3, 3]", "has no known form"),
        ("float[3] scales", "float[3] scales, int64[1] sid", "voices of several speakers"),
    ],
)
def test_what_is_no_voice_is_told_apart(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(NotAVoiceError, match=reason):
        VoiceGraph(tiny(tmp_path, old, new), 1)


# ---- the real voice ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(model_path: Callable[[str], Path]) -> Path:
    return model_path(TtsSettings().model)


@pytest.fixture(scope="module")
def graph(path: Path) -> VoiceGraph:
    return VoiceGraph(path, 1)


@pytest.fixture(scope="module")
def uncut(path: Path) -> onnxruntime.InferenceSession:
    """Flow and HiFi-GAN in one, the mask still in it."""
    model = onnx.load(str(path))
    _, (entry, *_, end) = _seams(model.graph)
    part = onnx.utils.Extractor(model).extract_model([entry, "/Cast_2_output_0"], [end])
    return onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.models
def test_the_real_margins(graph: VoiceGraph) -> None:
    assert [part.margin for part in graph._parts] == [8, 8, 8, 8, 10, 1]


@pytest.mark.models
@pytest.mark.parametrize("phonemes", [1, 3, 12, 50])
def test_windows_of_the_real_voice_give_the_samples_of_one_pass(
    graph: VoiceGraph, uncut: onnxruntime.InferenceSession, phonemes: int
) -> None:
    spoken = np.random.default_rng(phonemes).integers(14, 60, phonemes).tolist()
    ids = [1, 0, *chain.from_iterable((phoneme, 0) for phoneme in spoken), 2]
    rendering, durations = graph.encode(ids, SCALES)
    assert sum(durations) == rendering.frames
    entry, mask = (value.name for value in uncut.get_inputs())
    every = np.ones((1, 1, rendering.frames), np.float32)
    (made,) = uncut.run(None, {entry: rendering.encoded, mask: every})
    whole = np.clip(made.ravel(), -1.0, 1.0)
    for sizes in ([16, 32, 64, *repeat(96, 20)], repeat(7)):
        pieces = sound(Rendering(graph._parts, rendering.encoded), sizes)
        # Of rounding alone: the encoder's last bit makes 2e-5. One frame less in a margin makes 3e-4 in
        # HiFi-GAN's beginning, 0.1 in its end and 0.3 in the flow.
        assert np.abs(pieces - whole).max() < 1e-4
