"""Whether a folder holds a language model that fits this machine's memory, before seconds are spent on it.

This room looks at files and at the kernel's own figures; it must not know which library will load the model.
"""

from __future__ import annotations

from pathlib import Path

from local_voice.settings import LlmSettings
from local_voice.stages import StartupError

GIB = 1 << 30
OVERHEAD_BYTES = 1.5 * GIB
"""Libraries and buffers of vLLM's engine core beside weights and cache: 1.9 GiB measured while the model had
a process of its own, and 0.4 less for all processes since it has none."""

GPU_OVERHEAD_BYTES = 2 * GIB
"""CUDA's context, activations and graphs beside weights and cache on a GPU: an estimate."""
MEMORY_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limit."""


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
    needed = weights_of(model) + settings.kv_cache_gib * GIB + OVERHEAD_BYTES
    free = available_memory()
    if free < needed:
        raise StartupError(
            f"The language model needs {needed / GIB:.1f} GiB of memory and {free / GIB:.1f} GiB are free; "
            "close other programs, or choose a smaller llm.model."
        )


def weights_of(model: Path) -> int:
    """Bytes of the model's weights."""
    return sum(file.stat().st_size for file in model.glob("*.safetensors"))


def gpu_memory_needed(weights: int, settings: LlmSettings) -> float:
    """Bytes that the language model takes of a GPU, about."""
    return weights + settings.kv_cache_gib * GIB + GPU_OVERHEAD_BYTES


def available_memory() -> float:
    """Bytes that can be had without swapping, a container's limit included; infinite where nobody tells."""
    return min(_of_machine(), _of_container(MEMORY_GROUP))


def _of_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    told = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return next(told, float("inf"))


def _of_container(group: Path) -> float:
    try:
        limit, used = (group / "memory.max").read_text().strip(), (group / "memory.current").read_text()
        if limit == "max":
            return float("inf")
        # Files that are only kept in memory, such as weights read before, make way.
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        kept = sum(int(counts.get(name, 0)) for name in ("active_file", "inactive_file", "slab_reclaimable"))
        return int(limit) - int(used) + kept
    except (OSError, ValueError):
        return float("inf")
