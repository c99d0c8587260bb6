"""What a reply may go on with: the tokens that followed its last word when that stood there before.

An answer takes up its question: "What is the tallest mountain in Europe?" "The tallest mountain in Europe
is". Guessed tokens cost the model next to nothing to check, and where they are what it would have written it
writes several at once (prompt lookup decoding, Saxena 2023,
https://github.com/apoorvumang/prompt-lookup-decoding). This room must not know who checks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

REACH = 64
"""Tokens looked back: the question with its template and what has been answered. All of a conversation gave
no more (150 questions asked of a 0.5B model: first clauses in 4.9 steps instead of 6.1, with either)."""

Tokens: TypeAlias = npt.NDArray[np.int32]
"""Shape `(n,)`: a text as numbers of tokens."""
Words: TypeAlias = npt.NDArray[np.int32]
"""Shape `(vocabulary,)`: for each token the number of its word, the same for "The" and " the"; `CONTROL` for
one that is no text."""
CONTROL = -1


def words_of(vocabulary: Mapping[str, int], control: Collection[int], size: int) -> Words:
    """The words of a tokenizer's tokens.

    `vocabulary`: number by token, as byte-level BPE ("Ġthe") or SentencePiece ("▁the") write them. `control`:
    those that open and close messages. `size`: numbers that the model knows, perhaps more than have a token.
    """
    words: Words = np.full(size, CONTROL, np.int32)
    known: dict[str, int] = {}
    for token, number in vocabulary.items():
        if number < size and number not in control:
            words[number] = known.setdefault(token.lstrip("Ġ▁").casefold(), len(known))
    return words


def guess(tokens: Tokens, words: Words, most: int) -> list[int]:
    """At most `most` tokens that may follow `tokens`; none without a hint.

    They followed the last two words, else the last one, when these stood there last.
    """
    recent = tokens[-REACH:]
    spoken = words[recent]
    if most < 1 or spoken[-1] == CONTROL:
        return []
    places = np.flatnonzero(spoken[:-1] == spoken[-1])
    if not len(places):
        return []
    pairs = places[1:] if places[0] == 0 else places  # nothing stands before the first
    pairs = pairs[spoken[pairs - 1] == spoken[-2]]
    after = int((pairs if len(pairs) else places)[-1]) + 1
    ends = np.flatnonzero(spoken[after : after + most] == CONTROL)
    until = after + (int(ends[0]) if len(ends) else most)
    found: list[int] = recent[after:until].tolist()
    return found
