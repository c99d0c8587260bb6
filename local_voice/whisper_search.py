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
LONGER = 8
"""So many tokens more than greedy's a text of the beams may have."""
NEGLIGIBLE = 10.0
"""Nats by which a token is less likely than the likeliest one and opens no beam: 1 in 22,000. It spares
sorting a vocabulary for each beam."""


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

        Of several beams only the first stands. Returns what may follow each token.
        """
        ...

    def side_by_side(self, tokens: Sequence[int], parents: Sequence[int]) -> Scores:
        """Read one more token in each beam: `tokens[i]` after what beam `parents[i]` has read.

        Beams are numbered by their place in the call before this one; after `__call__` there is one, 0. A
        parent may have several beams, or none. Returns what may follow each token.
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
    read: Reader, prompt: Sequence[int], special: SpecialTokens, greedily: Decoded
) -> list[Decoded]:
    """The texts of a beam search, and the one that `greedy` found, the likeliest first.

    As openai/whisper has it (`decoding.py`, BeamSearchDecoder and MaximumLikelihoodRanker): the likeliest
    beams go on, until as many texts are finished. `read`: has read the prompt. No text is sought that is
    more than 8 tokens longer than greedy's.
    """
    beams = [_Beam(0.0, [])]
    finished = [greedily]
    for step in range(len(greedily.tokens) + LONGER):
        if step == 0:
            rows = read(prompt[-1:], len(prompt) - 1)
        else:
            rows = read.side_by_side([beam.tokens[-1] for beam in beams], [beam.parent for beam in beams])
        longer = [
            _Beam(beam.log + log, [*beam.tokens, token], number)
            for number, (beam, row) in enumerate(zip(beams, rows, strict=True))
            for log, token in _likeliest(permitted(row, beam.tokens, special))
        ]
        beams = []
        for beam in sorted(longer, key=lambda beam: -beam.log):
            if beam.tokens[-1] == special.end:
                mean = beam.log / len(beam.tokens)
                finished.append(Decoded(beam.tokens[:-1], mean, greedily.no_speech))
            else:
                beams.append(beam)
            if len(beams) == BEAMS:
                break
        if len(finished) > BEAMS or not beams:
            break
    return sorted(finished, key=_rank, reverse=True)


@dataclass(frozen=True, slots=True)
class _Beam:
    """A text on its way."""

    log: float
    """Natural log of its probability."""
    tokens: list[int]
    parent: int = 0
    """The number of the beam of which it is a token more."""


def _rank(text: Decoded) -> float:
    """The whole log probability by the length without the end token, as Whisper's own rank has it."""
    return text.log_probability * (len(text.tokens) + 1) / max(len(text.tokens), 1)


def _likeliest(allowed: Scores) -> list[tuple[float, int]]:
    """Natural logs of the probabilities of the tokens that may go on, and these.

    One more than there are beams, for one may be the end.
    """
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
