"""Voice and speed, chosen by one user: what only they hear, and what the history then holds."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import (
    RATE,
    HandTransport,
    LevelVad,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTurn,
    ToneTts,
    of_kind,
    settle,
    tone,
)

from local_voice import assistant
from local_voice.assistant import _other_voices
from local_voice.engines.piper import Piper
from local_voice.events import StopSpeaking
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import Settings
from local_voice.stages import Caption, Manner, Notice, Speech, StageError, StartupError, Voices
from local_voice.trace import TraceWriter, replay
from local_voice.transcript import Word

LOUDNESS = {"joe": 0.5, "amy": 0.25, "tim": 0.125}
RATES = {"joe": RATE, "amy": RATE, "tim": 24_000}
WORD_SECONDS = 0.1


class Tone:
    """A tenth of a second of tone for each word at speed 1, as loud as the voice is called."""

    def __init__(self, name: str, speed: float) -> None:
        self.sample_rate = RATES[name]
        self._level = LOUDNESS[name]
        self._word = WORD_SECONDS / speed

    async def synthesize(self, clause):
        await asyncio.sleep(0)
        words = clause.written.split()
        ends = [(n + 1) * self._word for n in range(len(words))]
        yield Speech(
            np.full(round(ends[-1] * self.sample_rate), self._level, np.float32),
            tuple(Word(word, end - self._word, end) for word, end in zip(words, ends, strict=True)),
        )


class Choir(ToneTts):
    """Voices that are there at once, but for those that `gates` hold back; "bad" fails."""

    names = ("joe", "amy", "tim", "bad")

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}

    async def speaker(self, manner: Manner) -> Tone:
        name = manner.voice or "joe"
        if name in self.gates:
            await self.gates[name].wait()
        if name == "bad":
            raise StageError("tts", "The voice bad can't be used.")
        return Tone(name, manner.speed or 1.0)


def engines(tts, *replies: str, speakers=None) -> Engines:
    stt = ScriptedStt(*["Go on, please."] * 9)
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    return Engines(LevelVad(), ScriptedTurn(), stt, ScriptedLlm(*replies), tts, apologies, speakers)


@asynccontextmanager
async def talking(shared: Engines, trace=None):
    """A session on engines that others may use too."""
    user = HandTransport()
    session = Session(shared, Settings(), user, trace=trace, clock=lambda: 0.0)
    running = asyncio.create_task(session.run())
    await settle()
    try:
        yield user, session
    finally:
        user.leave()
        await running


async def press(user: HandTransport, control) -> None:
    user.on_control(control)
    await settle()


async def reply(user: HandTransport, seconds: float = 3.0) -> tuple[float, float]:
    """Ask and listen: seconds of sound that the reply had, and how loud it was in the middle."""
    await user.ask()
    sound = np.abs(await user.listen(seconds))
    await user.hear("." * 10)
    loud = np.flatnonzero(sound > 0.01)
    return len(loud) / RATE, float(np.median(sound[loud]))


TEN = "one two three four five six seven eight nine ten."


async def test_what_one_user_chose_only_they_hear():
    choir = Choir()
    shared = engines(choir, *[TEN] * 6, speakers=choir)
    async with talking(shared) as (anna, one), talking(shared) as (ben, two):
        assert await reply(anna) == pytest.approx((1.0, 0.5), abs=0.02)
        await press(anna, Manner("amy", 2.0))
        assert await reply(anna) == pytest.approx((0.5, 0.25), abs=0.02)
        assert await reply(ben) == pytest.approx((1.0, 0.5), abs=0.02)
        await press(ben, Manner(speed=0.8))
        assert await reply(ben) == pytest.approx((1.25, 0.5), abs=0.02)
        assert await reply(anna) == pytest.approx((0.5, 0.25), abs=0.02)
        await press(anna, Manner())
        assert await reply(anna) == pytest.approx((1.0, 0.5), abs=0.02)
    for session in (one, two):
        assert {m.content for m in session.conversation.history if m.role == "assistant"} == {TEN}


@pytest.mark.parametrize("speed", [0.7, 1.0, 1.5, 2.0])
async def test_the_history_holds_the_words_that_were_heard_at_any_speed(speed):
    choir = Choir()
    shared = engines(choir, TEN, speakers=choir)
    async with talking(shared) as (user, session):
        await press(user, Manner(speed=speed))
        await user.ask()
        # Of the sixth word a half is heard.
        await user.listen(round(5.5 * WORD_SECONDS / speed / 0.02) * 0.02)
        await press(user, StopSpeaking())
        await user.listen(0.1)
    (heard,) = [m for m in session.conversation.history if m.role == "assistant"]
    assert heard.content == "one two three four five"
    assert heard.interrupted
    assert of_kind(Caption, user.notifications)[-1].text == heard.content


async def test_a_speed_counts_for_what_is_spoken_from_then_on():
    choir = Choir()
    shared = engines(choir, "One two three four five. Six |!|seven eight nine ten.", speakers=choir)
    async with talking(shared) as (user, session):
        await user.ask()
        await press(user, Manner("amy", 2.0))
        shared.llm.gate.set()
        sound = np.abs(await user.listen(2.0))
    assert np.count_nonzero(np.isclose(sound, 0.5)) / RATE == pytest.approx(0.5, abs=0.02)
    assert np.count_nonzero(np.isclose(sound, 0.25)) / RATE == pytest.approx(0.25, abs=0.02)
    assert session.conversation.history[-1].content == "One two three four five. Six seven eight nine ten."


async def test_a_voice_at_another_rate_waits_for_the_next_reply_and_keeps_its_pace():
    choir = Choir()
    shared = engines(choir, "One two three four five. Six |!|seven eight nine ten.", TEN, speakers=choir)
    async with talking(shared) as (user, session):
        await user.ask()
        await press(user, Manner("tim"))
        shared.llm.gate.set()
        sound = np.abs(await user.listen(2.0))
        assert np.count_nonzero(np.isclose(sound, 0.5)) / RATE == pytest.approx(1.0, abs=0.02)
        await user.hear("." * 10)
        assert await reply(user) == pytest.approx((1.0, 0.125), abs=0.02)
    assert session.conversation.history[-1].content == TEN


async def test_a_voice_that_can_not_be_used_is_said_and_the_one_before_stays():
    choir = Choir()
    shared = engines(choir, *[TEN] * 2, speakers=choir)
    async with talking(shared) as (user, _):
        await press(user, Manner("amy", 2.0))
        user.notifications.clear()
        await press(user, Manner("bad"))
        assert user.notifications == [Notice("The voice bad can't be used."), Voices(Choir.names, "amy", 2.0)]
        assert await reply(user) == pytest.approx((0.5, 0.25), abs=0.02)


async def test_while_a_voice_is_loaded_the_one_before_speaks_and_the_last_choice_wins():
    choir = Choir()
    choir.gates["amy"] = asyncio.Event()
    shared = engines(choir, *[TEN] * 2, speakers=choir)
    async with talking(shared) as (user, _):
        await press(user, Manner("amy"))
        assert await reply(user) == pytest.approx((1.0, 0.5), abs=0.02)
        await press(user, Manner("tim"))
        choir.gates["amy"].set()
        await settle()
        assert [voices.chosen for voices in of_kind(Voices, user.notifications)] == ["joe", "tim"]
        assert await reply(user) == pytest.approx((1.0, 0.125), abs=0.02)


async def test_who_leaves_while_a_voice_is_loaded_is_not_waited_for():
    choir = Choir()
    choir.gates["amy"] = asyncio.Event()
    async with talking(engines(choir, speakers=choir)) as (user, _):
        await press(user, Manner("amy"))
    assert [voices.chosen for voices in of_kind(Voices, user.notifications)] == ["joe"]


async def test_where_there_is_no_choice_none_is_offered_and_a_press_is_answered():
    async with talking(engines(ToneTts(), TEN)) as (user, _):
        assert of_kind(Voices, user.notifications) == []
        await press(user, Manner("amy"))
        assert of_kind(Notice, user.notifications) == [Notice("This assistant has no choice of voices.")]
        assert await reply(user) == pytest.approx((1.0, 0.5), abs=0.02)


async def test_the_judgement_and_its_trace_know_nothing_of_it(tmp_path):
    choir = Choir()
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, Settings()) as trace:
        async with talking(engines(choir, *[TEN] * 2, speakers=choir), trace) as (user, _):
            await press(user, Manner("amy", 1.5))
            await reply(user)
            await press(user, Manner("bad"))
            await reply(user)
    assert replay(path) == []
    assert "Manner" not in path.read_text()


def test_the_voices_of_the_page_are_those_that_are_installed_and_whole(caplog):
    def entry(name: str, role: str = "tts", installed: bool = True) -> SimpleNamespace:
        return SimpleNamespace(name=name, role=role, installed=installed)

    class Store:
        def list(self):
            return (
                entry("whisper", role="stt"),
                entry("joe"),
                entry("amy"),
                entry("tim", installed=False),
                entry("broken"),
            )

        def path(self, name: str) -> Path:
            if name == "broken":
                raise StartupError("broken.onnx is damaged.")
            return Path(f"/{name}.onnx")

    assert _other_voices(Store(), "joe") == {"amy": Path("/amy.onnx")}
    assert "won't offer the voice broken: broken.onnx is damaged" in caplog.text


def test_a_voice_that_was_pulled_since_the_start_can_be_chosen_once_it_is_looked_for(monkeypatch):
    found = {"amy": Path("/amy.onnx")}
    monkeypatch.setattr(assistant, "_other_voices", lambda store, usual: found)
    settings = Settings()
    one = assistant.Assistant(settings)
    assert one.find_voices() == ()  # not loaded yet
    one._voices = Piper(Path("/joe.onnx"), settings.tts, found)
    assert one.find_voices() == ()
    found["tim"] = Path("/tim.onnx")
    assert one.find_voices() == ("tim",)
    assert one._voices.names == (settings.tts.model, "amy", "tim")
