"""The GGUF converter: int8 rows, the atomic folder, and (marker `models`) the real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from local_voice import convert
from local_voice.convert import QUANTIZED, convert_gguf, main, quantize_rows
from local_voice.stages import StartupError


def said(_: str) -> None:
    """A listener for progress that does not care."""


def test_a_row_is_rebuilt_from_int8_to_within_half_a_step_of_its_own_scale() -> None:
    weight = torch.randn(64, 300, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    weight[3] *= 1000  # a loud row must not cost the quiet ones their resolution
    before = weight.clone()
    rows, scale = quantize_rows(weight)
    assert rows.dtype is torch.int8
    assert scale.dtype is torch.float32
    assert scale.shape == (64, 1)
    assert torch.all((rows * scale - weight.float()).abs() <= scale * 0.5001)
    assert torch.equal(rows.abs().amax(dim=1), torch.full((64,), 127, dtype=torch.int8))
    assert torch.equal(weight, before)


def test_a_row_of_zeros_stays_zero() -> None:
    rows, scale = quantize_rows(torch.zeros(2, 8, dtype=torch.bfloat16))
    assert not rows.any()
    assert torch.equal(scale, torch.ones(2, 1))


@pytest.mark.parametrize(
    ("name", "quantized"),
    [
        ("model.layers.0.self_attn.q_proj.weight", True),
        ("model.layers.23.mlp.down_proj.weight", True),
        ("lm_head.weight", True),
        ("model.layers.0.self_attn.q_proj.bias", False),
        ("model.layers.0.input_layernorm.weight", False),
        ("model.embed_tokens.weight", False),
        ("model.norm.weight", False),
    ],
)
def test_only_the_weights_of_linear_layers_are_quantized(name: str, quantized: bool) -> None:
    assert bool(QUANTIZED.fullmatch(name)) is quantized


def test_a_missing_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="There is no GGUF file"):
        convert_gguf(tmp_path / "none.gguf", tmp_path / "out", quantize=True, progress=said)


def test_what_exists_already_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    with pytest.raises(StartupError, match="exists already"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "out", quantize=True, progress=said)
    assert (tmp_path / "out" / "kept").read_text() == "kept"


def test_a_failed_conversion_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gguf: Path, folder: Path, quantize: bool, progress: object) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "_convert", fail)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(StartupError, match="No space left on device"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "out", quantize=True, progress=said)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_the_folder_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(gguf: Path, folder: Path, quantize: bool, progress: object) -> None:
        (folder / "config.json").write_text(json.dumps({"quantize": quantize}))
        assert not (tmp_path / "out").exists()

    monkeypatch.setattr(convert, "_convert", write)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert main([str(tmp_path / "m.gguf"), str(tmp_path / "out"), "--no-quantize"]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"quantize": False}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_the_command_fails_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.gguf"), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.models
def test_a_file_of_noise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(range(256)) * 64)
    with pytest.raises(StartupError, match="is not a GGUF model that can be converted"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "out", quantize=True, progress=said)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
