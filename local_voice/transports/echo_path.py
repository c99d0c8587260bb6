"""Lays what was played beside what is heard, so that an echo canceller finds the one in the other.

The assistant's voice goes out, through a network, a loudspeaker, a microphone and back; its echo is heard
later than it was sent by a time that is known roughly. The canceller finds the rest by itself, as long as
the voice comes to it no later than its echo and not much earlier, and without jumps. This room must not
know which canceller that is, nor what anybody says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from local_voice.audio import Samples, Tape
from local_voice.stages import RemovesEcho

log = logging.getLogger(__name__)

KEPT_SECONDS = 3.0
"""Voice kept; the longest delay and a stall of the network are shorter."""
MARGIN_SECONDS = 0.06
"""The voice is given this much earlier than its echo is expected: the delay is known that well."""
LEAST_SECONDS = 0.02
"""The voice waits at least so long, so that a sound which is early by a packet still finds its voice. No
echo is sooner: each side takes 20 ms for a packet, and a device needs time."""
LATE_SECONDS, EARLY_SECONDS = 0.05, 0.15
"""How far from its place the voice may be before it is moved; a move costs the canceller a second or so.
Early is harmless up to the canceller's window of 0.35 s."""
WATCH_SECONDS = 2.0
"""Sound over which lateness is watched: what is late for so long is a clock that drifts, not a packet."""


class EchoPath:
    """One client's way from what we send to what it sends back."""

    def __init__(self, make: Callable[[int], RemovesEcho], rate: int) -> None:
        """`make`: a canceller for a rate; `rate`: Hz of both sounds."""
        self.moves = 0
        """How often the voice had to be laid elsewhere."""
        self._canceller = make(rate)
        self._rate = rate
        self._far = Tape(KEPT_SECONDS, rate)
        self._sent = 0
        self._next: int | None = None
        """The sample of the voice that belongs to the next sample heard."""
        self._watched = 0
        self._latest: int | None = None
        """The least lateness of the watched blocks, in samples."""

    def played(self, samples: Samples, skipped: int = 0) -> None:
        """The voice's next samples, after `skipped` samples' time in which nothing went out."""
        for piece in (np.zeros(min(skipped, round(KEPT_SECONDS * self._rate)), np.float32), samples):
            self._far.push(piece)
            self._sent += len(piece)

    def clean(self, heard: Samples, delay: float) -> Samples:
        """What was heard without the voice in it, same length.

        `delay`: the shortest time from sending the voice to hearing its echo that is known for sure, seconds.
        """
        wait = round(max(LEAST_SECONDS, delay - MARGIN_SECONDS) * self._rate)
        start = self._place(len(heard), self._sent - wait - len(heard))
        voice = self._far.between(start / self._rate, (start + len(heard)) / self._rate)
        # What is older than the tape or before its beginning is taken for silence.
        far = np.zeros(len(heard), np.float32)
        far[len(far) - len(voice) :] = voice
        return self._canceller.process(heard, far)

    def _place(self, count: int, ideal: int) -> int:
        """Where in the voice a heard block begins: right after the one before, unless that is far off."""
        start = ideal if self._next is None else self._next
        late = ideal - start
        self._watched += count
        self._latest = late if self._latest is None else min(late, self._latest)
        too_early = start + count > self._sent or -late > EARLY_SECONDS * self._rate
        over = self._watched >= WATCH_SECONDS * self._rate
        too_late = over and self._latest > LATE_SECONDS * self._rate
        if too_early or too_late:
            self.moves += 1
            log.debug("the voice is moved by %.3f s beside what is heard", late / self._rate)
            # A block that is late for once must not decide where the following ones belong.
            start += late if too_early else self._latest
        if over or too_early:
            self._watched, self._latest = 0, None
        self._next = start + count
        return start
