"""Speaks clauses with Piper, and knows when each word of them is over.

A clause becomes phonemes, frames and then sound in pieces that grow: the first is out after a few
hundredths of a second, and a clause nobody wants any more is dropped at the next piece. The quiet that Piper
puts around a clause is cut away and a chosen pause set in its place. This room must not know what the
clause was an answer to, nor who hears it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from itertools import chain, pairwise
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

import numpy as np
from piper.config import PiperConfig
from piper.const import BOS, EOS, PAD
from piper.voice import PiperVoice

from local_voice.audio import silence
from local_voice.settings import TtsSettings
from local_voice.speakable import Clause
from local_voice.spoken_form import SpokenWord
from local_voice.stages import Manner, Speech, StageError, StartupError
from local_voice.transcript import Word
from local_voice.voice_graph import NotAVoiceError, Rendering, VoiceGraph
from local_voice.word_alignment import word_ends
from local_voice.worker import Worker, WorkerBusyError

log = logging.getLogger(__name__)

FIRST_PIECE = 16
"""Frames in the first piece, 0.19 s at 22,050 Hz, of which 0.13 to 0.15 s are left when the quiet before them
is cut off: enough to play while the next one is made. That is there 0.11 s before it is needed (0.09 at
worst), on half a core 0.07 s (0.04). With 24 the first sound comes 0.008 s later."""
LARGEST_PIECE = 96
"""Frames: pieces double up to this, 1.1 s, so that a dropped clause stops soon."""
TAIL_FRAMES = 4
"""Frames after the last phoneme in which it still sounds. Measured: at most 26 ms, 3 frames."""
QUIET = 0.002
"""Samples below this are the voice's own silence (its floor is under 0.0001)."""
EDGE_SECONDS = 0.005
"""Kept before the first and after the last sound, and faded, so that an edge can't click."""
LONGEST_TEXT = 300
"""Characters said in one go. The encoder's cost is quadratic in the phonemes; longer clauses are split."""

PATIENCE_SECONDS = 5.0
"""A piece that nobody waits for any more may take this much longer, then its thread is replaced."""
MOST_KEPT = 3
"""Voices kept in memory besides the usual one, 140 to 210 MiB each. With more, the one that was loaded first
is let go; it lives on for as long as a conversation speaks with it."""
LOAD_SECONDS = 30.0
"""A voice that takes longer to load is not waited for."""
LOADS_WAITING = 4
"""Voices that may wait to be loaded; one more is refused with a sentence."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Piper:
    """Voices, shared by all sessions. Their pieces are made one after the other on a thread of its own.

    As an engine it speaks with its usual voice, which is loaded with it. Others are loaded when somebody
    wants them, on a second thread, so that nobody waits for it: 2.3 to 3.0 s on 2 cores, in which a clause's
    first sound came after 0.09 s (at most 0.33) instead of 0.07 s.
    """

    def __init__(
        self, model_path: Path, settings: TtsSettings, others: Mapping[str, Path] | None = None
    ) -> None:
        """`model_path`: the usual voice's .onnx file, with its .onnx.json beside it.

        `others`: more such files by the names under which they are chosen.
        """
        self.sample_rate = 22_050
        """Hz; the usual voice's own once it is loaded."""
        self.language = "en"
        """The usual voice's own once it is loaded."""
        self._others = dict(others or {})
        self._path = model_path
        self._settings = settings
        self._worker = Worker("piper", patience=PATIENCE_SECONDS)
        self._loader = Worker("piper-loader", limit=LOADS_WAITING)
        self._voice: _Voice | None = None
        self._kept: dict[str, _Voice] = {}
        """Others that are loaded, oldest first; only the loader's thread changes it."""

    async def __aenter__(self) -> Self:
        """Load the voice and say something, so that the first real clause is fast. Raises `StartupError`."""
        try:
            self._voice = await self._worker.run(_Voice, self._path, self._settings)
            self.sample_rate, self.language = self._voice.sample_rate, self._voice.language
            async for _ in self.synthesize(_WARM_UP):
                pass
        except BaseException as error:
            await self._close()
            if isinstance(error, StageError):
                raise StartupError(f"The voice {self._path} can't speak: {error.reason}") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()
        self._voice = None
        self._kept.clear()

    async def _close(self) -> None:
        await self._loader.close()
        await self._worker.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all voices, the usual one first."""
        return (Path(self._settings.model).name.removesuffix(".onnx"), *self._others)

    def offer(self, others: Mapping[str, Path]) -> None:
        """These may be chosen from now on, besides the usual one. Whoever speaks with another goes on."""
        self._others = dict(others)

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return self._worker.waiting

    def synthesize(self, clause: Clause) -> AsyncGenerator[Speech, None]:
        """The clause's sound in pieces, ending with its pause. Nothing for a clause that has no sound.

        Raises `StageError` when a piece fails, or when all those of a clause (of each part, where it is too
        long to be said in one go) take longer than the deadline.
        """
        return self._speak(self._usual(), self._settings.speed, clause)

    async def speaker(self, manner: Manner) -> _Speaker:
        """As `Speakers.speaker`."""
        name = manner.voice or self.names[0]
        voice = self._usual() if name == self.names[0] else self._kept.get(name)
        return _Speaker(self, voice or await self._loaded(name), manner.speed or self._settings.speed)

    def _usual(self) -> _Voice:
        if self._voice is None:
            raise StageError("tts", "the voice is not loaded")
        return self._voice

    async def _loaded(self, name: str) -> _Voice:
        if name not in self._others:
            raise StageError("tts", "That voice is not installed here: choose another.")
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._loader.run(self._load, name)
        except TimeoutError as error:  # it goes on loading
            raise StageError("tts", f"The voice {name} is slow to load: choose it again later.") from error
        except WorkerBusyError as error:
            raise StageError("tts", "Other voices are being loaded: choose again in a moment.") from error
        except Exception as error:
            log.error("the voice %s can't be used: %s", name, error)
            raise StageError("tts", f"The voice {name} can't be used; the server's log says why.") from error

    def _load(self, name: str) -> _Voice:
        """On the loader's thread; two who want the same voice are given the same one."""
        if name not in self._kept:
            voice = _Voice(self._others[name], self._settings.model_copy(update={"model": name}))
            warm_up = voice.utter(_WARM_UP.words, 0.0)
            while not warm_up.ended:
                warm_up.next_piece()
            self._kept[name] = voice
            for old in list(self._kept)[:-MOST_KEPT]:
                del self._kept[old]
        return self._kept[name]

    async def _speak(self, voice: _Voice, speed: float, clause: Clause) -> AsyncGenerator[Speech, None]:
        settings = self._settings
        pause = settings.sentence_pause_seconds if clause.ends_sentence else settings.clause_pause_seconds
        parts = list(_parts(clause.words))
        for number, words in enumerate(parts, start=1):
            left = settings.deadline_seconds
            part_pause = pause if number == len(parts) else settings.clause_pause_seconds
            left, utterance = await self._timed(left, voice.utter, words, part_pause, speed, priority=0)
            while not utterance.ended:
                # The first piece of anybody's clause goes before the later pieces of everybody else's.
                left, piece = await self._timed(left, utterance.next_piece, priority=int(utterance.begun))
                yield piece

    async def _timed(
        self,
        left: float,
        function: Callable[[*Arguments], Result],
        *arguments: *Arguments,
        priority: int,
    ) -> tuple[float, Result]:
        """Run on the worker's thread; returns what is then left of `left` seconds, and the result."""
        started = monotonic()
        try:
            async with asyncio.timeout(left):
                result = await self._worker.run(function, *arguments, priority=priority)
        except TimeoutError as error:
            limit = self._settings.deadline_seconds
            raise StageError("tts", f"the voice took longer than {limit:g} s for a clause") from error
        except Exception as error:
            raise StageError("tts", f"the voice failed: {error}") from error
        return left - (monotonic() - started), result


class _Speaker:
    """A voice at a speed."""

    def __init__(self, piper: Piper, voice: _Voice, speed: float) -> None:
        self.sample_rate, self.language = voice.sample_rate, voice.language
        self._piper = piper
        self._voice = voice
        self._speed = speed

    def synthesize(self, clause: Clause) -> AsyncGenerator[Speech, None]:
        """As `Piper.synthesize`."""
        return self._piper._speak(self._voice, self._speed, clause)


class _Voice:
    """A loaded voice. Used by one thread at a time."""

    def __init__(self, path: Path, settings: TtsSettings) -> None:
        """Raises `StartupError` when the files are missing, damaged or no voice."""
        mend = f"`local-voice models pull {settings.model}` fetches it again"
        config_path = path.with_name(path.name + ".json")
        for part in (path, config_path):
            if not part.is_file():
                raise StartupError(f"The voice file {part} is missing; {mend}.")
        try:
            config = PiperConfig.from_dict(json.loads(config_path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StartupError(
                f"The voice's settings {config_path} can't be read ({error}); {mend}."
            ) from error
        try:
            self._graph = VoiceGraph(path, settings.threads)
        except NotAVoiceError as error:
            raise StartupError(
                f"{path} can't be used as a voice: {error}; choose another tts.model."
            ) from error
        except Exception as error:  # protobuf, onnx and onnxruntime each have their own
            raise StartupError(f"The voice file {path} is damaged ({_one_line(error)}); {mend}.") from error
        self.sample_rate = int(config.sample_rate)
        self.language = config.espeak_voice.partition("-")[0]
        self.hop = int(config.hop_length)
        self._pronouncer = PiperVoice(session=self._graph.encoder, config=config)
        self._ids = {phoneme: list(ids) for phoneme, ids in config.phoneme_id_map.items()}
        self._noise, self._length = config.noise_scale, config.length_scale
        self._noise_of_lengths = config.noise_w_scale

    def utter(self, words: tuple[SpokenWord, ...], pause: float, speed: float = 1.0) -> _Utterance:
        """Work out how the words sound; the sound itself is then made piece by piece."""
        phonemes = self._phonemes(" ".join(word.spoken for word in words))
        if not any(phoneme.isalpha() for phoneme in phonemes):
            return _Utterance(self, Rendering((), np.zeros((1, 1, 0), np.float32)), 0, (), 0.0)
        ids = [*self._ids[BOS], *self._ids[PAD]]
        after: list[int] = []
        """How many ids there are once each phoneme has been added."""
        for phoneme in phonemes:
            if phoneme in self._ids:
                ids += [*self._ids[phoneme], *self._ids[PAD]]
            after.append(len(ids))
        scales = (self._noise, self._length / speed, self._noise_of_lengths)
        rendering, durations = self._graph.encode([*ids, *self._ids[EOS]], scales)
        spoken = [0, *np.cumsum(durations).tolist()]
        ends = word_ends(phonemes, [self._phonemes(word.spoken) for word in words])
        last = max(i for i, phoneme in enumerate(phonemes) if phoneme.isalpha())
        sounding = spoken[after[last]]
        marks = tuple(
            (word.written, min(sounding, spoken[after[end - 1]] if end else 0))
            for word, end in zip(words, ends, strict=True)
        )
        return _Utterance(self, rendering, min(sounding + TAIL_FRAMES, rendering.frames), marks, pause)

    def _phonemes(self, text: str) -> list[str]:
        """One utterance, also where the pronouncer would make two sentences of it."""
        joined: list[str] = []
        for sentence in self._pronouncer.phonemize(text):
            joined += [" ", *sentence]
        while joined and joined[-1] == " ":
            joined.pop()
        return joined[1:]


class _Utterance:
    """A clause that is being turned into sound."""

    def __init__(
        self,
        voice: _Voice,
        rendering: Rendering,
        length: int,
        marks: tuple[tuple[str, int], ...],
        pause: float,
    ) -> None:
        """`length`: frames to speak. `marks`: written words, each with the frame at which it is over."""
        self.begun = False
        self.ended = length == 0
        self._voice = voice
        self._rendering = rendering
        self._length = length
        self._marks = list(marks)
        self._pause = pause
        self._next = 0
        """The frame at which the next piece begins."""
        self._size = FIRST_PIECE
        self._skipped = 0
        """Samples of quiet that were cut off before the first sound."""
        self._spoken = 0
        """Samples handed out."""
        self._word_start = 0

    def next_piece(self) -> Speech:
        """Make some more sound. The last piece brings the pause."""
        last = min(self._next + self._size, self._length)
        if self._length - last < FIRST_PIECE:
            last = self._length
        samples = self._rendering.sound(last)
        edge = round(EDGE_SECONDS * self._voice.sample_rate)
        ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
        loud = np.flatnonzero(np.abs(samples) > QUIET)
        self.ended = last == self._length
        end = len(samples)
        if self.ended and len(loud):
            end = min(end, int(loud[-1]) + edge)
        start = 0
        if not self.begun:
            start = self._skipped = max(0, int(loud[0]) - edge) if len(loud) else 0
        samples = samples[start:end].copy()
        if not self.begun and len(samples) >= edge:
            samples[:edge] *= ramp
        if self.ended and len(samples) >= edge:
            samples[-edge:] *= ramp[::-1]
        self.begun = True
        words = self._words_until(last, len(samples))
        if self.ended:
            samples = np.concatenate((samples, silence(self._pause, self._voice.sample_rate)))
        self._next, self._size = last, min(2 * self._size, LARGEST_PIECE)
        self._spoken += len(samples)
        return Speech(samples, words)

    def _words_until(self, frame: int, sounding: int) -> tuple[Word, ...]:
        """The words that are over by `frame`, in seconds from the start of a piece of `sounding` samples."""
        words: list[Word] = []
        while self._marks and (self._marks[0][1] <= frame):
            text, over = self._marks.pop(0)
            place = over * self._voice.hop - self._skipped - self._spoken
            place = max(self._word_start - self._spoken, min(place, sounding))
            rate = self._voice.sample_rate
            words.append(Word(text, (self._word_start - self._spoken) / rate, place / rate))
            self._word_start = place + self._spoken
        return tuple(words)


def _parts(words: tuple[SpokenWord, ...]) -> Iterator[tuple[SpokenWord, ...]]:
    """The clause, cut at words where it is too long to be said in one go."""
    part: list[SpokenWord] = []
    length = 0
    for word in chain.from_iterable(map(_short, words)):
        if part and length + len(word.spoken) > LONGEST_TEXT:
            yield tuple(part)
            part, length = [], 0
        part.append(word)
        length += len(word.spoken) + 1
    if part:
        yield tuple(part)


def _short(word: SpokenWord) -> Iterator[SpokenWord]:
    """The word, in pieces where it alone is too long: 600 digits without a space are one."""
    count = max(1, -(-len(word.spoken) // LONGEST_TEXT))
    ends = [len(word.written) * number // count for number in range(count + 1)]
    for number, (start, end) in enumerate(pairwise(ends)):
        spoken = word.spoken[number * LONGEST_TEXT : (number + 1) * LONGEST_TEXT]
        yield SpokenWord(word.written[start:end], spoken)


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:120] if lines else type(error).__name__


_WARM_UP = Clause((SpokenWord("Hello.", "Hello."),), ends_sentence=True)
