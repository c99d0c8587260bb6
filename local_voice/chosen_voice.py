"""Who speaks for one conversation, and how fast.

Engines are shared, what a user chose is not: each session has one of these. A choice counts from the next
clause on, also in the middle of a reply. This room must not know what is said.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

from local_voice.speakable import Clause
from local_voice.stages import (
    Manner,
    Notice,
    Notification,
    Speaker,
    Speakers,
    Speech,
    StageError,
    Voices,
    language_of,
)

log = logging.getLogger(__name__)


class ChosenVoice:
    """One session's voice."""

    def __init__(
        self, usual: Speaker, speakers: Speakers | None, notify: Callable[[Notification], None]
    ) -> None:
        """`speakers`: who else there is; None where there is no choice."""
        self.speaker = usual
        self._speakers = speakers
        self._manner = Manner()
        self._notify = notify

    async def choose(self, manner: Manner) -> None:
        """Speak like that from now on, or say why not: then all stays as it is."""
        try:
            if self._speakers is None:
                raise StageError("tts", "This assistant has no choice of voices.")
            self.speaker = await self._speakers.speaker(manner)
            self._manner = manner
        except StageError as error:
            log.warning("a voice could not be chosen: %s", error.reason)
            self._notify(Notice(error.reason))
        self.tell()

    def tell(self) -> None:
        """Tell the user who there is and who speaks, where there is a choice."""
        if self._speakers is not None:
            names = self._speakers.names
            self._notify(Voices(names, self._manner.voice or names[0], self._manner.speed))

    def for_reply(self) -> Speaker:
        """A speaker for all clauses of one reply, at one sample rate."""
        return _ForReply(self)


class _ForReply:
    """Each clause by whoever is chosen when it is spoken."""

    def __init__(self, chosen: ChosenVoice) -> None:
        self.sample_rate = chosen.speaker.sample_rate
        self.language = language_of(chosen.speaker)
        self._first = chosen.speaker
        self._chosen = chosen

    def synthesize(self, clause: Clause) -> AsyncIterator[Speech]:
        """As `Speaker.synthesize`. A voice at another sample rate waits for the next reply."""
        now = self._chosen.speaker
        return (now if now.sample_rate == self.sample_rate else self._first).synthesize(clause)
