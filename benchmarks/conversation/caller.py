"""A caller made of a script: speaks and listens on one clock, in real time, and records both channels.

While 20 ms of the caller's sound pass, 20 ms of the assistant's are heard. As on a sound card, the
assistant's block is taken when it begins and the caller's is handed over when it has ended. What the
assistant is handed holds room, fan and echo; the recording keeps the caller's channel without the echo.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.conversation.loudness import AUDIBLE_DB, RATE, levels
from benchmarks.conversation.room import EchoPath, fan, room
from benchmarks.conversation.script import Action, AfterOwn, BeforeReplyEnds, Call, IntoReply, Quiet, Trigger
from benchmarks.conversation.tapes import ScriptedLlm, Take, Tapes
from local_voice.audio import AudioChunk, Samples
from local_voice.engines.echo_canceller import EchoCanceller
from local_voice.events import Message
from local_voice.playout import Playout
from local_voice.stages import Notification

CHUNK_SECONDS = 0.02
CHUNK = round(CHUNK_SECONDS * RATE)
PATIENCE_SECONDS = 4.0
"""Silence on both sides after which a reply is no longer waited for."""
REST_SECONDS = 0.6
"""Silence between two scenarios."""
NOISE_SECONDS = 20.0
"""Length of the loop of room noise."""


@dataclass(frozen=True)
class Spoken:
    """An action that was carried out."""

    scenario: str
    action: Action
    start: float
    """Seconds of the recording at which its sound begins."""

    @property
    def voiced(self) -> tuple[tuple[float, float], ...]:
        """Seconds of the recording."""
        return tuple((self.start + a, self.start + b) for a, b in self.action.sound.voiced)

    @property
    def first_voice(self) -> float:
        return self.voiced[0][0]

    @property
    def last_voice(self) -> float:
        return self.voiced[-1][1]


@dataclass
class Recording:
    """Both sides of a conversation on one clock, and what is known about them."""

    call: str
    caller: Samples
    """What the caller's microphone heard except for the assistant, at `RATE`."""
    assistant: Samples
    """What the assistant's loudspeaker played, at `RATE`."""
    spoken: list[Spoken]
    takes: list[Take]
    unmet: list[tuple[str, str]] = field(default_factory=list)
    """(scenario, class) of actions whose moment never came."""
    history: list[Message] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """Seconds by which each block was late: how real the real time was."""


class Caller:
    """The transport. Ends when its script does."""

    def __init__(self, call: Call, tapes: Tapes, llm: ScriptedLlm | None, *, seed: int = 0) -> None:
        """`llm`: told what to answer; None when the model thinks for itself."""
        rng = np.random.default_rng(seed)
        self.playout = Playout(RATE)
        self.echo = call.echo_db is not None
        self.on_control: Callable[[Any], None] = lambda control: None
        self.unmet: list[tuple[str, str]] = []
        self.spoken: list[Spoken] = []
        self.late: list[float] = []
        self._call = call
        self._tapes = tapes
        self._llm = llm
        self._noise = room(NOISE_SECONDS, rng)
        if call.fan_db is not None:
            self._noise = self._noise + fan(NOISE_SECONDS, rng, call.fan_db)
        self._echo = None if call.echo_db is None else EchoPath(call.echo_db, call.echo_seconds, CHUNK, rng)
        self._canceller = EchoCanceller(RATE) if self.echo and call.echo_cancelled else None
        self._said: list[Samples] = []
        self._heard: list[Samples] = []
        self._own_voice = 0.0
        """Seconds at which the caller's voice was last heard."""
        self._their_voice = 0.0
        self._onset: float | None = None
        """When the reply to what was said last began."""
        self._take_at_onset: Take | None = None

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def notify(self, notification: Notification) -> None:
        """The caller looks at nothing and only listens."""

    @property
    def now(self) -> float:
        """Seconds of the recording."""
        return len(self._said) * CHUNK_SECONDS

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._tapes.start()
        for clean in self._perform():
            heard = self.playout.read(CHUNK)
            block = clean if self._dead else clean + self._background()
            self._said.append(block)
            self._heard.append(heard)
            self._notice(heard)
            sent = block
            if self._echo is not None:
                sent = block + self._echo.hear(heard)
            if self._canceller is not None:
                sent = self._canceller.process(sent, heard)
            due = began + self.now
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.late.append(max(0.0, loop.time() - due))
            yield AudioChunk(sent, RATE, (len(self._said) - 1) * CHUNK)

    def recording(self, history: list[Message]) -> Recording:
        """What there is when all is over."""
        said, heard = np.concatenate(self._said), np.concatenate(self._heard)
        takes = self._tapes.takes
        return Recording(
            self._call.name, said, heard, self.spoken, takes, self.unmet, list(history), self.late
        )

    # ---- the script -----------------------------------------------------------------------------------

    def _perform(self) -> Generator[Samples]:
        """Every block that the caller utters, silent ones too."""
        nothing = np.zeros(CHUNK, np.float32)
        for _ in range(25):
            yield nothing
        for scenario in self._call.scenarios:
            for action in scenario.actions:
                while not (met := self._is_met(action.when)) and not self._is_hopeless(action.when):
                    yield nothing
                if not met:
                    self.unmet.append((scenario.name, action.label))
                    break
                yield from self._utter(scenario.name, action)
            while not self._is_met(Quiet(REST_SECONDS)):
                yield nothing
        for _ in range(10):
            yield nothing

    def _utter(self, scenario: str, action: Action) -> Generator[Samples]:
        if self._llm is not None and action.reply:
            self._llm.reply = action.reply
            wait = action.first_token_seconds
            self._llm.first_token_seconds = wait if wait is not None else 0.1
        samples = action.sound.samples
        self.spoken.append(Spoken(scenario, action, self.now))
        speaks = action.kind != "distractor"
        for start in range(0, len(samples), CHUNK):
            if speaks and self.now <= self.spoken[-1].last_voice:
                self._own_voice = self.now
                self._onset = None
            part = samples[start : start + CHUNK]
            yield np.pad(part, (0, CHUNK - len(part)))

    def _is_met(self, trigger: Trigger) -> bool:
        match trigger:
            case Quiet(seconds):
                answered = self._onset is not None or not self.spoken or self._gave_up
                return answered and not self.playout.speaking and self._silence >= seconds
            case IntoReply(seconds):
                return self._onset is not None and self.now >= self._onset + seconds
            case BeforeReplyEnds(seconds):
                take = self._take_at_onset
                if self._onset is None or take is None or not take.complete:
                    return False
                return self.now >= self._onset + take.seconds - seconds
            case AfterOwn(seconds):
                return self.now >= self._own_voice + seconds

    def _is_hopeless(self, trigger: Trigger) -> bool:
        """The moment is past: the reply never came, or is over already."""
        if isinstance(trigger, Quiet | AfterOwn):
            return False
        return self._gave_up or (
            self._onset is not None and not self.playout.speaking and self._silence > 1.0
        )

    @property
    def _dead(self) -> bool:
        """The line carries nothing now."""
        dead = self.spoken[-1].action.sound.dead if self.spoken else None
        return dead is not None and dead[0] <= self.now - self.spoken[-1].start < dead[1]

    @property
    def _silence(self) -> float:
        return self.now - max(self._own_voice, self._their_voice)

    @property
    def _gave_up(self) -> bool:
        return self._silence > PATIENCE_SECONDS

    # ---- ears -----------------------------------------------------------------------------------------

    def _background(self) -> Samples:
        at = len(self._said) * CHUNK % len(self._noise)
        return self._noise[at : at + CHUNK]

    def _notice(self, heard: Samples) -> None:
        if float(levels(heard).max()) < AUDIBLE_DB:
            return
        self._their_voice = self.now
        if self._onset is None and self.now > self._own_voice + CHUNK_SECONDS and self.spoken:
            self._onset = self.now
            self._take_at_onset = self._tapes.takes[-1] if self._tapes.takes else None
