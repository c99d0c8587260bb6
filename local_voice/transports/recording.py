"""A user made of sound files: questions in, and a recording of both sides out.

Both sides share one clock: for every 20 ms of question or silence handed out, 20 ms of the reply are read.
Paced, that clock is the real one. Unpaced, files go in as fast as they are taken and replies are read as
fast as they are written; no sound passes while the engines work, as if they took no time. This room goes
by what it is told of the conversation's state; it must not know how that comes about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from local_voice.audio import SPEECH_RATE, AudioChunk, Resampler, Samples, write_wav
from local_voice.playout import Playout
from local_voice.stages import Control, Notification, Status

RATE = 48_000
"""Hz of the reply and of the saved file."""
CHUNK_SECONDS = 0.02
"""How much sound passes at a time."""
CHUNK = round(CHUNK_SECONDS * SPEECH_RATE)
REPLY_CHUNK = round(CHUNK_SECONDS * RATE)
QUIET = 0.02
"""Amplitude below which a chunk of a question is taken for a pause: -34 dB of full scale."""
PATIENCE_SECONDS = 0.5
"""Unpaced, a chunk of silence passes at least this often: should the conversation be waiting for its
clock while this room waits for the conversation, both go on, slowly."""


def _ignore(notification: Notification, question: int) -> None:
    """The default of `show`."""


class Recording:
    """Asks one question after another and records what is said on both sides."""

    def __init__(
        self,
        inputs: Sequence[AudioChunk],
        *,
        paced: bool,
        tail_seconds: float = 4.0,
        gap_seconds: float = 0.6,
        interrupt_after: float | None = None,
        show: Callable[[Notification, int], None] = _ignore,
    ) -> None:
        """`inputs`: the questions, at any rate.

        `tail_seconds`: silence in which a question that gets no reply is given up.
        `gap_seconds`: silence between the end of a reply and the next question, or the end.
        `interrupt_after`: begin the next question when this many seconds of a reply have been heard;
        None lets every reply end.
        `show`: told every notification, and the number of the question that was last begun.
        """
        self.playout = Playout(RATE)
        self.echo = False
        self.on_control: Callable[[Control], None] = lambda control: None
        self.question = 0
        """Number of the question that was last begun, from 0."""
        self._inputs = [
            Resampler(sound.sample_rate, SPEECH_RATE).process(sound.samples, last=True) for sound in inputs
        ]
        self._paced = paced
        self._tail = tail_seconds
        self._gap = gap_seconds
        self._interrupt_after = interrupt_after
        self._show = show
        self._state: Literal["listening", "hearing", "thinking", "speaking"] = "listening"
        self._changed = asyncio.Event()
        self._due = 0.0
        """Loop time at which the next chunk passes, when paced."""
        self._said: list[Samples] = []
        self._heard: list[Samples] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # The reply may be written from another thread.
        self.playout.on_change = lambda: _wake(loop, self._changed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.playout.on_change = lambda: None

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        """The questions and the silence around them: 20 ms chunks at 16 kHz."""
        self._due = asyncio.get_running_loop().time()
        for number, sound in enumerate(self._inputs):
            self.question = number
            for samples in _cut(sound):
                await self._tick(quiet=bool(np.abs(samples).max() < QUIET))
                yield self._exchange(samples)
            quiet = heard = 0.0
            while not self._is_over(quiet, heard):
                await self._tick(quiet=True)
                chunk = self._exchange(np.zeros(CHUNK, np.float32))
                yield chunk
                if heard or np.any(self._heard[-1]):
                    heard += chunk.duration
                busy = self._state != "listening" or self.playout.speaking
                quiet = 0.0 if busy else quiet + chunk.duration

    def notify(self, notification: Notification) -> None:
        """Follows the conversation's state, and passes everything on to `show`."""
        if isinstance(notification, Status):
            self._state = notification.state
            self._changed.set()
        self._show(notification, self.question)

    @property
    def said(self) -> Samples:
        """The questions with the silence between them, at `RATE`."""
        said = np.concatenate(self._said or [np.zeros(0, np.float32)])
        return Resampler(SPEECH_RATE, RATE).process(said, last=True)

    @property
    def heard(self) -> Samples:
        """The replies on the same clock, at `RATE`."""
        return np.concatenate(self._heard or [np.zeros(0, np.float32)])

    def save(self, path: Path) -> None:
        """Write a WAV with the questions on the left and the replies on the right."""
        write_wav(path, [self.said, self.heard], RATE)

    def _is_over(self, quiet: float, heard: float) -> bool:
        """The question is done with. `quiet`: seconds since anything happened; `heard`: of the reply."""
        is_last = self.question == len(self._inputs) - 1
        if self._interrupt_after is not None and not is_last and heard >= self._interrupt_after:
            return True
        return quiet >= (self._gap if heard else self._tail)

    def _exchange(self, samples: Samples) -> AudioChunk:
        """20 ms of both sides pass."""
        start = CHUNK * len(self._said)
        self._said.append(samples)
        self._heard.append(self.playout.read(REPLY_CHUNK))
        return AudioChunk(samples, SPEECH_RATE, start)

    async def _tick(self, *, quiet: bool) -> None:
        """Wait until the next 20 ms may pass. `quiet`: nobody speaks in them."""
        loop = asyncio.get_running_loop()
        if self._paced:
            self._due += CHUNK_SECONDS
            await asyncio.sleep(max(0.0, self._due - loop.time()))
            return
        await asyncio.sleep(0)
        if self._state in ("thinking", "speaking"):
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._reply_ready()
        elif self._state == "hearing" and quiet:
            # A pause is a race between its silence and the engines' verdicts: a fair one needs real time,
            # within a question (a ten-minute one is transcribed pause by pause) as at its end, where it
            # costs what a person would wait, 0.3 to 1.4 s.
            await asyncio.sleep(CHUNK_SECONDS)

    async def _reply_ready(self) -> None:
        """Until there is something to hear, or nothing is going to come."""
        while self._state in ("thinking", "speaking") and not self.playout.ready(REPLY_CHUNK):
            self._changed.clear()
            await self._changed.wait()


def _cut(sound: Samples) -> Iterator[Samples]:
    """Chunks of `CHUNK` samples; the last is filled up with silence."""
    for start in range(0, len(sound), CHUNK):
        part = sound[start : start + CHUNK]
        yield part if len(part) == CHUNK else np.pad(part, (0, CHUNK - len(part)))


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
