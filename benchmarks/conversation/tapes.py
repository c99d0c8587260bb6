"""Between the session and its engines: a language model that follows a script, and tapes of what passes.

A *take* is one reply as it was written and spoken, heard or not. The judge compares the recording with the
takes; the costs of drafting are counted on them.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from benchmarks.conversation.loudness import RATE
from local_voice.audio import Resampler, Samples
from local_voice.events import Message
from local_voice.reply import closing
from local_voice.speakable import Clause
from local_voice.stages import LanguageModel, Speech, TextToSpeech

FIRST_TOKEN_SECONDS = 0.1
TOKENS_PER_SECOND = 20.0
"""The scripted model's pace: what a 0.5B model reaches on two cores."""


class Entered:
    """An engine without anything to load."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


class ScriptedLlm(Entered):
    """Answers what the scenario says, word by word, whatever it is asked."""

    def __init__(self) -> None:
        self.reply = "All right."
        self.first_token_seconds = FIRST_TOKEN_SECONDS

    async def generate(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        reply, wait = self.reply, self.first_token_seconds
        for token in re.findall(r"\S+\s*", reply):
            await asyncio.sleep(wait)
            wait = 1 / TOKENS_PER_SECOND
            yield token

    async def warm(self, messages: Sequence[Message]) -> None:
        pass

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@dataclass
class Take:
    """One reply."""

    question: str
    """The user's words that it answers."""
    key: tuple[int, int]
    """Turn and revision."""
    begun: float
    """Seconds since the conversation began, on the wall's clock; paced, that is the recording's clock."""
    text: str = ""
    tokens: int = 0
    first_sound: float | None = None
    """As `begun`: when there was something to hear."""
    clauses: int = 0
    spoken: int = 0
    written: bool = False
    """The model has come to the end."""
    _pieces: list[Samples] = field(default_factory=list)
    _resampler: Resampler | None = None
    _sound: Samples | None = None

    def add(self, speech: Speech, sample_rate: int) -> None:
        """The next piece of its sound."""
        if self._resampler is None:
            self._resampler = Resampler(sample_rate, RATE)
        self._pieces.append(self._resampler.process(speech.samples))

    @property
    def complete(self) -> bool:
        """All of it was written and spoken."""
        return self.written and self.spoken == self.clauses

    @property
    def seconds(self) -> float:
        """Length of its sound so far."""
        return sum(map(len, self._pieces)) / RATE

    @property
    def sound(self) -> Samples:
        """All of it at `RATE`, just as the playout was given it; ask when it is over."""
        if self._sound is None:
            rest = self._resampler.process(np.zeros(0, np.float32), last=True) if self._resampler else None
            pieces = self._pieces if rest is None else [*self._pieces, rest]
            self._sound = np.concatenate(pieces or [np.zeros(0, np.float32)])
        return self._sound


class Tapes:
    """All takes of one conversation."""

    def __init__(self) -> None:
        self.takes: list[Take] = []
        self.key = (0, 0)
        """Turn and revision of the newest draft."""
        self._zero = time.perf_counter()

    def start(self) -> None:
        """The conversation begins now."""
        self._zero = time.perf_counter()

    def clock(self) -> float:
        """Seconds since the conversation began."""
        return time.perf_counter() - self._zero

    def begin(self, messages: Sequence[Message]) -> Take:
        self.takes.append(Take(messages[-1].content, self.key, self.clock()))
        return self.takes[-1]


class TapedLlm(Entered):
    """A language model with a tape running."""

    def __init__(self, llm: LanguageModel, tapes: Tapes) -> None:
        self._llm = llm
        self._tapes = tapes

    async def generate(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        take = self._tapes.begin(messages)
        async with closing(self._llm.generate(messages)) as deltas:
            async for delta in deltas:
                take.text += delta
                take.tokens = self._llm.count_tokens(take.text)
                yield delta
        take.written = True

    async def warm(self, messages: Sequence[Message]) -> None:
        await self._llm.warm(messages)

    def count_tokens(self, text: str) -> int:
        return self._llm.count_tokens(text)


class TapedVoice(Entered):
    """A voice with a tape running."""

    def __init__(self, tts: TextToSpeech, tapes: Tapes) -> None:
        self.sample_rate = tts.sample_rate
        self._tts = tts
        self._tapes = tapes

    async def synthesize(self, clause: Clause) -> AsyncIterator[Speech]:
        take = self._tapes.takes[-1]
        take.clauses += 1
        async with closing(self._tts.synthesize(clause)) as pieces:
            async for piece in pieces:
                take.first_sound = take.first_sound or self._tapes.clock()
                take.add(piece, self.sample_rate)
                yield piece
        take.spoken += 1


@dataclass(frozen=True)
class Decision:
    """One command of the judgement."""

    now: float
    """Seconds of audio."""
    wall: float
    """Seconds since the conversation began, on the wall's clock."""
    name: str
    """`Draft`, `Release`, `Withdraw`, `Interrupt`..."""
    key: tuple[int, int]
    """Turn and revision."""
    why: str = ""


class Ledger:
    """Keeps the judgement's commands; given to a session in the place of its trace."""

    QUIET = ("Transcribe", "PredictTurnEnd", "Warm")
    """Commands that decide nothing."""

    def __init__(self, tapes: Tapes) -> None:
        self.decisions: list[Decision] = []
        self.completions: list[tuple[float, float]] = []
        """(seconds of audio, Smart Turn's probability)."""
        self.transcripts: list[tuple[float, str]] = []
        """(seconds of audio, words of a final pass)."""
        self._tapes = tapes

    def write(self, now: float, event: Any, commands: Sequence[Any]) -> None:
        """Called by the session for every event."""
        if type(event).__name__ == "TurnCompletion":
            self.completions.append((now, event.probability))
        if type(event).__name__ == "FinalTranscript":
            self.transcripts.append((now, event.text))
        for command in commands:
            name = type(command).__name__
            if name in self.QUIET:
                continue
            key = (command.turn, command.revision)
            if name == "Draft":
                self._tapes.key = key  # its task begins to write before anything else can be drafted
            wall = self._tapes.clock()
            self.decisions.append(Decision(now, wall, name, key, getattr(command, "why", "")))

    def count(self, name: str) -> int:
        return sum(decision.name == name for decision in self.decisions)

    def accepted(self) -> list[tuple[Take, float]]:
        """Every reply that was released, and when, in seconds since the conversation began."""
        released = {decision.key: decision.wall for decision in self.decisions if decision.name == "Release"}
        newest = {take.key: take for take in self._tapes.takes}
        return [(newest[key], wall) for key, wall in released.items() if key in newest]

    def wasted(self) -> int:
        """Tokens that were written for replies which were never released."""
        used = {id(take) for take, _ in self.accepted()}
        return sum(take.tokens for take in self._tapes.takes if id(take) not in used)

    def gained(self) -> list[float]:
        """Seconds by which each accepted reply was ahead because it had been begun before its release."""
        return [
            max(0.0, min(wall, take.first_sound if take.first_sound is not None else wall) - take.begun)
            for take, wall in self.accepted()
        ]


def taped(engines: Any, llm: LanguageModel, tapes: Tapes) -> Any:
    """The session's engines with tapes between."""
    return replace(engines, llm=TapedLlm(llm, tapes), tts=TapedVoice(engines.tts, tapes))
