from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import jiwer
import numpy as np
import onnxruntime
import pytest
import pytest_asyncio
from whisper_normalizer.english import EnglishTextNormalizer

from local_voice.audio import Samples, read_wav, silence
from local_voice.engines import whisper as whisper_module
from local_voice.engines.whisper import Whisper
from local_voice.settings import SttSettings
from local_voice.stages import StageError, StartupError
from local_voice.whisper_graph import Reading
from local_voice.whisper_search import Decoded

DATA = Path(__file__).parent / "data"
SENTENCES = dict(line.split(" ", 1) for line in (DATA / "transcripts.txt").read_text().splitlines())
normalise = EnglishTextNormalizer()


def sentence(name: str) -> Samples:
    return read_wav(DATA / f"{name}.wav").samples


def hiss(seconds: float, level: float = 0.02) -> Samples:
    count = round(seconds * 16_000)
    return (np.random.default_rng(1).standard_normal(count) * level).astype(np.float32)


# ---- judgement around a scripted model ------------------------------------------------------------------


TIMES = 50_363
"""The first timestamp."""


@dataclass
class ScriptedModel:
    """Stands in for CTranslate2: says what is scripted for each window, and notes what it was asked."""

    says: dict[int, tuple[str, float, float]]
    """Window in seconds -> text, with times like <2.00>, log probability, no-speech probability."""
    n_mels: int = 80
    is_multilingual: bool = False
    windows: list[int] = field(default_factory=list)
    limits: list[tuple[int, int]] = field(default_factory=list)
    """For each decode: tokens of the prompt, `max_length`."""
    error: Exception | None = None

    def encode(self, features: ctranslate2.StorageView) -> int:
        if self.error is not None:
            raise self.error
        return features.shape[2] // 100

    def generate(self, window: int, prompts: list[list[int]], **options: Any) -> list[Any]:
        self.windows.append(window)
        self.limits.append((len(prompts[0]), options["max_length"]))
        text, score, no_speech = self.says[window]
        tokens = [
            TIMES + round(float(word[1:-1]) / 0.02)
            if word.startswith("<")
            else ScriptedTokenizer.words.setdefault(word, len(ScriptedTokenizer.words))
            for word in text.split()
        ]
        return [SimpleNamespace(sequences_ids=[tokens], scores=[score], no_speech_prob=no_speech)]


class ScriptedTokenizer:
    words: dict[str, int] = {}  # noqa: RUF012

    def token_to_id(self, token: str) -> int:
        return TIMES - 1 if token == "<|notimestamps|>" else 50_256

    def encode(self, text: str, add_special_tokens: bool = True) -> Any:
        return SimpleNamespace(ids=list(range(len(text.split()))))

    def decode(self, tokens: list[int]) -> str:
        known = list(self.words)
        return " ".join(known[token] for token in tokens)


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Whisper, ScriptedModel]]:
    def build(says: dict[int, tuple[str, float, float]], **settings: Any) -> tuple[Whisper, ScriptedModel]:
        for name in ("model.bin", "config.json", "tokenizer.json"):
            (tmp_path / name).write_text('{"suppress_ids": null}' if name == "config.json" else "")
        warm = dict.fromkeys((6, 8, 10, 12, 15, 20, 30), ("warm", -0.1, 0.0))
        model = ScriptedModel(warm | says)
        loaded = SimpleNamespace(model=model, hf_tokenizer=ScriptedTokenizer())
        monkeypatch.setattr(whisper_module, "WhisperModel", lambda *positional, **named: loaded)
        return Whisper(tmp_path, SttSettings(**settings)), model

    return build


async def test_every_window_is_warmed_up_before_the_first_sound(scripted):
    whisper, model = scripted({})
    async with whisper:
        assert model.windows == [6, 8, 10, 12, 15, 20, 30]


async def test_a_final_pass_that_looped_is_done_again_in_longer_windows_until_one_is_believed(scripted):
    loop = "again and again and " + "and again " * 12
    whisper, model = scripted(
        {6: (loop, -0.2, 0.1), 10: (loop, -0.2, 0.1), 30: ("again and again", -0.3, 0.1)}
    )
    async with whisper:
        model.windows.clear()
        heard = await whisper.transcribe(hiss(2), final=True)
    assert heard.text == "again and again"
    assert model.windows == [6, 10, 30]


async def test_a_loop_that_a_slightly_longer_window_undoes_does_not_cost_the_full_one(scripted):
    whisper, model = scripted({6: ("tell me " + "more " * 20, -0.2, 0.1), 10: ("tell me more", -0.3, 0.1)})
    async with whisper:
        model.windows.clear()
        assert (await whisper.transcribe(hiss(2), final=True)).text == "tell me more"
    assert model.windows == [6, 10]


async def test_a_loop_that_runs_on_beyond_the_sound_ends_with_it_and_costs_no_second_decode(scripted):
    loop = "<0.00> where is it <2.00>" + " <2.00> where is it <4.00>" * 3
    whisper, model = scripted({6: (loop, -0.2, 0.1)})
    async with whisper:
        model.windows.clear()
        assert (await whisper.transcribe(hiss(2), final=True)).text == "where is it"
    assert model.windows == [6]


async def test_what_is_said_again_within_the_sound_is_heard_again(scripted):
    said = "<0.00> where is it <1.00> <1.00> where is it <2.00>"
    whisper, model = scripted({6: (said, -0.2, 0.1), 10: ("where is it where is it", -0.2, 0.1)})
    async with whisper:
        model.windows.clear()
        await whisper.transcribe(hiss(2), final=True)
    assert model.windows == [6, 10, 30]


async def test_a_partial_pass_that_looped_is_cut_and_costs_no_second_decode(scripted):
    whisper, model = scripted({6: ("tell me " + "more " * 20, -0.2, 0.1)})
    async with whisper:
        model.windows.clear()
        heard = await whisper.transcribe(hiss(2), final=False)
    assert heard.text == "tell me more"
    assert model.windows == [6]


async def test_a_text_out_of_silence_is_dropped_without_a_second_decode(scripted, caplog):
    caplog.set_level("INFO")
    whisper, model = scripted({6: ("Thank you.", -0.9, 0.95)})
    async with whisper:
        model.windows.clear()
        assert (await whisper.transcribe(hiss(2), final=True)).text == ""
    assert model.windows == [6]
    assert "taken for noise: 2.0 s in which 2 tokens were heard (no speech: 0.95" in caplog.text


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize(
    ("draft", "heard", "windows"),
    [
        ("How many days, on average?", "how many days on every day", [6]),
        ("How many", "", [6]),
        ("What a day", "", [6]),
        ("", "", [6]),
    ],
)
async def test_words_that_were_heard_before_are_not_taken_for_noise(scripted, final, draft, heard, windows):
    whisper, model = scripted({6: ("how many days on every day", -1.2, 0.8)})
    async with whisper:
        model.windows.clear()
        assert (await whisper.transcribe(hiss(2), final=final, draft=draft)).text == heard
    assert model.windows == windows


async def test_a_doubtful_short_answer_is_saved_by_the_full_window(scripted):
    whisper, _ = scripted({6: ("5 5", -1.0, 0.51), 30: ("5 5", -0.8, 0.34)})
    async with whisper:
        assert (await whisper.transcribe(hiss(1), final=True)).text == "5 5"


def text_of(words: str, log_probability: float, no_speech: float = 0.1) -> Decoded:
    ids = [ScriptedTokenizer.words.setdefault(word, len(ScriptedTokenizer.words)) for word in words.split()]
    return Decoded([TIMES, *ids, TIMES + 50], log_probability, no_speech)


ROCK, WROTE, LOOP = text_of("a rock or me", -0.7), text_of("who wrote me", -0.4), text_of("who " * 30, -0.3)


@pytest.mark.parametrize(
    ("greedily", "found", "heard"),
    [
        (ROCK, [WROTE, ROCK], "who wrote me"),
        (ROCK, [LOOP, WROTE, ROCK], "who wrote me"),
        (ROCK, [LOOP], "a rock or me"),
        (text_of("a rock or me", -0.5), None, "a rock or me"),
        (text_of("a rock or me", -1.2, 0.9), None, ""),
        (text_of("or so they say to me " * 9, -0.7), None, "or so they say to me"),
        (text_of(" ".join(f"word{number}" for number in range(41)), -0.7), None, None),
    ],
    ids=["unsure", "beams loop", "all beams loop", "sure", "noise", "loop", "long"],
)
async def test_beams_where_a_believed_final_text_is_unsure(
    scripted,
    monkeypatch: pytest.MonkeyPatch,
    greedily: Decoded,
    found: list[Decoded] | None,
    heard: str | None,
):
    whisper, _ = scripted({})
    searched: list[Decoded] = []

    def search(read: Any, prompt: Any, special: Any, said: Decoded) -> list[Decoded]:
        searched.append(said)
        assert found is not None
        return found

    async with whisper:
        monkeypatch.setattr(whisper, "_decoder", SimpleNamespace(begin=lambda encoded: "reader"))
        monkeypatch.setattr(whisper_module, "greedy", lambda *given: greedily)
        monkeypatch.setattr(whisper_module, "beam_search", search)
        await whisper.transcribe(hiss(12), final=False)
        assert not searched  # a partial text has no beams
        text = (await whisper.transcribe(hiss(12), final=True)).text
    assert heard is None or text == heard
    assert searched == ([greedily] if found is not None else [])


async def test_beams_of_a_cancelled_pass_do_not_begin(scripted, monkeypatch: pytest.MonkeyPatch):
    whisper, _ = scripted({})
    at_work, go_on, searched = threading.Event(), threading.Event(), []

    def greedy(*given: Any) -> Decoded:
        at_work.set()
        go_on.wait(5)
        return ROCK

    async with whisper:
        monkeypatch.setattr(whisper, "_decoder", SimpleNamespace(begin=lambda encoded: "reader"))
        monkeypatch.setattr(whisper_module, "greedy", greedy)
        monkeypatch.setattr(whisper_module, "beam_search", lambda *given: searched.append(given) or [ROCK])
        pass_ = asyncio.create_task(whisper.transcribe(hiss(2), final=True))
        await asyncio.to_thread(at_work.wait, 5)
        pass_.cancel()
        go_on.set()
        assert (await whisper.transcribe(hiss(2), final=True)).text == "a rock or me"
        with pytest.raises(asyncio.CancelledError):
            await pass_
    assert len(searched) == 1


async def test_digital_silence_and_nothing_reach_no_model(scripted):
    whisper, model = scripted({})
    async with whisper:
        model.windows.clear()
        for samples in (silence(3, 16_000), silence(0, 16_000), np.full(16_000, np.nan, np.float32)):
            assert (await whisper.transcribe(samples, final=True)).text == ""
    assert model.windows == []


async def test_the_token_cap_holds_behind_a_prompt_of_hotwords_too(scripted):
    hotwords = " ".join(["name"] * 300)
    whisper, model = scripted({}, hotwords=hotwords)
    async with whisper:
        model.limits.clear()
        await whisper.transcribe(hiss(2), final=True)
    ((prompt, limit),) = model.limits
    assert prompt == 1 + 223 + 1
    # CTranslate2 stops at min(limit / 2, limit - prompt): 7 tokens a second and 12.
    assert min(limit // 2, limit - prompt) == 26


async def test_a_model_that_fails_at_work_is_a_stage_error(scripted):
    whisper, model = scripted({})
    async with whisper:
        model.error = RuntimeError("CUDA failed with error out of memory\nin some file")
        with pytest.raises(StageError, match=r"^speech recognition failed: CUDA .* out of memory$") as caught:
            await whisper.transcribe(hiss(2), final=True)
        assert caught.value.stage == "stt"
        model.error = None
        assert (await whisper.transcribe(hiss(2), final=True)).text == "warm"


async def test_a_model_of_another_layout_is_decoded_by_ctranslate2_and_says_so(scripted, caplog):
    whisper, _ = scripted({6: ("tell me more", -0.2, 0.0)})
    async with whisper:
        assert (await whisper.transcribe(hiss(2), final=True)).text == "tell me more"
    assert "CTranslate2 decodes by itself, at a third of the speed" in caplog.text


async def test_finals_go_before_partials_that_came_first(scripted):
    whisper, _ = scripted({8: ("final", -0.1, 0.1)})
    done: list[str] = []

    async def listen(seconds: float, *, final: bool) -> None:
        done.append((await whisper.transcribe(hiss(seconds), final=final)).text)

    async with whisper, asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(listen(2, final=False))
        await asyncio.sleep(0)
        tasks.create_task(listen(5.5, final=True))
    # Encodings of partials may have begun; no decoding has.
    assert done == ["final", "warm", "warm", "warm"]


async def test_a_cancelled_pass_does_not_begin(scripted):
    whisper, model = scripted({8: ("unwanted", -0.1, 0.1)})
    async with whisper:
        model.windows.clear()
        kept = asyncio.create_task(whisper.transcribe(hiss(2), final=True))
        dropped = asyncio.create_task(whisper.transcribe(hiss(5.5), final=True))
        await asyncio.sleep(0)
        dropped.cancel()
        assert (await kept).text == "warm"
    assert dropped.cancelled()
    assert model.windows == [6]


# ---- start-up -------------------------------------------------------------------------------------------


async def refused(model_dir: Path, **settings: Any) -> str:
    with pytest.raises(StartupError) as caught:
        await Whisper(model_dir, SttSettings(**settings)).__aenter__()
    return str(caught.value)


async def test_a_missing_model_says_how_to_get_it(tmp_path: Path):
    sentence = await refused(tmp_path / "nowhere")
    assert "nowhere has no model.bin, config.json, tokenizer.json: run `local-voice models pull`" in sentence


async def test_a_missing_tokenizer_is_not_looked_for_on_the_network(tmp_path: Path):
    for name in ("model.bin", "config.json"):
        (tmp_path / name).touch()
    assert "has no tokenizer.json" in await refused(tmp_path)


async def test_a_gpu_without_cublas_says_what_to_install(scripted):
    whisper, model = scripted({}, device="cuda", compute_type="float16")
    model.error = RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
    with pytest.raises(
        StartupError, match=r"install the package nvidia-cublas-cu12, or set stt\.device to cpu"
    ):
        await whisper.__aenter__()


async def test_cublas_is_loaded_from_its_python_package(
    scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    for name in ("libcublas.so.12", "libcublasLt.so.12"):
        (folder / name).touch()
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nvidia")])
    monkeypatch.setattr(whisper_module.importlib.util, "find_spec", lambda name: package)
    loaded: list[str] = []
    monkeypatch.setattr(whisper_module.ctypes, "CDLL", lambda path, mode: loaded.append(Path(path).name))
    whisper, _ = scripted({}, device="cuda", compute_type="float16")
    async with whisper:
        assert loaded == ["libcublasLt.so.12", "libcublas.so.12"]


@pytest.mark.models
async def test_a_model_cut_short_says_how_to_check_it(model_path: Callable[[str], Path], tmp_path: Path):
    shutil.copytree(model_path("whisper-tiny.en"), tmp_path / "cut")
    whole = (tmp_path / "cut" / "model.bin").read_bytes()
    (tmp_path / "cut" / "model.bin").write_bytes(whole[: len(whole) // 2])
    assert "run `local-voice models verify`" in await refused(tmp_path / "cut")


@pytest.mark.models
async def test_settings_that_the_model_can_not_have_say_what_to_set(model_path: Callable[[str], Path]):
    tiny, base = model_path("whisper-tiny.en"), model_path("whisper-base")
    assert "knows only English: set stt.language to en" in await refused(tiny, language="de")
    assert "knows no language `klingon`" in await refused(base, language="klingon")
    assert "set stt.compute_type to int8 on a CPU" in await refused(tiny, compute_type="float16")


@pytest.mark.models
@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU")
async def test_cuda_without_a_gpu_says_what_to_do(model_path: Callable[[str], Path]):
    sentence = await refused(model_path("whisper-tiny.en"), device="cuda", compute_type="float16")
    assert "set stt.device to cpu" in sentence


# ---- real weights on human speech -----------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tiny(model_path: Callable[[str], Path]) -> AsyncIterator[Whisper]:
    async with Whisper(model_path("whisper-tiny.en"), SttSettings()) as whisper:
        yield whisper


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def base(model_path: Callable[[str], Path]) -> AsyncIterator[Whisper]:
    async with Whisper(model_path("whisper-base"), SttSettings(language="auto")) as whisper:
        yield whisper


async def word_errors(whisper: Whisper, *, final: bool = True) -> float:
    heard = [(await whisper.transcribe(sentence(name), final=final)).text for name in SENTENCES]
    return jiwer.wer([normalise(text) for text in SENTENCES.values()], [normalise(text) for text in heard])


@pytest.mark.models
async def test_tiny_mishears_less_than_a_tenth_of_a_readers_words(tiny: Whisper):
    assert await word_errors(tiny) < 0.10
    assert await word_errors(tiny, final=False) < 0.10


@pytest.mark.models
async def test_base_mishears_less_than_a_twentieth_and_notices_that_it_is_english(base: Whisper):
    assert await word_errors(base) < 0.05
    assert (await base.transcribe(sentence("sense_0930"), final=True)).language == "en"


@pytest.mark.models
async def test_a_minute_of_speech_is_heard_to_its_end(tiny: Whisper):
    names = [*SENTENCES, *SENTENCES, *SENTENCES][:12]
    minute = np.concatenate([part for name in names for part in (sentence(name), silence(0.3, 16_000))])
    assert len(minute) > 60 * 16_000
    heard = await tiny.transcribe(minute, final=True)
    assert jiwer.wer(normalise(" ".join(SENTENCES[name] for name in names)), normalise(heard.text)) < 0.05


@pytest.mark.models
@pytest.mark.parametrize("seconds", [0.3, 1.5, 4.0])
async def test_noise_has_no_words(tiny: Whisper, base: Whisper, seconds: float):
    time = np.arange(round(seconds * 16_000)) / 16_000
    hum = (0.05 * np.sin(2 * np.pi * 50 * time) + hiss(seconds, 0.002)).astype(np.float32)
    clicks = np.zeros(len(time), np.float32)
    clicks[:: 16_000 // 7] = 0.7
    for whisper in (tiny, base):
        for noise in (hiss(seconds, 0.003), hiss(seconds, 0.03), hum, clicks):
            for final in (True, False):
                assert (await whisper.transcribe(noise, final=final)).text == ""


@pytest.mark.models
async def test_hotwords_are_spelt_as_they_are_given(tiny: Whisper, model_path: Callable[[str], Path]):
    unusual = sentence("sense_0880")
    assert "ill-disposed" not in (await tiny.transcribe(unusual, final=True)).text
    async with Whisper(model_path("whisper-tiny.en"), SttSettings(hotwords="ill-disposed")) as primed:
        assert "ill-disposed" in (await primed.transcribe(unusual, final=True)).text


@pytest.mark.models
async def test_the_packed_decoder_hears_what_ctranslate2s_own_does(
    base: Whisper, monkeypatch: pytest.MonkeyPatch
):
    assert base._decoder is not None
    packed = [(await base.transcribe(sentence(name), final=True)).text for name in SENTENCES]
    monkeypatch.setattr(base, "_decoder", None)
    own = [(await base.transcribe(sentence(name), final=True)).text for name in SENTENCES]
    assert jiwer.wer([normalise(text) for text in own], [normalise(text) for text in packed]) < 0.05


@pytest.mark.models
async def test_beams_hear_better_what_is_hard_to_hear(tiny: Whisper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whisper_module, "deserves_beams", lambda hypothesis: True)
    with_beams = await word_errors(tiny)
    monkeypatch.setattr(whisper_module, "deserves_beams", lambda hypothesis: False)
    assert with_beams < await word_errors(tiny)


@pytest.mark.models
async def test_a_draft_saves_reading_and_changes_no_word(base: Whisper, monkeypatch: pytest.MonkeyPatch):
    reads: list[int] = []
    plain = Reading.__call__

    def noted(reading: Reading, tokens: Sequence[int], at: int) -> Any:
        reads.append(len(tokens))
        return plain(reading, tokens, at)

    monkeypatch.setattr(Reading, "__call__", noted)
    whole = sentence("sense_0870")
    alone = (await base.transcribe(whole, final=True)).text
    slow = reads.copy()
    reads.clear()
    assert (await base.transcribe(whole, final=True, draft=alone)).text == alone
    assert len(reads) <= 4 < len(slow)
    for wrong in ("something else was said", alone.replace(" ", " not ", 2)):
        assert (await base.transcribe(whole, final=True, draft=wrong)).text == alone


@pytest.mark.models
async def test_a_draft_and_a_long_text_fit_whispers_context_together(model_path: Callable[[str], Path]):
    long = np.concatenate([sentence(name) for name in SENTENCES])[: 28 * 16_000]
    async with Whisper(model_path("whisper-tiny.en"), SttSettings()) as whisper:
        assert whisper._decoder is not None
        heard = await whisper.transcribe(long, final=True, draft="and so on " * 100)
    assert len(heard.text) > 100


@pytest.mark.models
async def test_many_hotwords_and_a_long_text_fit_whispers_context_together(model_path: Callable[[str], Path]):
    many = SttSettings(hotwords=" ".join(["ill-disposed", "Dashwood"] * 100))
    long = np.concatenate([sentence(name) for name in SENTENCES])[: 28 * 16_000]
    async with Whisper(model_path("whisper-tiny.en"), many) as whisper:
        assert whisper._decoder is None  # CTranslate2 decodes
        heard = await whisper.transcribe(long, final=True)
    assert len(heard.text) > 100


async def test_what_onnxruntime_raises_is_a_stage_error(scripted, monkeypatch: pytest.MonkeyPatch):
    class Broken:
        def begin(self, encoded: Any) -> Any:
            raise onnxruntime.capi.onnxruntime_pybind11_state.Fail("no memory for it")

    whisper, _ = scripted({})
    async with whisper:
        monkeypatch.setattr(whisper, "_decoder", Broken())
        with pytest.raises(StageError, match="speech recognition failed: no memory for it"):
            await whisper.transcribe(hiss(2), final=True)
