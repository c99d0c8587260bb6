"""Guesses for vLLM: where the model writes one reply on a CPU, what may come next is checked with it.

vLLM's own `ngram` method knows "the capital" only where it is written with the same capitals, and guesses for
everybody at once. This room asks `prompt_lookup.py`; it must not know how a guess is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from vllm.config import VllmConfig
from vllm.tokenizers import cached_tokenizer_from_config

from local_voice.prompt_lookup import guess, words_of

FREE_TOKENS = 4
"""A step of so many tokens takes 1.1 times as long as one of one, of five 1.6 times: vLLM's int8 product
takes so many rows at once, and a step reads all weights for one row as for four."""


class PromptLookup:
    """vLLM finds it by its name."""

    def __init__(self, config: VllmConfig) -> None:
        model = config.model_config
        self._longest = model.max_model_len
        tokenizer = cached_tokenizer_from_config(model)
        control = {*tokenizer.all_special_ids, *getattr(tokenizer, "added_tokens_decoder", ())}
        self._words = words_of(tokenizer.get_vocab(), control, model.get_vocab_size())

    def load_model(self, model: object) -> None:
        """Nothing: there is no second model."""

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: npt.NDArray[np.int32],
        token_ids_cpu: npt.NDArray[np.int32],
        slot_mappings: Any = None,
    ) -> list[list[int]]:
        """Guesses for each request of a step: for one that goes on writing, as far as checking is free.

        `sampled_token_ids`: what each has just written, nothing while its prompt is read. `token_ids_cpu`:
        prompts and replies so far, shape `(requests, context)`; the first `num_tokens_no_spec` of each count.
        """
        writing = sum(1 for sampled in sampled_token_ids if sampled)
        each = FREE_TOKENS // max(1, writing) - 1
        return [
            guess(token_ids_cpu[row, :count], self._words, min(each, self._longest - int(count)))
            if sampled
            else []
            for row, (sampled, count) in enumerate(zip(sampled_token_ids, num_tokens_no_spec, strict=False))
        ]
