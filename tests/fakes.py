"""Engines and a transport with scripts instead of models, for tests of the carrier.

Sound is a code: a loud window is speech, a quiet one is silence. No thread, no clock, no sleep: `settle`
lets everything run that can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from local_voice.audio import AudioChunk
from local_voice.events import Message
from local_voice.playout import Playout
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import Settings
from local_voice.stages import Speech, StageError
from local_voice.transcript import Transcript, Word

RATE = 16_000
WINDOW = 512
WORD_SECONDS = 0.1


async def settle() -> None:
    """Let every task run until it waits for sound or for a gate."""
    for _ in range(60):
        await asyncio.sleep(0)


class Entered:
    waiting = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error) -> None:
        pass


class LevelVad(Entered):
    """Speech is what is loud."""

    sample_rate = RATE
    window = WINDOW

    def stream(self):
        return self

    def probability(self, window) -> float:
        return 0.95 if np.abs(window).max() > 0.01 else 0.02


class ScriptedTurn(Entered):
    """Answers one probability for every question."""

    def __init__(self, probability: float = 0.95) -> None:
        self.answer = probability

    async def probability(self, samples) -> float:
        return self.answer


class ScriptedStt(Entered):
    """Gives the next text of its script at each final pass; an exception in the script is raised."""

    def __init__(self, *texts: str | Exception) -> None:
        self.script = list(texts)
        self.sounds: list[float] = []
        """Seconds of sound in each final pass."""
        self.drafts: list[str] = []
        """What each pass was told of the one before."""
        self.hangs = False
        self.gate = asyncio.Event()
        """Final passes wait for it; open unless a test clears it."""
        self.gate.set()

    async def transcribe(self, samples, *, final: bool, draft: str = "") -> Transcript:
        self.drafts.append(draft)
        if self.hangs and final:
            await asyncio.Event().wait()
        if not final:
            return Transcript("partial")
        self.sounds.append(len(samples) / RATE)
        await self.gate.wait()
        item = self.script.pop(0)
        if isinstance(item, Exception):
            raise item
        return Transcript(item)


class ScriptedLlm(Entered):
    """Streams the next reply of its script; `|` stands between deltas, `!` waits for `gate`, `X` fails."""

    def __init__(self, *replies: str) -> None:
        self.script = list(replies)
        self.prompts: list[list[tuple[str, str]]] = []
        self.gate = asyncio.Event()
        self.running = 0
        self.aborted = 0

    async def generate(self, messages) -> AsyncIterator[str]:
        self.prompts.append([(m.role, m.content) for m in messages])
        self.running += 1
        ended = False
        try:
            for delta in self.script.pop(0).split("|"):
                if delta == "!":
                    await self.gate.wait()
                elif delta == "X":
                    raise StageError("llm", "scripted failure")
                else:
                    yield delta
                await asyncio.sleep(0)
            ended = True
        finally:
            self.running -= 1
            self.aborted += not ended

    async def warm(self, messages) -> None:
        pass

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class ToneTts(Entered):
    """A tenth of a second of tone for each written word."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.clauses: list[str] = []

    async def synthesize(self, clause) -> AsyncIterator[Speech]:
        await asyncio.sleep(0)
        self.clauses.append(clause.written)
        yield tone(clause.written)


def tone(text: str) -> Speech:
    words = text.split()
    return Speech(
        np.full(round(len(words) * WORD_SECONDS * RATE), 0.5, np.float32),
        tuple(Word(word, i * WORD_SECONDS, (i + 1) * WORD_SECONDS) for i, word in enumerate(words)),
    )


class HandTransport(Entered):
    """The test is the user: it speaks with `hear` and listens with `listen`."""

    def __init__(self) -> None:
        self.playout = Playout(RATE)
        self.echo = False
        self.on_control = lambda control: None
        self.notifications: list[object] = []
        self._chunks: asyncio.Queue[AudioChunk | None] = asyncio.Queue()

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    def notify(self, notification) -> None:
        self.notifications.append(notification)

    async def hear(self, windows: str) -> None:
        """'#' is a window of speech, '.' one of silence, '~' a soft one that is taken for speech.

        Everything that follows from it happens.
        """
        for letter in windows:
            samples = np.full(WINDOW, {"#": 0.5, "~": 0.012, ".": 0.0}[letter], np.float32)
            self._chunks.put_nowait(AudioChunk(samples, RATE, 0))
            await settle()

    async def ask(self) -> None:
        """A whole turn, with the silence that ends it."""
        await self.hear("#" * 20 + "." * 17)

    async def listen(self, seconds: float) -> np.ndarray:
        """Play `seconds` of what the assistant says, shape `(n,)`."""
        blocks = []
        for _ in range(round(seconds / 0.02)):
            blocks.append(self.playout.read(RATE // 50))
            await settle()
        return np.concatenate(blocks)

    def leave(self) -> None:
        self._chunks.put_nowait(None)


@asynccontextmanager
async def conversation(
    stt: ScriptedStt,
    llm: ScriptedLlm,
    *,
    settings: Settings | None = None,
    trace=None,
    observer=None,
    turn: float = 0.95,
    before: Sequence[Message] = (),
) -> AsyncIterator[tuple[HandTransport, Session]]:
    """A running session on scripted engines; leaves when the block ends."""
    transport = HandTransport()
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    engines = Engines(LevelVad(), ScriptedTurn(turn), stt, llm, ToneTts(), apologies)
    session = Session(
        engines,
        settings or Settings(),
        transport,
        trace=trace,
        observer=observer,
        clock=lambda: 0.0,
        before=before,
    )
    running = asyncio.create_task(session.run())
    await settle()
    try:
        yield transport, session
    finally:
        transport.leave()
        await running


def of_kind(kind: type, items: Sequence[object]) -> list:
    return [item for item in items if isinstance(item, kind)]
