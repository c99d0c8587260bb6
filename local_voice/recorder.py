"""Keeps conversations, where it is asked for: a WAV with both sides and a trace of each, in one folder.

Sound and events are handed over as they pass and written by a thread of this room's own, so that a slow disk
holds up nobody. A disk that is full, or breaks, ends the recording and never the conversation. What is too
old, or too much, is deleted. It must not know what anybody says.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import shutil
import time
import wave
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

import numpy as np

from local_voice.audio import AudioChunk, Resampler, Samples
from local_voice.events import Command, Event
from local_voice.playout import Playout
from local_voice.settings import RecordingSettings, Settings
from local_voice.stages import Control, Notification, Recording, Transport
from local_voice.trace import TraceWriter
from local_voice.worker import Worker

log = logging.getLogger(__name__)

RATE = 24_000
"""Hz of the file: all of a voice, and of Piper's."""
BLOCK_SECONDS = 1.0
"""Sound is written in pieces of this length."""
AHEAD_SECONDS = 2.0
"""One side may be this much longer than the other (a stall of the network) before silence fills the gap."""
CLOSE_SECONDS = 5.0
"""How long the end of a conversation waits for the disk."""
TIDY_SECONDS = 60.0
"""How often the folder is looked at while somebody is recorded."""
TIDY_IDLE_SECONDS = 3_600.0
"""How often it is while nobody is."""
DAY, GIB = 86_400.0, 2**30
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{4}\.(wav|jsonl)")
"""Only files named like ours are ever deleted."""


class Recorder:
    """Records any number of conversations with one thread. A context manager."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall`: seconds since 1970, for names and ages."""
        self._wall = wall
        self._numbers = itertools.count(1)
        self._open: WeakSet[_Files] = WeakSet()
        self._making: set[str] = set()
        """Names of recordings that are being made, which nobody's tidying may touch."""
        # A conversation hands over one job a second, of 0.4 MB, so that many wait only behind a disk that
        # stands still: then the newest is refused, and its conversation is no longer recorded.
        self._worker = Worker("recorder", limit=64)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.close()
        for files in self._open:  # whose end the disk was too slow for
            files.abandon()

    async def keep_tidy(self, limits: Callable[[], RecordingSettings]) -> None:
        """Delete what is too old or too much now and every hour, also where nobody talks; until cancelled."""
        while True:
            current = limits()
            if current.folder:
                try:
                    await self._worker.run(tidy, _folder(current), current, self._wall(), self._making)
                except Exception as error:  # the disk's, or the queue's; the next hour may be better
                    log.error("old recordings can't be deleted: %s", error)
            await asyncio.sleep(TIDY_IDLE_SECONDS)

    def record(self, transport: Transport, settings: Settings) -> Recorded:
        """The transport, recorded while the result is entered."""
        when = datetime.fromtimestamp(self._wall(), UTC)
        name = f"{when:%Y-%m-%dT%H-%M-%S}-{next(self._numbers) % 10_000:04}"
        files = _Files(settings, name, self._wall, self._making)
        self._open.add(files)
        return Recorded(transport, files, self._worker)


class Steps:
    """Gathers what a trace holds. Satisfies `Observer`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Event, Sequence[Command]]] = []
        """Not yet handed over; nothing gathers while there is no recording."""
        self.on = False

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """As `Observer.write`."""
        if self.on:
            self.waiting.append((now, event, commands))

    def notify(self, notification: Notification) -> None:
        """A trace holds nothing that is shown."""


class Recorded:
    """A transport that is recorded. Entering begins, leaving ends it."""

    def __init__(self, transport: Transport, files: _Files, worker: Worker) -> None:
        self.playout: Playout = transport.playout
        self._transport = transport
        self._files = files
        self._worker = worker
        self._sides: tuple[list[Samples], list[Samples]] = ([], [])
        """What was said and what was heard since the last block, in pieces."""
        self._rates = (0, 0)
        self.steps = Steps()
        """The observer that its conversation has to be given."""
        self._on = False
        self._jobs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._on = self.steps.on = True
        self._ticking = asyncio.create_task(self._tick())
        self.notify(Recording(True))
        self.playout.on_read = self._read
        self._hand_over(self._files.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticking.cancel()
        self.playout.on_read = lambda samples: None
        self._flush()
        if self._on:
            self._hand_over(self._files.close)
        if self._jobs:
            _, late = await asyncio.wait(self._jobs, timeout=CLOSE_SECONDS)
            if late:
                log.error("the disk of the recordings is slow: %d seconds are still to be written", len(late))
        self._on = self.steps.on = False

    # ---- as a transport -------------------------------------------------------------------------------

    @property
    def echo(self) -> bool:
        """As the transport's."""
        return self._transport.echo

    @echo.setter
    def echo(self, value: bool) -> None:
        self._transport.echo = value

    @property
    def on_control(self) -> Callable[[Control], None]:
        """As the transport's."""
        return self._transport.on_control

    @on_control.setter
    def on_control(self, told: Callable[[Control], None]) -> None:
        self._transport.on_control = told

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        """As the transport's."""
        async for chunk in self._transport.incoming():
            yield chunk
            if self._on:
                self._rates = (chunk.sample_rate, self._rates[1])
                self._sides[0].append(chunk.samples)

    def notify(self, notification: Notification) -> None:
        """As the transport's."""
        self._transport.notify(notification)

    # ---- the tape -------------------------------------------------------------------------------------

    def _read(self, samples: Samples) -> None:
        """What the assistant was heard to say, silence too; from whichever thread plays it."""
        self._sides[1].append(samples)

    async def _tick(self) -> None:
        """By the time and not by what is said: a client that sends no sound is spoken to all the same."""
        while self._on:
            await asyncio.sleep(BLOCK_SECONDS)
            self._flush()

    def _flush(self) -> None:
        """Hand over what has gathered."""
        if not self._on:
            return
        said, heard = (_taken(side) for side in self._sides)
        steps, self.steps.waiting = self.steps.waiting, []
        self._hand_over(self._files.add, said, heard, self._rates[0], self.playout.sample_rate, steps)

    def _hand_over(self, function: Callable[..., None], *arguments: object) -> None:
        """The conversation does not wait for the disk; one thread keeps the order."""
        job = asyncio.create_task(self._write(function, *arguments))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _write(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            await self._worker.run(function, *arguments)
        except Exception as error:  # the disk's, the queue's, or a word that can't be written down
            if not self._on:
                return  # what was handed over before it was known
            self._on = self.steps.on = False
            self.playout.on_read = lambda samples: None
            for side in self._sides:
                side.clear()
            self.steps.waiting.clear()
            log.error("the conversation goes on, but is no longer recorded: %s", error)
            self.notify(Recording(False))


class _Files:
    """One conversation's files. Everything here runs on the recorder's thread."""

    def __init__(self, settings: Settings, name: str, wall: Callable[[], float], making: set[str]) -> None:
        """`making`: names of all recordings that are being made, this one's among them while it is."""
        self._settings = settings
        self._limits = settings.recording
        self._folder = _folder(self._limits)
        self._name = name
        self._making = making
        self._wall = wall
        self._stack = ExitStack()
        self._resamplers: dict[int, Resampler] = {}
        self._left, self._right = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._tidied = float("-inf")
        self._opened = False

    def open(self) -> None:
        """Raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        with ExitStack() as stack:
            sound = self._folder / f"{self._name}.wav"
            trace = sound.with_suffix(".jsonl")
            for path in (sound, trace):
                path.touch(mode=0o600)
            self._wav = stack.enter_context(wave.open(str(sound), "wb"))
            self._wav.setnchannels(2)
            self._wav.setsampwidth(2)
            self._wav.setframerate(RATE)
            self._trace = stack.enter_context(TraceWriter(trace, self._settings))
            self._stack = stack.pop_all()
        self._opened = True
        self._making.add(self._name)

    def add(
        self,
        said: Samples,
        heard: Samples,
        said_rate: int,
        heard_rate: int,
        steps: Sequence[tuple[float, Event, Sequence[Command]]],
    ) -> None:
        """Raises `OSError`; then the files are closed, and what comes later is nothing."""
        if not self._opened:
            return
        try:
            if self._wall() - self._tidied > TIDY_SECONDS:
                self._make_room()
            self._left = np.concatenate((self._left, self._resampled(0, said, said_rate)))
            self._right = np.concatenate((self._right, self._resampled(1, heard, heard_rate)))
            both = max(
                min(len(self._left), len(self._right)),
                max(len(self._left), len(self._right)) - round(AHEAD_SECONDS * RATE),
            )
            self._put(both)
            for step in steps:
                self._trace.write(*step)
        except BaseException:
            self.abandon()
            raise

    def close(self) -> None:
        """Write what is left. Raises `OSError`."""
        if not self._opened:
            return
        try:
            self._put(max(len(self._left), len(self._right)))
        finally:
            self._making.discard(self._name)
            self._stack.close()

    def abandon(self) -> None:
        """Close what can be closed: what is on the disk stays there."""
        self._opened = False
        self._making.discard(self._name)
        try:
            self._stack.close()
        except OSError as error:
            log.debug("closing a recording: %s", error)

    def _put(self, count: int) -> None:
        if not count:
            return
        sides = []
        for side in (self._left, self._right):
            part = side[:count]
            sides.append(np.pad(part, (0, count - len(part))))
        self._left, self._right = self._left[count:], self._right[count:]
        frames = np.rint(np.clip(np.stack(sides, axis=1), -1, 1) * 32767).astype("<i2")
        self._wav.writeframes(frames.tobytes())  # with the header each time: a kill leaves a whole file

    def _resampled(self, side: int, samples: Samples, rate: int) -> Samples:
        if not len(samples):
            return samples
        if side not in self._resamplers:
            self._resamplers[side] = Resampler(rate, RATE)
        return self._resamplers[side].process(samples)

    def _make_room(self) -> None:
        """Raises `OSError` where the disk is as good as full all the same."""
        self._tidied = self._wall()
        tidy(self._folder, self._limits, self._wall(), keep=self._making)
        free = shutil.disk_usage(self._folder).free / GIB
        if free < self._limits.free_gib:
            raise OSError(
                f"only {free:.1f} GiB are free for {self._folder}; free some, or lower recording.free_gib"
            )


def tidy(folder: Path, limits: RecordingSettings, now: float, keep: Collection[str]) -> list[Path]:
    """Delete recordings that are too old and, oldest first, those beyond the folder's size; says which.

    `keep`: names of those that are being made. Other people's files are left alone.
    """
    if not folder.is_dir():
        return []  # nothing has been recorded yet
    found = sorted(
        ((path.stat(), path) for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()),
        key=lambda pair: pair[0].st_mtime,
    )
    total = sum(about.st_size for about, _ in found)
    gone = []
    for about, path in found:
        too_old = now - about.st_mtime > limits.max_age_days * DAY
        if path.stem in keep or not (too_old or total > limits.max_gib * GIB):
            continue
        path.unlink(missing_ok=True)
        total -= about.st_size
        gone.append(path)
    if gone:
        log.info("deleted %d old recordings", len(gone))
    return gone


def _folder(limits: RecordingSettings) -> Path:
    return Path(limits.folder).expanduser()


def _taken(pieces: list[Samples]) -> Samples:
    """All pieces as one; the list is empty then. Others may append meanwhile."""
    count = len(pieces)
    taken = pieces[:count]
    del pieces[:count]
    return np.concatenate(taken) if taken else np.zeros(0, np.float32)
