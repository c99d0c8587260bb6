"""Proves that the whole loop works: the voice asks a question, and the assistant has to hear and answer it.

One turn through every engine, over no network, beside the conversations that are going on. What it finds is
kept for a moment, so that asking often costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local_voice.ask import ask
from local_voice.assistant import Assistant
from local_voice.audio import write_wav

log = logging.getLogger(__name__)

QUESTION = "What is the capital of France?"
FRESH_SECONDS = 10.0
"""A result is given again for this long: a turn costs a conversation's work."""
LONGEST_SECONDS = 15.0
"""A turn that takes longer has failed; an HTTP request would end after 20 s."""


class Canary:
    """One for all who ask; they share a turn that is going on."""

    def __init__(self, assistant: Assistant, clock: Callable[[], float] = time.monotonic) -> None:
        self._assistant = assistant
        self._clock = clock
        self._found: dict[str, object] = {}
        self._until = float("-inf")
        self._turn = asyncio.Lock()

    async def sing(self) -> dict[str, object]:
        """`ok`, what was `heard` and `answered`, `seconds` for all of it, and what the `problem` is."""
        async with self._turn:
            if self._clock() >= self._until:
                began = self._clock()
                found = await self._try()
                self._found = {**found, "seconds": round(self._clock() - began, 3)}
                self._until = self._clock() + FRESH_SECONDS
                if not found["ok"]:
                    log.error("the canary turn failed: %s", found["problem"])
            return self._found

    async def _try(self) -> dict[str, object]:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await self._ask()
        except TimeoutError:
            return {"ok": False, "problem": f"there was no answer within {LONGEST_SECONDS:g} s"}
        except Exception as error:
            log.exception("the canary turn broke")
            return {"ok": False, "problem": f"it broke: {type(error).__name__}; the log says why"}

    async def _ask(self) -> dict[str, object]:
        phrase = self._assistant.settings.turn.wake_phrase
        wake = f"{phrase}. " if phrase else ""
        sound = await self._assistant.say(wake + QUESTION)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "question.wav"
            write_wav(path, [sound.samples], sound.sample_rate)
            (answer,) = await ask(self._assistant, [path])
        return {
            "ok": answer.ok,
            "heard": answer.heard,
            "answered": answer.answered,
            "problem": answer.problem or ("" if answer.ok else "there was no reply"),
        }
