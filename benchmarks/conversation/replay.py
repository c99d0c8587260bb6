"""The judgement alone, on the evidence of sound that was heard once: any threshold, in milliseconds of work.

Silero, Smart Turn and Whisper hear each piece of sound once and their answers are kept. Then `Conversation`,
the real one, is told them again under other settings, on a clock of its own. Engines take the times below,
as on two idle cores; the language model's and the voice's do not matter, since releases are what is counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from benchmarks.conversation.loudness import RATE, Extent
from benchmarks.conversation.room import room
from benchmarks.conversation.script import Action
from local_voice.audio import Rechunker, Samples
from local_voice.conversation import Conversation
from local_voice.events import (
    Draft,
    FinalTranscript,
    Interrupt,
    PlaybackEnded,
    PlaybackStarted,
    PredictTurnEnd,
    Release,
    ReplyText,
    Say,
    Transcribe,
    TurnCompletion,
    VoiceActivity,
)
from local_voice.settings import Settings

TRANSCRIPT_SECONDS = 0.15
COMPLETION_SECONDS = 0.04
"""What a final pass of Whisper base and Smart Turn take on two idle cores."""
SOUND_SECONDS = 0.1
"""From the release to the first sound."""
REPLY_SECONDS = 1.5
AFTER_SECONDS = 4.5
"""Silence after each thing that is said: longer than any setting waits."""


@dataclass
class Evidence:
    """What the engines say about a stretch of turns, said one after the other to one assistant."""

    turns: Sequence[Action]
    samples: Samples
    voiced: list[list[Extent]]
    """Of each turn, in seconds of `samples`."""
    activity: list[tuple[float, float]]
    """Speech probability and loudness of each window."""
    window_seconds: float
    engines: Any
    transcripts: dict[tuple[int, int], str] = field(default_factory=dict)
    completions: dict[tuple[int, int], float] = field(default_factory=dict)

    async def transcript(self, start: float, end: float) -> str:
        key = (round(start * RATE), round(end * RATE))
        if key not in self.transcripts:
            heard = await self.engines.stt.transcribe(self.samples[key[0] : key[1]], final=True)
            self.transcripts[key] = heard.text
        return self.transcripts[key]

    async def completion(self, start: float, end: float) -> float:
        key = (round(start * RATE), round(end * RATE))
        if key not in self.completions:
            heard = await self.engines.turn.probability(self.samples[key[0] : key[1]])
            self.completions[key] = float(heard)
        return self.completions[key]


def listen(turns: Sequence[Action], engines: Any, *, seed: int = 0) -> Evidence:
    """Silero's answers now; the slower engines are asked when the judgement asks."""
    rng = np.random.default_rng(seed)
    pieces: list[Samples] = [np.zeros(RATE // 2, np.float32)]
    voiced: list[list[Extent]] = []
    at = 0.5
    for turn in turns:
        voiced.append([(at + start, at + end) for start, end in turn.sound.voiced])
        pieces += [turn.sound.samples, np.zeros(round(AFTER_SECONDS * RATE), np.float32)]
        at += len(turn.sound.samples) / RATE + AFTER_SECONDS
    samples = np.concatenate(pieces)
    samples = (samples + room(len(samples) / RATE + 1, rng)[: len(samples)]).astype(np.float32)
    stream = engines.vad.stream()
    activity = []
    for window in Rechunker(engines.vad.window).push(samples):
        power = float(np.mean(np.square(window, dtype=np.float64)))
        level = 10 * np.log10(max(power, 1e-10))
        activity.append((round(stream.probability(window), 4), round(float(level), 1)))
    return Evidence(turns, samples, voiced, activity, engines.vad.window / engines.vad.sample_rate, engines)


@dataclass(frozen=True)
class Pause:
    """A pause within a turn, or the silence after one."""

    label: str
    seconds: float
    """How long the caller was silent; infinite at the end of a turn."""
    waited: float | None
    """Silence after which the judgement released a reply; None: it never did."""
    completion: float | None
    """Smart Turn's probability, if it was asked at the usual time."""

    @property
    def is_end(self) -> bool:
        return self.seconds == float("inf")

    @property
    def cut_off(self) -> bool:
        return not self.is_end and self.waited is not None


async def replay(evidence: Evidence, settings: Settings) -> list[Pause]:
    """Every pause and every end in `evidence`, as the judgement with `settings` handles it."""
    run = _Run(evidence, settings)
    await run.play()
    found: list[Pause] = []
    for turn, extents in zip(evidence.turns, evidence.voiced, strict=True):
        beginnings = [start for start, _ in extents[1:]] + [extents[-1][1] + AFTER_SECONDS]
        for number, ((_, end), until) in enumerate(zip(extents, beginnings, strict=True)):
            last = number == len(extents) - 1
            waited = next((now - end for now in run.releases if end <= now < until), None)
            asked = next((p for now, p in run.asked if end <= now < min(until, end + 0.5)), None)
            found.append(Pause(turn.label, float("inf") if last else until - end, waited, asked))
    return found


class _Run:
    """One conversation on the evidence's clock."""

    def __init__(self, evidence: Evidence, settings: Settings) -> None:
        self.releases: list[float] = []
        self.asked: list[tuple[float, float]] = []
        self._evidence = evidence
        self._judgement = Conversation(settings)
        self._coming: list[tuple[float, int, Any]] = []
        self._order = count()
        self._playing: tuple[int, int] | None = None
        self._turn = 0

    async def play(self) -> None:
        now = 0.0
        for probability, level in self._evidence.activity:
            now += self._evidence.window_seconds
            while self._coming and self._coming[0][0] <= now:
                await self._tell(heapq.heappop(self._coming)[2], now)
            await self._tell(VoiceActivity(probability, self._evidence.window_seconds, level), now)

    async def _tell(self, event: Any, now: float) -> None:
        if isinstance(event, PlaybackStarted | PlaybackEnded | ReplyText):
            if self._playing != (event.turn, event.revision):
                return  # withdrawn or interrupted meanwhile
            if isinstance(event, PlaybackEnded):
                self._playing = None
        for command in self._judgement.handle(event, now):
            await self._obey(command, now)

    async def _obey(self, command: Any, now: float) -> None:
        match command:
            case Transcribe(turn, revision, start, end, True):
                text = await self._evidence.transcript(start, end)
                self._later(now + TRANSCRIPT_SECONDS, FinalTranscript(turn, revision, text))
            case PredictTurnEnd(turn, revision, start, end):
                probability = await self._evidence.completion(start, end)
                self.asked.append((now, probability))
                self._later(now + COMPLETION_SECONDS, TurnCompletion(turn, revision, probability))
            case Draft(turn, revision):
                self._playing = (turn, revision)
            case Release(turn, revision) | Say(turn, revision):
                self.releases.append(now)
                self._playing = (turn, revision)
                text = self._reply(now)
                self._later(now, ReplyText(turn, revision, text))
                self._later(now + SOUND_SECONDS, PlaybackStarted(turn, revision))
                ended = PlaybackEnded(turn, revision, text, interrupted=False)
                self._later(now + SOUND_SECONDS + REPLY_SECONDS, ended)
            case Interrupt(turn, revision) if self._playing == (turn, revision):
                self._playing = None
                await self._tell_now(PlaybackEnded(turn, revision, "", interrupted=True), now)

    async def _tell_now(self, event: Any, now: float) -> None:
        for command in self._judgement.handle(event, now):
            await self._obey(command, now)

    def _later(self, at: float, event: Any) -> None:
        heapq.heappush(self._coming, (at, next(self._order), event))

    def _reply(self, now: float) -> str:
        """What the script answers to the turn that was said last."""
        begun = [extents[0][0] <= now for extents in self._evidence.voiced]
        return self._evidence.turns[max(0, sum(begun) - 1)].reply or "All right."
