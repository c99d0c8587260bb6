"""Which reply is heard where in the recording: how loud, with which holes, and what was lost at them.

The reply as it was spoken is slid along the recording until both agree; from there they are followed, 5 ms at
a time, to where they part. This room knows nothing but sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.conversation.loudness import AUDIBLE_DB, FRAME, FRAME_SECONDS, RATE, Extent, levels
from benchmarks.conversation.tapes import Take
from local_voice.audio import Samples

SNIPPET_SECONDS = 0.15
"""Sound that is compared to find a place; less for replies that were cut at once."""
ALIKE = 0.8
"""Correlation from which two sounds are the same. Two takes of one sentence reach about 0.3."""
SHORT_SECONDS = 0.1
SHORT_ALIKE = 0.95
"""The same for shorter snippets: 30 ms of two hums were alike by 0.9."""
LONG_SECONDS = 0.5
"""Where a sound goes on with less than that before it pauses, so much more is looked at, pauses and all."""
FADE_SECONDS = 0.015
"""Left out after a hole, since the sound may be fading in there."""
SILENT = 3e-4
"""Amplitude below which a sample is silence: -70 dB."""
NOTHING = 1e-7
"""Amplitude below which nothing is played at all: even the quiet between words is louder."""
LOUD_DB = -45.0
"""Frames of a reply from which its loudness in the recording can be told."""
RECENT_SECONDS = 40.0
"""A reply is heard within this time of its being written."""


@dataclass(frozen=True)
class Hole:
    """A reply fell silent within a word or sentence and went on later."""

    start: float
    """Seconds of the recording: its last audible sample."""
    end: float
    """The first audible sample after it."""
    lost: int
    """Samples of the reply, not silent ones, that were never heard."""


@dataclass
class Playback:
    """A reply in the recording."""

    take: Take | None
    """None for a sound that is no reply, such as an apology."""
    start: float
    end: float
    """Seconds of the recording: first and last audible sample."""
    heard: int = 0
    """Samples of the take up to the last one that was played."""
    holes: list[Hole] = field(default_factory=list)
    gains: list[tuple[float, float]] = field(default_factory=list)
    """(seconds of the recording, loudness relative to the take) for frames in which the take is loud."""
    shifts: list[tuple[float, int]] = field(default_factory=list)
    """(seconds of the recording, samples by which the recording is ahead of the take from there on)."""
    missed_end: bool = True
    """Something of it was still to come."""

    def sample(self, at: float) -> int:
        """The sample of the take that is heard, or would be next, at a time of the recording."""
        shift = next(shift for since, shift in reversed(self.shifts) if since <= at or since == self.start)
        return max(0, round(at * RATE) - shift)

    @property
    def sounding(self) -> list[Extent]:
        """Where it was played: all of it but its holes, its own pauses too."""
        starts = [self.start, *(hole.end for hole in self.holes)]
        return list(zip(starts, [*(hole.start for hole in self.holes), self.end], strict=True))

    @property
    def completed(self) -> bool:
        """It was heard to its very end."""
        return self.take is not None and self.take.complete and not self.missed_end


def find(snippet: Samples, sound: Samples) -> tuple[int, float]:
    """Where in `sound` it sounds most like `snippet`, and how much: offset and correlation, 0 to 1."""
    count = len(sound) - len(snippet) + 1
    energy = float(np.sum(np.square(snippet, dtype=np.float64)))
    if count < 1 or energy < 1e-9:
        return 0, 0.0
    size = 1 << (len(sound) + len(snippet) - 1).bit_length()
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(snippet, size))
    dots = np.fft.irfft(product, size)[:count]
    sums = np.concatenate(([0.0], np.cumsum(np.square(sound, dtype=np.float64))))
    local = sums[len(snippet) :] - sums[: -len(snippet)]
    alike = dots / np.sqrt(np.maximum(local, 1e-6) * energy)
    best = int(np.argmax(alike))
    return best, float(alike[best])


def playbacks(assistant: Samples, takes: Sequence[Take]) -> list[Playback]:
    """Every reply in the assistant's channel, in order."""
    found: list[Playback] = []
    at = 0
    while (onset := _next_sound(assistant, at)) is not None:
        seconds = onset / RATE
        recent = [t for t in takes if t.begun <= seconds + 0.1 and seconds - t.begun < RECENT_SECONDS]
        place = _place(assistant, onset, recent)
        if place is None:
            at = _end_of_sound(assistant, onset)
            found.append(Playback(None, seconds, at / RATE))
        else:
            playback, at = _follow(assistant, onset, *place, recent)
            found.append(playback)
    return found


def _next_sound(assistant: Samples, at: int) -> int | None:
    """The next sample that is part of something audible."""
    loud = np.flatnonzero(levels(assistant[at:]) >= AUDIBLE_DB)
    if not len(loud):
        return None
    first = at + int(loud[0]) * FRAME
    return first + int(np.argmax(np.abs(assistant[first : first + FRAME]) > SILENT))


def _end_of_sound(assistant: Samples, at: int) -> int:
    """Where 0.2 s of silence begin."""
    loud = levels(assistant[at:]) >= AUDIBLE_DB
    quiet_frames = round(0.2 / FRAME_SECONDS)
    run = 0
    for number, is_loud in enumerate(loud):
        run = 0 if is_loud else run + 1
        if run == quiet_frames:
            return at + (number + 1 - quiet_frames) * FRAME
    return len(assistant)


def _place(assistant: Samples, onset: int, takes: Sequence[Take]) -> tuple[Take, int] | None:
    """The take that is heard from `onset`, and which sample of it."""
    snippet = _snippet(assistant, onset)
    best: tuple[Take, int] | None = None
    most = ALIKE if len(snippet) >= SHORT_SECONDS * RATE else SHORT_ALIKE
    for take in reversed(takes):
        offset, alike = find(snippet, take.sound)
        if alike >= most:
            best, most = (take, offset), alike
    return best


def _snippet(assistant: Samples, onset: int) -> Samples:
    """The sound from `onset`, up to the first silent frame."""
    snippet = assistant[onset : onset + round(SNIPPET_SECONDS * RATE)]
    silent = np.flatnonzero(levels(snippet) < 20 * np.log10(SILENT))
    return snippet[: int(silent[0]) * FRAME] if len(silent) else snippet


def _follow(
    assistant: Samples, onset: int, take: Take, offset: int, takes: Sequence[Take]
) -> tuple[Playback, int]:
    """Go along `take` from its sample `offset`, heard at `onset`; also says where to go on looking."""
    sound = take.sound
    playback = Playback(take, onset / RATE, onset / RATE)
    shift = onset - offset
    while True:
        playback.shifts.append((onset / RATE, shift))
        last, consumed, stopped = _run(assistant, sound, onset, shift, playback)
        playback.end = last / RATE
        playback.heard = consumed - shift
        ahead = np.abs(sound[playback.heard :]) > SILENT
        # What a fade leaves out at the very end was below hearing.
        playback.missed_end = int(np.count_nonzero(ahead)) > FRAME
        if stopped is None or not playback.missed_end or last == onset:
            return playback, last + FRAME
        again = _resumed(assistant, stopped, take, takes)
        # What fades out is played again at most: an earlier place belongs to a reply that begins alike.
        if again is None or again[1] < playback.heard - round(2 * FADE_SECONDS * RATE):
            return playback, last + FRAME
        resumed, place = again
        missing = np.abs(sound[playback.heard : place]) > SILENT
        # What it resumed with may be too quiet to hear, and is played all the same: the end of a "t".
        before = assistant[max(last, resumed - len(missing)) : resumed]
        missing[len(missing) - len(before) :] &= np.abs(before) < NOTHING
        hole = Hole(last / RATE, resumed / RATE, int(np.count_nonzero(missing)))
        playback.holes.append(hole)
        onset, shift = resumed, resumed - place


def _run(
    assistant: Samples, sound: Samples, onset: int, shift: int, playback: Playback
) -> tuple[int, int, int | None]:
    """While both agree: one past the last audible sample, one past the last that was not wholly silent, and
    where they part (None: at the take's end)."""
    last = consumed = onset
    at = onset
    apart = 0
    while at + FRAME <= len(assistant):
        take_part = sound[at - shift : at - shift + FRAME].astype(np.float64)
        if len(take_part) < FRAME:
            return last, consumed, None
        part = assistant[at : at + FRAME].astype(np.float64)
        power, wanted = float(part @ part), float(take_part @ take_part)
        silent, should_sound = power < FRAME * SILENT**2, wanted > FRAME * 10 ** (AUDIBLE_DB / 10)
        if silent and should_sound:
            apart += 1
            if apart == 1:
                parted = at
            if apart == 2:
                playback.gains.append((parted / RATE, 0.0))
                return last, consumed, parted
        elif not silent:
            gain = float(part @ take_part) / max(wanted, 1e-12)
            rest = power - gain * float(part @ take_part)
            apart = apart + 1 if rest > 0.5 * power and 10 * np.log10(power / FRAME) > AUDIBLE_DB else 0
            if apart == 1:
                parted = at
            if apart == 2:
                return last, consumed, parted
            if apart == 0:
                heard = np.flatnonzero(np.abs(part) > SILENT)
                last = at + int(heard[-1]) + 1 if len(heard) else last
                if 10 * np.log10(max(wanted, 1e-12) / FRAME) > LOUD_DB:
                    playback.gains.append((at / RATE, gain))
        else:
            apart = 0
        if apart == 0 and len(sounding := np.flatnonzero(np.abs(part) > NOTHING)):
            consumed = at + int(sounding[-1]) + 1
        at += FRAME
    return last, consumed, at


def _resumed(assistant: Samples, stopped: int, take: Take, takes: Sequence[Take]) -> tuple[int, int] | None:
    """Where the reply goes on: the sample of the recording and that of the take; None where it does not."""
    # The frame in which both parted may still begin with what was heard before.
    near = np.abs(assistant[stopped : stopped + 4 * FRAME]) < SILENT
    quiet = np.flatnonzero(np.convolve(near, np.ones(8), "valid") == 8)
    stopped += int(quiet[0]) if len(quiet) else FRAME
    onset = _next_sound(assistant, stopped)
    if onset is None:
        return None
    start = onset
    # A fade-in begins below hearing, as some words do.
    while start > stopped and abs(assistant[start - 1]) > 0:
        start -= 1
    at = max(onset, start + round(FADE_SECONDS * RATE))
    if len(_snippet(assistant, at)) < SHORT_SECONDS * RATE:
        offset, alike = find(assistant[at : at + round(LONG_SECONDS * RATE)], take.sound)
        place = (take, offset) if alike >= ALIKE else None
    else:
        place = _place(assistant, at, takes)
    if place is None or place[0] is not take or place[1] < at - start:
        return None
    return start, place[1] - (at - start)
