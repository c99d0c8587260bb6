"""The places where vLLM 0.32 does more than it need, changed from inside.

It has two int8 matrix products for x86. The one that quantizes, packs and multiplies in one call is
used only where the CPU has AMX, though it runs as well on AVX-512 VNNI; benchmarks/NOTES.md has the times
of both. They mean the same: both quantize every token by its largest value and sum in 32-bit integers.

It adds and normalises in ten calls of torch's on a CPU, though it has both in one there.

Its attention on a CPU has a form for blocks of 16 tokens, but is offered multiples of 32 only.

Where guessed tokens are checked it reads temperatures from memory that nobody has written on a CPU
(`_expand_kernel_impl` fills a copy), and draws from the whole vocabulary once for each guess, wanted or not.

And it copies the tokenizer twice for each engine. While it does, Python runs nothing else, so that a restart
would be heard; and a cache of its own (`func_utils._supports_kw`) keeps the copies of dead engines.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

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


def prefer_compiled_norm() -> None:
    """Let layers add and normalise in one call of vLLM's C++ instead of ten of torch's.

    For a process of vLLM's on a CPU, before the model is made.
    """
    import torch
    from vllm.model_executor.layers.layernorm import RMSNorm
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    if not (hasattr(torch.ops._C, "rms_norm") and hasattr(torch.ops._C, "fused_add_rms_norm")):
        return

    def forward(norm: Any, x: torch.Tensor, residual: torch.Tensor | None = None) -> Any:
        plain = norm.variance_size_override is None and norm.has_weight and norm.weight.dtype == x.dtype
        alike = residual is None or (residual.dtype == x.dtype and residual.is_contiguous())
        if not (plain and alike and x.is_contiguous()):
            return norm.forward_native(x, residual)
        if residual is None:
            out = torch.empty_like(x)
            torch.ops._C.rms_norm(out, x, norm.weight.data, norm.variance_epsilon)
            return out
        # Both are written over, as vLLM's own fused form may do: nobody reads them again.
        torch.ops._C.fused_add_rms_norm(x, residual, norm.weight.data, norm.variance_epsilon)
        return x, residual

    RMSNorm.forward_cpu = forward


def allow_small_blocks() -> None:
    """Let a CPU keep keys and values in blocks of 16 tokens, so that more of a known prompt is found again.

    For a process of vLLM's on a CPU, before the model is made.
    """
    from vllm.v1.attention.backend import MultipleOf
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    CPUAttentionBackend.get_supported_kernel_block_sizes = staticmethod(lambda spec=None: [MultipleOf(16)])


def draw_and_compare() -> None:
    """Let guessed tokens be checked by drawing the next token as always, and comparing.

    For a process of vLLM's on a CPU, before the model is made. A guess that is given for certain is accepted
    as often, and what is written instead is as likely, as by vLLM's rule (Leviathan et al. 2023, arXiv
    2211.17192): both are the model's own distribution. Each draw takes 1.7 ms of one core for a vocabulary of
    152,000, and all of them 8 in vLLM's way; here there are as many as tokens come out.
    """
    import torch
    from vllm.v1.outputs import SamplerOutput
    from vllm.v1.sample.rejection_sampler import PLACEHOLDER_TOKEN_ID, RejectionSampler

    def forward(
        self: Any, metadata: Any, draft_probs: object, logits: torch.Tensor, sampling_metadata: Any
    ) -> SamplerOutput:
        """`logits`: of each request the row before its first guess, then one behind each."""
        counts = metadata.num_draft_tokens
        guessed = [some.tolist() for some in metadata.draft_token_ids.split(counts)]
        first = [int(last) - count for last, count in zip(metadata.bonus_logits_indices, counts, strict=True)]
        written = torch.full(
            (len(counts), metadata.max_spec_len + 1), PLACEHOLDER_TOKEN_ID, dtype=torch.int32
        )
        going = list(range(len(counts)))
        for place in range(metadata.max_spec_len + 1):
            rows = logits[[first[request] + place for request in going]]
            drawn = self.sampler(rows, of_requests(sampling_metadata, going)).sampled_token_ids[:, 0]
            written[going, place] = drawn
            going = [
                request
                for request, token in zip(going, drawn.tolist(), strict=True)
                if guessed[request][place : place + 1] == [token]
            ]
            if not going:
                break
        return SamplerOutput(sampled_token_ids=written, logprobs_tensors=None)

    def of_requests(sampling: Any, some: list[int]) -> Any:
        # Ours ask for a temperature and for nothing else that changes what is drawn.
        known = sampling.temperature
        return sampling if known is None else dataclasses.replace(sampling, temperature=known[some])

    RejectionSampler.forward = forward


def share_tokenizers() -> None:
    """Let each engine borrow from the tokenizers that were copied for the first one of its model.

    For the process that makes engines, before it makes one; again does nothing. vLLM's pool lends each of its
    copies to one thread at a time and makes more when they are all out, so engines may share it.
    """
    from vllm.renderers import hf
    from vllm.tokenizers.hf import maybe_make_thread_pool

    if hf.maybe_make_thread_pool is not maybe_make_thread_pool:
        return
    # vLLM puts a pool into a class, and that class onto the tokenizer it is given.
    pools: dict[str, type] = {}

    def lend(tokenizer: Any, copies: int = 1) -> Any:
        model = tokenizer.name_or_path
        if model not in pools:
            pools[model] = type(maybe_make_thread_pool(tokenizer, copies))
        tokenizer.__class__ = pools[model]
        return tokenizer

    hf.maybe_make_thread_pool = lend
