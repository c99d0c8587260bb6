"""The assistant's voice on its way out: what is queued, what has been heard.

The session writes a reply's sound as it is made; nothing is heard until the reply is released. The
transport reads at the pace of the loudspeaker or the network, and what it has read, less its own delay,
is what the user has heard. One lock guards everything, since `read` is called from the audio thread.
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

FADE_SECONDS = 0.005
"""A cut fades out over this long: shorter clicks, longer is heard as hesitation."""


@dataclass(slots=True)
class _Reply:
    turn: int
    revision: int
    released: bool = False
    finished: bool = False
    """All its sound has been written."""
    started: bool = False
    queued: deque[Samples] = field(default_factory=deque)
    written: int = 0
    played: int = 0
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
        self._lock = threading.Lock()
        self._reply: _Reply | None = None
        self._tail: Samples = np.zeros(0, np.float32)
        """A few faded milliseconds of a reply that was cut, still to be read."""

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

    def ready(self, count: int) -> bool:
        """A released reply fills the next `count` samples, or ends within them: reading leaves no hole."""
        with self._lock:
            reply = self._reply
            if reply is None or not reply.released:
                return False
            return reply.finished or reply.written - reply.played >= count

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
            reply = self._reply
            if reply is not None and reply.released:
                filled = self._take(reply, out[fading:])
                if filled and not reply.started:
                    reply.started = True
                    events.append(PlaybackStarted(reply.turn, reply.revision))
                if reply.finished and not reply.queued:
                    self._reply = None
                    heard = " ".join(text for text, _ in reply.words)
                    events.append(PlaybackEnded(reply.turn, reply.revision, heard, interrupted=False))
        for event in events:
            self.on_event(event)
        return out

    def clear(self, turn: int, revision: int) -> PlaybackEnded | None:
        """Silence the reply now, with a short fade; says what was heard. None if it is not here."""
        with self._lock:
            reply = self._current(turn, revision)
            if reply is None:
                return None
            self._reply = None
            heard = self._heard(reply)  # the fade below is no longer meant to be understood
            if reply.started:
                tail = np.zeros(round(FADE_SECONDS * self.sample_rate), np.float32)
                self._take(reply, tail)
                self._tail = tail * np.linspace(1.0, 0.0, len(tail), dtype=np.float32)
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
        position = reply.played - round(self.delay_seconds * self.sample_rate)
        return " ".join(text for text, end in reply.words if end <= position)

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
