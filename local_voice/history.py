"""The prompt: which part of a conversation the language model is shown.

What is in the history is decided by `conversation.py`; this room only makes it fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from local_voice.events import Message

TEMPLATE_TOKENS = 8
"""Tokens that a chat template spends around one message (Qwen: 5; rounded up)."""

INTERRUPTION_MARK = " —"
"""Ends an assistant message that was cut off: the model reads it as a broken-off sentence, and were it
ever repeated it would not be spoken."""


def prompt(
    system: str, history: Sequence[Message], budget: int, count_tokens: Callable[[str], int]
) -> list[Message]:
    """The system prompt and the latest messages that fit `budget` tokens; the last is always there.

    When the budget overflows, the older half goes at once instead of one message a turn: between two such
    cuts every prompt begins with the one before, which is what makes the engine's prefix cache hit.
    """
    # Messages nobody answered are counted one by one: together they may be longer than the budget.
    costs = [count_tokens(message.content) + TEMPLATE_TOKENS for message in history]
    room = budget - count_tokens(system) - TEMPLATE_TOKENS
    first, used = 0, 0
    for last, cost in enumerate(costs):
        used += cost
        if used > room:
            while first < last and (used > room // 2 or history[first].role != "user"):
                used -= costs[first]
                first += 1
    return [Message("system", system), *_merged(history[first:])]


def _merged(history: Sequence[Message]) -> list[Message]:
    """Two user messages in a row become one: chat templates want roles that alternate."""
    merged: list[Message] = []
    for message in history:
        content = message.content + (INTERRUPTION_MARK if message.interrupted else "")
        if merged and merged[-1].role == message.role:
            content = f"{merged.pop().content} {content}"
        merged.append(Message(message.role, content))
    return merged
