"""One reply on its way to the ear: the model writes, clauses are cut, Piper speaks, the playout holds.

All three work at the same time: the first clause is in the playout, and perhaps already heard, while the
model still writes the last one. This room must not know whether the reply will ever be released.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

import numpy as np

from local_voice.audio import Resampler, Samples
from local_voice.events import Message
from local_voice.playout import Playout
from local_voice.speakable import Clause, ClauseCutter
from local_voice.stages import LanguageModel, Speaker, Speech, StageError, language_of
from local_voice.transcript import Word

CLAUSES_AHEAD = 4
"""Clauses written but not yet spoken. When they are this many the writer waits; the engine's own queue
merges what it writes meanwhile, so nothing grows and nothing is lost."""

T = TypeVar("T")


def closing(stream: AsyncIterator[T]) -> aclosing[AsyncGenerator[T]]:
    """Engines answer with async generators: leaving the block closes, which aborts the work."""
    return aclosing(cast("AsyncGenerator[T]", stream))


class PlayoutWriter:
    """Puts the pieces of one reply into the playout, at its sample rate, word times in step."""

    def __init__(self, playout: Playout, turn: int, revision: int, from_rate: int) -> None:
        self._playout = playout
        self._key = (turn, revision)
        self._rate = from_rate
        self._resampler = Resampler(from_rate, playout.sample_rate)
        self._taken = 0
        self._written = 0
        playout.open(turn, revision)

    def write(self, speech: Speech) -> None:
        """Add a piece. The resampler holds back a few milliseconds of it until the next one."""
        # Word times count from the piece's start; the playout counts from what it has been given.
        shift = self._taken / self._rate - self._written / self._playout.sample_rate
        words = tuple(Word(w.text, w.start + shift, w.end + shift) for w in speech.words)
        self._taken += len(speech.samples)
        self._put(self._resampler.process(speech.samples), words)

    def finish(self) -> None:
        """That was all."""
        self._put(self._resampler.process(np.zeros(0, np.float32), last=True), ())
        self._playout.finish(*self._key)

    def _put(self, samples: Samples, words: tuple[Word, ...]) -> None:
        self._written += len(samples)
        self._playout.write(*self._key, samples, words)


class Rehearsal:
    """The first clause, spoken while the next token has yet to show that it ends there: one token saved."""

    def __init__(self, tts: Speaker, group: asyncio.TaskGroup) -> None:
        self._tts = tts
        self._group = group
        self._clause: Clause | None = None
        self._pieces: asyncio.Queue[Speech | StageError | None] = asyncio.Queue()
        """Of the clause that was begun, then None, or why there is no more."""
        self._task: asyncio.Task[None] | None = None

    def begin(self, clause: Clause) -> None:
        """Speak it aside, instead of another one that was begun."""
        if clause == self._clause:
            return
        self._give_up()
        self._clause, self._pieces = clause, asyncio.Queue()
        self._task = self._group.create_task(self._speak(clause, self._pieces))

    async def sound(self, clause: Clause) -> AsyncGenerator[Speech, None]:
        """The clause's pieces, rehearsed or not."""
        if clause == self._clause:
            self._clause = None
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, StageError):
                    raise piece
                yield piece
            return
        self._give_up()
        async with closing(self._tts.synthesize(clause)) as pieces:
            async for piece in pieces:
                yield piece

    def _give_up(self) -> None:
        self._clause = None
        if self._task is not None:
            self._task.cancel()

    async def _speak(self, clause: Clause, into: asyncio.Queue[Speech | StageError | None]) -> None:
        try:
            async with closing(self._tts.synthesize(clause)) as pieces:
                async for piece in pieces:
                    into.put_nowait(piece)
        except StageError as error:  # nobody's trouble but who wants this very clause: it is a guess
            into.put_nowait(error)
        else:
            into.put_nowait(None)


async def prepare_reply(
    messages: Sequence[Message],
    llm: LanguageModel,
    tts: Speaker,
    writer: PlayoutWriter,
    mark: Callable[[str], None],
    on_clause: Callable[[Clause], None],
) -> None:
    """Write and speak a whole reply. Cancelling it stops both engines.

    `mark` is told `first_token`, `first_clause` and `first_sound`; repeats are its business.
    Raises an `ExceptionGroup` of `StageError`s when an engine fails or the model has nothing to say.
    """
    clauses: asyncio.Queue[Clause | None] = asyncio.Queue(CLAUSES_AHEAD)

    async def write() -> None:
        cutter = ClauseCutter(language_of(tts))
        async with closing(llm.generate(messages)) as deltas:
            async for delta in deltas:
                mark("first_token")
                for clause in cutter.push(delta):
                    mark("first_clause")
                    on_clause(clause)
                    await clauses.put(clause)
                if cutter.cut_off:
                    break
                if (likely := cutter.likely()) is not None:
                    rehearsal.begin(likely)
        for clause in cutter.finish():
            mark("first_clause")
            on_clause(clause)
            await clauses.put(clause)
        await clauses.put(None)

    async def speak() -> None:
        sounded = False
        while (clause := await clauses.get()) is not None:
            async with closing(rehearsal.sound(clause)) as pieces:
                async for piece in pieces:
                    writer.write(piece)
                    sounded = sounded or len(piece.samples) > 0
                    mark("first_sound")
        if not sounded:
            raise StageError("llm", "the language model gave a reply with nothing to say in it")
        writer.finish()

    async with asyncio.TaskGroup() as group:
        rehearsal = Rehearsal(tts, group)
        group.create_task(write())
        group.create_task(speak())
