"""The place where vLLM is slower than it need be, changed from inside its own processes.

vLLM 0.32 has two int8 matrix products for x86. The one that quantizes, packs and multiplies in one call is
used only where the CPU has AMX, though it runs as well on AVX-512 VNNI; benchmarks/NOTES.md has the times
of both. They mean the same: both quantize every token by its largest value and sum in 32-bit integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def prefer_vnni_product() -> None:
    """Let a CPU with AVX-512 VNNI use the int8 product that vLLM keeps for AMX.

    For a process of vLLM's, before the model is loaded. Changes nothing on any other CPU.
    """
    import torch
    from vllm.model_executor.kernels.linear.scaled_mm import cpu

    # vLLM builds the product only into what it loads where the CPU has AVX-512 BF16 too.
    if not (torch.cpu._is_vnni_supported() and hasattr(torch.ops._C, "int8_scaled_mm_with_quant")):
        return
    suits_amx = cpu.check_cpu_sgl_kernel

    def suits(n: int, k: int, dtype: torch.dtype) -> bool:
        # The multiples that vLLM asks for on AMX: weights are packed by 16 outputs and 32 inputs.
        return suits_amx(n, k, dtype) or (dtype == torch.int8 and k % 32 == 0 and n % 16 == 0)

    cpu.check_cpu_sgl_kernel = suits
