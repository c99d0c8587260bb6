"""Piper: its errors at start-up without weights, and on the real voice what it says and when."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from local_voice.audio import Resampler, Samples
from local_voice.engines.piper import EDGE_SECONDS, MOST_KEPT, QUIET, Piper
from local_voice.settings import TtsSettings
from local_voice.speakable import Clause, ClauseCutter
from local_voice.spoken_form import SpokenWord, say
from local_voice.stages import Manner, Speaker, Speech, StageError, StartupError
from local_voice.transcript import Word
from local_voice.voice_graph import Rendering

SENTENCE = "In the middle of the city, it costs $5.99 for a while, and Dr. Smith paid three of them in 1995."


def clause_of(text: str, *, ends_sentence: bool = True) -> Clause:
    return Clause(say(text), ends_sentence)


async def speak(piper: Speaker, clause: Clause) -> tuple[Samples, list[Word], int]:
    """The whole sound, its words in seconds from its start, and how many pieces it came in."""
    sound: list[Samples] = []
    words: list[Word] = []
    before = 0.0
    async for piece in piper.synthesize(clause):
        words += [Word(word.text, word.start + before, word.end + before) for word in piece.words]
        sound.append(piece.samples)
        before += len(piece.samples) / piper.sample_rate
    return np.concatenate([np.zeros(0, np.float32), *sound]), words, len(sound)


def voiced_end(samples: Samples, rate: int) -> float:
    return float(np.flatnonzero(np.abs(samples) > QUIET)[-1]) / rate


# ---- without weights --------------------------------------------------------------------------------


async def start(path: Path) -> None:
    async with Piper(path, TtsSettings(model="some-voice")):
        pass


async def test_a_missing_voice_is_named_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"voice\.onnx is missing; `local-voice models pull some-voice`"):
        await start(tmp_path / "voice.onnx")


@pytest.mark.parametrize("settings", ["", "[]", "{}", '{"audio": 3}'])
async def test_broken_settings_of_a_voice_are_named(tmp_path: Path, settings: str) -> None:
    voice = tmp_path / "voice.onnx"
    voice.write_bytes(b"junk")
    voice.with_name("voice.onnx.json").write_text(settings)
    with pytest.raises(StartupError, match=r"voice\.onnx\.json can't be read"):
        await start(voice)


@pytest.mark.parametrize("content", [b"", b"junk", bytes(1000)])
async def test_a_damaged_voice_is_named(tmp_path: Path, content: bytes) -> None:
    voice = tmp_path / "voice.onnx"
    voice.write_bytes(content)
    settings = {"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "num_symbols": 256} | {
        "num_speakers": 1, "inference": {}, "phoneme_id_map": {"_": [0], "^": [1], "$": [2]},
    }  # fmt: skip
    voice.with_name("voice.onnx.json").write_text(json.dumps(settings))
    with pytest.raises(StartupError, match=r"voice\.onnx"):
        await start(voice)


# ---- the real voice ---------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def piper(model_path: Callable[[str], Path]) -> AsyncIterator[Piper]:
    settings = TtsSettings()
    async with Piper(model_path(settings.model), settings) as piper:
        yield piper


@pytest.mark.models
@pytest.mark.asyncio(loop_scope="module")
class TestTheRealVoice:
    async def test_words_come_as_written_in_order_and_inside_the_sound(self, piper: Piper) -> None:
        clause = clause_of(SENTENCE)
        samples, words, pieces = await speak(piper, clause)
        assert [word.text for word in words] == [word.written for word in clause.words]
        assert pieces > 2
        times = [time for word in words for time in (word.start, word.end)]
        assert np.diff(times).min() > -1e-9
        assert times[0] == 0.0
        assert times[-1] == pytest.approx(voiced_end(samples, piper.sample_rate), abs=0.1)

    async def test_a_word_before_a_pause_ends_where_the_quiet_begins(self, piper: Piper) -> None:
        samples, words, _ = await speak(piper, clause_of("Bananas, oranges, potatoes."))
        rate = piper.sample_rate
        window = rate // 50
        level = np.array([np.abs(samples[i : i + window]).max() for i in range(0, len(samples), window)])
        quiet = np.flatnonzero((level[1:] < 0.02) & (level[:-1] >= 0.02)) * window / rate
        for word in words:
            assert np.abs(quiet - word.end).min() < 0.12, (word, quiet)

    async def test_whisper_hears_the_words_when_they_are_said_to_be(
        self, piper: Piper, model_path: Callable[[str], Path]
    ) -> None:
        from faster_whisper import WhisperModel

        text = "The capital of France is Paris and many people live near a big river."
        samples, words, _ = await speak(piper, clause_of(text))
        heard = Resampler(piper.sample_rate, 16_000).process(samples, last=True)
        model = WhisperModel(str(model_path("whisper-tiny.en")), device="cpu", compute_type="int8")
        segments, _info = model.transcribe(heard, word_timestamps=True, beam_size=1)
        found = {bare(w.word): w.end for segment in segments for w in segment.words or []}
        common = [(word, found[bare(word.text)]) for word in words if _once(word, words, found)]
        assert len(common) >= 8
        differences = [abs(word.end - end) for word, end in common]
        assert np.median(differences) < 0.12, differences
        assert max(differences) < 0.4, differences

    async def test_the_sound_begins_at_once_and_ends_with_the_chosen_pause(self, piper: Piper) -> None:
        settings = TtsSettings()
        for ends_sentence, pause in (
            (True, settings.sentence_pause_seconds),
            (False, settings.clause_pause_seconds),
        ):
            samples, _, _ = await speak(piper, clause_of("Hello there", ends_sentence=ends_sentence))
            rate = piper.sample_rate
            assert np.flatnonzero(np.abs(samples) > 0.01)[0] / rate < 0.05
            assert len(samples) / rate - voiced_end(samples, rate) == pytest.approx(pause, abs=0.02)
            assert np.abs(samples).max() <= 1.0
            assert samples.dtype == np.float32

    async def test_pieces_join_as_if_they_were_made_in_one_go(self, piper: Piper) -> None:
        voice = piper._voice
        assert voice is not None
        for text in ("I.", "Sure, yes.", "The capital of France is Paris.", SENTENCE):
            utterance = voice.utter(say(text), 0.0)
            made: list[Samples] = []
            while not utterance.ended:
                made.append(utterance.next_piece().samples)
            spoken, edge = np.concatenate(made), round(EDGE_SECONDS * piper.sample_rate)
            rendering = utterance._rendering
            whole = Rendering(rendering._parts, rendering.encoded).sound(rendering.frames)
            whole = whole[utterance._skipped :][: len(spoken)]
            assert np.abs(spoken - whole)[edge:-edge].max() < 1e-4  # rounding; 3e-4 with a frame less

    async def test_edges_are_faded_to_nothing(self, piper: Piper) -> None:
        samples, _, _ = await speak(piper, clause_of("Ask again"))
        assert abs(samples[0]) == 0.0
        assert np.abs(np.diff(samples[:20])).max() < 0.01

    @pytest.mark.parametrize("text", ["", "...", "—", "日本"])
    async def test_what_has_no_sound_makes_no_sound_and_no_error(self, piper: Piper, text: str) -> None:
        assert (await speak(piper, clause_of(text)))[2] == 0

    async def test_text_that_was_never_cleaned_does_no_harm(self, piper: Piper) -> None:
        samples, words, _ = await speak(piper, Clause(say("[[ kat ]] <b>. A. B. C! \0 ok", "xx"), True))
        assert len(samples) > 0
        assert words

    async def test_a_very_long_clause_is_said_in_parts_with_all_its_words(self, piper: Piper) -> None:
        text = " ".join(f"word{i % 10}" for i in range(60)) + " " + "x" * 350
        clause = clause_of(text)
        _, words, _ = await speak(piper, clause)
        *most, first, second = [word.text for word in words]
        assert [*most, first + second] == [word.written for word in clause.words]

    async def test_all_of_a_word_without_an_end_is_said(self, piper: Piper) -> None:
        digits = "3141592653" * 20
        short, _, _ = await speak(piper, Clause((SpokenWord(digits, digits),), True))
        long, words, _ = await speak(piper, Clause((SpokenWord(2 * digits, 2 * digits),), True))
        assert len(long) > 1.7 * len(short)
        assert [word.text for word in words] == [digits, digits]

    async def test_a_faster_voice_takes_less_time(self, piper: Piper) -> None:
        clause = clause_of("The quick brown fox jumps over the lazy dog again and again.")
        usual, _, _ = await speak(piper, clause)
        async with Piper(piper._path, TtsSettings(speed=2.0)) as fast:
            hurried, _, _ = await speak(fast, clause)
        assert 0.4 < len(hurried) / len(usual) < 0.7

    @pytest.mark.parametrize("speed", [0.7, 1.3, 1.5])
    async def test_a_chosen_speed_is_the_users_own_and_words_keep_to_it(
        self, piper: Piper, speed: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(piper._voice, "_noise_of_lengths", 0.0)  # a voice says nothing twice the same
        clause = clause_of("The quick brown fox jumps over the lazy dog again and again.")
        chosen = await piper.speaker(Manner(speed=speed))
        both = await asyncio.gather(speak(chosen, clause), speak(piper, clause))
        pause = TtsSettings().sentence_pause_seconds
        spoken = [len(samples) / piper.sample_rate - pause for samples, _, _ in both]
        assert spoken[1] / spoken[0] == pytest.approx(speed, rel=0.12)
        samples, words, _ = both[0]
        assert [word.text for word in words] == [word.written for word in clause.words]
        times = [time for word in words for time in (word.start, word.end)]
        assert np.diff(times).min() > -1e-9
        assert times[0] == 0.0
        assert times[-1] == pytest.approx(voiced_end(samples, piper.sample_rate), abs=0.1)
        for chosen_word, word in zip(words, both[1][1], strict=True):
            assert chosen_word.end / times[-1] == pytest.approx(word.end / both[1][1][-1].end, abs=0.04)

    async def test_closing_stops_the_work_at_the_next_piece(
        self, piper: Piper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[int] = []
        sound = Rendering.sound

        def counted(rendering: Rendering, until: int) -> Samples:
            made.append(rendering._done[-1])
            return sound(rendering, until)

        monkeypatch.setattr(Rendering, "sound", counted)
        async with aclosing(piper.synthesize(clause_of(SENTENCE))) as pieces:
            first = await anext(pieces)
        assert len(first.samples) < piper.sample_rate
        assert len((await speak(piper, clause_of("Yes.")))[0]) > 0
        assert made[:2] == [0, 0]

    async def test_two_sessions_take_turns(self, piper: Piper) -> None:
        order: list[str] = []

        async def talk(name: str) -> None:
            async for _ in piper.synthesize(clause_of(SENTENCE)):
                order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk("a"))
            group.create_task(talk("b"))
        assert order[:4] in (list("abab"), list("baba"), list("abba"), list("baab"))

    async def test_a_hanging_voice_fails_at_its_deadline(
        self, piper: Piper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        monkeypatch.setattr(piper, "_settings", TtsSettings(deadline_seconds=0.05))
        monkeypatch.setattr(piper._voice, "utter", lambda words, pause, speed: release.wait(10))
        try:
            with pytest.raises(StageError, match=r"longer than 0\.05 s") as caught:
                await speak(piper, clause_of("Hello."))
            assert caught.value.stage == "tts"
        finally:
            release.set()
        monkeypatch.undo()
        assert len((await speak(piper, clause_of("Hello.")))[0]) > 0

    async def test_a_failing_voice_says_why(self, piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(rendering: Rendering, until: int) -> Samples:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(Rendering, "sound", broken)
        with pytest.raises(StageError, match="the voice failed: out of memory"):
            await speak(piper, clause_of("Hello."))

    async def test_a_whole_reply_is_spoken_from_tokens(self, piper: Piper) -> None:
        cutter = ClauseCutter()
        tokens = [
            "**Sure",
            "!**",
            " The",
            " price",
            " is",
            " $",
            "29",
            ".",
            "50",
            " a",
            " kg",
            ".",
            " 😀",
            " Bye",
            ".",
        ]
        clauses = [clause for token in tokens for clause in cutter.push(token)] + cutter.finish()
        said: list[Speech] = [piece for clause in clauses async for piece in piper.synthesize(clause)]
        words = " ".join(word.text for piece in said for word in piece.words)
        assert words == "Sure! The price is $29.50 a kg. Bye."


@pytest.mark.models
class TestOtherVoices:
    async def test_one_is_loaded_once_when_it_is_wanted_and_the_usual_one_speaks_meanwhile(
        self, model_path: Callable[[str], Path], tmp_path: Path
    ) -> None:
        path = model_path(TtsSettings().model)
        async with Piper(path, TtsSettings(), {"joe2": copied(path, tmp_path, rate=24_000)}) as piper:
            assert piper.names == (TtsSettings().model, "joe2")
            loading = [asyncio.create_task(piper.speaker(Manner("joe2", speed))) for speed in (1.0, 1.5)]
            first = anext(aiter(piper.synthesize(clause_of(SENTENCE))))
            assert len((await first).samples) > 0
            assert not any(task.done() for task in loading)
            slow, fast = await asyncio.gather(*loading)
            assert slow._voice is fast._voice
            assert (slow.sample_rate, piper.sample_rate) == (24_000, 22_050)
            clause = clause_of("Hello there, how are you?")
            samples, words, _ = await speak(slow, clause)
            assert [word.text for word in words] == ["Hello", "there,", "how", "are", "you?"]
            assert words[-1].end == pytest.approx(voiced_end(samples, 24_000), abs=0.1)
            assert len(samples) > len((await speak(fast, clause))[0])
            again = await piper.speaker(Manner("joe2"))
            assert again._voice is slow._voice

    async def test_what_can_not_be_used_is_a_sentence_and_harms_nobody(
        self, model_path: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = model_path(TtsSettings().model)
        async with Piper(path, TtsSettings(), {"gone": tmp_path / "gone.onnx"}) as piper:
            with pytest.raises(StageError, match=r"^The voice gone can't be used; the server's log says why"):
                await piper.speaker(Manner("gone"))
            assert "gone.onnx is missing; `local-voice models pull gone`" in caplog.text
            with pytest.raises(StageError, match="not installed here"):
                await piper.speaker(Manner("../../etc/passwd"))
            assert len((await speak(piper, clause_of("Yes.")))[0]) > 0

    async def test_only_a_few_are_kept(self, model_path: Callable[[str], Path], tmp_path: Path) -> None:
        path = model_path(TtsSettings().model)
        others = {f"joe{n}": path for n in range(MOST_KEPT + 1)}
        async with Piper(path, TtsSettings(), others) as piper:
            for name in others:
                await piper.speaker(Manner(name))
            assert list(piper._kept) == list(others)[1:]


def copied(path: Path, folder: Path, rate: int) -> Path:
    """The same voice under another name, said to have another sample rate (it sounds higher then)."""
    copy = folder / "joe2.onnx"
    copy.symlink_to(path)
    settings = json.loads(path.with_name(path.name + ".json").read_text())
    settings["audio"]["sample_rate"] = rate
    copy.with_name("joe2.onnx.json").write_text(json.dumps(settings))
    return copy


def bare(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


def _once(word: Word, words: list[Word], found: dict[str, float]) -> bool:
    key = bare(word.text)
    return key in found and sum(bare(other.text) == key for other in words) == 1
