"""One user's words: passes of the recogniser over the sound of their call.

A pass begins ahead where a voice fades, before it is known that the user pauses, and its words are there
sooner by that much. This room must not know about turns: it is told where the sound of one begins and ends.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TypeAlias

from local_voice.audio import Tape
from local_voice.stages import SpeechToText, StageError
from local_voice.transcript import Transcript

log = logging.getLogger(__name__)

LATEST_PAUSE = 0.13
"""Seconds from the end of what a pass begun ahead has heard to the pause, or else there may be words between:
Silero hears voice for two or three windows too long; for longer, somebody goes on softly."""
LONGEST_AHEAD = 12.0
"""Seconds of sound that are read on the chance that it is all: 0.3 s of whisper-base's time."""

Pass: TypeAlias = asyncio.Task[Transcript | None]
"""A pass at work; its result is None where it failed."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A pass over sound that may prove to be all."""

    start: float
    """Seconds of the call, as `end`."""
    end: float
    task: Pass


class Hearing:
    """The recogniser and one user's sound."""

    def __init__(self, stt: SpeechToText, tape: Tape, deadline_seconds: float) -> None:
        """`deadline_seconds`: by how much a pass may outlast its sound."""
        self._stt = stt
        self._tape = tape
        self._deadline_seconds = deadline_seconds
        self._last = (0.0, "")
        """Where the sound of the last pass begins, and its words."""
        self._ahead: Ahead | None = None

    def look_ahead(self, start: float, tasks: asyncio.TaskGroup) -> None:
        """Told at every window of a voice that fades: where its speech begins. One fading begins one pass."""
        end = self._tape.seconds
        if self._ahead is None and not self._stt.waiting and end - start <= LONGEST_AHEAD:
            self._ahead = Ahead(start, end, tasks.create_task(self._try(start, end)))

    def give_up(self) -> None:
        """The voice is back, or gone for good."""
        if self._ahead is not None:
            self._ahead.task.cancel()
            self._ahead = None

    def take_ahead(self, start: float, end: float) -> Pass | None:
        """The pass that was begun ahead, where it has heard what was said from `start` to `end`.

        From here on it is the caller's to cancel.
        """
        ahead = self._ahead
        if ahead is None or ahead.start != start or end - ahead.end > LATEST_PAUSE:
            self.give_up()
            return None
        self._ahead = None
        return ahead.task

    async def words(self, start: float, end: float, *, final: bool, ahead: Pass | None = None) -> Transcript:
        """The words from `start` to `end`, seconds of the call, by a pass of its own unless `ahead` has them.

        Raises `StageError`.
        """
        deadline = self._deadline_seconds + end - start
        try:
            async with asyncio.timeout(deadline):
                found = await ahead if ahead is not None else None
                return found if found is not None else await self._transcribe(start, end, final=final)
        except TimeoutError as error:
            raise StageError("stt", f"the recogniser took more than {deadline:.0f} s") from error

    async def _try(self, start: float, end: float) -> Transcript | None:
        try:
            return await self._transcribe(start, end, final=True)
        except StageError as error:
            log.warning("a pause will be read anew: %s", error)
        except Exception:
            log.exception("a pause will be read anew")
        return None

    async def _transcribe(self, start: float, end: float, *, final: bool) -> Transcript:
        begin, text = self._last
        draft = text if begin == start else ""
        sound = self._tape.between(start, end)
        transcript = await self._stt.transcribe(sound, final=final, draft=draft)
        # A pass that hears nothing does not undo what was heard: its words tell the next one from noise.
        self._last = start, transcript.text or draft
        return transcript
