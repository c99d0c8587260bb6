"""How questions were answered: what every benchmark that asks some counts in the same way.

A question that gets no reply, one that is talked over and one that gets an apology have no time: an apology
is ready before it is needed, and what sounds already when a question ends is there at once, so both would
pass for the fastest of replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.report import Share, Times
from benchmarks.webrtc_client import Caller, Said
from local_voice.audio import AudioChunk
from local_voice.sentences import SENTENCES

Event = tuple[float, dict[str, Any]]
"""A message of the data channel, and when it came."""


@dataclass(frozen=True)
class Answer:
    """What one question was answered by."""

    seconds: float | None
    """From the last audible sample of the question to the first of the reply; None without a reply to it."""
    early: bool = False
    """Something was audible before the question was over: a turn cut off, or a reply that goes on."""
    apologised: bool = False
    """Otherwise: it was, or ended in, a sentence that the assistant says without a language model."""

    @property
    def silent(self) -> bool:
        """Nothing was audible at all."""
        return self.seconds is None and not self.early and not self.apologised


class Speaker(Protocol):
    """Whoever asked."""

    events: list[Event]

    def first_sound(self, after: float) -> float | None:
        """When something was audible for the first time after `after`."""
        ...


def apology(event: dict[str, Any]) -> bool:
    """Whether it shows a sentence that the assistant says without a language model."""
    return event["type"] == "caption" and event["role"] == "assistant" and event["text"] in SENTENCES


def apologised(events: Sequence[Event], after: float, before: float = float("inf")) -> bool:
    """Whether the assistant apologised in that time. Who opens no data channel doesn't get to know."""
    return any(after < when < before and event["final"] for when, event in events if apology(event))


def answered(sounded: float | None, last_voice: float, sorry: bool) -> Answer:
    """To a question that ended at `last_voice`. `sounded`: when something was audible since its beginning."""
    if sounded is not None and sounded < last_voice:
        return Answer(None, early=True)
    return Answer(None if sounded is None or sorry else sounded - last_voice, apologised=sorry)


def answer(speaker: Speaker, start: float, last_voice: float) -> Answer:
    """To a question of `start` to `last_voice`. To be asked when the reply is over: an apology may end it."""
    return answered(speaker.first_sound(start), last_voice, apologised(speaker.events, start))


async def ask(caller: Caller, question: AudioChunk, *, seconds: float, quiet: float) -> tuple[Said, Answer]:
    """One turn, listened to until so many seconds of quiet; `seconds`: for a reply to begin, and to end."""
    said = await caller.say(question.samples, question.sample_rate)
    await caller.wait_for_reply(said.last_voice, seconds=seconds, quiet=quiet)
    return said, answer(caller, said.start, said.last_voice)


def times(answers: Sequence[Answer]) -> Times:
    """Of those that have one."""
    return Times([one.seconds for one in answers if one.seconds is not None])


def outcomes(answers: Sequence[Answer]) -> dict[str, Share]:
    """The columns of those that have none, and why."""
    return {
        "no_reply": Share([(float(one.silent), 1.0) for one in answers]),
        "too_early": Share([(float(one.early), 1.0) for one in answers]),
        "apologised": Share([(float(one.apologised), 1.0) for one in answers]),
    }


def unanswered(answers: Sequence[Answer]) -> int:
    """How many got no reply, or none that counts."""
    return sum(one.seconds is None for one in answers)
