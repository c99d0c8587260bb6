"""The places where vLLM 0.32 does more than it need, changed from inside.

It has two int8 matrix products for x86. The one that quantizes, packs and multiplies in one call is
used only where the CPU has AMX, though it runs as well on AVX-512 VNNI; benchmarks/NOTES.md has the times
of both. They mean the same: both quantize every token by its largest value and sum in 32-bit integers.

It adds and normalises in ten calls of torch's on a CPU, though it has both in one there.

Its attention on a CPU has a form for blocks of 16 tokens, but is offered multiples of 32 only.

It finds the beginning of a known prompt again in whole blocks, though for other kinds of models it copies a
block that is known in part, and goes on in the copy.

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

KNOWN_BEFORE_END = 64
"""Tokens of a prompt, of which any may be the last that the next one shares: what a user says in a turn."""


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


def know_prompts_to_the_token() -> None:
    """Let what two prompts have in common be computed once to the token, instead of to a block of 16.

    For a process of vLLM's on a CPU, before the engine is made. The parts are vLLM's own, which joins them
    for models that keep a state (`prefix_match_unit`): hashes of single tokens, entries for a block that ends
    at any of them, and the copy that is made before such a block is written on. Here every token that a
    request has computed since shortly before its prompt's end gets an entry when the request is over, never
    sooner: what is copied has to be there.
    """
    from vllm.v1.core import kv_cache_coordinator
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager
    from vllm.v1.engine import core
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    in_blocks, forget = core.resolve_kv_cache_block_sizes, KVCacheManager.free
    remember_tail = FullAttentionManager._cache_partial_tail_block

    def sizes(cache: Any, config: Any) -> tuple[int, int]:
        scheduled, hashed = in_blocks(cache, config)
        specs = [group.kv_cache_spec for group in cache.kv_cache_groups]
        return scheduled, 1 if [type(spec) for spec in specs] == [FullAttentionSpec] else hashed

    class ToTheToken(kv_cache_coordinator.UnitaryKVCacheCoordinator):  # type: ignore[misc]  # not typed
        def __init__(self, config: Any, *limits: Any, pcp_world_size: int, **more: Any) -> None:
            kv_cache_coordinator.KVCacheCoordinator.__init__(
                self, config, *limits, pcp_world_size=pcp_world_size, **more
            )
            (manager,) = self.single_type_managers
            self.kv_cache_spec = config.kv_cache_groups[0].kv_cache_spec
            self.block_size, self.dcp_world_size = manager.block_size, manager.dcp_world_size
            self.pcp_world_size = pcp_world_size

        def find_longest_cache_hit(self, block_hashes: Any, max_cache_hit_length: int) -> Any:
            (manager,) = self.single_type_managers
            blocks, tokens = manager.find_longest_cache_hit(
                block_hashes=block_hashes,
                # Where one token is left, vLLM adds guesses of its own, which are none.
                max_length=max(0, max_cache_hit_length - 1),
                kv_cache_group_ids=[0],
                block_pool=self.block_pool,
                kv_cache_spec=self.kv_cache_spec,
                drop_eagle_block=False,
                alignment_tokens=self.block_pool.hash_block_size,
            )
            return blocks, tokens, 0

    def free(cache: Any, request: Any) -> None:
        manager = cache.coordinator.single_type_managers[0]
        size, blocks = manager.block_size, manager.req_to_blocks.get(request.request_id, [])
        known = min(request.num_computed_tokens, len(request.block_hashes), len(blocks) * size)
        since = request.num_prompt_tokens - KNOWN_BEFORE_END
        if known and cache.block_pool.hash_block_size == 1:
            cache.cache_blocks(request, known)  # one may have been filled by the last guesses
        # From the end: an entry for more of a block would replace those for less of it.
        for tokens in range(known, max(0, since), -1):
            if tokens % size and cache.block_pool.hash_block_size == 1:
                cache.block_pool.cache_partial_block(request, blocks[tokens // size], tokens, 0, size)
        forget(cache, request)

    def tail(manager: Any, request: Any, num_tokens: int) -> None:
        # It makes an entry when a step is planned, and another request of that step would copy nothing.
        if manager.block_pool.hash_block_size > 1:
            remember_tail(manager, request, num_tokens)

    core.resolve_kv_cache_block_sizes = sizes
    kv_cache_coordinator.UnitaryKVCacheCoordinator = ToTheToken
    KVCacheManager.free = free
    FullAttentionManager._cache_partial_tail_block = tail


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
