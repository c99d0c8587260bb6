"""One conversation: carries sound to the engines and what they say to the judgement, and obeys it.

This is the only room that knows the whole walk. It decides nothing: every decision is `conversation.py`'s.
It knows engines and transports solely by the protocols of `stages.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from local_voice.audio import Rechunker, Resampler, Tape, level
from local_voice.chosen_voice import ChosenVoice
from local_voice.conversation import Conversation
from local_voice.events import (
    ChooseMode,
    Command,
    Draft,
    Duck,
    EchoPossible,
    Event,
    FinalTranscript,
    Interrupt,
    Message,
    PartialTranscript,
    Pause,
    PlaybackEnded,
    PlaybackStarted,
    PredictTurnEnd,
    Release,
    ReplyText,
    Resume,
    Resumed,
    Say,
    Stage,
    StageFailed,
    Transcribe,
    TurnCompletion,
    Typed,
    VoiceActivity,
    Warm,
    Withdraw,
)
from local_voice.hearing import Hearing, Pass
from local_voice.history import prompt
from local_voice.reply import PlayoutWriter, prepare_reply
from local_voice.settings import Settings
from local_voice.shown import Shown
from local_voice.speakable import Clause
from local_voice.stages import (
    Caption,
    Control,
    LanguageModel,
    Manner,
    Mode,
    Notice,
    Notification,
    Observer,
    Speaker,
    Speakers,
    Speech,
    SpeechToText,
    StageError,
    Status,
    TextToSpeech,
    Timing,
    Transport,
    TurnDetector,
    VoiceActivityDetector,
)
from local_voice.timeline import TurnClock
from local_voice.trace import TraceWriter

log = logging.getLogger(__name__)

TAPE_SECONDS = 300.0
"""Sound kept for the recogniser; a turn that lasts longer without a pause loses its beginning (logged)."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The shared engines, and the apologies that need none of them."""

    vad: VoiceActivityDetector
    turn: TurnDetector
    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    apologies: dict[str, Speech]
    """Each of `sentences.SENTENCES` as sound at `tts.sample_rate`, without its words: they are
    not what the model said."""
    speakers: Speakers | None = None
    """Other voices and speeds than `tts` has; None where nobody may choose."""


class Session:
    """One user's conversation on the shared engines, from the first chunk to the last."""

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        transport: Transport,
        *,
        trace: TraceWriter | None = None,
        observer: Observer | None = None,
        before: Sequence[Message] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`observer` counts what happens. `before`: what was said and heard on a connection that broke.

        `clock` gives wall-clock seconds, for the timelines alone.
        """
        self.conversation = Conversation(settings)
        self.times = TurnClock(clock)
        self._engines = engines
        self._settings = settings
        self._transport = transport
        self._trace = trace
        self._observer = observer
        # Once for each message: a prompt looks at all of them, on the loop that paces everybody's sound.
        self._count_tokens = cache(engines.llm.count_tokens)
        self._tape = Tape(TAPE_SECONDS, engines.vad.sample_rate)
        self._hearing = Hearing(engines.stt, self._tape, settings.stt.deadline_seconds)
        self._tasks: asyncio.TaskGroup
        self._partial: asyncio.Task[None] | None = None
        self._final: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._reply: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._choosing: asyncio.Task[None] | None = None
        self._voice = ChosenVoice(engines.tts, engines.speakers, self._notify)
        self._over = False
        self._before = tuple(before)
        self._echo = False
        self._shown = Shown(self.conversation, transport.playout, self._notify, self._before)
        self._status = "listening"
        self._ended_because = ""
        """Why the newest turn was judged over."""

    async def run(self) -> None:
        """Converse until the transport's sound ends. Cancelling it stops everything at once."""
        loop = asyncio.get_running_loop()
        # The playout speaks from the audio thread; its words are carried over to the loop.
        self._transport.playout.on_event = lambda event: _hand_over(loop, self._tell, event)
        self._transport.on_control = self._press
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._listen()
            finally:
                self._over = True
                self._break_off()
                self._transport.playout.on_event = lambda event: None
                self._transport.on_control = lambda event: None
                _cancel(self._choosing)
                self._hearing.give_up()
                for task in (self._partial, self._final, self._judging, self._reply, self._warming):
                    _cancel(task)

    async def _listen(self) -> None:
        vad = self._engines.vad
        stream = vad.stream()
        rechunk = Rechunker(vad.window)
        resampler: Resampler | None = None
        self._notify(Status("listening"))
        self._notify(Mode(self._settings.turn.mode))
        self._voice.tell()
        if self._before:
            self._tell(Resumed(self._before))
        async for chunk in self._transport.incoming():
            if self._transport.echo != self._echo:  # a client says after a moment what it does about it
                self._echo = self._transport.echo
                self._tell(EchoPossible(self._echo))
            if resampler is None:
                resampler = Resampler(chunk.sample_rate, vad.sample_rate)
            for window in rechunk.push(resampler.process(chunk.samples)):
                self._tape.push(window)
                self.times.arrived(self._tape.seconds)
                probability = stream.probability(window)
                seconds = vad.window / vad.sample_rate
                self._tell(VoiceActivity(round(probability, 4), seconds, round(level(window), 1)))
                if (start := self.conversation.fading) is not None:
                    self._hearing.look_ahead(start, self._tasks)
                else:
                    self._hearing.give_up()
            self._shown.heard()

    # ---- events in, commands out ----------------------------------------------------------------------

    def _press(self, control: Control) -> None:
        """What the user presses is for the judgement; how they are spoken to is not."""
        if isinstance(control, Manner):
            _cancel(self._choosing)
            self._choosing = self._tasks.create_task(self._voice.choose(control))
        else:
            self._tell(control)

    def _tell(self, event: Event) -> None:
        """Tell the judgement what happened and carry out what it answers."""
        now = self._tape.seconds
        if isinstance(event, Typed):
            self.times.wrote()
        commands = self.conversation.handle(event, now)
        for witness in (self._trace, self._observer):
            if witness is not None:
                witness.write(now, event, commands)
        if isinstance(event, PlaybackStarted):
            self._playback_started(event)
        elif isinstance(event, PlaybackEnded):
            self._shown.reply_ended(event)
        elif isinstance(event, StageFailed):
            log.error("turn %d: %s failed: %s", event.turn, event.stage, event.reason)
            self._notify(Notice(event.reason))
        elif isinstance(event, ChooseMode):
            self._notify(Mode(event.name))
        for command in commands if not self._over else ():  # no new work for a user who has gone
            log.debug("%.3f s: %s %s", now, type(command).__name__, getattr(command, "why", ""))
            self._obey(command)
        self._shown.history()
        if self.conversation.state != self._status:
            self._status = self.conversation.state
            self._notify(Status(self.conversation.state))

    def _break_off(self) -> None:
        """The user has gone: what they heard of the reply is known all the same."""
        ended = self._transport.playout.clear(*self.conversation.replying)
        if ended is not None:
            self._tell(ended)

    def _obey(self, command: Command) -> None:
        playout = self._transport.playout
        match command:
            case Transcribe(final=True):
                self.times.pause(self.conversation.last_voice)
                _cancel(self._partial)
                _cancel(self._final)
                ahead = self._hearing.take_ahead(command.start, command.end)
                self._final = self._start(self._transcribe(command, ahead), "stt", command)
                if ahead is not None:  # also where the final one is cancelled before it has begun
                    self._final.add_done_callback(lambda _: ahead.cancel())
            case Transcribe():
                if not any(task is not None and not task.done() for task in (self._partial, self._final)):
                    self._partial = self._start(self._transcribe(command), None, command)
            case PredictTurnEnd():
                self._judging = self._start(self._judge(command), None, command)
            case Warm():
                _cancel(self._warming)
                self._warming = self._tasks.create_task(self._warm(command))
            case Draft():
                _cancel(self._warming)
                _cancel(self._reply)
                # Made here and not in the task: a release may follow at once and must find the reply.
                speaker = self._voice.for_reply()
                writer = PlayoutWriter(playout, command.turn, command.revision, speaker.sample_rate)
                self._reply = self._start(self._prepare(command, speaker, writer), "llm", command)
            case Release():
                self.times.release((command.turn, command.revision))
                self.times.mark("decided", (command.turn, command.revision))
                self._ended_because = command.why
                playout.release(command.turn, command.revision)
            case Withdraw():
                _cancel(self._reply)
                playout.clear(command.turn, command.revision)
            case Duck():
                playout.duck(command.turn, command.revision)
            case Pause():
                playout.pause(command.turn, command.revision)
            case Resume():
                playout.resume(command.turn, command.revision)
            case Interrupt():
                _cancel(self._reply)
                ended = playout.clear(command.turn, command.revision)
                if ended is not None:  # otherwise its end is already on its way here
                    self._tell(ended)
            case Say():
                _cancel(self._reply)
                writer = PlayoutWriter(playout, command.turn, command.revision, self._engines.tts.sample_rate)
                writer.write(self._engines.apologies[command.text])
                writer.finish()
                self.times.release((command.turn, command.revision))
                playout.release(command.turn, command.revision)
                self._notify(Caption("assistant", command.turn, command.text, final=True))

    def _start(
        self,
        work: Coroutine[None, None, None],
        stage: Stage | None,
        command: Transcribe | PredictTurnEnd | Draft,
    ) -> asyncio.Task[None]:
        """Run `work` as a task. `stage`: whose failure ends the turn; None where it can do without."""
        task = self._tasks.create_task(self._guard(work, stage, command.turn, command.revision))
        task.add_done_callback(lambda _: work.close())  # where it was cancelled before it began
        return task

    async def _guard(
        self, work: Coroutine[None, None, None], stage: Stage | None, turn: int, revision: int
    ) -> None:
        failure: StageFailed | None = None
        try:
            await work
        except* StageError as group:
            error = _first(group)
            failure = StageFailed(error.stage, turn, revision, error.reason)
        except* Exception as group:
            log.error("turn %d: unexpected failure", turn, exc_info=group)
            failure = StageFailed(stage or "stt", turn, revision, f"unexpected failure: {_first(group)!r}")
        if failure is None:
            return
        if stage is None:
            log.warning("turn %d goes on without it: %s", turn, failure.reason)
        else:
            self._tell(failure)

    # ---- the engines ----------------------------------------------------------------------------------

    async def _transcribe(self, command: Transcribe, ahead: Pass | None = None) -> None:
        if command.end - command.start > TAPE_SECONDS:
            log.warning("turn %d: only its last %.0f s are kept", command.turn, TAPE_SECONDS)
        transcript = await self._hearing.words(command.start, command.end, final=command.final, ahead=ahead)
        said = (command.turn, command.revision, transcript.text, transcript.language)
        if command.final:
            self.times.mark("transcript")
            tentative = self.conversation.tentative
            self._shown.transcript(command, transcript.text)
            self._tell(FinalTranscript(*said))
            if tentative and self.conversation.state == "hearing":  # they were words after all
                self._shown.transcript(command, transcript.text)
        else:
            self._tell(PartialTranscript(*said))
            self._shown.transcript(command, transcript.text)

    async def _judge(self, command: PredictTurnEnd) -> None:
        sound = self._tape.between(command.start, command.end)
        probability = await self._engines.turn.probability(sound)
        self.times.mark("turn_completion")
        self._tell(TurnCompletion(command.turn, command.revision, round(probability, 4)))

    async def _warm(self, command: Warm) -> None:
        """Read a prompt ahead; that it can't be done is told when the reply itself fails."""
        with contextlib.suppress(StageError):
            await self._engines.llm.warm(self._prompt(command))

    def _prompt(self, command: Warm | Draft) -> list[Message]:
        limits = self._settings.llm
        budget = limits.context_tokens - limits.max_tokens
        return prompt(limits.system_prompt, command.messages, budget, self._count_tokens)

    async def _prepare(self, command: Draft, speaker: Speaker, writer: PlayoutWriter) -> None:
        def on_clause(clause: Clause) -> None:
            self._tell(ReplyText(command.turn, command.revision, clause.written))

        def mark(name: str) -> None:
            self.times.mark(name, (command.turn, command.revision))

        messages = self._prompt(command)
        await prepare_reply(messages, self._engines.llm, speaker, writer, mark, on_clause)

    # ---- what the user sees, what the log says --------------------------------------------------------

    def _notify(self, notification: Notification) -> None:
        self._transport.notify(notification)
        if self._observer is not None:
            self._observer.notify(notification)

    def _playback_started(self, event: PlaybackStarted) -> None:
        self.times.mark("playback", (event.turn, event.revision))
        answered = self.times.answered
        log.info("turn %d: %s; ended by %s", event.turn, answered.line(), self._ended_because)
        self._notify(Timing(event.turn, answered.since("last_voice")))


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _hand_over(
    loop: asyncio.AbstractEventLoop, tell: Callable[[Event], None], event: PlaybackStarted | PlaybackEnded
) -> None:
    """Called by whoever reads the playout, perhaps after the conversation is over."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(tell, event)


E = TypeVar("E", bound=Exception)


def _first(group: BaseExceptionGroup[E]) -> E:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
