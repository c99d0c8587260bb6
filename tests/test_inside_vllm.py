"""vLLM's int8 product for AMX, used without AMX: it must be there, be chosen, and multiply right. Its way to
check guessed tokens, and what is guessed. And its tokenizers, lent from one engine to the next."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from local_voice.engines.inside_vllm import (
    allow_small_blocks,
    draw_and_compare,
    prefer_compiled_norm,
    prefer_vnni_product,
    share_tokenizers,
)
from local_voice.engines.vllm_engine import LOOP
from local_voice.lifeline import Lifeline

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")

pytestmark = pytest.mark.models  # imports the whole of vLLM
vnni = pytest.mark.skipif(
    not (torch.cpu._is_vnni_supported() and torch.cpu._is_avx512_bf16_supported()),
    reason="this CPU has no AVX-512 VNNI, so that vLLM's own choice holds",
)

ARRIVE = """
import pickle, sys
pickle.loads(bytes.fromhex(sys.argv[1]))
import torch
from vllm.model_executor.kernels.linear.scaled_mm import cpu
for n, k, dtype in (896, 4864, torch.int8), (900, 4864, torch.int8), (896, 4860, torch.int8):
    print(cpu.check_cpu_sgl_kernel(n, k, dtype), file=sys.stderr)
"""


@vnni
def test_where_the_lifeline_arrives_the_product_is_chosen_for_layers_that_suit_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lifeline = pickle.dumps(Lifeline(log, prefer_vnni_product)).hex()
    subprocess.run([sys.executable, "-c", ARRIVE, lifeline], check=True)
    said = [line for line in log.read_text().splitlines() if line in ("True", "False")]
    assert said == ["True", "False", "False"]


@pytest.fixture
def norm(monkeypatch):
    """A layer's norm with weights of its own, made as for a model that runs without compiled graphs."""
    from vllm.config import CompilationConfig, VllmConfig, set_current_vllm_config
    from vllm.model_executor.layers.layernorm import RMSNorm

    monkeypatch.setattr(RMSNorm, "forward_cpu", RMSNorm.forward_native)  # put back afterwards
    prefer_compiled_norm()
    assert RMSNorm.forward_cpu is not RMSNorm.forward_native
    config = VllmConfig(compilation_config=CompilationConfig(custom_ops=["all"]))
    with set_current_vllm_config(config):
        made = RMSNorm(896, dtype=torch.bfloat16)
    made.weight.data = 1 + 0.1 * torch.randn(896, generator=torch.Generator().manual_seed(5)).bfloat16()
    return made


@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_the_compiled_norm_is_the_one_in_python(norm, tokens: int) -> None:
    some = torch.Generator().manual_seed(tokens)
    x, residual = (torch.randn(tokens, 896, generator=some).bfloat16() for _ in range(2))
    ours, summed = norm.forward_cpu(x.clone(), residual.clone())
    theirs, sums = norm.forward_native(x.clone(), residual.clone())
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.01)
    torch.testing.assert_close(summed, sums, atol=0.02, rtol=0.01)
    torch.testing.assert_close(norm.forward_cpu(x), norm.forward_native(x), atol=0.02, rtol=0.01)


def test_the_compiled_norm_is_what_a_model_uses_and_leaves_other_numbers_to_python(norm) -> None:
    assert norm._forward_method.__func__ is type(norm).forward_cpu
    wide = torch.randn(2, 896)  # float32 beside weights in bfloat16
    torch.testing.assert_close(norm.forward_cpu(wide), norm.forward_native(wide))
    apart = torch.randn(2, 2 * 896).bfloat16()[:, ::2]
    torch.testing.assert_close(norm.forward_cpu(apart), norm.forward_native(apart))
    x = torch.randn(2, 896).bfloat16()
    for residual in (wide, apart):
        ours, theirs = (way(x.clone(), residual) for way in (norm.forward_cpu, norm.forward_native))
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("context", [40, 170])
def test_attention_in_blocks_of_16_is_attention(monkeypatch, context: int) -> None:
    from vllm import _custom_ops
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends import cpu_attn

    backend = cpu_attn.CPUAttentionBackend
    monkeypatch.setattr(  # put back afterwards
        backend, "get_supported_kernel_block_sizes", backend.get_supported_kernel_block_sizes
    )
    allow_small_blocks()
    assert backend.get_supported_kernel_block_sizes()[0].base == 16
    current_platform.import_kernels()
    heads, kv_heads, size, new = 14, 2, 64, 5  # five tokens after a known beginning
    isa = cpu_attn._get_attn_isa(torch.bfloat16, 16, size)
    some = torch.Generator().manual_seed(context)
    keys, values = (torch.randn(context, kv_heads, size, generator=some).bfloat16() for _ in range(2))
    query = torch.randn(new, heads, size, generator=some).bfloat16()
    blocks = -(-context // 16)
    table = torch.randperm(blocks, generator=some).int()
    cache = [torch.zeros(blocks, kv_heads, 16, size).bfloat16() for _ in range(2)]
    slots = torch.tensor([int(table[i // 16]) * 16 + i % 16 for i in range(context)])
    _custom_ops.cpu_attn_reshape_and_cache(keys, values, *cache, slots, isa)
    length, starts = torch.tensor([context]).int(), torch.tensor([0, new]).int()
    plan = _custom_ops.cpu_attn_get_scheduler_metadata(
        num_reqs=1,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=size,
        seq_lens=length,
        dtype=torch.bfloat16,
        query_start_loc=starts,
        causal=True,
        sliding_window_size=-1,
        isa=isa,
        enable_kv_split=True,
    )
    ours = torch.empty_like(query)
    scale = size**-0.5
    _custom_ops.cpu_attention_with_kv_cache(
        query, *cache, ours, starts, length, scale, True, None, -1, table[None], 0.0, plan, None
    )
    seen = torch.ones(new, context, dtype=torch.bool).tril(context - new)
    wide = [t.float().transpose(0, 1).repeat_interleave(heads // kv_heads, 0) for t in (keys, values)]
    plain = torch.nn.functional.scaled_dot_product_attention(
        query.float().transpose(0, 1), *wide, attn_mask=seen, scale=scale
    )
    torch.testing.assert_close(ours.float(), plain.transpose(0, 1), atol=0.02, rtol=0.02)


@vnni
@pytest.mark.parametrize("tokens", [1, 3, 16, 70])
@pytest.mark.parametrize(("outputs", "inputs"), [(896, 4864), (1152, 896)])
def test_the_product_is_that_of_the_quantized_numbers(tokens: int, outputs: int, inputs: int) -> None:
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    some = torch.Generator().manual_seed(tokens)
    weight = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8, generator=some)
    scale = torch.rand(outputs, generator=some) * 0.01
    bias = torch.randn(outputs, generator=some)
    spoken = torch.randn(tokens, inputs, generator=some).bfloat16()

    packed = torch.ops._C.convert_weight_packed(weight)
    product = torch.ops._C.int8_scaled_mm_with_quant(spoken, packed, scale, bias, torch.bfloat16, True)

    largest = spoken.float().abs().amax(dim=1, keepdim=True)
    quantized = (spoken.float() / (largest / 127)).round()
    exact = (quantized.double() @ weight.double().T) * (largest / 127) * scale + bias
    off = (product.double() - exact).abs() / exact.abs().max()
    assert float(off.max()) < 0.004  # bfloat16 keeps 8 bits


def test_engines_of_a_model_share_the_tokenizers_that_were_copied_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import TokenizersBackend
    from vllm.renderers import hf
    from vllm.tokenizers.hf import get_cached_tokenizer, maybe_make_thread_pool

    def tokenizer(model: str, words: list[str]) -> TokenizersBackend:
        known = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token=words[0]))
        known.pre_tokenizer = pre_tokenizers.Whitespace()
        return get_cached_tokenizer(TokenizersBackend(tokenizer_object=known, name_or_path=model))

    monkeypatch.setattr(hf, "maybe_make_thread_pool", maybe_make_thread_pool)
    share_tokenizers()
    share_tokenizers()
    one, other = tokenizer("one", ["?", "good", "day"]), tokenizer("other", ["?", "day", "good"])
    first, again, third = copy.copy(one), copy.copy(one), copy.copy(other)
    hf.maybe_make_thread_pool(first, 2)
    hf.maybe_make_thread_pool(third, 2)
    copies: list[object] = []
    monkeypatch.setattr(copy, "deepcopy", copies.append)
    hf.maybe_make_thread_pool(again, 2)
    assert [lent.encode("good day") for lent in (first, again, third)] == [[1, 2], [1, 2], [2, 1]]
    assert not copies


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        ("A trillion is 1,000,000,000,000, or a million millions.", False),
        ("A quintillion is 1,000,000,000,000,000,000.", False),
        ("One billion is 1000000000, a one with nine zeros.", False),
        ("One third is 0.333333333333 and so on.", False),
        ("We wish you a merry Christmas.\n" * 3 + "And a happy New Year.", False),
        ("Baby shark, doo doo doo doo doo doo. " * 3 + "Baby shark!", False),
        (" I am sorry." * 20, True),
        ("no " * 60, True),
        ("and then we go " * 20, True),
        ("It is so. Is it not? " * 20, True),
        ("It is a well known fact that I can help you with it. " * 6, True),
    ],
)
def test_vllm_ends_a_loop_but_not_a_number_or_a_refrain(text: str, is_loop: bool) -> None:
    from vllm.sampling_params import RepetitionDetectionParams
    from vllm.v1.core.sched.utils import check_sequence_repetition

    # As Qwen's tokenizer has it: a token for each digit, for each sign, and for each common word.
    tokens = [hash(piece) for piece in re.findall(r" ?[A-Za-z]+|\d|[^\w\s]+\n*|\s", text)]
    params = RepetitionDetectionParams(**LOOP)
    ended = any(check_sequence_repetition(tokens[:end], params) for end in range(1, len(tokens) + 1))
    assert ended == is_loop


VOCABULARY = 40


def checked(monkeypatch, guesses: list[list[int]], rows: torch.Tensor, temperatures: list[float]) -> list:
    """What is written where each request's `guesses` are checked by `rows` of logits."""
    from vllm.v1.sample import rejection_sampler
    from vllm.v1.sample.logits_processor import LogitsProcessors
    from vllm.v1.sample.metadata import SamplingMetadata
    from vllm.v1.sample.sampler import Sampler
    from vllm.v1.spec_decode.metadata import SpecDecodeMetadata

    theirs = rejection_sampler.RejectionSampler.forward
    monkeypatch.setattr(rejection_sampler.RejectionSampler, "forward", theirs)  # put back afterwards
    draw_and_compare()
    nothing = torch.empty(0)
    sampling = SamplingMetadata(
        temperature=torch.tensor(temperatures) if any(temperatures) else None,
        all_greedy=not any(temperatures),
        all_random=all(temperatures),
        top_p=None,
        top_k=None,
        generators={},
        max_num_logprobs=None,
        no_penalties=True,
        prompt_token_ids=None,
        frequency_penalties=nothing,
        presence_penalties=nothing,
        repetition_penalties=nothing,
        output_token_ids=[[] for _ in guesses],
        allowed_token_ids_mask=None,
        bad_words_token_ids={},
        logitsprocs=LogitsProcessors(),
    )
    sampler = rejection_sampler.RejectionSampler(Sampler())
    metadata = SpecDecodeMetadata.make_dummy(guesses, torch.device("cpu"))
    # As the model runner makes it: the last row of each request.
    metadata.bonus_logits_indices = metadata.cu_num_sampled_tokens - 1
    output = sampler(metadata, None, rows, sampling)
    written, _ = sampler.parse_output(output.sampled_token_ids, VOCABULARY)
    return written


def likeliest(*tokens: int) -> torch.Tensor:
    """Rows of logits that are sure of these."""
    return 9.0 * torch.nn.functional.one_hot(torch.tensor(tokens), VOCABULARY).float()


def test_guesses_are_written_as_far_as_they_are_what_the_model_says(monkeypatch) -> None:
    rows = likeliest(1, 2, 30, 4, 5, 6, 7, 8)
    # Right, right, wrong; nothing guessed; both right, and one more for that; the first one wrong.
    guesses = [[1, 2, 3], [], [6], [9]]
    assert checked(monkeypatch, guesses, likeliest(1, 2, 30, 4, 5, 6, 7, 8, 9), [0.0] * 4) == [
        [1, 2, 30],
        [5],
        [6, 7],
        [8],
    ]
    assert checked(monkeypatch, [[1, 2], [4, 9]], rows[:6], [0.0, 0.3]) == [[1, 2, 30], [4, 5]]


def test_what_is_written_after_a_guess_is_as_likely_as_without_it(monkeypatch) -> None:
    torch.manual_seed(3)
    some = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(1))
    guess, times = int(some[0].argsort()[-2]), 6000
    wanted = (some / 0.7).softmax(-1)
    rows = some.repeat(times, 1)
    written = checked(monkeypatch, [[guess]] * times, rows, [0.7] * times)
    first = torch.bincount(torch.tensor([tokens[0] for tokens in written]), minlength=VOCABULARY) / times
    # Four standard errors, for each of 40 tokens.
    torch.testing.assert_close(first, wanted[0], atol=4 * (0.25 / times) ** 0.5, rtol=0)
    behind = [tokens[1] for tokens in written if tokens[0] == guess]
    assert all((len(tokens) == 2) == (tokens[0] == guess) for tokens in written)
    second = torch.bincount(torch.tensor(behind), minlength=VOCABULARY) / len(behind)
    torch.testing.assert_close(second, wanted[1], atol=4 * (0.25 / len(behind)) ** 0.5, rtol=0)


def test_temperatures_reach_their_own_requests(monkeypatch) -> None:
    flat = torch.zeros(1, VOCABULARY)
    rows = torch.cat([likeliest(1, 2), flat, likeliest(3, 4)])
    # 9 at a temperature of 0.01 is certain, at 1000 it is one of 40.
    sure = checked(monkeypatch, [[1], [], [3]], rows, [0.01, 1.0, 0.01])
    assert (sure[0], sure[2]) == ([1, 2], [3, 4])
    torch.manual_seed(4)
    wild = [checked(monkeypatch, [[1], [], [3]], rows, [1000.0, 1.0, 0.01]) for _ in range(20)]
    assert sum(drawn[0][0] == 1 for drawn in wild) < 8
    assert all(drawn[2] == [3, 4] for drawn in wild)


@pytest.fixture
def drafter(monkeypatch):
    from types import SimpleNamespace

    from local_voice.engines import vllm_drafter

    known = {"what": 0, "is": 1, "noon": 2, "<end>": 3}
    tokenizer = SimpleNamespace(
        all_special_ids=[3], added_tokens_decoder={3: "<end>"}, get_vocab=lambda: known
    )
    monkeypatch.setattr(vllm_drafter, "cached_tokenizer_from_config", lambda model: tokenizer)
    model = SimpleNamespace(max_model_len=8, get_vocab_size=lambda: 5)
    return vllm_drafter.PromptLookup(SimpleNamespace(model_config=model))


def guessed(drafter, *texts: list[int], reading: int = 0) -> list[list[int]]:
    """`texts`: prompts and replies so far. Of them the first `reading` are still read."""
    rows = np.zeros((len(texts), 8), np.int32)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = text
    written = [[] if number < reading else text[-1:] for number, text in enumerate(texts)]
    return drafter.propose(written, np.array([len(text) for text in texts], np.int32), rows)


def test_guesses_are_as_many_as_are_checked_for_nothing(drafter) -> None:
    text = [0, 1, 2, 1, 2, 0]
    assert guessed(drafter, text) == [[1, 2]]
    assert guessed(drafter, [1, 2, 1, 2, 1]) == [[2, 1]]
    assert guessed(drafter, text, text) == [[1], [1]]
    assert guessed(drafter, text, text, text) == [[], [], []]
    # A prompt that is still read neither gets guesses nor takes them from others.
    assert guessed(drafter, text, text, reading=1) == [[], [1, 2]]


def test_nothing_is_guessed_beyond_the_context(drafter) -> None:
    assert guessed(drafter, [0, 1, 2, 1, 2, 1, 0]) == [[1]]
    assert guessed(drafter, [0, 1, 2, 1, 2, 1, 2, 0]) == [[]]
