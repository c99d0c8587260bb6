"""Passes of the recogniser: begun ahead where the voice fades, told what was heard before."""

import pytest
from fakes import WINDOW, ScriptedLlm, ScriptedStt, conversation, settle

from local_voice.events import Message
from local_voice.stages import StageError

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
    assert "the words are read once more" in caplog.text


async def test_one_who_hangs_up_while_their_voice_fades_leaves_nothing_behind():
    stt = ScriptedStt("What time is it?")
    stt.gate.clear()
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, _):
        await user.hear(SPOKEN + "~~")
    assert stt.script == ["What time is it?"]


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
