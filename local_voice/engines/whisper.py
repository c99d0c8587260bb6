"""Whisper: the words in a piece of sound, by faster-whisper on CTranslate2.

A greedy decode in a window of the sound's own length (`whisper_windows.py` says why and how), without what
repeats itself beyond the sound; a final pass that is unsure of its words is decoded with beams as well, and
one that looks wrong is done again in a longer window, at last in Whisper's own of 30 s. On a CPU the decoder
is that of `whisper_graph.py`. This room must not know about turns: it is given sound and returns words.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from local_voice.audio import SPEECH_RATE, Samples
from local_voice.ctranslate2_file import UnknownLayoutError, read_weights
from local_voice.log_mel import LogMel
from local_voice.settings import SttSettings
from local_voice.stages import StageError, StartupError
from local_voice.transcript import Transcript
from local_voice.whisper_graph import WhisperDecoder
from local_voice.whisper_search import Decoded, SpecialTokens, beam_search, greedy
from local_voice.whisper_windows import (
    WINDOW_SECONDS,
    Hypothesis,
    deserves_beams,
    deserves_second_chance,
    doubt,
    heard_before,
    is_silent,
    second_chances,
    split_at_quiet,
    token_cap,
    window_seconds,
    within,
    without_loop,
)
from local_voice.worker import Worker, WorkerBusyError

log = logging.getLogger(__name__)

_FINAL, _PARTIAL = 0, 1
_PROMPT_TOKENS = 223
"""Half of Whisper's context less one: what fits before the text (openai/whisper, `decoding.py`)."""
_REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a pass has heard."""

    hypothesis: Hypothesis
    language: str
    beams: Callable[[], list[Decoded]] | None
    """A beam search over the same sound, the likeliest text first, where it is worth its time."""


class Whisper:
    """Any Whisper model in CTranslate2's format. Satisfies `SpeechToText`."""

    def __init__(self, model_dir: Path, settings: SttSettings) -> None:
        """`model_dir`: model.bin, config.json, tokenizer.json and vocabulary, read when entered."""
        self._model_dir = model_dir
        self._settings = settings
        self._model: Any = None
        self._tokenizer: Any = None
        self._decoder: WhisperDecoder | None = None
        """None where CTranslate2's own decodes."""
        self._special = SpecialTokens(end=0, no_speech=0, first_timestamp=0)
        self._mel = LogMel(80)
        # One decode at a time uses all the threads it is given. A session has at most a final and a partial
        # pass waiting, and one begun ahead; with 64 waiting the least urgent, newest pass is refused.
        self._worker = Worker("whisper")

    async def __aenter__(self) -> Self:
        """Load, and decode once in every window. Raises `StartupError`."""
        try:
            await self._worker.run(self._load)
            # One job a window, so that Ctrl-C need not wait for all of them.
            for window in WINDOW_SECONDS:
                await self._worker.run(self._warm_up, window)
        except BaseException as error:
            await self._worker.close()
            # CTranslate2 raises RuntimeError and ValueError, the loader OSError, tokenizers Exception.
            if isinstance(error, Exception) and not isinstance(error, StartupError):
                raise StartupError(self._explain(_first_line(error))) from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.close()
        self._model = self._tokenizer = self._decoder = None

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return self._worker.waiting

    async def transcribe(self, samples: Samples, *, final: bool, draft: str = "") -> Transcript:
        """Words in `samples`, 16 kHz, shape `(n,)`, any length; no words for silence and noise.

        `draft`: what was heard in their beginning before. Cancelling drops what has not begun: every piece of
        long sound, and the decoding of a partial pass, begins by itself. Raises `StageError`.
        """
        texts: list[str] = []
        language = ""
        try:
            for piece in split_at_quiet(samples):
                heard = await self._piece(piece, final, draft)
                draft = ""
                if heard.text:
                    texts.append(heard.text)
                    language = language or heard.language
        except WorkerBusyError as error:
            raise StageError("stt", f"speech recognition can't keep up: {error}") from error
        except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, onnxruntime its own.
            raise StageError("stt", f"speech recognition failed: {_first_line(error)}") from error
        return Transcript(" ".join(texts), language or self._language(None))

    async def _piece(self, samples: Samples, final: bool, draft: str) -> Transcript:
        """Words in at most 28 s of sound."""
        if is_silent(samples):
            return Transcript("", self._language(None))
        window = window_seconds(len(samples) / SPEECH_RATE)
        hypothesis, language = await self._pass(samples, window, final, draft)
        doubted = doubt(hypothesis)
        if doubted == "silence" and heard_before(hypothesis, draft):
            doubted = None
        if doubted and final and deserves_second_chance(hypothesis):
            for longer in second_chances(window, doubted):
                if doubted is None:
                    break
                hypothesis, language = await self._pass(samples, longer, final)
                doubted = doubt(hypothesis)
        if doubted == "silence" and final and hypothesis.tokens:
            log.info(
                "taken for noise: %.1f s in which %d tokens were heard (no speech: %.2f, unsure: %.2f)",
                len(samples) / SPEECH_RATE,
                hypothesis.tokens,
                hypothesis.no_speech,
                -hypothesis.log_probability,
            )
        return Transcript("" if doubted == "silence" else hypothesis.text, language)

    async def _pass(
        self, samples: Samples, window: int, final: bool, draft: str = ""
    ) -> tuple[Hypothesis, str]:
        """One encode and one decode.

        A final pass is one job, so that nothing comes between; its beams are another, and a partial pass is
        two, so that cancelling can drop the second, and a final pass need not wait for all of a partial one.
        """
        if final:
            heard = await self._worker.run(self._hear, samples, window, draft, priority=_FINAL)
            if heard.beams is not None:
                return await self._worker.run(self._search, heard, priority=_FINAL), heard.language
        else:
            encoded = await self._worker.run(self._encode, samples, window, priority=_PARTIAL)
            seconds = len(samples) / SPEECH_RATE
            heard = await self._worker.run(self._decode, encoded, seconds, draft, priority=_PARTIAL)
        return heard.hypothesis, heard.language

    # ---- on the worker's thread -----------------------------------------------------------------------

    def _hear(self, samples: Samples, window: int, draft: str = "") -> _Heard:
        return self._decode(self._encode(samples, window), len(samples) / SPEECH_RATE, draft)

    def _encode(self, samples: Samples, window: int) -> Any:
        # Silence is appended to the sound, not to its spectrogram: there, zeros would be a loud hiss, and
        # Whisper hears voices in it (SYSTRAN/faster-whisper#1084).
        padded = np.zeros(window * SPEECH_RATE, np.float32)
        padded[: len(samples)] = samples
        return self._model.encode(ctranslate2.StorageView.from_array(self._mel(padded)[None]))

    def _decode(self, encoded: Any, speech_seconds: float, draft: str = "") -> _Heard:
        language = self._language(encoded)
        prompt = self._prompt(language)
        cap = token_cap(speech_seconds)
        read = self._decoder.begin(np.asarray(encoded)) if self._decoder is not None else None
        if read is None:
            decoded = self._generate(encoded, prompt, cap)
        else:
            known = self._tokenizer.encode(" " + draft, add_special_tokens=False).ids if draft else []
            begins = [self._special.first_timestamp, *known] if known else []
            decoded = greedy(read, prompt, self._special, cap, begins)
        hypothesis = self._said(decoded.tokens, decoded, cap)
        doubted = doubt(hypothesis)
        if doubted == "runaway":
            within_sound = within(decoded.tokens, self._special.first_timestamp, speech_seconds)
            hypothesis = self._said(within_sound, decoded, cap)
        beams = None
        if read is not None and doubted is None and deserves_beams(hypothesis):
            beams = partial(beam_search, read, prompt, self._special, decoded)
        return _Heard(hypothesis, language, beams)

    def _search(self, heard: _Heard) -> Hypothesis:
        """The likeliest text that is believed, of greedy's and of the beams'."""
        assert heard.beams is not None
        found = (self._said(decoded.tokens, decoded) for decoded in heard.beams())
        return next((hypothesis for hypothesis in found if doubt(hypothesis) is None), heard.hypothesis)

    def _generate(self, encoded: Any, prompt: list[int], cap: int) -> Decoded:
        """CTranslate2's own decode. Greedy: on a CPU five beams take it half a second."""
        result = self._model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 stops at the smaller of half of this and this less the prompt.
            max_length=max(2 * cap, len(prompt) + cap),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens: list[int] = result.sequences_ids[0]
        # The score is the mean without the end token, whose probability it holds all the same.
        log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
        return Decoded(tokens, log_probability, result.no_speech_prob)

    def _said(self, tokens: list[int], decoded: Decoded, cap: float = math.inf) -> Hypothesis:
        """What a decode says by its `tokens`, or by the first of them."""
        words = [token for token in tokens if token < self._special.end]
        kept = without_loop(words)
        return Hypothesis(
            text=self._tokenizer.decode(kept).strip(),
            tokens=len(kept),
            log_probability=decoded.log_probability,
            no_speech=decoded.no_speech,
            runaway=len(kept) < len(words) or len(tokens) >= cap,
        )

    def _language(self, encoded: Any | None) -> str:
        """The language of the settings; for `auto`, what the encoded sound seems to be, or else English."""
        if not self._model.is_multilingual:
            return "en"
        if self._settings.language != "auto":
            return self._settings.language
        if encoded is None:
            return "en"
        likeliest = (token.strip("<|>") for token, _ in self._model.detect_language(encoded)[0])
        # Nynorsk is a way to write Norwegian, which detection calls `no`; what it calls `nn` is noise, for
        # which it invents "1.5%". Decoded as any other language, noise is noticed.
        language: str = next(code for code in likeliest if code != "nn")
        return language

    def _prompt(self, language: str) -> list[int]:
        tokenizer = Tokenizer(
            self._tokenizer, self._model.is_multilingual, task="transcribe", language=language
        )
        before: list[int] = []
        if self._settings.hotwords.strip():
            words = tokenizer.encode(" " + self._settings.hotwords.strip())
            before = [tokenizer.sot_prev, *words[:_PROMPT_TOKENS]]
        # The prompt does not ask to leave out timestamps: with them Whisper knows in a short window when it
        # is done. Of 52 utterances of 0.5 to 2 s, 9 (tiny.en) and 14 (base) looped without, 1 and 1 with.
        return [*before, *tokenizer.sot_sequence]

    def _load(self) -> None:
        settings = self._settings
        # Without its tokenizer faster-whisper would look for one on the network.
        missing = [name for name in _REQUIRED_FILES if not (self._model_dir / name).is_file()]
        if missing:
            raise StartupError(
                f"the speech recognition model in {self._model_dir} has no {', '.join(missing)}: "
                "run `local-voice models pull`"
            )
        if settings.device == "cuda":
            _preload_cublas()
        loaded = WhisperModel(
            str(self._model_dir),
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=settings.threads,
            local_files_only=True,
        )
        self._model, self._tokenizer = loaded.model, loaded.hf_tokenizer
        self._mel = LogMel(self._model.n_mels)
        self._check_language()
        config = json.loads((self._model_dir / "config.json").read_text(encoding="utf-8"))
        without_timestamps = self._tokenizer.token_to_id("<|notimestamps|>")
        self._special = SpecialTokens(
            end=self._tokenizer.token_to_id("<|endoftext|>"),
            # <|nospeech|>, in older files <|nocaptions|> (openai/whisper, tokenizer.py).
            no_speech=without_timestamps - 1,
            first_timestamp=without_timestamps + 1,
            suppressed=tuple(config.get("suppress_ids") or ()),  # some converted models have null
        )
        # With words to expect in its prompt the packed decoder missed 6 of 96 wake phrases, CTranslate2's 4.
        expects = bool(settings.hotwords.strip())
        if settings.device == "cpu" and settings.compute_type.startswith("int8") and not expects:
            self._decoder = self._load_decoder()

    def _load_decoder(self) -> WhisperDecoder | None:
        path = self._model_dir / "model.bin"
        try:
            return WhisperDecoder(read_weights(path), self._settings.threads)
        except UnknownLayoutError as error:
            log.warning("CTranslate2 decodes by itself, at a third of the speed: %s, %s", path, error)
            return None

    def _warm_up(self, window: int) -> None:
        self._hear(np.zeros(SPEECH_RATE, np.float32), window)

    def _check_language(self) -> None:
        language = self._settings.language
        if self._model.is_multilingual:
            if language != "auto" and self._tokenizer.token_to_id(f"<|{language}|>") is None:
                raise StartupError(
                    f"Whisper knows no language `{language}`: set stt.language to a code like en or de, "
                    "or to auto"
                )
        elif language not in ("en", "auto"):
            raise StartupError(
                f"the model in {self._model_dir} knows only English: set stt.language to en, "
                "or stt.model to a multilingual model such as whisper-base"
            )

    def _explain(self, reason: str) -> str:
        what = f"speech recognition can't start ({reason})"
        if "libcublas" in reason or "libcudnn" in reason:
            return f"{what}: install the package nvidia-cublas-cu12, or set stt.device to cpu"
        if "CUDA" in reason:
            return f"{what}: run `local-voice doctor` to see what the GPU lacks, or set stt.device to cpu"
        if "compute type" in reason:
            return f"{what}: set stt.compute_type to int8 on a CPU, float16 on a GPU"
        return f"{what}: run `local-voice models verify` to check {self._model_dir}"


def _preload_cublas() -> None:
    """Load cuBLAS 12 from its Python package, if that is installed, where CTranslate2 will find it.

    CTranslate2 asks the loader for `libcublas.so.12` by name; the loader knows no Python packages, but it
    does know what is already loaded. cuBLAS 13, which comes with newer torch, has another name and stays out
    of the way.
    """
    package = importlib.util.find_spec("nvidia")
    for folder in package.submodule_search_locations or () if package else ():
        # libcublasLt first: libcublas needs it.
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            library = Path(folder) / "cublas" / "lib" / name
            if library.is_file():
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
