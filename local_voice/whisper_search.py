"""Whisper's greedy search: which token comes next, and when the text is over.

The rules for timestamps are Whisper's own (openai/whisper, `decoding.py`, ApplyTimestampRules) as CTranslate2
applies them, so that both say the same. This room must not know how a network runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float32]
"""Shape `(tokens, vocabulary)`: for each token that was read, how likely each next one is, as logits."""

LATEST_BEGINNING = 50
"""Timestamps after which a first phrase can't begin: 1 s (openai/whisper, `max_initial_timestamp`)."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The ids that mean something to the search."""

    end: int
    """<|endoftext|>: text lies below it."""
    no_speech: int
    """<|nospeech|>, or <|nocaptions|>."""
    first_timestamp: int
    """<|0.00|>; timestamps reach to the vocabulary's end, and <|notimestamps|> lies before it."""
    suppressed: tuple[int, ...] = ()
    """Never said: brackets, musical notes and the like."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decode said."""

    tokens: list[int]
    """Text and timestamps, without the end token."""
    log_probability: float
    """Mean natural log of the tokens' probabilities, the end token's among them."""
    no_speech: float
    """Probability that the window holds no speech, 0 to 1."""


class Reader(Protocol):
    """A network on its way through a text."""

    def __call__(self, tokens: Sequence[int], at: int) -> Scores:
        """Read `tokens` behind the first `at` of those that were read before; forget the rest of them.

        Returns what may follow each of them.
        """
        ...


def greedy(
    read: Reader, prompt: Sequence[int], special: SpecialTokens, cap: int, draft: Sequence[int] = ()
) -> Decoded:
    """The likeliest token each time, until the end token or `cap` tokens.

    `prompt`: begins with <|startoftranscript|>. `draft`: what the text may begin with. It is read at once
    with the prompt, and holds as far as it is what would have been said without it (speculative decoding:
    Leviathan et al. 2023, arXiv 2211.17192), but for the rounding of a network that reads several tokens at
    once in another order than one by one.
    """
    rows = list(read([*prompt, *draft[:cap]], 0))
    no_speech = float(np.exp(rows[0][special.no_speech] - _log_sum(rows[0])))
    # What may follow the prompt, and each token of the draft as long as it holds.
    ahead = rows[len(prompt) - 1 :]
    tokens: list[int] = []
    logs: list[float] = []
    while len(tokens) < cap:
        if not ahead:
            ahead = list(read(tokens[-1:], len(prompt) + len(tokens) - 1))
        allowed = permitted(ahead.pop(0), tokens, special)
        token = int(allowed.argmax())
        logs.append(float(allowed[token] - _log_sum(allowed)))
        if token == special.end:
            break
        tokens.append(token)
        draft_holds = len(tokens) <= len(draft) and token == draft[len(tokens) - 1]
        if not draft_holds:
            ahead.clear()
    return Decoded(tokens, sum(logs) / max(len(logs), 1), no_speech)


def permitted(logits: Scores, tokens: Sequence[int], special: SpecialTokens) -> Scores:
    """A copy of `logits`, shape `(vocabulary,)`, with minus infinity for what may not follow `tokens`.

    A phrase stands between two timestamps, which never go back; behind the second comes another phrase's
    first, or the end.
    """
    scores = logits.copy()
    first = special.first_timestamp
    scores[list(special.suppressed)] = -np.inf
    scores[first - 1] = -np.inf  # <|notimestamps|>
    if not tokens:
        scores[:first] = -np.inf
        scores[first + LATEST_BEGINNING + 1 :] = -np.inf
        return scores
    times = [token for token in tokens if token >= first]
    if times:
        scores[first : times[-1]] = -np.inf
    timed = tokens[-1] >= first
    if timed and (len(tokens) == 1 or tokens[-2] >= first):  # A phrase has begun: the first, or the next.
        scores[first:] = -np.inf
        return scores
    if timed:  # A phrase is over.
        scores[: special.end] = -np.inf
    # Where the phrase is more likely over, at whatever moment, than continued by any one word, it is over.
    if _log_sum(scores[first:]) > scores[:first].max():
        scores[:first] = -np.inf
    return scores


def _log_sum(logits: Scores) -> float:
    """Natural log of the sum of the exponentials."""
    highest = logits.max()
    return float(highest + np.log(np.exp(logits - highest).sum()))
