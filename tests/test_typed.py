"""Written messages, a chosen mode, a conversation that goes on after a broken connection: as tables."""

from conversation_table import Table, kinds, only, replying
from fakes import ScriptedLlm, ScriptedStt, conversation

from local_voice.events import (
    ChooseMode,
    Draft,
    FinalTranscript,
    Interrupt,
    Message,
    PlaybackEnded,
    PlaybackStarted,
    PushToTalk,
    Release,
    Resumed,
    Say,
    StopSpeaking,
    Transcribe,
    Typed,
    Withdraw,
)
from local_voice.settings import Settings
from local_voice.stages import Caption, Mode
from local_voice.trace import TraceWriter, Veil, replay


def asked(commands) -> str:
    (draft,) = only(Draft, commands)
    return draft.messages[-1].content


def test_a_written_message_is_answered_at_once():
    table = Table()
    table.hear("." * 10)
    assert table.tell(Typed("What time is it?")) == [
        Draft(1, 0, (Message("user", "What time is it?"),)),
        Release(1, 0),
    ]
    assert table.conversation.state == "thinking"
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "Noon.", interrupted=False))
    assert [message.content for message in table.conversation.history] == ["What time is it?", "Noon."]


def test_an_empty_message_changes_nothing():
    table = replying()
    assert table.tell(Typed("  ")) == []
    assert table.conversation.state == "speaking"


def test_what_a_recogniser_might_invent_is_believed_when_it_is_written():
    table = Table()
    assert asked(table.tell(Typed("Thank you."))) == "Thank you."


def test_a_written_message_interrupts_the_reply_and_is_answered_after_its_heard_words():
    table = replying()
    assert kinds(table.tell(Typed("And the queen?"))) == [Interrupt]
    commands = table.tell(PlaybackEnded(1, 0, "Once upon", interrupted=True))
    assert kinds(commands) == [Draft, Release]
    assert commands[0].messages[-2:] == (
        Message("assistant", "Once upon", interrupted=True),
        Message("user", "And the queen?"),
    )


def test_a_written_stop_only_silences():
    table = replying()
    assert kinds(table.tell(Typed("Stop."))) == [Interrupt]
    assert table.tell(PlaybackEnded(1, 0, "Once upon", interrupted=True)) == []
    assert table.conversation.state == "listening"


def test_a_message_takes_the_place_of_what_was_being_said():
    table = Table()
    table.hear("#" * 20 + "...")
    spoken = table.key()
    assert kinds(table.tell(FinalTranscript(*spoken, "What is"))) == [Draft]
    assert kinds(table.tell(Typed("What is love?"))) == [Withdraw, Draft, Release]
    assert table.tell(FinalTranscript(*spoken, "What is that")) == []
    assert [message.content for message in table.conversation.history] == ["What is love?"]


def test_a_message_under_a_sound_that_paused_the_reply_cuts_the_reply():
    table = replying()
    table.hear("#" * 10)
    assert table.conversation.tentative
    assert kinds(table.tell(Typed("And the queen?"))) == [Interrupt]
    assert not table.conversation.tentative
    assert asked(table.tell(PlaybackEnded(1, 0, "Once", interrupted=True))) == "And the queen?"


def test_speaking_on_after_writing_adds_to_the_message():
    table = replying()
    table.tell(Typed("And the queen?"))
    table.hear("#" * 20)  # before the reply's end has been told
    table.tell(PlaybackEnded(1, 0, "Once upon", interrupted=True))
    table.hear("...")
    commands = table.tell(FinalTranscript(*table.key(), "Was she old?"))
    assert asked(commands) == "And the queen? Was she old?"


def test_a_written_message_needs_no_wake_phrase_and_no_talk_key():
    table = Table(wake_phrase="computer", mode="push_to_talk")
    assert asked(table.tell(Typed("What time is it?"))) == "What time is it?"


def test_a_message_written_while_the_talk_key_is_held_waits_for_the_key():
    table = Table(mode="push_to_talk")
    table.tell(PushToTalk(down=True))
    assert kinds(table.tell(Typed("Hello."))) == [Draft]
    assert kinds(table.tell(PushToTalk(down=False))) == [Release]


def test_the_mode_can_be_changed_while_talking():
    table = Table()
    table.tell(ChooseMode("push_to_talk"))
    assert table.hear("#" * 40) == []
    table.tell(ChooseMode("full_duplex"))
    assert kinds(table.hear("#" * 20 + "...")) == [Transcribe, Transcribe]
    table = replying()
    table.tell(ChooseMode("half_duplex"))
    assert table.hear("#" * 40) == []
    assert kinds(table.tell(StopSpeaking())) == [Interrupt]


def test_a_resumed_conversation_remembers_what_was_said_before():
    before = (Message("user", "I am Ann."), Message("assistant", "Hello A", interrupted=True))
    table = Table()
    assert table.tell(Resumed(before)) == []
    table.ask("Who am I?")
    (draft,) = only(Draft, table.commands)
    assert draft.messages == (*before, Message("user", "Who am I?"))


def test_a_question_whose_answer_broke_off_with_the_connection_is_answered_by_the_next_one():
    table = Table()
    table.ask("Who am I?")
    table.tell(PlaybackEnded(1, 0, "", interrupted=True))
    assert table.conversation.history == [Message("user", "Who am I?", interrupted=True)]
    again = Table()
    commands = again.tell(Resumed((Message("user", "I am Ann."), *table.conversation.history)))
    assert kinds(commands) == [Draft, Release]
    assert again.conversation.history == [Message("user", "I am Ann."), Message("user", "Who am I?")]


def test_a_question_whose_answer_was_silenced_is_not_answered_by_the_next_connection():
    table = Table()
    table.ask("Who am I?")
    table.tell(StopSpeaking())
    table.tell(PlaybackEnded(1, 0, "", interrupted=True))
    assert Table().tell(Resumed(tuple(table.conversation.history))) == []


def test_are_you_still_there_leaves_no_question_to_the_next_connection():
    table = Table(idle_seconds=1.0)
    table.tell(Resumed((Message("user", "Stop."),)))
    assert kinds(table.hear("." * 40)) == [Say]
    table.tell(PlaybackEnded(*table.key(), "", interrupted=True))
    assert table.conversation.history == [Message("user", "Stop.")]


def test_nothing_said_before_is_nothing_to_answer():
    assert Table().tell(Resumed(())) == []


async def test_a_user_who_comes_back_hears_the_answer_that_was_being_thought_out():
    async with conversation(ScriptedStt("Who am I?"), ScriptedLlm("!|Ann.")) as (user, left):
        await user.ask()
        await user.listen(1.0)
        assert left.conversation.state == "thinking"
    before = tuple(left.conversation.history)
    async with conversation(ScriptedStt(), ScriptedLlm("Ann."), before=before) as (user, session):
        await user.listen(2.0)
        assert [message.content for message in session.conversation.history] == ["Who am I?", "Ann."]
    assert not [shown for shown in user.notifications if isinstance(shown, Caption) and shown.role == "user"]


async def test_a_session_answers_a_written_message_and_times_it_from_there():
    llm = ScriptedLlm("It is noon.")
    async with conversation(ScriptedStt(), llm) as (user, session):
        user.on_control(ChooseMode("half_duplex"))
        user.on_control(Typed("What time is it?"))
        await user.listen(2.0)
        assert [message.content for message in session.conversation.history] == [
            "What time is it?",
            "It is noon.",
        ]
        assert 0.0 <= session.times.answered.since("last_voice")["playback"] < 2.0
    assert Mode("half_duplex") in user.notifications
    assert Caption("user", 1, "What time is it?", final=True) in user.notifications


async def test_what_was_heard_of_a_reply_is_remembered_when_the_user_goes_in_the_middle():
    llm = ScriptedLlm("One two three four five six seven eight nine ten.")
    async with conversation(ScriptedStt("Count."), llm) as (user, session):
        await user.ask()
        await user.listen(0.55)
        assert session.conversation.state == "speaking"
    assert session.conversation.history[-1] == Message(
        "assistant", "One two three four five", interrupted=True
    )


def test_in_a_trace_for_others_what_was_written_and_said_before_is_hidden():
    veil = Veil("en")
    assert veil.event(Typed("Ask Rosalind to stop.")) == Typed("Ask Qaa to stop.")
    before = Resumed((Message("user", "Rosalind"), Message("assistant", "Ask Rosalind", interrupted=True)))
    assert veil.event(before).messages == (
        Message("user", "Qaa"),
        Message("assistant", "Ask Qaa", interrupted=True),
    )


async def test_a_conversation_that_was_resumed_and_written_in_is_replayed(tmp_path):
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, Settings()) as trace:
        async with conversation(ScriptedStt(), ScriptedLlm("Fine."), trace=trace) as (user, session):
            session._tell(Resumed((Message("user", "I am Ann."),)))
            user.on_control(ChooseMode("half_duplex"))
            user.on_control(Typed("How are you?"))
            await user.listen(1.0)
    assert replay(path) == []
    assert "I am Ann." in path.read_text()
