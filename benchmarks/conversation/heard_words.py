"""What the history says the user heard, against what can be heard in the recording.

The recording of each interrupted reply is transcribed with Whisper, up to where it stopped, and laid beside
the words of the reply; the word in which it was cut may fall either way. Piper's own word times are not used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.conversation.alignment import Playback
from benchmarks.conversation.caller import Recording
from benchmarks.conversation.judge import Verdicts
from benchmarks.conversation.loudness import RATE
from local_voice.audio import Samples
from local_voice.events import Message

AROUND_SECONDS = 0.3
"""Silence put around a piece before it is transcribed."""
TOLERANCE = 1
"""Words: the one that was cut in two may be heard or not."""

Hear = Callable[[Samples], Awaitable[str]]
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
    """Words of it that Whisper heard."""

    @property
    def error(self) -> int:
        """Words too many in the history; negative: too few."""
        return self.in_history - self.in_recording


async def heard_words(recording: Recording, verdicts: Verdicts, hear: Hear) -> list[HeardWords]:
    """Every reply that was cut while it was heard, but for those that yielded: no history knows of them."""
    found: list[HeardWords] = []
    messages = [message for message in recording.history if message.role == "assistant"]
    for playback in verdicts.playbacks:
        if playback.take is None:
            continue
        written = normalise(playback.take.text).split()
        message, messages = _message_of(written, playback, messages)
        yielded = any(playback.start <= over.start <= playback.end + 0.5 for over in verdicts.talk_overs)
        if playback.completed or yielded:
            continue
        sound = recording.assistant[round(playback.start * RATE) : round(playback.end * RATE)]
        silent = np.zeros(round(AROUND_SECONDS * RATE), np.float32)
        heard = normalise(await hear(np.concatenate((silent, sound, silent)))).split()
        found.append(
            HeardWords(
                recording.call,
                playback.start,
                playback.take.text,
                _covered(normalise(message.content).split(), written) if message is not None else 0,
                _covered(heard, written),
            )
        )
    return found


def _message_of(
    written: list[str], playback: Playback, messages: Sequence[Message]
) -> tuple[Message | None, list[Message]]:
    """The history's message of a reply, and those after it. None where the history holds nothing of it."""
    for number, message in enumerate(messages):
        words = normalise(message.content).split()
        matches = bool(words) and words == written[: len(words)]
        if matches and (message.interrupted or playback.completed):
            return message, list(messages[number + 1 :])
    return None, list(messages)


def _covered(heard: list[str], written: list[str]) -> int:
    """How many words of `written`, from its beginning, sound most like all of `heard`, letter by letter.

    Whisper mishears the edges of a piece ("the tree stopped" for "the trees stop"), so words that differ
    by a letter or two are the same here.
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
