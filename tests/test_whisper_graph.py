"""Whisper's decoder as a network: against the same layers in NumPy, and against CTranslate2's own."""

from collections.abc import Sequence
from math import erf

import numpy as np
import pytest

from local_voice.ctranslate2_file import UnknownLayoutError, Weights
from local_voice.whisper_graph import WhisperDecoder

WIDTH, HEADS, LAYERS, VOCABULARY, FRAMES = 128, 2, 2, 40, 30


def made_up(quantized: bool = False) -> Weights:
    """A small Whisper of random weights, named as in CTranslate2's file."""
    rng = np.random.default_rng(4)
    weights: Weights = {"decoder/num_heads": np.array(HEADS, np.int16)}
    for name, value in {"activation": 3, "pre_norm": 1, "scale_embeddings": 0}.items():
        weights[f"decoder/{name}"] = np.array(value, np.int8)

    def matrix(name: str, rows: int, columns: int = WIDTH) -> None:
        values = (rng.normal(size=(rows, columns)) / np.sqrt(columns)).astype(np.float16)
        if quantized:
            scales = (127 / np.abs(values.astype(np.float32)).max(axis=1)).astype(np.float32)
            weights[f"{name}_scale"] = scales
            weights[name] = np.rint(values * scales[:, None]).astype(np.int8)
        else:
            weights[name] = values

    def norm(name: str) -> None:
        weights[f"{name}/gamma"] = rng.normal(1, 0.1, WIDTH).astype(np.float16)
        weights[f"{name}/beta"] = rng.normal(0, 0.1, WIDTH).astype(np.float16)

    for number in range(LAYERS):
        layer = f"decoder/layer_{number}"
        for name, rows, columns in (
            ("self_attention/linear_0", 3 * WIDTH, WIDTH),
            ("self_attention/linear_1", WIDTH, WIDTH),
            ("attention/linear_0", WIDTH, WIDTH),
            ("attention/linear_1", 2 * WIDTH, WIDTH),
            ("attention/linear_2", WIDTH, WIDTH),
            ("ffn/linear_0", 4 * WIDTH, WIDTH),
            ("ffn/linear_1", WIDTH, 4 * WIDTH),
        ):
            matrix(f"{layer}/{name}/weight", rows, columns)
            weights[f"{layer}/{name}/bias"] = rng.normal(0, 0.1, rows).astype(np.float16)
        for name in ("self_attention", "attention", "ffn"):
            norm(f"{layer}/{name}/layer_norm")
    norm("decoder/layer_norm")
    matrix("decoder/embeddings/weight", VOCABULARY)
    for end in ("weight", "weight_scale") if quantized else ("weight",):
        weights[f"decoder/projection/{end}"] = weights[f"decoder/embeddings/{end}"]
    weights["decoder/position_encodings/encodings"] = rng.normal(0, 0.3, (64, WIDTH)).astype(np.float16)
    return weights


def expected(weights: Weights, encoded: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """The scores behind each token, in full precision, all tokens at once."""

    def values(name: str) -> np.ndarray:
        found = weights[name].astype(np.float64)
        return found / weights[f"{name}_scale"][:, None] if f"{name}_scale" in weights else found

    def linear(states: np.ndarray, name: str) -> np.ndarray:
        return states @ values(f"{name}/weight").T + values(f"{name}/bias")

    def norm(states: np.ndarray, name: str) -> np.ndarray:
        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-5)
        return centred / deviation * values(f"{name}/gamma") + values(f"{name}/beta")

    def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, causal: bool) -> np.ndarray:
        parts = []
        for q, k, v in zip(*(np.split(x, HEADS, axis=-1) for x in (query, key, value)), strict=True):
            weight = q @ k.T / np.sqrt(WIDTH // HEADS)
            if causal:
                weight = np.where(np.tri(*weight.shape, dtype=bool), weight, -np.inf)
            weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
            parts.append(weight / weight.sum(axis=-1, keepdims=True) @ v)
        return np.concatenate(parts, axis=-1)

    states = values("decoder/embeddings/weight")[list(tokens)]
    states = states + values("decoder/position_encodings/encodings")[: len(tokens)]
    for number in range(LAYERS):
        layer = f"decoder/layer_{number}"
        normed = norm(states, f"{layer}/self_attention/layer_norm")
        read = attention(*np.split(linear(normed, f"{layer}/self_attention/linear_0"), 3, axis=-1), True)
        states = states + linear(read, f"{layer}/self_attention/linear_1")
        query = linear(norm(states, f"{layer}/attention/layer_norm"), f"{layer}/attention/linear_0")
        heard = attention(query, *np.split(linear(encoded, f"{layer}/attention/linear_1"), 2, axis=-1), False)
        states = states + linear(heard, f"{layer}/attention/linear_2")
        wide = linear(norm(states, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0")
        wide = wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2
        states = states + linear(wide, f"{layer}/ffn/linear_1")
    return norm(states, "decoder/layer_norm") @ values("decoder/embeddings/weight").T


ENCODED = np.random.default_rng(1).normal(size=(1, FRAMES, WIDTH)).astype(np.float32)
TOKENS = [3, 7, 7, 39, 0, 12, 5]


def close(scores: np.ndarray, to: np.ndarray) -> bool:
    """Within what 8 bits leave: 3 % of the scores' own size."""
    return bool(np.linalg.norm(scores - to) < 0.03 * np.linalg.norm(to))


@pytest.mark.parametrize("quantized", [False, True])
def test_the_network_is_whispers_decoder(quantized: bool):
    weights = made_up(quantized)
    scores = WhisperDecoder(weights, 1).begin(ENCODED)(TOKENS, 0)
    assert scores.shape == (len(TOKENS), VOCABULARY)
    assert close(scores, expected(weights, ENCODED[0], TOKENS))


def test_tokens_may_come_one_by_one_at_once_and_again_behind_those_that_stand():
    weights = made_up()
    decoder = WhisperDecoder(weights, 1)
    whole = expected(weights, ENCODED[0], TOKENS)
    read = decoder.begin(ENCODED)
    for place, token in enumerate(TOKENS):
        assert close(read([token], place), whole[place : place + 1])
    assert close(read(TOKENS[3:], 3), whole[3:])
    read([1, 1, 1, 1], 2)
    assert close(read(TOKENS[2:], 2), whole[2:])


def test_texts_read_side_by_side_are_read_as_each_alone():
    weights = made_up()
    read = WhisperDecoder(weights, 1).begin(ENCODED)
    read([9, 9, 9], 0)
    read(TOKENS[2:3], 2)  # of what was read before, two tokens stand
    read.side_by_side([4, 5, 6], [0, 0, 0])
    scores = read.side_by_side([1, 2, 3, 8], [2, 0, 0, 1])
    texts = [[9, 9, 7, 6, 1], [9, 9, 7, 4, 2], [9, 9, 7, 4, 3], [9, 9, 7, 5, 8]]
    for row, text in zip(scores, texts, strict=True):
        assert close(row, expected(weights, ENCODED[0], text)[-1])
    assert close(read(TOKENS[3:], 3), expected(weights, ENCODED[0], [9, 9, 7, *TOKENS[3:]])[3:])


def test_decodes_do_not_disturb_one_another():
    decoder = WhisperDecoder(made_up(), 1)
    one, other = decoder.begin(ENCODED), decoder.begin(-ENCODED)
    before = one(TOKENS[:3], 0)
    other([1, 2, 3, 4, 5], 0)
    np.testing.assert_array_equal(before, decoder.begin(ENCODED)(TOKENS[:3], 0))
    alone = decoder.begin(ENCODED)
    alone(TOKENS[:3], 0)
    np.testing.assert_array_equal(one(TOKENS[3:], 3), alone(TOKENS[3:], 3))


@pytest.mark.parametrize(
    "missing", ["decoder/num_heads", "decoder/layer_1/attention/linear_1/weight", "decoder/projection/weight"]
)
def test_weights_of_something_else_are_refused(missing: str):
    weights = made_up()
    del weights[missing]
    with pytest.raises(UnknownLayoutError, match=missing):
        WhisperDecoder(weights, 1)


def test_other_layers_are_refused():
    weights = made_up()
    weights["decoder/pre_norm"] = np.array(0, np.int8)
    with pytest.raises(UnknownLayoutError, match="'pre_norm': 0"):
        WhisperDecoder(weights, 1)


def test_other_widths_and_numbers_are_refused():
    odd = made_up()
    odd["decoder/layer_0/ffn/linear_1/weight"] = np.zeros((WIDTH, 4 * WIDTH + 1), np.float16)
    whole = made_up() | {"decoder/layer_0/ffn/linear_1/weight_scale": np.array(1000.0, np.float32)}
    for weights in (odd, whole):
        with pytest.raises(UnknownLayoutError):
            WhisperDecoder(weights, 1)
