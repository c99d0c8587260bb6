"""Passes of the recogniser: begun ahead where the voice fades, told what was heard before."""

import asyncio

import pytest
from fakes import WINDOW, ScriptedLlm, ScriptedStt, conversation, of_kind, settle
from virtual_time import run

from local_voice.audio import SPEECH_RATE, Tape, silence
from local_voice.events import Message, PushToTalk
from local_voice.hearing import Hearing
from local_voice.settings import Settings, TurnSettings
from local_voice.stages import Notice, StageError

SPOKEN = "#" * 20
WINDOW_SECONDS = WINDOW / 16_000


def asked(session) -> list[Message]:
    return [message for message in session.conversation.history if message.role == "user"]


async def test_where_the_voice_fades_the_words_are_looked_for_before_the_pause():
    stt = ScriptedStt("What time is it?")
    async with conversation(stt, llm := ScriptedLlm("It is noon.")) as (user, _):
        await user.hear(SPOKEN + "~~")
        (sound,) = stt.sounds
        assert not llm.prompts, "nobody paused yet"
        await user.hear("~.")
        assert llm.prompts[0][-1] == ("user", "What time is it?")
        await user.hear("." * 12)
        assert stt.sounds == [sound]


async def test_a_voice_that_comes_back_is_heard_to_its_end():
    stt = ScriptedStt("What time", "What time is it?")
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, session):
        await user.hear(SPOKEN + "~~" + SPOKEN + "." * 12)
        assert len(stt.sounds) == 2
        assert stt.sounds[1] >= stt.sounds[0] + 20 * WINDOW_SECONDS
        assert (await user.listen(1.0)).any()
        assert [message.content for message in asked(session)] == ["What time is it?"]


async def test_every_fading_is_looked_at_once():
    stt = ScriptedStt("What", "What time", "What time is it?")
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, _):
        await user.hear(SPOKEN + "~~~" + SPOKEN + "~~~" + SPOKEN + "~~~" + "." * 12)
        assert len(stt.sounds) == 3


async def test_a_pass_that_is_not_wanted_any_more_is_cancelled():
    stt = ScriptedStt("What time is it?")
    stt.gate.clear()
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, session):
        await user.hear(SPOKEN + "~~#")
        stt.gate.set()
        await settle()
        assert stt.script == ["What time is it?"], "it was given up before it read its words"
        await user.hear(SPOKEN + "." * 12)
        assert (await user.listen(1.0)).any()
        assert [message.content for message in asked(session)] == ["What time is it?"]


@pytest.mark.parametrize(
    "error", [StageError("stt", "the recogniser broke"), ZeroDivisionError("nobody knows")]
)
async def test_a_pass_that_fails_ahead_is_done_again_at_the_pause(error, caplog):
    stt = ScriptedStt(error, "What time is it?")
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, session):
        await user.hear(SPOKEN + "~~~" + "." * 12)
        assert (await user.listen(1.0)).any()
        assert [message.content for message in asked(session)] == ["What time is it?"]
    assert "a pause will be read anew" in caplog.text


def test_one_who_hangs_up_while_their_voice_fades_leaves_nothing_behind():
    async def leave() -> None:
        stt = ScriptedStt("What time is it?")
        stt.gate.clear()
        async with conversation(stt, ScriptedLlm("It is noon.")) as (user, _):
            await user.hear(SPOKEN + "~~")
            assert stt.sounds
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() == before
        assert stt.script == ["What time is it?"]

    run(leave())


@pytest.mark.parametrize("soft", [0, 3])
def test_a_hanging_recogniser_is_given_up_after_one_deadline_wherever_its_pass_began(soft: int):
    async def hang() -> None:
        stt = ScriptedStt("late")
        stt.hangs = True
        async with conversation(stt, ScriptedLlm()) as (user, _):
            await user.hear(SPOKEN + "~" * soft + "." * 10)
            await asyncio.sleep(Settings().stt.deadline_seconds + 1.5)
            assert len(of_kind(Notice, user.notifications)) == 1

    run(hang())


SOFT = "~" * 16
"""0.5 s of speech that is far softer than what came before it."""


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(SPOKEN + SOFT + "...", id="loud, then soft"),
        pytest.param(SPOKEN + "..." + SOFT + "...", id="soft after a pause"),
        pytest.param(SPOKEN + "..." + "~~~~" + "...", id="one soft word after a pause"),
    ],
)
async def test_soft_words_are_heard_to_their_end(windows: str):
    stt = ScriptedStt(*["What time is it?"] * 4)
    async with conversation(stt, ScriptedLlm("It is noon.", "It is noon."), turn=0.1) as (user, _):
        await user.hear(windows)
        said = len(windows.rstrip(".")) * WINDOW_SECONDS
        assert stt.sounds[-1] >= said - 0.001


async def test_soft_words_before_the_talk_key_is_let_go_are_heard_to_their_end():
    stt = ScriptedStt(*["What time is it?"] * 3)
    settings = Settings(turn=TurnSettings(mode="push_to_talk"))
    async with conversation(stt, ScriptedLlm("It is noon."), settings=settings) as (user, _):
        user.on_control(PushToTalk(down=True))
        await user.hear(SPOKEN + "~" * 9)
        user.on_control(PushToTalk(down=False))
        await settle()
        assert stt.sounds[-1] >= 29 * WINDOW_SECONDS - 0.001


async def test_no_pass_begins_ahead_where_others_wait_or_of_long_sound():
    for waiting, spoken in ((1, 20), (0, 400)):
        stt = ScriptedStt("What time is it?")
        stt.waiting = waiting
        async with conversation(stt, ScriptedLlm("It is noon.")) as (user, _):
            await user.hear("#" * spoken + "~~")
            assert not stt.sounds
            await user.hear("..")
            assert len(stt.sounds) == 1


async def test_a_pause_without_length_begins_no_pass_at_the_first_word():
    stt = ScriptedStt("What time is it?")
    settings = Settings(turn=TurnSettings(pause_seconds=0.0))
    async with conversation(stt, ScriptedLlm("It is noon."), settings=settings) as (user, _):
        await user.hear(SPOKEN + ".")
        assert stt.sounds[-1] >= 20 * WINDOW_SECONDS - 0.001


async def test_a_pass_is_told_what_was_heard_of_the_same_turn_and_of_no_other():
    stt = ScriptedStt("What", "What time is it?", "And where?")
    async with conversation(stt, ScriptedLlm("Yes?", "It is noon.", "In Rome.")) as (user, _):
        await user.hear("#" * 14 + "." * 5 + "#" * 14 + "." * 12)
        await user.listen(1.0)
        turn = stt.drafts.copy()
        assert turn[:2] == ["", "What"]
        assert all(turn[1:])
        await user.ask()
        assert stt.drafts[len(turn)] == ""


async def test_a_pass_that_hears_nothing_does_not_undo_what_was_heard():
    stt, tape = ScriptedStt("", "partial of a question"), Tape(60.0, SPEECH_RATE)
    tape.push(silence(3.0, SPEECH_RATE))
    hearing = Hearing(stt, tape, 5.0)
    await hearing.words(0.0, 1.0, final=False)
    assert (await hearing.words(0.0, 2.0, final=True)).text == ""
    await hearing.words(0.0, 2.5, final=True)
    assert stt.drafts == ["", "partial", "partial"]
