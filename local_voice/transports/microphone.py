"""The user at this machine's microphone and loudspeaker.

Two streams, each at a rate its device likes: the input's blocks are copied, the output's are read from the
playout, and nothing else happens on the audio threads. On the loop both are brought to 16 kHz, laid side by
side, and the echo of the one is taken out of the other. A device that goes away is waited for. This room
must not know what anybody says.

Why not one stream for both directions, where input and output share a clock: behind PulseAudio a duplex
stream whose callback is late loses microphone sound (with two threads holding the interpreter, 1.2 of 6 s
were heard at 40 ms; two streams heard all), and AEC3 follows the drift between two clocks by itself.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from local_voice.audio import SPEECH_RATE, AudioChunk, Resampler, Samples, silence
from local_voice.playout import Playout
from local_voice.settings import AudioSettings
from local_voice.stages import Control, Notice, Notification, StartupError
from local_voice.transports.sound_card import (
    INPUT_RATES,
    NAMES,
    OUTPUT_RATES,
    Device,
    DeviceError,
    Direction,
    Line,
    PortAudio,
    SoundCard,
    Stream,
    choose,
    list_devices,
)
from local_voice.worker import Worker

__all__ = ["Microphone", "list_devices"]

log = logging.getLogger(__name__)

WAITING_SECONDS = 2.0
"""Sound kept for a loop that is late; beyond that the oldest is replaced by silence, and counted."""
FAR_LEAD_SECONDS = 0.1
"""How far the played sound may run ahead of the heard one; more is dropped (the clocks drift apart)."""
STALL_SECONDS = 2.0
"""A microphone that gives nothing for so long is gone."""
REOPEN_SECONDS = 30.0
"""How long a lost device is waited for."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 4.0
"""Between two attempts to reopen; doubles from the first to the longest."""
LONGEST_GAP_SECONDS = 2.0
"""Silence put in for the time without a device: enough to end the turn that was open."""
CLOSE_SECONDS = 5.0
"""A device that does not close by then is left to the operating system."""
OTHERWISE = "close the program that uses it, or choose another one (`local-voice devices` lists them)."


class RemovesEcho(Protocol):
    def process(self, near: Samples, far: Samples) -> Samples:
        """The near sound without the far one, same length."""
        ...


class _HandOver:
    """Sound from an audio thread to the loop, at most `WAITING_SECONDS` of it."""

    def __init__(self, rate: int, wake: Callable[[], None]) -> None:
        self.dropped = 0
        """Samples that were replaced by silence."""
        self._limit = round(WAITING_SECONDS * rate)
        self._wake = wake
        self._lock = threading.Lock()
        self._blocks: deque[Samples] = deque()
        self._held = 0
        self._missing = 0

    def put(self, samples: Samples) -> None:
        """Called by the audio thread."""
        with self._lock:
            was_empty = not self._blocks
            self._blocks.append(samples)
            self._held += len(samples)
            while self._held > self._limit:
                oldest = len(self._blocks.popleft())
                self._held -= oldest
                self._missing += oldest
                self.dropped += oldest
        if was_empty:
            self._wake()

    def take(self) -> Samples:
        """Everything since the last time, without gaps."""
        with self._lock:
            blocks, missing = list(self._blocks), self._missing
            self._blocks.clear()
            self._held = self._missing = 0
        return np.concatenate([np.zeros(missing, np.float32), *blocks])


class _Call:
    """Both devices from one opening to the next: two audio threads on one side, the loop on the other."""

    def __init__(
        self, heard: Line, spoken: Line, playout: Playout, echo: RemovesEcho | None, wake: Callable[[], None]
    ) -> None:
        self.heard = False
        """There has been sound."""
        self.lost = False
        """A stream is over."""
        self.overflows = self.underflows = 0
        self.error: BaseException | None = None
        """The last exception on an audio thread."""
        self.near = _HandOver(heard.rate, wake)
        self._far = _HandOver(spoken.rate, lambda: None)
        self._near_to_speech = Resampler(heard.rate, SPEECH_RATE)
        self._far_to_speech = Resampler(spoken.rate, SPEECH_RATE)
        self._ahead: Samples = np.zeros(0, np.float32)
        """Played sound at 16 kHz that nothing heard has been paired with yet."""
        self._playout = playout
        self._echo = echo
        self._wake = wake

    def hear(self, samples: Samples, overflow: bool) -> None:
        """Runs on the input's thread. An exception here would end the stream without a word."""
        try:
            self.heard = True
            self.overflows += overflow
            self.near.put(samples)
        except Exception as error:
            self.error = error

    def speak(self, count: int, delay: float, underflow: bool) -> Samples:
        """Runs on the output's thread."""
        try:
            self.underflows += underflow
            if 0.0 < delay < 2.0:  # some sound systems don't know, and say 0
                self._playout.delay_seconds += 0.1 * (delay - self._playout.delay_seconds)
            samples = self._playout.read(count)
            if self._echo is not None:
                self._far.put(samples)
            return samples
        except Exception as error:
            self.error = error
            return np.zeros(count, np.float32)

    def end(self) -> None:
        """A stream is over, by itself or because it was closed. Runs on its thread."""
        self.lost = True
        self._wake()

    def take(self) -> Samples:
        """What was heard since the last time, at 16 kHz, without echo."""
        near = self._near_to_speech.process(self.near.take())
        if self._echo is None:
            return near
        far = np.concatenate((self._ahead, self._far_to_speech.process(self._far.take())))
        pair, rest = far[: len(near)], far[len(near) :]
        self._ahead = rest[max(0, len(rest) - round(FAR_LEAD_SECONDS * SPEECH_RATE)) :]
        return self._echo.process(near, np.pad(pair, (0, len(near) - len(pair))))


def _ignore(notification: Notification) -> None:
    """The default of `show`."""


class Microphone:
    """The user at this machine's microphone and loudspeaker."""

    def __init__(
        self,
        settings: AudioSettings,
        echo: Callable[[int], RemovesEcho] | None,
        *,
        show: Callable[[Notification], None] = _ignore,
        card: Callable[[], SoundCard] = PortAudio,
    ) -> None:
        """`echo`: makes an echo canceller for a rate; not used where the settings turn it off.

        `show`: shows captions and notices to the user. `card`: called once, when the devices are wanted.
        """
        self.playout = Playout(OUTPUT_RATES[0])
        """Takes the loudspeaker's rate and delay when the microphone is entered."""
        self.echo = True
        self.on_control: Callable[[Control], None] = lambda control: None
        self.failure = ""
        """Why the sound ended by itself, as a sentence; empty while it has not."""
        self._settings = settings
        self._echo = echo if settings.echo_cancellation else None
        self._show = show
        self._make_card = card
        self._card: SoundCard
        self._call: _Call | None = None
        self._streams: list[Stream] = []
        self._worker = Worker("sound card")
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._last_sound = 0.0
        """Loop time."""
        self._said_late = self._said_overflow = False

    async def __aenter__(self) -> Self:
        """Raises `StartupError` when a device or PortAudio is missing."""
        self._loop = asyncio.get_running_loop()
        try:
            self._card = await self._worker.run(self._make_card)
            await self._worker.run(self._open)
            self._last_sound = self._loop.time()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        """The user's sound at 16 kHz in blocks of about `LATENCY_SECONDS` / 4; ends when a device is lost."""
        start = 0
        while True:
            samples = await self._next()
            if samples is None:
                return
            if len(samples):
                yield AudioChunk(samples, SPEECH_RATE, start)
                start += len(samples)

    def notify(self, notification: Notification) -> None:
        """Shown on this machine."""
        self._show(notification)

    async def _next(self) -> Samples | None:
        """What was heard since the last time, perhaps nothing; None when the devices are lost for good."""
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            log.warning("the microphone has given no sound for %g s", STALL_SECONDS)
            return await self._reopen()
        self._woken.clear()
        assert self._call is not None
        self._log_troubles(self._call)
        if self._call.lost:
            return await self._reopen()
        self._last_sound = self._loop.time()
        return self._call.take()

    def _wake(self) -> None:
        """Called on the audio threads."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def _log_troubles(self, call: _Call) -> None:
        """The first of each kind is worth a line; how many there were is said when the devices close."""
        if call.error is not None:
            error, call.error = call.error, None
            log.error("an exception on an audio thread", exc_info=error)
        if call.near.dropped and not self._said_late:
            self._said_late = True
            log.warning("the program is %g s behind the microphone: sound is lost", WAITING_SECONDS)
        if call.overflows and not self._said_overflow:
            self._said_overflow = True
            log.warning("the microphone's driver lost sound before it could be taken")

    # ---- losing the devices and getting them back -----------------------------------------------------

    async def _reopen(self) -> Samples | None:
        """Silence for the time without devices, shape `(n,)`, once they are back; None if they never are."""
        self._say("The microphone or the loudspeaker is gone. Waiting for it to come back.")
        pause, reason = FIRST_PAUSE_SECONDS, None
        try:
            async with asyncio.timeout(REOPEN_SECONDS):
                while (reason := await self._attempt()) is not None:
                    log.info("not back yet: %s", reason)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except TimeoutError:
            lost = f"The sound was gone for {REOPEN_SECONDS:g} s, so the conversation ends."
            self.failure = f"{lost} {reason}" if reason else lost
            self._say(self.failure)
            return None
        self._say("The sound is back.")
        gap = min(self._loop.time() - self._last_sound, LONGEST_GAP_SECONDS)
        return silence(gap, SPEECH_RATE)

    async def _attempt(self) -> str | None:
        """Open the devices again and wait for the first sound. Why it failed; None if it did not."""
        try:
            call = await self._worker.run(self._open_again)
            async with asyncio.timeout(STALL_SECONDS):
                while not (call.heard or call.lost):  # closing the old streams wakes, too
                    self._woken.clear()
                    await self._woken.wait()
        except (StartupError, DeviceError) as error:
            return str(error)
        except TimeoutError:
            return "The microphone opens and gives no sound."
        return "A device opens and stops at once." if call.lost else None

    def _say(self, sentence: str) -> None:
        log.warning(sentence)
        self.notify(Notice(sentence))

    # ---- on the worker's thread, where PortAudio may block ---------------------------------------------

    def _open(self) -> _Call:
        """Open both devices. Raises `StartupError`."""
        devices = self._card.devices()
        microphone = choose(devices, "input", self._settings.input_device)
        loudspeaker = choose(devices, "output", self._settings.output_device)
        heard = self._line("input", microphone, (*INPUT_RATES, microphone.rate))
        # The playout may hold a reply already, and then its rate stays.
        rates = (*OUTPUT_RATES, loudspeaker.rate) if self._call is None else (self.playout.sample_rate,)
        spoken = self._line("output", loudspeaker, rates)
        self.playout.sample_rate = spoken.rate
        echo = self._echo(SPEECH_RATE) if self._echo is not None else None
        call = _Call(heard, spoken, self.playout, echo, self._wake)
        try:
            # The microphone first: what is played has to be heard from its first sample.
            self._streams.append(self._card.open_input(heard, call.hear, call.end))
            self._streams.append(self._card.open_output(spoken, call.speak, call.end))
        except DeviceError as error:
            self._shut()
            names = f"the microphone {microphone.name} and the loudspeaker {loudspeaker.name}"
            raise StartupError(f"Can't use {names} ({error}); {OTHERWISE}") from error
        self.playout.delay_seconds = self._streams[-1].latency
        self._call = call
        log.info("microphone: %s at %d Hz", microphone.name, heard.rate)
        log.info("loudspeaker: %s at %d Hz", loudspeaker.name, spoken.rate)
        return call

    def _line(self, direction: Direction, device: Device, rates: tuple[int, ...]) -> Line:
        """The first rate that the device supports. Raises `StartupError`."""
        for rate in rates:
            for channels in (1, 2):
                line = Line(device, rate, channels)
                if self._card.supports(direction, line):
                    return line
        raise StartupError(f"Can't use the {NAMES[direction]} {device.name}; {OTHERWISE}")

    def _open_again(self) -> _Call:
        self._shut()
        self._card.look_again()
        return self._open()

    def _shut(self) -> None:
        if self._streams and self._call is not None:
            call = self._call
            log.info(
                "devices closed; overflows %d, underflows %d, samples too late %d",
                call.overflows,
                call.underflows,
                call.near.dropped,
            )
        while self._streams:
            self._streams.pop().close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._worker.run(self._shut)
                await self._worker.close()
        except TimeoutError:
            log.error("a sound device does not close; leaving it to the operating system")
