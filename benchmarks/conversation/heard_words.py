"""What the history says the user heard, against what can be heard in the recording.

Whisper hears each interrupted reply whole, as it was made, and says when each word of it sounds; those before
the place where the recording parts from it were heard. (The piece alone tempts Whisper to go on: "sleep for
most o" became "sleep for most of the".) The word in which it was cut was not: so the history counts, too.
Piper's own word times are not used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.conversation.caller import Recording
from benchmarks.conversation.judge import Verdicts, whole
from benchmarks.conversation.loudness import RATE
from local_voice.audio import Samples
from local_voice.events import Message
from local_voice.transcript import Word

AROUND_SECONDS = 0.3
"""Silence put around a piece before it is transcribed."""
FADE_SECONDS = 0.02
"""A word that ends in the fade of the cut was heard."""
TOLERANCE = 1
"""Words: the one that was cut in two may be heard or not."""

Hear = Callable[[Samples], Awaitable[Sequence[Word]]]
"""Words of a sound at `RATE`, with times in seconds from its first sample."""
normalise = EnglishTextNormalizer()


@dataclass(frozen=True)
class HeardWords:
    """One interrupted reply."""

    call: str
    start: float
    """Seconds of the recording at which the reply began."""
    reply: str
    """All of it, as it was written."""
    in_history: int
    """Words of it in the history."""
    in_recording: int
    """Words of it that were heard to their end, by Whisper's times: so the history counts them."""

    @property
    def error(self) -> int:
        """Words too many in the history; negative: too few."""
        return self.in_history - self.in_recording


async def heard_words(recording: Recording, verdicts: Verdicts, hear: Hear) -> list[HeardWords]:
    """Every reply that was cut while it was heard; one that yielded at once need not be in the history."""
    found: list[HeardWords] = []
    messages = [message for message in recording.history if message.role == "assistant"]
    for reply in whole(verdicts.playbacks):
        take, start, end, completed = reply[0].take, reply[0].start, reply[-1].end, reply[-1].completed
        if take is None:
            continue
        written = normalise(take.text).split()
        message, messages = _message_of(written, completed, messages)
        yielded = any(start <= over.start <= end + 0.5 for over in verdicts.talk_overs)
        if completed or (yielded and message is None):
            continue
        silent = np.zeros(round(AROUND_SECONDS * RATE), np.float32)
        words = await hear(np.concatenate((silent, take.sound, silent)))
        end = AROUND_SECONDS + reply[-1].heard / RATE
        heard = normalise(" ".join(word.text for word in words if word.end <= end + FADE_SECONDS)).split()
        found.append(
            HeardWords(
                recording.call,
                start,
                take.text,
                _covered(normalise(message.content).split(), written) if message is not None else 0,
                _covered(heard, written),
            )
        )
    return found


def _message_of(
    written: list[str], completed: bool, messages: Sequence[Message]
) -> tuple[Message | None, list[Message]]:
    """The history's message of a reply, and those after it. None where the history holds nothing of it."""
    for number, message in enumerate(messages):
        words = normalise(message.content).split()
        matches = bool(words) and words == written[: len(words)]
        if matches and (message.interrupted or completed):
            return message, list(messages[number + 1 :])
    return None, list(messages)


def _covered(heard: list[str], written: list[str]) -> int:
    """How many words of `written`, from its beginning, sound most like all of `heard`, letter by letter.

    Whisper mishears ("the tree stopped" for "the trees stop"), so words that differ by a letter or two are
    the same here.
    """
    ends = np.cumsum([0, *(len(word) + 1 for word in written)])
    costs = _edits(" ".join([*heard, ""]), " ".join([*written, ""]))
    return int(np.argmin(costs[ends]))


def _edits(one: str, other: str) -> npt.NDArray[np.int64]:
    """Letters to change, add or drop between `one` and each beginning of `other`: `(len(other) + 1,)`."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, start=1):
        before, row = row, [number]
        for at, wanted in enumerate(other, start=1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (letter != wanted)))
    return np.asarray(row)
