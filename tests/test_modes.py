"""Half duplex, push-to-talk, the wake phrase, the silent line: as tables of events."""

from conversation_table import Table, kinds, only

from local_voice.events import (
    Draft,
    FinalTranscript,
    Interrupt,
    Message,
    PlaybackEnded,
    PlaybackStarted,
    PushToTalk,
    Release,
    Say,
    StopSpeaking,
    Transcribe,
)
from local_voice.sentences import STILL_THERE, YES


def answered(table: Table, text: str) -> None:
    """The reply that has the floor is heard to its end."""
    table.tell(PlaybackStarted(*table.key()))
    table.tell(PlaybackEnded(*table.key(), text, interrupted=False))


def test_in_half_duplex_nothing_is_heard_while_the_assistant_speaks():
    table = Table(mode="half_duplex")
    table.ask("Tell me a story.")
    table.tell(PlaybackStarted(1, 0))
    assert table.hear("#" * 40) == []
    assert table.tell(StopSpeaking()) == [Interrupt(1, 0)]
    table.tell(PlaybackEnded(1, 0, "Once", interrupted=True))
    assert kinds(table.hear("#" * 10 + "..")) == [Transcribe]


def test_push_to_talk_listens_while_the_key_is_down_and_answers_when_it_is_let_go():
    table = Table(mode="push_to_talk")
    assert table.hear("#" * 40) == []
    assert table.tell(PushToTalk(down=True)) == []
    table.hear("#" * 10 + "." * 100 + "#" * 10)
    (transcribe,) = table.tell(PushToTalk(down=False))
    assert transcribe.final
    assert kinds(table.tell(FinalTranscript(*table.key(), "Hello."))) == [Draft, Release]


def test_the_talk_key_interrupts():
    table = Table(mode="push_to_talk")
    table.tell(PushToTalk(down=True))
    table.hear("#" * 10)
    table.tell(PushToTalk(down=False))
    table.tell(FinalTranscript(*table.key(), "Hello."))
    key = table.key()
    table.tell(PlaybackStarted(*key))
    assert table.tell(PushToTalk(down=True)) == [Interrupt(*key)]
    table.tell(PlaybackEnded(*key, "Hi", interrupted=True))
    assert table.conversation.state == "hearing"


def test_the_button_silences_the_reply_and_keeps_the_heard_words():
    table = Table()
    table.ask("Tell me a story.")
    table.tell(PlaybackStarted(1, 0))
    assert table.tell(StopSpeaking()) == [Interrupt(1, 0)]
    assert table.tell(StopSpeaking()) == []
    table.tell(PlaybackEnded(1, 0, "Once upon", interrupted=True))
    assert table.conversation.history[-1] == Message("assistant", "Once upon", interrupted=True)
    assert table.conversation.state == "listening"


def test_with_a_wake_phrase_other_talk_is_ignored_until_it_is_said_and_then_for_a_while_not_needed():
    table = Table(wake_phrase="computer")
    assert only(Draft, table.ask("We should buy some milk.")) == []
    assert table.conversation.history == []
    (draft,) = only(Draft, table.ask("Computer, what time is it?"))
    assert draft.messages[-1].content.lower().startswith("what time")
    answered(table, "Noon.")
    assert only(Draft, table.ask("And in London?"))
    answered(table, "Eleven.")
    table.hear("." * 300)
    assert only(Draft, table.ask("We should buy some bread.")) == []


def test_the_wake_phrase_alone_is_answered():
    table = Table(wake_phrase="computer")
    assert only(Say, table.ask("Computer.")) == [Say(2, 0, YES)]


def test_a_long_silence_is_asked_about_once():
    table = Table(idle_seconds=10.0)
    assert only(Say, table.hear("." * 400)) == [Say(1, 0, STILL_THERE)]
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "", interrupted=False))
    assert table.conversation.history == [Message("assistant", STILL_THERE)]
    assert table.hear("." * 900) == []
