"""`local-voice serve` on scripts instead of models: what the transport and the sessions cost alone.

    [SCRIPTED=Piper,VllmEngine] python -m benchmarks.scripted_server [FLAGS] serve [FLAGS]

Everything but the engines, or but those that `SCRIPTED` names, is the real program. Voice is what is loud;
every turn is judged complete and was the same question; the reply has two sentences, written at a small
model's pace; the voice is a hum.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any, Self
from unittest.mock import patch

import numpy as np

from local_voice.audio import SPEECH_RATE, Samples
from local_voice.cli import main
from local_voice.environment import go_offline
from local_voice.events import Message
from local_voice.speakable import Clause
from local_voice.stages import Manner, Speech
from local_voice.transcript import Transcript, Word

QUESTION = "What is the capital of France?"
REPLY = "The capital of France is Paris. It lies on the river Seine, and many people visit it every year."
TRANSCRIPT_SECONDS = 0.1
FIRST_TOKEN_SECONDS = 0.05
TOKEN_SECONDS = 0.05
FIRST_SOUND_SECONDS = 0.05
WORD_SECONDS = 0.3
VOICED = 0.03
HUM_RATE = 22_050
PERIOD = sum(
    0.2 * np.sin(2 * np.pi * partial * np.arange(HUM_RATE // 150) / (HUM_RATE // 150)) / partial
    for partial in range(1, 20)
).astype(np.float32)
"""Of the hum, 150 Hz, made once: a script must not keep the event loop busy."""


class Scripted:
    """An engine without anything to load; nobody waits for it."""

    waiting = 0
    ready = True

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Loudness(Scripted):
    """Voice is what is loud."""

    sample_rate = SPEECH_RATE
    window = 512

    def stream(self) -> Self:
        return self

    def probability(self, window: Samples) -> float:
        return 0.95 if float(np.abs(window).max()) > VOICED else 0.02


class Complete(Scripted):
    """Every turn is."""

    async def probability(self, samples: Samples, **_: Any) -> float:
        return 0.97


class Question(Scripted):
    """What everybody says."""

    async def transcribe(self, samples: Samples, *, final: bool, **_: Any) -> Transcript:
        await asyncio.sleep(TRANSCRIPT_SECONDS)
        return Transcript(QUESTION)


class Reply(Scripted):
    """What everybody is told."""

    async def generate(self, messages: Sequence[Message], **_: Any) -> AsyncIterator[str]:
        wait = FIRST_TOKEN_SECONDS
        for word in REPLY.split():
            await asyncio.sleep(wait)
            wait = TOKEN_SECONDS
            yield word + " "

    async def warm(self, messages: Sequence[Message], **_: Any) -> None:
        pass

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class Hum(Scripted):
    """So much of it for each word."""

    sample_rate = HUM_RATE
    names = ("hum",)

    async def speaker(self, manner: Manner) -> Self:
        return self

    async def synthesize(self, clause: Clause, **_: Any) -> AsyncIterator[Speech]:
        await asyncio.sleep(FIRST_SOUND_SECONDS)
        words = clause.written.split()
        hum = np.resize(PERIOD, round(len(words) * WORD_SECONDS * self.sample_rate))
        ends = [(place + 1) * WORD_SECONDS for place in range(len(words))]
        heard = tuple(Word(word, end - WORD_SECONDS, end) for word, end in zip(words, ends, strict=True))
        yield Speech(hum, heard)


ENGINES = {
    "SileroVad": Loudness,
    "SmartTurn": Complete,
    "Whisper": Question,
    "VllmEngine": Reply,
    "Piper": Hum,
}

if __name__ == "__main__":
    go_offline()
    with ExitStack() as stack:
        # It is done, and the engines' libraries come before the program would do it.
        stack.enter_context(patch("local_voice.environment.go_offline"))
        for name in os.environ.get("SCRIPTED", ",".join(ENGINES)).split(","):
            stack.enter_context(patch(f"local_voice.assistant.{name}", ENGINES[name]))
        sys.exit(main())
