"""Whether a folder holds a language model that fits this machine's memory, before seconds are spent on it.

This room looks at files and at the kernel's own figures; it must not know which library will load the model.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from local_voice.settings import LlmSettings
from local_voice.stages import StartupError

GIB = 1 << 30
OVERHEAD_BYTES = 2 * GIB
"""Libraries and buffers of vLLM's engine core and its worker beside weights and cache: 1.9 GiB measured."""


def require_model(model: Path) -> None:
    """Raises `StartupError` where there is no config or no safetensors weights."""
    if not (model / "config.json").is_file() or not any(model.glob("*.safetensors")):
        raise StartupError(
            f"There is no language model in {model}; run `local-voice models pull` or set llm.model."
        )


def require_memory(model: Path, settings: LlmSettings) -> None:
    """Raises `StartupError` where weights, cache and libraries do not fit the memory of this machine.

    On a CPU vLLM would be killed by the kernel half-way through the weights, with no reason given.
    """
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    needed = weights + settings.kv_cache_gib * GIB + OVERHEAD_BYTES
    free = available_memory()
    if free < needed:
        raise StartupError(
            f"The language model needs {needed / GIB:.1f} GiB of memory and {free / GIB:.1f} GiB are free; "
            "close other programs, or choose a smaller llm.model."
        )


def available_memory() -> float:
    """Bytes that can be had without swapping; infinite where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return float("inf")
