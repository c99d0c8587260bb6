"""Sound as arrays: chunks, windows, sample rates, WAV files.

Everything inside the assistant is mono float32 in [-1, 1]. This room converts to and from that; it must
not know what the sound means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound, shape `(n,)`, float32 in [-1, 1]."""

SPEECH_RATE = 16_000
"""Hz: what Silero, Smart Turn and Whisper listen at."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of a stream of sound."""

    samples: Samples
    """Mono, shape `(n,)`, float32 in [-1, 1]."""
    sample_rate: int
    """Hz."""
    start: int
    """Samples of the stream before this chunk."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


def silence(seconds: float, sample_rate: int) -> Samples:
    """Digital silence, shape `(round(seconds * sample_rate),)`."""
    return np.zeros(round(seconds * sample_rate), np.float32)


def level(samples: Samples) -> float:
    """Loudness of sound of shape `(n,)`, dB relative to a full-scale square wave; silence is -100."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10.0 * math.log10(max(power, 1e-10))


class Rechunker:
    """Cuts a stream into windows of one size, carrying the rest over."""

    def __init__(self, window: int) -> None:
        """`window`: samples in each window handed out."""
        self._window = window
        self._rest: Samples = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Add samples of any length; yields every window that is now full, shape `(window,)`."""
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(joined) - len(joined) % self._window
        self._rest = joined[whole:].copy()
        for start in range(0, whole, self._window):
            yield joined[start : start + self._window]


class Resampler:
    """Changes the sample rate of a stream, without clicks at the chunk borders. One per direction."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        """Rates in Hz; equal rates pass the samples through untouched."""
        self._stream: soxr.ResampleStream | None = None
        self._decimator: Decimator | None = None
        if from_rate % to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")
        elif from_rate != to_rate:
            self._decimator = Decimator(from_rate // to_rate)

    def process(self, samples: Samples, *, last: bool = False) -> Samples:
        """The stream's next samples at the new rate; `last` also flushes what the filter still holds."""
        if self._decimator is not None:
            return self._decimator.process(samples, last=last)
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples, last=last), np.float32)


class Decimator:
    """Keeps every n-th sample of a stream, after a low-pass filter: the browser's 48 kHz made the models' 16.

    A sinc under a Kaiser window (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.6). It holds sound
    back for half its length, 1.7 ms; soxr, which works in blocks, does for 21 ms on average and 37 at most.
    """

    REACH = 27
    """Half of the filter's length, in samples of the new rate. At 16 kHz it passes 7 kHz whole (0.1 dB) and
    keeps out what lies above 8.6 kHz (80 dB)."""
    BETA = 7.0

    def __init__(self, factor: int) -> None:
        """`factor`: how many samples become one."""
        self._factor = factor
        self._reach = self.REACH * factor
        at = np.arange(-self._reach, self._reach + 1)
        kernel = np.sinc(at / factor * 0.975) * np.kaiser(len(at), self.BETA)
        self._kernel = (kernel / kernel.sum()).astype(np.float32)
        # Half a filter of silence lies before the stream, so that its first sample is the first that is kept.
        self._kept: Samples = np.zeros(self._reach, np.float32)

    def process(self, samples: Samples, *, last: bool = False) -> Samples:
        """The next samples that are kept, shape `(n,)`; `last` adds those that waited for more."""
        ending = np.zeros(self._reach if last else 0, np.float32)
        sound = np.concatenate((self._kept, np.asarray(samples, np.float32), ending))
        count = max(0, (len(sound) - len(self._kernel)) // self._factor + 1)
        self._kept = sound[count * self._factor :].copy()
        kept = np.zeros(count, np.float32)
        # One phase of the filter after the other: 20 ms take 22 us, and 57 us with all of it at each place.
        for phase in range(self._factor if count else 0):
            kernel = self._kernel[phase :: self._factor]
            kept += np.correlate(sound[phase :: self._factor][: count + len(kernel) - 1], kernel, "valid")
        return kept


class Tape:
    """The last seconds of a stream, addressed by time since its beginning."""

    def __init__(self, seconds: float, sample_rate: int) -> None:
        """`seconds`: how much is kept; older sound is forgotten."""
        self._rate = sample_rate
        self._kept: Samples = np.zeros(round(seconds * sample_rate), np.float32)
        self._end = 0

    @property
    def seconds(self) -> float:
        """Length of the stream so far."""
        return self._end / self._rate

    def push(self, samples: Samples) -> None:
        """Add the stream's next samples, shape `(n,)`, at most as many as are kept."""
        at = self._end % len(self._kept)
        head = min(len(samples), len(self._kept) - at)
        self._kept[at : at + head] = samples[:head]
        self._kept[: len(samples) - head] = samples[head:]
        self._end += len(samples)

    def between(self, start: float, end: float) -> Samples:
        """A copy of the sound from `start` to `end`, in seconds; what is forgotten or to come is left out."""
        last = min(round(end * self._rate), self._end)
        first = max(round(start * self._rate), self._end - len(self._kept), 0)
        return self._kept.take(np.arange(first, max(first, last)), mode="wrap")


class AudioFileError(ValueError):
    """A sound file that can't be read; the message names the file and says why."""


def read_wav(path: Path, *, channel: int | None = None) -> AudioChunk:
    """The whole of a sound file at its own rate: mixed down to mono, or one `channel` of it (from 0).

    Reads what libsndfile reads: WAV of 8 to 32 bits or float at any rate, FLAC, Ogg, MP3.
    Raises `AudioFileError` for a missing, empty or broken file.
    """
    try:
        frames, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        if not path.is_file():
            raise AudioFileError(f"there is no file {path}") from error
        reason = "it is empty (0 bytes)" if path.stat().st_size == 0 else str(error)
        raise AudioFileError(f"can't read {path} as a sound file: {reason}") from error
    if len(frames) == 0:
        raise AudioFileError(f"can't use {path}: it holds no sound")
    chosen = frames.mean(axis=1, dtype=np.float32) if channel is None else frames[:, channel]
    mono = np.nan_to_num(chosen, posinf=1.0, neginf=-1.0)
    return AudioChunk(np.clip(mono, -1.0, 1.0), int(rate), start=0)


def write_wav(path: Path, channels: list[Samples], sample_rate: int) -> None:
    """Write one 16-bit WAV, one array a channel; shorter channels are padded with silence."""
    length = max(len(samples) for samples in channels)
    frames = np.zeros((length, len(channels)), np.float32)
    for column, samples in enumerate(channels):
        frames[: len(samples), column] = samples
    soundfile.write(path, frames, sample_rate, subtype="PCM_16", format="WAV")
