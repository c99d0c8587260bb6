"""GGUF weights made fit for vLLM: bfloat16 safetensors, or int8 ones that halve the bytes a token costs.

vLLM no longer reads GGUF by itself. `transformers` unpacks the blocks into a dense model; we write it with
its tokenizer and chat template, and quantize it to what compressed-tensors calls W8A8: int8 weights with one
scale per output channel, activations rounded to int8 per token as they come. This room touches files only; it
must not know where they came from or who will load them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_voice.stages import StartupError

if TYPE_CHECKING:
    import torch

QUANTIZED = re.compile(r".*\.layers\.\d+\..*_proj\.weight|lm_head\.weight")
"""The linear layers; norms, biases and the input embedding stay bfloat16."""

QUANTIZATION_CONFIG: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": [],
    "config_groups": {
        "group_0": {
            # The head has to be named: in vLLM it is no Linear.
            "targets": ["Linear", "re:.*lm_head$"],
            "weights": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "channel",
                "dynamic": False,
            },
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}
"""What compressed-tensors' `QuantizationArgs` (0.17) and vLLM's `CompressedTensorsW8A8Int8` (0.32) read."""


def convert_gguf(gguf: Path, out: Path, *, quantize: bool, progress: Callable[[str], None]) -> None:
    """Turn the file `gguf` into the folder `out` with weights, config, tokenizer and chat template.

    `out` appears at once and whole, or not at all. The bytes depend on the input and the versions of
    transformers and safetensors only: two runs give the same sha256. `progress` is told each step. Raises
    `StartupError`.
    """
    if not gguf.is_file():
        raise StartupError(f"There is no GGUF file at {gguf}; run `local-voice models pull`.")
    if out.exists() and any(out.iterdir()):
        raise StartupError(f"{out} exists already; delete it to convert again.")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".partial", dir=out.parent))
    try:
        _convert(gguf, partial, quantize, progress)
        partial.chmod(0o755)  # mkdtemp's 0700 would lock out other users of a shared store
        partial.replace(out)
    except OSError as error:
        raise StartupError(f"{out} could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert(gguf: Path, folder: Path, quantize: bool, progress: Callable[[str], None]) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is first imported; we report in sentences
    try:
        for needed in ("gguf", "accelerate"):  # transformers says so itself, but only much later
            importlib.import_module(needed)
        import torch
        from safetensors.torch import save_file
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise StartupError(f"Converting a GGUF model needs {error.name}; run `scripts/start`.") from error

    progress(f"reading {gguf.name}")
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        model = AutoModelForCausalLM.from_pretrained(
            **source,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
            attn_implementation="eager",
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise StartupError(f"{gguf} is not a GGUF model that can be converted: {error}") from error
    if not tokenizer.chat_template:
        raise StartupError(f"{gguf} has no chat template: it is not a model that can hold a conversation.")

    tokenizer.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    config = json.loads(model.config.to_json_string())
    config.pop("quantization_config", None)  # says "gguf", which the weights no longer are
    config.pop("_model_name_or_path", None)
    config["architectures"] = [type(model).__name__]  # vLLM chooses its model class by this
    tensors: dict[str, torch.Tensor] = model.state_dict()
    tied = config.get("tie_word_embeddings", False)
    del model
    if quantize:
        # The head reads as many bytes per token as a third of the layers, so it gets int8 rows of its own.
        config["quantization_config"] = QUANTIZATION_CONFIG
        config["tie_word_embeddings"] = False
        _quantize_in_place(tensors, progress)
    elif tied:
        tensors.pop("lm_head.weight", None)
    progress("writing the weights")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for path in sorted(folder.iterdir()):
        path.chmod(0o644)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _quantize_in_place(tensors: dict[str, torch.Tensor], progress: Callable[[str], None]) -> None:
    """Replace each linear weight by int8 rows and `<name>_scale`, one at a time so that memory only falls."""
    names = [name for name in tensors if QUANTIZED.fullmatch(name)]
    for number, name in enumerate(names, 1):
        if number % 24 == 1:
            progress(f"quantizing layer {number} of {len(names)}")
        tensors[name], tensors[f"{name}_scale"] = quantize_rows(tensors[name])


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round a weight, shape `(out, in)`, to int8 with one float32 scale per row, shape `(out, 1)`.

    Symmetric round-to-nearest: a row's largest magnitude becomes 127. A row of zeros gets scale 1.
    """
    import torch

    dense = weight.to(torch.float32, copy=True)
    peak = torch.linalg.vector_norm(dense, ord=float("inf"), dim=1, keepdim=True)
    scale = torch.where(peak > 0, peak / 127.0, torch.ones_like(peak))
    return dense.div_(scale).round_().clamp_(-127, 127).to(torch.int8), scale


def main(arguments: list[str] | None = None) -> int:
    """`python -m local_voice.convert GGUF OUT [--no-quantize]`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local_voice.convert", description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--no-quantize", action="store_true", help="keep bfloat16 weights")
    chosen = parser.parse_args(arguments)
    try:
        convert_gguf(chosen.gguf, chosen.out, quantize=not chosen.no_quantize, progress=print)
    except StartupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
