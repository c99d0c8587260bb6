"""The carrier on scripted engines: real judgement, real playout, no model and no clock."""

import asyncio

import numpy as np
import pytest
from fakes import RATE, ScriptedLlm, ScriptedStt, conversation, of_kind, settle
from virtual_time import run

from local_voice.events import FinalTranscript, Message, Release
from local_voice.playout import FADE_SECONDS
from local_voice.sentences import APOLOGIES
from local_voice.settings import Settings
from local_voice.stages import Caption, Notice, StageError, Status, Timing


async def test_a_question_is_answered_and_remembered():
    llm = ScriptedLlm("It is |noon.")
    async with conversation(ScriptedStt("What time is it?"), llm) as (user, session):
        await user.ask()
        played = await user.listen(1.0)
        assert np.count_nonzero(played) / RATE == pytest.approx(0.3, abs=0.02)
        assert session.conversation.history == [
            Message("user", "What time is it?"),
            Message("assistant", "It is noon."),
        ]
        states = [status.state for status in of_kind(Status, user.notifications)]
        assert states == ["listening", "hearing", "thinking", "speaking", "listening"]
        assert of_kind(Caption, user.notifications)[-1] == Caption("assistant", 1, "It is noon.", final=True)
        assert len(of_kind(Timing, user.notifications)) == 1


async def test_a_cough_before_the_first_sound_does_not_make_the_reply_seem_sooner():
    llm = ScriptedLlm("!|It is noon.")
    async with conversation(ScriptedStt("What time is it?", ""), llm) as (user, session):
        session.times._clock = lambda: session._tape.seconds
        await user.ask()
        await user.hear("." * 10 + "#" * 3 + "." * 20)
        said = session._tape.seconds
        llm.gate.set()
        await settle()
        assert (await user.listen(0.5)).any()
        (timing,) = of_kind(Timing, user.notifications)
        assert timing.seconds["playback"] == pytest.approx(said - 20 * 0.032, abs=0.07)
        assert timing.seconds["decided"] < 20 * 0.032


async def test_an_observer_sees_the_decisions_and_what_the_user_is_shown():
    class Witness:
        def __init__(self) -> None:
            self.commands: list[object] = []
            self.shown: list[object] = []

        def write(self, now, event, commands) -> None:
            self.commands += commands

        def notify(self, notification) -> None:
            self.shown.append(notification)

    witness = Witness()
    llm = ScriptedLlm("It is |noon.")
    async with conversation(ScriptedStt("What time is it?"), llm, observer=witness) as (user, _):
        await user.ask()
        await user.listen(1.0)
        assert len(of_kind(Release, witness.commands)) == 1
        assert witness.shown == user.notifications


async def test_a_transcript_that_comes_after_the_turn_is_over_is_still_answered():
    stt = ScriptedStt("What time is it?")
    stt.gate.clear()
    async with conversation(stt, ScriptedLlm("It is noon.")) as (user, session):
        await user.hear("#" * 20 + "." * 30)
        assert session.conversation.state == "hearing"
        stt.gate.set()
        await settle()
        assert (await user.listen(1.0)).any()
        assert session.conversation.history[-1].content == "It is noon."


async def test_the_second_turn_is_asked_with_the_first():
    llm = ScriptedLlm("Hello Ann.", "Your name is Ann.")
    async with conversation(ScriptedStt("I am Ann.", "Who am I?"), llm) as (user, _):
        await user.ask()
        await user.listen(1.0)
        await user.ask()
        assert llm.prompts[1][1:] == [
            ("user", "I am Ann."),
            ("assistant", "Hello Ann."),
            ("user", "Who am I?"),
        ]


async def test_the_first_clause_is_heard_while_the_model_still_writes():
    llm = ScriptedLlm("The first sentence is here. |And |!|a second one.")
    async with conversation(ScriptedStt("Go on."), llm) as (user, session):
        await user.ask()
        assert np.count_nonzero(await user.listen(1.0)) > 0
        assert session.conversation.state == "speaking"
        llm.gate.set()
        await user.listen(1.0)
        assert session.conversation.history[-1].content == "The first sentence is here. And a second one."


async def test_nothing_is_heard_while_the_user_may_go_on():
    async with conversation(ScriptedStt("I would like"), ScriptedLlm("Yes?"), turn=0.1) as (user, session):
        await user.hear("#" * 20 + "." * 20)
        assert not (await user.listen(0.5)).any()
        assert session.conversation.state == "hearing"


async def test_going_on_drops_the_draft_unheard_and_stops_the_model():
    llm = ScriptedLlm("Wrong |!|answer.", "Right answer.")
    async with conversation(ScriptedStt("I would", "I would like tea."), llm, turn=0.1) as (user, session):
        await user.hear("#" * 20 + "." * 10 + "#" * 20)
        assert llm.running == 0
        assert llm.aborted == 1
        await user.hear("." * 50)
        await user.listen(1.0)
        assert [m.content for m in session.conversation.history] == ["I would like tea.", "Right answer."]


async def test_an_interruption_silences_the_reply_and_keeps_the_heard_words():
    llm = ScriptedLlm(" ".join(f"word{i}" for i in range(30)) + ". |And |!|never", "Fine.")
    async with conversation(ScriptedStt("Count.", "And now letters."), llm) as (user, session):
        await user.ask()
        for _ in range(25):
            await user.listen(0.04)
            await user.hear(".")
        await user.hear("#" * 6)
        assert not (await user.listen(0.02))[round(FADE_SECONDS * RATE) :].any()
        assert llm.running == 1
        await user.hear("#" * 6 + "..")
        assert llm.running == 0
        heard = session.conversation.history[1]
        assert heard.interrupted
        assert heard.content == " ".join(f"word{i}" for i in range(10))
        await user.hear("." * 12)
        await user.listen(1.0)
        assert llm.prompts[1][2] == ("assistant", heard.content + " —")


async def test_a_sound_that_was_no_interruption_costs_the_reply_nothing():
    llm = ScriptedLlm(" ".join(f"word{i}" for i in range(30)) + ".")
    async with conversation(ScriptedStt("Count.", "Mm-hm."), llm) as (user, session):
        await user.ask()
        played = [await user.listen(1.0)]
        await user.hear("." * 30 + "#" * 8 + "..")
        played.append(await user.listen(4.0))
        loud = np.concatenate(played) > 0.4
        assert np.count_nonzero(loud) / RATE == pytest.approx(3.0, abs=2 * FADE_SECONDS)
        assert [m.content.split()[-1] for m in session.conversation.history] == ["Count.", "word29."]
        assert "Mm-hm." not in [caption.text for caption in of_kind(Caption, user.notifications)]


async def test_the_words_of_an_interruption_are_shown_once_they_are_known_to_be_one():
    llm = ScriptedLlm(" ".join(f"word{i}" for i in range(30)) + ".", "Fine.")
    async with conversation(ScriptedStt("Count.", "And now letters."), llm) as (user, _):
        await user.ask()
        await user.hear("." * 30)
        await user.listen(1.0)
        await user.hear("." * 30 + "#" * 12 + ".." + "." * 17)
        shown = [(c.text, c.final) for c in of_kind(Caption, user.notifications) if c.role == "user"]
        assert shown[-2:] == [("And now letters.", False), ("And now letters.", True)]


@pytest.mark.parametrize(
    ("stt", "llm", "apology"),
    [
        ((StageError("stt", "broken"), "Again."), ("Yes.",), APOLOGIES["stt"]),
        (("Hello.", "Again."), ("X", "Yes."), APOLOGIES["llm"]),
        (("Hello.", "Again."), ("", "Yes."), APOLOGIES["llm"]),
    ],
)
async def test_a_failing_stage_is_heard_as_an_apology_and_the_next_turn_works(stt, llm, apology):
    async with conversation(ScriptedStt(*stt), ScriptedLlm(*llm)) as (user, session):
        await user.ask()
        await user.hear("." * 60)
        assert (await user.listen(3.0)).any()
        assert of_kind(Caption, user.notifications)[-1].text == apology
        assert session.conversation.history == []
        assert of_kind(Notice, user.notifications)
        await user.ask()
        await user.listen(3.0)
        assert session.conversation.history[-1] == Message("assistant", "Yes.")


async def test_a_model_that_dies_midway_is_heard_until_there_and_then_apologises():
    llm = ScriptedLlm("This much is known. |And then |X")
    async with conversation(ScriptedStt("Tell me."), llm) as (user, session):
        await user.ask()
        played = await user.listen(5.0)
        words = len(f"This much is known. {APOLOGIES['llm']}".split())
        assert np.count_nonzero(played) / RATE == pytest.approx(words * 0.1, abs=0.02)
        assert session.conversation.history[-1].content == "This much is known."


def test_a_hanging_recogniser_is_given_up_after_its_deadline():
    async def hang() -> None:
        stt = ScriptedStt("late")
        stt.hangs = True
        async with conversation(stt, ScriptedLlm()) as (user, _):
            await user.hear("#" * 20 + "." * 60)
            assert of_kind(Notice, user.notifications) == []
            await asyncio.sleep(Settings().stt.deadline_seconds + 3.0)
            assert len(of_kind(Notice, user.notifications)) == 1
            await user.hear(".")
            assert (await user.listen(3.0)).any()
            assert of_kind(Caption, user.notifications)[-1].text == APOLOGIES["stt"]

    run(hang())


async def test_leaving_in_the_middle_of_everything_ends_the_session():
    llm = ScriptedLlm("Long |!|story.")
    async with conversation(ScriptedStt("Tell me."), llm) as (user, _):
        await user.ask()
        assert llm.running == 1
    await settle()
    assert llm.running == 0


async def test_what_an_engine_says_after_the_user_has_left_starts_nothing():
    stt, llm = ScriptedStt("Tell me."), ScriptedLlm()
    stt.gate.clear()
    async with conversation(stt, llm) as (user, session):
        await user.hear("#" * 20 + "...")
    session._tell(FinalTranscript(1, 0, "Tell me."))
    await settle()
    assert llm.prompts == []


async def test_partial_words_are_shown_while_the_user_speaks():
    async with conversation(ScriptedStt("Done."), ScriptedLlm("Yes.")) as (user, _):
        await user.hear("#" * 40)
        captions = of_kind(Caption, user.notifications)
        assert captions[0] == Caption("user", 1, "partial", final=False)


async def test_the_words_of_a_pause_are_final_only_when_the_turn_is_over():
    stt = ScriptedStt("I would", "I would like tea.")
    async with conversation(stt, ScriptedLlm("No.", "Sure."), turn=0.1) as (user, _):
        await user.hear("#" * 20 + "." * 10 + "#" * 20 + "." * 50)
        texts = [(c.text, c.final) for c in of_kind(Caption, user.notifications) if c.text != "partial"]
        assert texts == [("I would", False), ("I would like tea.", False), ("I would like tea.", True)]


async def test_a_message_is_counted_once_however_long_the_conversation():
    """Counting takes the loop, on which everybody's sound is paced."""

    class Counts(ScriptedLlm):
        counted = 0

        def count_tokens(self, text: str) -> int:
            self.counted += 1
            return 1

    llm = Counts("Fine.", "Good.")
    async with conversation(ScriptedStt("How are you?", "And you?"), llm) as (user, session):
        session.conversation.history[:] = [Message("user", f"Number {n}.") for n in range(500)]
        await user.ask()
        await user.listen(1.0)
        before = llm.counted
        await user.ask()
        await user.listen(1.0)
        assert llm.counted - before <= 4
