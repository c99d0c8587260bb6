"""The assistant's voice on its way out: what is queued, what has been heard.

The session writes a reply's sound as it is made; nothing is heard until the reply is released. Under a sound
that may be an interruption it is ducked, then paused, then cut, or resumed with no sample lost. The transport
reads at the pace of the loudspeaker or the network, and what it has read, less its own delay, is what the
user has heard. One lock guards everything, since `read` is called from the audio thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from local_voice.audio import Samples
from local_voice.events import PlaybackEnded, PlaybackStarted
from local_voice.transcript import Word

FADE_SECONDS = 0.01
"""A change of loudness takes this long: shorter clicks, longer is heard as hesitation."""

DUCKED = 0.25
"""Loudness under a sound that may be an interruption: -12 dB, clearly lower and still understood."""

_HISTORY = 512
"""Reads remembered to know what the ear hears by now: 5 s of the shortest blocks in use (10 ms)."""


@dataclass(slots=True)
class _Reply:
    turn: int
    revision: int
    released: bool = False
    finished: bool = False
    """All its sound has been written."""
    started: bool = False
    paused: bool = False
    gain: float = 1.0
    """Loudness of the last sample read."""
    wanted_gain: float = 1.0
    queued: deque[Samples] = field(default_factory=deque)
    written: int = 0
    played: int = 0
    reads: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    """After each read: (samples read of everything, samples played of this reply)."""
    words: list[tuple[str, int]] = field(default_factory=list)
    """Each word with the sample of the reply at which its sound is over."""


class Playout:
    """One user's loudspeaker queue. Holds at most one reply: writing a newer one replaces it."""

    def __init__(self, sample_rate: int, *, delay_seconds: float = 0.0) -> None:
        """`sample_rate`: Hz of everything written and read.

        `delay_seconds`: time from `read` to the user's ear, which the transport knows and may correct.
        """
        self.sample_rate = sample_rate
        self.delay_seconds = delay_seconds
        self.on_event: Callable[[PlaybackStarted | PlaybackEnded], None] = lambda event: None
        """Told when a reply starts and ends, from the thread that reads; must not block."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `ready` may have become true, from the thread that wrote; must not block."""
        self.on_read: Callable[[Samples], None] = lambda samples: None
        """Told all that has been read, from the thread that reads; must not block, nor change it."""
        self._lock = threading.Lock()
        self._reply: _Reply | None = None
        self._tail: Samples = np.zeros(0, np.float32)
        """A few faded milliseconds of a reply that was cut or paused, still to be read."""
        self._read = 0
        """Samples read since the beginning, silence too."""

    @property
    def samples_read(self) -> int:
        """Samples read since the beginning, silence too: the clock of whoever reads."""
        with self._lock:
            return self._read

    def open(self, turn: int, revision: int) -> None:
        """Make room for a reply; another one that is still there is dropped without an event."""
        with self._lock:
            if self._current(turn, revision) is None:
                self._reply = _Reply(turn, revision)

    def write(self, turn: int, revision: int, samples: Samples, words: tuple[Word, ...] = ()) -> None:
        """Add sound to the open reply; sound of any other reply is dropped.

        `words` end in `samples`, with times in seconds from its first sample.
        """
        with self._lock:
            reply = self._current(turn, revision)
            if reply is None:
                return
            for word in words:
                reply.words.append((word.text, reply.written + round(word.end * self.sample_rate)))
            if len(samples):
                reply.queued.append(samples)
                reply.written += len(samples)
        self.on_change()

    def release(self, turn: int, revision: int) -> None:
        """Let the reply be read from now on."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is not None:
                reply.released = True
        self.on_change()

    def finish(self, turn: int, revision: int) -> None:
        """All the reply's sound has been written: playback ends when it has been read."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is not None:
                reply.finished = True
        self.on_change()

    def duck(self, turn: int, revision: int) -> None:
        """Lower the reply's voice: somebody may be interrupting."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is not None:
                reply.wanted_gain = DUCKED

    def pause(self, turn: int, revision: int) -> None:
        """Hold the reply where it is, after a short fade; also one that has not begun."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is not None and not reply.paused:
                self._fade_out(reply)
                reply.paused = True

    def resume(self, turn: int, revision: int) -> None:
        """Go on at full loudness, from the very sample at which the reply was paused."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is not None:
                if reply.paused and reply.started:
                    reply.gain = 0.0
                reply.paused = False
                reply.wanted_gain = 1.0
        self.on_change()

    def ready(self, count: int) -> bool:
        """Reading `count` samples leaves no hole: a released reply fills them, ends in them, or is paused."""
        with self._lock:
            reply = self._reply
            if reply is None or not reply.released:
                return False
            return reply.paused or reply.finished or reply.written - reply.played >= count

    def read(self, count: int) -> Samples:
        """The next `count` samples for the user's ears; silence where there is nothing to say.

        The audio thread may call this: it takes one short lock and does no work beyond copying.
        """
        out = np.zeros(count, np.float32)
        events: list[PlaybackStarted | PlaybackEnded] = []
        with self._lock:
            fading = min(len(self._tail), count)
            out[:fading] = self._tail[:fading]
            self._tail = self._tail[fading:]
            self._read += count
            reply = self._reply
            if reply is not None and reply.released and not reply.paused:
                filled = self._take(reply, out[fading:])
                self._shape(reply, out[fading : fading + filled])
                if filled and not reply.started:
                    reply.started = True
                    events.append(PlaybackStarted(reply.turn, reply.revision))
                if reply.finished and not reply.queued:
                    self._reply = None
                    heard = " ".join(text for text, _ in reply.words)
                    events.append(PlaybackEnded(reply.turn, reply.revision, heard, interrupted=False))
            if reply is not None:
                reply.reads.append((self._read, reply.played))
        for event in events:
            self.on_event(event)
        self.on_read(out)
        return out

    def clear(self, turn: int, revision: int) -> PlaybackEnded | None:
        """Silence the reply now, with a short fade; says what was heard. None if it is not here."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is None:
                return None
            self._reply = None
            if not reply.paused:
                self._fade_out(reply)  # no longer meant to be understood
            heard = self._heard(reply)
            return PlaybackEnded(turn, revision, heard, interrupted=True)

    def heard(self, turn: int, revision: int) -> str:
        """The words of the reply that have been heard so far."""
        with self._lock:
            reply = self._current(turn, revision)
            return "" if reply is None else self._heard(reply)

    @property
    def speaking(self) -> bool:
        """A released reply is here that has not been read to its end."""
        with self._lock:
            return self._reply is not None and self._reply.released

    def _current(self, turn: int, revision: int) -> _Reply | None:
        reply = self._reply
        return reply if reply is not None and (reply.turn, reply.revision) == (turn, revision) else None

    def _heard(self, reply: _Reply) -> str:
        position = self._at_the_ear(reply)
        return " ".join(text for text, end in reply.words if end <= position)

    def _at_the_ear(self, reply: _Reply) -> int:
        """Samples of the reply that have left the loudspeaker; a pause lets the ear catch up."""
        now = self._read - round(self.delay_seconds * self.sample_rate)
        later, played_later = self._read, reply.played
        for read, played in reversed(reply.reads):
            if read <= now:
                return max(played, played_later - (later - now))
            later, played_later = read, played
        return max(0, played_later - (later - now))

    def _fade_out(self, reply: _Reply) -> None:
        """The next samples, fading, follow what has been read; they are not taken from the reply."""
        if not reply.started:
            return
        tail = np.zeros(round(FADE_SECONDS * self.sample_rate), np.float32)
        filled = 0
        for samples in reply.queued:
            part = samples[: len(tail) - filled]
            tail[filled : filled + len(part)] = part
            filled += len(part)
        self._tail = tail * np.linspace(reply.gain, 0.0, len(tail), dtype=np.float32)

    def _shape(self, reply: _Reply, samples: Samples) -> None:
        """Bring samples that were just taken to the wanted loudness, in place."""
        if reply.gain == reply.wanted_gain:
            if reply.gain != 1.0:
                samples *= reply.gain
            return
        step = 1.0 / max(1.0, FADE_SECONDS * self.sample_rate)
        steps = step * np.arange(1, len(samples) + 1, dtype=np.float32)
        if reply.wanted_gain > reply.gain:
            gains = np.minimum(reply.gain + steps, reply.wanted_gain)
        else:
            gains = np.maximum(reply.gain - steps, reply.wanted_gain)
        samples *= gains
        if len(gains):
            reply.gain = float(gains[-1])

    @staticmethod
    def _take(reply: _Reply, out: Samples) -> int:
        filled = 0
        while reply.queued and filled < len(out):
            head = reply.queued[0]
            part = min(len(head), len(out) - filled)
            out[filled : filled + part] = head[:part]
            filled += part
            if part == len(head):
                reply.queued.popleft()
            else:
                reply.queued[0] = head[part:]
        reply.played += filled
        return filled
