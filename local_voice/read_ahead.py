"""Which words of a question that is still being spoken the language model should read ahead.

What it has read of a prompt costs its reply no time. How much of it an engine finds again decides what is
worth asking for. This room must not know whose words they are.
"""

from __future__ import annotations

from itertools import takewhile

from local_voice.turns import plain

WORDS = 2
"""New words that are worth it where vLLM runs on a CPU: it finds a prompt again to the token, but for a few
kinds of models."""
STABLE_WORDS = 13
"""The same elsewhere, of words that two partial transcripts agree on: other engines find whole blocks of 16
tokens again, of which English words take about 1.3 each."""


def worth_reading(before: str, text: str, read: int, *, to_the_token: bool) -> list[str]:
    """Words of the partial transcript `text`, which followed `before`; none where it is not worth it.

    `read`: how many were read ahead last.
    """
    words = text.split() if to_the_token else same_beginning(before, text)
    return words if len(words) >= read + (WORDS if to_the_token else STABLE_WORDS) else []


def same_beginning(one: str, other: str) -> list[str]:
    """The words with which both texts begin, ignoring case and punctuation; as `other` spells them."""
    pairs = takewhile(
        lambda pair: plain(pair[0]) == plain(pair[1]), zip(one.split(), other.split(), strict=False)
    )
    return [word for _, word in pairs]
