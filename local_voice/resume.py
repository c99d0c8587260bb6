"""Conversations whose connection broke, kept for a moment so that the same browser can go on with them.

Each has a secret name that only its browser knows. Time is an argument; what was said is only carried here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from local_voice.events import Message

KEPT_SECONDS = 30.0
"""A browser that has not come back by then finds a new conversation."""
MOST_KEPT = 64
"""Conversations; beyond that the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Kept:
    messages: tuple[Message, ...]
    until: float


class Resumable:
    """What was said and heard, by secret names."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    @staticmethod
    def new_name() -> str:
        """128 random bits: who has it may go on with the conversation."""
        return secrets.token_urlsafe(16)

    def keep(self, name: str, messages: tuple[Message, ...], now: float) -> None:
        """The conversation's connection broke at `now`, in seconds."""
        self._forget(now)
        if messages:
            self._kept[name] = _Kept(messages, now + KEPT_SECONDS)
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))

    def take(self, name: str, now: float) -> tuple[Message, ...]:
        """What was said and heard, once; nothing for a name that is unknown or came too late."""
        self._forget(now)
        kept = self._kept.pop(name, None)
        return kept.messages if kept is not None else ()

    def _forget(self, now: float) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if kept.until > now}
