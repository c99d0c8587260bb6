"""Whisper's searches: which token comes next, and when the text is over.

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

BEAMS = 5
"""As many as Whisper's own command has (openai/whisper, `transcribe.py`)."""
NEGLIGIBLE = 10.0
"""Nats by which a token is less likely than the likeliest one and opens no beam: 1 in 22,000."""


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

    def side_by_side(self, tokens: Sequence[int], texts: Sequence[int]) -> Scores:
        """Read one more token in each of several texts, `tokens[i]` behind the text number `texts[i]`.

        They are numbered as they were read last; where that was one text, it is 0. Returns what may follow
        each token.
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


def beam_search(
    read: Reader, prompt: Sequence[int], special: SpecialTokens, cap: int, said: Decoded
) -> Decoded:
    """The likeliest by mean of `said`, found by `greedy`, and of what five texts written side by side say.

    As openai/whisper has it (`decoding.py`, BeamSearchDecoder): the five likeliest beginnings go on, until
    five texts are over. `read`: has read the prompt.
    """
    rows = read(prompt[-1:], len(prompt) - 1)
    texts = [_Beginning(0.0, [])]
    over = [said]
    for _ in range(cap):
        longer = (
            _Beginning(text.log + log, [*text.tokens, token], number)
            for number, (text, row) in enumerate(zip(texts, rows, strict=True))
            for log, token in _likeliest(permitted(row, text.tokens, special))
        )
        going: list[_Beginning] = []
        for text in sorted(longer, key=lambda text: -text.log):
            if text.tokens[-1] == special.end:
                over.append(Decoded(text.tokens[:-1], text.log / len(text.tokens), said.no_speech))
            else:
                going.append(text)
            if len(going) == BEAMS:
                break
        if len(over) > BEAMS or not going:
            break
        texts = going
        rows = read.side_by_side([text.tokens[-1] for text in texts], [text.behind for text in texts])
    return max(over, key=lambda text: text.log_probability)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """A text on its way."""

    log: float
    """Natural log of its probability."""
    tokens: list[int]
    behind: int = 0
    """The number of the text of which it is a token more."""


def _likeliest(allowed: Scores) -> list[tuple[float, int]]:
    """Tokens that may open a beam, one more than there are beams, and natural logs of their probabilities."""
    near = np.flatnonzero(allowed > allowed.max() - NEGLIGIBLE)
    best = near[np.argsort(-allowed[near], kind="stable")][: BEAMS + 1]
    every = _log_sum(allowed)
    return [(float(allowed[token]) - every, int(token)) for token in best]


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
