"""What was said, in the log: only where `server.log_conversations` asks for it.

Told the same as a trace, and shorter than one: a line when the user's words are answered, a line when the
reply's sound is over. It must not change anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from local_voice.events import Command, Draft, Event, PlaybackEnded, Release
from local_voice.stages import Notification

log = logging.getLogger(__name__)


class ConversationLog:
    """Logs one conversation."""

    def __init__(self, number: int) -> None:
        """`number` tells conversations apart in the log."""
        self._number = number
        self._drafted: Draft | None = None

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """As `TraceWriter.write`."""
        if isinstance(event, PlaybackEnded) and event.heard:
            self._say(event.turn, "assistant", event.heard, event.interrupted)
        for command in commands:
            if isinstance(command, Draft):
                self._drafted = command
            elif isinstance(command, Release):
                self._answered(command)

    def notify(self, notification: Notification) -> None:
        """What is shown says nothing more."""

    def _answered(self, release: Release) -> None:
        draft = self._drafted
        if draft is not None and (draft.turn, draft.revision) == (release.turn, release.revision):
            self._say(draft.turn, "user", draft.messages[-1].content, False)

    def _say(self, turn: int, role: str, text: str, interrupted: bool) -> None:
        facts = {"conversation": self._number, "turn": turn, "role": role, "text": text}
        cut = " (interrupted)" if interrupted else ""
        log.info(
            "conversation %d, turn %d, %s: %s%s",
            *(self._number, turn, role, text, cut),
            extra={"facts": {**facts, "interrupted": interrupted}},
        )
