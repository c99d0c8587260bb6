"""Several observers of one conversation, told the same.

A log, a recording and the numbers each look on by themselves and must not know of one another.
"""

from __future__ import annotations

from collections.abc import Sequence

from local_voice.events import Command, Event
from local_voice.stages import Notification, Observer


class Witnesses:
    """Satisfies `Observer`."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """As `Observer.write`."""
        for observer in self._observers:
            observer.write(now, event, commands)

    def notify(self, notification: Notification) -> None:
        """As `Observer.notify`."""
        for observer in self._observers:
            observer.notify(notification)
