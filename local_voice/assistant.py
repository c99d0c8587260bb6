"""The public Python API: the shared engines, built from settings, and conversations on them.

    async with Assistant(settings) as assistant, transport:
        await assistant.converse(transport)

This is the room that names concrete engines, but for the echo canceller, which the doors choose.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from local_voice.audio import SPEECH_RATE, AudioChunk, Resampler
from local_voice.engines.openai_endpoint import OpenAiEndpoint
from local_voice.engines.piper import Piper
from local_voice.engines.silero_vad import SileroVad
from local_voice.engines.smart_turn import SmartTurn
from local_voice.engines.vllm_engine import VllmEngine
from local_voice.engines.whisper import Whisper
from local_voice.events import Message
from local_voice.model_store import ModelStore
from local_voice.reply import closing
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import Settings, SttSettings
from local_voice.speakable import Clause, ClauseCutter
from local_voice.stages import (
    Engine,
    LanguageModel,
    Observer,
    Queued,
    Speech,
    StartupError,
    TextToSpeech,
    Transport,
    language_of,
)
from local_voice.trace import TraceWriter
from local_voice.transcript import Transcript
from local_voice.wake_phrase import hint

log = logging.getLogger(__name__)

Progress = Callable[[str, float | None], None]
"""Told what is being loaded, with None when it begins and the seconds it took when it is done."""

E = TypeVar("E", bound=Engine)


def _log_progress(step: str, seconds: float | None) -> None:
    if seconds is not None:
        log.info("%s: %.1f s", step, seconds)


def _listening_for(wake_phrase: str, stt: SttSettings) -> SttSettings:
    """The recogniser's settings, with what it must know to spell the wake phrase."""
    if not wake_phrase:
        return stt
    return stt.model_copy(update={"hotwords": f"{hint(wake_phrase)} {stt.hotwords}".strip()})


class Assistant:
    """Engines in memory, warmed up. Entering takes half a minute on a CPU; leaving frees everything."""

    def __init__(self, settings: Settings, *, progress: Progress = _log_progress) -> None:
        self.settings = settings
        self.ready = False
        """All engines are loaded and warm."""
        self._progress = progress
        self._stack = AsyncExitStack()
        self._engines: Engines
        self._queued: dict[str, Queued] = {}
        self._voices: Piper | None = None

    async def __aenter__(self) -> Self:
        """Raises `StartupError` with a sentence that says what to do."""
        try:
            self._engines = await self._build()
        except BaseException as error:
            await self._stack.aclose()
            problems = _startup_errors(error)
            if problems:
                raise StartupError(" ".join(dict.fromkeys(map(str, problems)))) from error
            raise
        self.ready = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ready = False
        await self._stack.aclose()

    async def converse(
        self,
        transport: Transport,
        *,
        trace: Path | None = None,
        observer: Observer | None = None,
        before: Sequence[Message] = (),
        remember: Callable[[Sequence[Message]], None] = lambda messages: None,
        settings: Settings | None = None,
    ) -> Session:
        """Hold one conversation over an entered transport until the user has gone.

        Many may run at once on the shared engines. `trace`: write every event and command to this file.
        `observer` counts what happens. `before`: what was said and heard on a connection that broke;
        `remember` is told all of it when this one is over, however it ends. `settings`: for this conversation
        instead of the assistant's; what concerns the engines is settled since they were loaded.
        """
        settings = settings or self.settings
        with ExitStack() as stack:
            writer = stack.enter_context(TraceWriter(trace, settings)) if trace is not None else None
            session = Session(
                self._engines, settings, transport, trace=writer, observer=observer, before=before
            )
            try:
                await session.run()
            finally:
                remember(session.conversation.history)
        return session

    async def say(self, text: str) -> AudioChunk:
        """The assistant's voice saying something, outside any conversation."""
        speech = await self._render(self._engines.tts, text)
        return AudioChunk(speech.samples, self._engines.tts.sample_rate, 0)

    def waiting(self) -> dict[str, int]:
        """Jobs that wait for each engine, by its name; empty until the engines are there."""
        return {name: engine.waiting for name, engine in self._queued.items()}

    def find_voices(self) -> tuple[str, ...]:
        """Let new conversations choose among the voices that are installed by now; those that are new."""
        if self._voices is None:
            return ()
        before = self._voices.names
        self._voices.offer(_other_voices(ModelStore(), self.settings.tts.model))
        return tuple(name for name in self._voices.names if name not in before)

    async def listen_to(self, sound: AudioChunk) -> Transcript:
        """The words in a piece of sound, outside any conversation."""
        resampler = Resampler(sound.sample_rate, SPEECH_RATE)
        return await self._engines.stt.transcribe(resampler.process(sound.samples, last=True), final=True)

    async def _build(self) -> Engines:
        settings, store = self.settings, ModelStore()
        llm: LanguageModel = (
            OpenAiEndpoint(settings.llm)
            if settings.llm.url
            else VllmEngine(store.path(settings.llm.model), settings.llm, settings.profile)
        )
        vad = SileroVad(store.path(settings.vad.model))
        turn = SmartTurn(store.path(settings.turn.model))
        stt = Whisper(store.path(settings.stt.model), _listening_for(settings.turn.wake_phrase, settings.stt))
        tts = Piper(store.path(settings.tts.model), settings.tts, _other_voices(store, settings.tts.model))
        queued: dict[str, Queued] = {"turn": turn, "stt": stt, "tts": tts}
        if isinstance(llm, VllmEngine):  # what waits at another server is that server's to know
            queued["llm"] = llm
        # On a GPU vLLM measures free memory while it starts, so nothing else may load meanwhile.
        thinking = self._enter("language model", llm)
        if settings.profile == "cuda":
            await thinking
        async with asyncio.TaskGroup() as group:
            if settings.profile == "cpu":
                group.create_task(thinking)
            group.create_task(self._enter("voice activity", vad))
            group.create_task(self._enter("turn detector", turn))
            group.create_task(self._enter("speech recogniser", stt))
            group.create_task(self._enter("voice", tts))
        apologies = {text: await self._render(tts, text) for text in SENTENCES}
        await llm.warm([Message("system", settings.llm.system_prompt), Message("user", "Hello.")])
        self._queued, self._voices = queued, tts
        return Engines(vad, turn, stt, llm, tts, apologies, speakers=tts)

    async def _enter(self, step: str, engine: Engine) -> None:
        started = time.perf_counter()
        self._progress(step, None)
        await self._stack.enter_async_context(engine)
        self._progress(step, time.perf_counter() - started)

    @staticmethod
    async def _render(tts: TextToSpeech, text: str) -> Speech:
        """All the sound of a sentence, before anybody needs it."""
        cutter = ClauseCutter(language_of(tts))
        clauses: list[Clause] = [*cutter.push(text), *cutter.finish()]
        pieces: list[Speech] = []
        for clause in clauses:
            async with closing(tts.synthesize(clause)) as stream:
                pieces += [piece async for piece in stream]
        return Speech(np.concatenate([piece.samples for piece in pieces]), ())


def _other_voices(store: ModelStore, usual: str) -> dict[str, Path]:
    """Voices that are installed and whole besides the usual one, by name."""
    found: dict[str, Path] = {}
    for one in store.list():
        if one.role == "tts" and one.installed and one.name != usual:
            try:
                found[one.name] = store.path(one.name)
            except StartupError as error:
                log.warning("The page won't offer the voice %s: %s", one.name, error)
    return found


def _startup_errors(error: BaseException) -> list[StartupError]:
    """Engines start side by side: what went wrong comes as a group."""
    if isinstance(error, BaseExceptionGroup):
        return [found for inner in error.exceptions for found in _startup_errors(inner)]
    return [error] if isinstance(error, StartupError) else []
