"""The sound devices of this machine, on PortAudio: listing, choosing and opening them.

Sound comes and goes in blocks on the audio threads that PortAudio makes, one for each stream. This room
must not know who takes the sound, nor what it means.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from local_voice.audio import Samples
from local_voice.stages import StartupError

log = logging.getLogger(__name__)

LATENCY_SECONDS = 0.04
"""Asked of each device. Of 600 blocks of 10 ms played while a thread held the interpreter 8 of every 20 ms,
45 had holes at PortAudio's `low` (8.7 ms), 3 at 0.03 s and none at 0.04 s (two cores, PulseAudio)."""
INPUT_RATES = (16_000, 48_000, 44_100, 32_000)
"""Hz, best first: sound that comes at 16 kHz is spared the resampler's 22 ms."""
OUTPUT_RATES = (48_000, 44_100, 32_000, 24_000, 16_000)

Direction: TypeAlias = Literal["input", "output"]
NAMES: dict[Direction, str] = {"input": "microphone", "output": "loudspeaker"}

NO_PORTAUDIO = (
    "The microphone needs the PortAudio library: install it with `sudo apt install libportaudio2` "
    "(Fedora: `sudo dnf install portaudio`, Arch: `sudo pacman -S portaudio`) and start again."
)


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device as PortAudio lists it."""

    number: int
    name: str
    host: str
    """The sound system that offers it, such as ALSA or Core Audio."""
    inputs: int
    """Channels it records; 0 for a loudspeaker."""
    outputs: int
    """Channels it plays; 0 for a microphone."""
    rate: int
    """Hz that it likes best."""
    is_default: tuple[Direction, ...] = ()
    """The directions in which the system uses it unless told otherwise."""

    def can(self, direction: Direction) -> bool:
        return (self.inputs if direction == "input" else self.outputs) > 0

    def __str__(self) -> str:
        roles = [
            f"{name}{' (default)' if direction in self.is_default else ''}"
            for direction, name in NAMES.items()
            if self.can(direction)
        ]
        return f"{self.number:3}  {self.name} [{self.host}]: {' and '.join(roles)}"


@dataclass(frozen=True, slots=True)
class Line:
    """How a device is opened."""

    device: Device
    rate: int
    channels: int
    """1, or 2 for a device that knows no mono: both get the same, the mean of both is heard."""


class DeviceError(Exception):
    """A device can't be opened now; the message is the sound system's reason."""


class Stream(Protocol):
    latency: float
    """Seconds between the device and the callback."""

    def close(self) -> None:
        """Stop at once and free the device."""
        ...


Hear: TypeAlias = Callable[[Samples, bool], None]
"""Takes a block, shape `(n,)`, and whether sound was lost before it."""
Speak: TypeAlias = Callable[[int, float, bool], Samples]
"""Gives n samples; is told the seconds until they are heard, and whether the device ran dry before."""


class SoundCard(Protocol):
    """What the microphone needs of PortAudio; called from one thread."""

    def devices(self) -> list[Device]: ...

    def supports(self, direction: Direction, line: Line) -> bool: ...

    def open_input(self, line: Line, hear: Hear, lost: Callable[[], None]) -> Stream:
        """`lost` is called when the stream ends by itself. Raises `DeviceError`."""
        ...

    def open_output(self, line: Line, speak: Speak, lost: Callable[[], None]) -> Stream:
        """As `open_input`."""
        ...

    def look_again(self) -> None:
        """Find devices that were plugged in since. No stream may be open. Raises `DeviceError`."""
        ...


def list_devices() -> list[Device]:
    """All sound devices of this machine. Raises `StartupError` where PortAudio is missing."""
    return PortAudio().devices()


def choose(devices: Sequence[Device], direction: Direction, wanted: str) -> Device:
    """The device with the number or the part of a name in `wanted`; the default if that is empty.

    Raises `StartupError` with the candidates when there is none, or more than one.
    """
    name = NAMES[direction]
    able = [device for device in devices if device.can(direction)]
    if not able:
        raise StartupError(
            f"There is no {name}: plug one in (`local-voice devices` lists what is found), "
            "or talk in the browser with `local-voice serve`."
        )
    listed = "; ".join(f"{device.number} is {device.name}" for device in able)
    if not wanted:
        found = [device for device in able if direction in device.is_default] or able
        problem = f"The system has no default {name}"
    elif wanted.strip().isdigit():
        found = [device for device in able if device.number == int(wanted)]
        problem = f"No {name} has the number {wanted.strip()}"
    else:
        found = [d for d in able if wanted.lower() in f"{d.name}, {d.host}".lower()]
        found = [d for d in found if d.name.lower() == wanted.lower()] or found
        problem = f"Several {name}s match {wanted!r}" if found else f"No {name} matches {wanted!r}"
    if len(found) == 1:
        return found[0]
    raise StartupError(f"{problem}: choose with --{direction}-device, where {listed}.")


class PortAudio:
    """The sound card through sounddevice. Loading it starts PortAudio, so it waits until somebody talks."""

    def __init__(self) -> None:
        """Raises `StartupError` where PortAudio is missing."""
        try:
            with _library_messages_to_log():
                self._sd: Any = importlib.import_module("sounddevice")
        except OSError as error:
            raise StartupError(NO_PORTAUDIO) from error

    def devices(self) -> list[Device]:
        hosts = [host["name"] for host in self._sd.query_hostapis()]
        default_input, default_output = self._sd.default.device
        found = []
        for number, one in enumerate(self._sd.query_devices()):
            default: list[Direction] = ["input"] if number == default_input else []
            default += ["output"] if number == default_output else []
            channels = one["max_input_channels"], one["max_output_channels"]
            rate = round(one["default_samplerate"])
            found.append(Device(number, one["name"], hosts[one["hostapi"]], *channels, rate, tuple(default)))
        return found

    def supports(self, direction: Direction, line: Line) -> bool:
        check = self._sd.check_input_settings if direction == "input" else self._sd.check_output_settings
        try:
            with _library_messages_to_log():
                check(line.device.number, line.channels, "float32", samplerate=line.rate)
        except (self._sd.PortAudioError, ValueError):
            return False
        return True

    def open_input(self, line: Line, hear: Hear, lost: Callable[[], None]) -> Stream:
        def callback(sound: Samples, frames: int, time: object, status: Any) -> None:
            hear(sound.mean(axis=1), status.input_overflow)

        return self._open(self._sd.InputStream, line, callback, lost)

    def open_output(self, line: Line, speak: Speak, lost: Callable[[], None]) -> Stream:
        def callback(sound: Samples, frames: int, time: Any, status: Any) -> None:
            delay = time.outputBufferDacTime - time.currentTime
            sound[:] = speak(frames, delay, status.output_underflow)[:, np.newaxis]

        return self._open(self._sd.OutputStream, line, callback, lost)

    def look_again(self) -> None:
        # The list is made when PortAudio starts, and only then.
        try:
            with _library_messages_to_log():
                self._sd._terminate()
                self._sd._initialize()
        except self._sd.PortAudioError as error:
            raise DeviceError(str(error)) from error

    def _open(self, kind: Any, line: Line, callback: Any, lost: Callable[[], None]) -> Stream:
        try:
            stream: Any = kind(
                device=line.device.number,
                samplerate=line.rate,
                channels=line.channels,
                dtype="float32",
                latency=LATENCY_SECONDS,
                callback=callback,
                finished_callback=lost,
            )
            stream.start()
        except (self._sd.PortAudioError, ValueError) as error:
            raise DeviceError(str(error)) from error
        return _PortAudioStream(stream, self._sd.PortAudioError)


class _PortAudioStream:
    def __init__(self, stream: Any, error: type[Exception]) -> None:
        self.latency = float(stream.latency)
        self._stream = stream
        self._error = error

    def close(self) -> None:
        try:
            self._stream.abort()
            self._stream.close()
        except self._error as error:  # its device is gone already
            log.debug("closing a sound stream: %s", error)


@contextmanager
def _library_messages_to_log() -> Iterator[None]:
    """ALSA and JACK write dozens of lines to standard error about devices that nobody asked for."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            messages.seek(0)
            for line in messages.read().decode(errors="replace").splitlines():
                log.debug("sound library: %s", line)
