"""Reading CTranslate2's model.bin: files written here by its description, and a real one."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from local_voice.ctranslate2_file import UnknownLayoutError, read_weights

NUMBERS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def written(path: Path, variables: dict[str, np.ndarray], aliases: dict[str, str], version: int = 6) -> Path:
    parts = [struct.pack("<I", version), text("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, values in variables.items():
        parts += [text(name), struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)]
        parts += [struct.pack("<BI", NUMBERS[values.dtype.name], values.nbytes), values.tobytes()]
    parts.append(struct.pack("<I", len(aliases)))
    parts += [text(alias) + text(name) for alias, name in aliases.items()]
    path.write_bytes(b"".join(parts))
    return path


VARIABLES = {
    "a": np.arange(6, dtype=np.float16).reshape(2, 3),
    "b/scale": np.array([0.5, 2.0], np.float32),
    "heads": np.array(8, np.int16),
    "none": np.zeros((0, 4), np.int8),
}


def test_what_was_written_is_read(tmp_path: Path):
    weights = read_weights(written(tmp_path / "model.bin", VARIABLES, {"c": "a"}))
    assert list(weights) == [*VARIABLES, "c"]
    for name, values in VARIABLES.items():
        assert weights[name].dtype == values.dtype
        np.testing.assert_array_equal(weights[name], values)
    np.testing.assert_array_equal(weights["c"], VARIABLES["a"])


def test_a_file_cut_anywhere_is_no_half_read_model(tmp_path: Path):
    whole = written(tmp_path / "model.bin", VARIABLES, {"c": "a"}).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.bin").write_bytes(whole[:length])
        with pytest.raises(UnknownLayoutError):
            read_weights(tmp_path / "cut.bin")


def test_another_version_and_numbers_unknown_to_numpy_say_so(tmp_path: Path):
    with pytest.raises(UnknownLayoutError, match="version 7, not 6"):
        read_weights(written(tmp_path / "model.bin", {}, {}, version=7))
    odd = written(tmp_path / "odd.bin", {"a": np.zeros(1, np.int8)}, {}).read_bytes()
    (tmp_path / "odd.bin").write_bytes(
        odd.replace(struct.pack("<IBI", 1, 1, 1), struct.pack("<IBI", 1, 5, 1))
    )
    with pytest.raises(UnknownLayoutError, match="a is of numbers of type 5"):
        read_weights(tmp_path / "odd.bin")


@pytest.mark.models
def test_a_real_model_has_what_a_whisper_needs(model_path: Callable[[str], Path]):
    weights = read_weights(model_path("whisper-base") / "model.bin")
    assert weights["decoder/projection/weight"].shape == (51_865, 512)
    assert weights["encoder/conv1/weight"].shape == (512, 80, 3)
    # The first sinusoid of the encoder's positions, sin(0), sin(1): the bytes lie where they should.
    np.testing.assert_allclose(
        weights["encoder/position_encodings/encodings"][:2, 0], [0.0, np.sin(1.0)], atol=1e-3
    )
