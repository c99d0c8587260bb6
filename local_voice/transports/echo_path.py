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
"""How far from its place the voice may be before it is moved; AEC3 follows a move within 1 to 3 s. Early is
harmless up to its window of 0.35 s; late, the echo may come before its voice, and nothing is cancelled."""
STALL_SECONDS = 0.06
"""What is heard after this much without a frame sent waited in the socket in a stall of our own: it comes
before its voice, whose time in the stall then is silence anyway. The sender catches up with no more."""
WATCH_SECONDS = 0.6
"""Only what is out of place for all of this sound has drifted or stalled: packets come late in a burst."""
EARLIEST_SHARE = 0.1
"""So much of what is heard may find silence in the place of a voice that isn't sent yet. Of an echo at
-20 dB, AEC3 takes out 45 dB, 25 to 44 where a tenth of the voice is missing, 8 to 23 where half of it is.
Half of it was, for the whole of 2 calls in 6, when a call's first packet came late."""


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
        self._unsent = 0
        """Samples heard since the voice last went out."""
        self._watched = 0
        """Samples heard since the place was last looked at."""
        self._lateness: list[int] = []
        """How late the voice was at each block since then, in samples; negative is early."""

    def played(self, samples: Samples, skipped: int = 0) -> None:
        """The voice's next samples, after `skipped` samples' time in which nothing went out."""
        self._unsent = 0
        for piece in (np.zeros(min(skipped, round(KEPT_SECONDS * self._rate)), np.float32), samples):
            self._far.push(piece)
            self._sent += len(piece)

    def clean(self, heard: Samples, delay: float) -> Samples:
        """What was heard without the voice in it, same length.

        `delay`: the shortest time from sending the voice to hearing its echo that is known for sure, seconds.
        """
        wait = round(max(LEAST_SECONDS, delay - MARGIN_SECONDS) * self._rate)
        start = self._place(len(heard), self._sent - wait - len(heard), wait)
        # What is older than the tape, or not there yet, is taken for silence.
        first = min(max(start, 0, self._sent - round(KEPT_SECONDS * self._rate)), start + len(heard))
        voice = self._far.between(first / self._rate, (start + len(heard)) / self._rate)
        far = np.zeros(len(heard), np.float32)
        far[first - start : first - start + len(voice)] = voice
        return self._canceller.process(heard, far)

    def _place(self, count: int, ideal: int, wait: int) -> int:
        """Where in the voice a heard block begins: right after the one before, unless that is far off."""
        start = ideal if self._next is None else self._next
        self._unsent += count
        if self._unsent <= STALL_SECONDS * self._rate:
            self._lateness.append(ideal - start)
            self._watched += count
        if self._watched >= WATCH_SECONDS * self._rate:
            if move := self._move(sorted(self._lateness), wait):
                self.moves += 1
                start += move
                log.debug("the voice was moved by %.3f s", move / self._rate)
            self._watched = 0
            self._lateness.clear()
        self._next = start + count
        return start

    def _move(self, lateness: list[int], wait: int) -> int:
        """By how many samples to lay the voice elsewhere; how late it was at each block, sorted."""
        least, most = lateness[0], lateness[-1]
        if least > LATE_SECONDS * self._rate:
            return least
        if -most > EARLY_SECONDS * self._rate:
            return most
        earliest = lateness[int(EARLIEST_SHARE * len(lateness))]
        return earliest if -earliest > wait else 0
