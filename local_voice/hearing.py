"""One user's words: passes of the recogniser over the sound of their call.

A pass begins ahead where a voice fades, before it is known that the user pauses, and its words are there
sooner by that much. This room must not know about turns: it is told where the sound of one begins and ends.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TypeAlias

from local_voice.audio import Tape
from local_voice.stages import SpeechToText, StageError
from local_voice.transcript import Transcript

log = logging.getLogger(__name__)

Ahead: TypeAlias = asyncio.Task[Transcript | None]
"""A pass over sound that may prove to be all; None where it failed."""


class Hearing:
    """The recogniser and one user's sound."""

    def __init__(self, stt: SpeechToText, tape: Tape, deadline_seconds: float) -> None:
        """`deadline_seconds`: by how much a pass may outlast its sound."""
        self._stt = stt
        self._tape = tape
        self._deadline_seconds = deadline_seconds
        self._last = (0.0, "")
        """Where the sound of the last pass begins, and its words."""
        self._ahead: tuple[float, Ahead] | None = None
        """Where its sound begins, and the pass."""

    def look_ahead(self, start: float | None, tasks: asyncio.TaskGroup) -> None:
        """Told at every window: where the speech that fades begins; None where nothing fades.

        A pass that begins so is given up when the voice comes back.
        """
        if start is None:
            if (ahead := self.take_ahead(None)) is not None:
                ahead.cancel()
        elif self._ahead is None:
            self._ahead = start, tasks.create_task(self._try(start, self._tape.seconds))

    def take_ahead(self, start: float | None) -> Ahead | None:
        """The pass that was begun ahead, if its sound begins at `start` (None: wherever).

        The next fading begins another.
        """
        ahead, self._ahead = self._ahead, None
        return ahead[1] if ahead is not None and start in (None, ahead[0]) else None

    async def words(self, start: float, end: float, *, final: bool, ahead: Ahead | None = None) -> Transcript:
        """The words from `start` to `end`, seconds of the call, by a pass of its own unless `ahead` has them.

        Raises `StageError`.
        """
        found = await ahead if ahead is not None else None
        return found or await self._transcribe(start, end, final=final)

    async def _try(self, start: float, end: float) -> Transcript | None:
        try:
            return await self._transcribe(start, end, final=True)
        except Exception as error:
            log.warning("the words are read once more: %s", error)
            return None

    async def _transcribe(self, start: float, end: float, *, final: bool) -> Transcript:
        sound = self._tape.between(start, end)
        deadline = self._deadline_seconds + end - start
        begin, text = self._last
        draft = text if begin == start else ""
        try:
            async with asyncio.timeout(deadline):
                transcript = await self._stt.transcribe(sound, final=final, draft=draft)
        except TimeoutError as error:
            raise StageError("stt", f"the recogniser took more than {deadline:.0f} s") from error
        self._last = start, transcript.text
        return transcript
