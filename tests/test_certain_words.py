"""What the user certainly said is not lost, "stop" stops, and a stage that fails spoils nothing else."""

import pytest
from conversation_table import WINDOW, Table, only, replying

from local_voice.events import (
    Draft,
    FinalTranscript,
    Interrupt,
    Message,
    PartialTranscript,
    PlaybackEnded,
    PlaybackStarted,
    PushToTalk,
    Release,
    Resumed,
    Say,
    StageFailed,
    StopSpeaking,
    Transcribe,
    TurnCompletion,
    Typed,
    Withdraw,
)

LONG = "." * 120
SPOKEN = "#" * 20 + ".."


def contents(table: Table) -> list[str]:
    return [message.content for message in table.conversation.history]


def drafted_from_partials(**settings) -> Table:
    table = Table(draft_from_partials=True, **settings)
    table.hear("#" * 20)
    for _ in range(2):
        table.tell(PartialTranscript(1, 0, "What time is it?"))
    return table


# ---- stop -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["Stop.", "Never mind."])
def test_stop_that_is_said_while_the_assistant_thinks_is_answered_by_silence(words):
    table = Table()
    table.ask("Tell me a story.")
    table.hear("#" * 12 + "..")
    commands = table.tell(FinalTranscript(*table.key(), words))
    assert only(Interrupt, commands)
    table.tell(PlaybackEnded(1, 0, "", True))
    assert not only(Release, table.hear(LONG))
    assert table.conversation.state == "listening"


def test_stop_that_is_said_into_the_last_word_of_a_reply_is_answered_by_silence():
    table = replying()
    table.hear("#" * 6)
    table.tell(PlaybackEnded(1, 0, "Once upon a time there was a king.", False))
    table.hear("#" * 8 + "..")
    assert not only(Draft, table.tell(FinalTranscript(*table.key(), "Stop.")))
    assert not only(Release, table.hear(LONG))


def test_content_that_is_said_while_the_assistant_thinks_is_answered_with_the_rest():
    table = Table()
    table.ask("I would like tea.")
    table.hear("#" * 12 + "..")
    table.tell(FinalTranscript(*table.key(), "No wait, coffee."))
    table.tell(PlaybackEnded(1, 0, "", True))
    assert only(Release, table.hear(LONG))
    assert contents(table) == ["I would like tea. No wait, coffee."]


def test_the_button_is_no_less_final_because_it_clicks():
    table = Table()
    table.ask("Tell me a story.")
    table.hear("###")
    table.tell(StopSpeaking())
    table.tell(PlaybackEnded(1, 0, "", True))
    table.hear("..")
    table.tell(FinalTranscript(*table.key(), ""))
    assert not only(Release, table.hear(LONG))


def test_that_is_enough_right_after_stop_is_more_of_the_same_and_later_a_turn_of_its_own():
    for pause, answered in ((6, False), (30, False), (100, True)):
        table = replying()
        table.hear("#" * 12 + "..")
        table.tell(FinalTranscript(*table.key(), "Stop."))
        table.tell(PlaybackEnded(1, 0, "Once", True))
        stopped = table.now
        given = table.hear("." * pause + "#" * 20 + "...")
        (again,) = [command for command in only(Transcribe, given) if command.final]
        assert again.start >= stopped - 2 * WINDOW - 1e-6  # without the end of "stop"
        assert bool(only(Draft, table.tell(FinalTranscript(*table.key(), "That is enough.")))) is answered


def test_stop_under_the_talk_key_is_answered_by_silence():
    table = replying()
    table.tell(PushToTalk(True))
    table.tell(PlaybackEnded(1, 0, "Once", True))
    table.hear("#" * 12)
    table.tell(PushToTalk(False))
    assert not only(Draft, table.tell(FinalTranscript(*table.key(), "Stop.")))


# ---- words that were written or answered ------------------------------------------------------------------


def test_a_written_message_needs_no_wake_phrase_because_somebody_spoke_in_the_room():
    table = Table(wake_phrase="computer")
    table.tell(Typed("What time is it?"))
    table.hear(SPOKEN)
    commands = table.tell(FinalTranscript(*table.key(), "Shall we go now?"))
    table.tell(PlaybackEnded(1, 0, "", True))
    assert only(Release, [*commands, *table.hear(LONG)])
    assert "What time is it?" in contents(table)[0]


def test_a_written_message_that_was_reopened_stays_when_another_is_written():
    table = Table()
    table.tell(Typed("What time is it?"))
    table.hear(SPOKEN)
    table.tell(FinalTranscript(*table.key(), "Shall we go?"))
    table.tell(Typed("Hello?"))
    assert "What time is it?" in contents(table)


def test_two_messages_that_are_written_while_the_talk_key_is_held_both_stay():
    table = Table()
    table.tell(PushToTalk(True))
    table.tell(Typed("One."))
    table.tell(Typed("Two."))
    table.tell(PushToTalk(False))
    assert contents(table) == ["One.", "Two."]


def test_words_that_were_answered_are_not_heard_again_with_the_next_ones():
    table = Table()
    table.hear(SPOKEN)
    table.tell(FinalTranscript(1, 0, "Who are you?"))
    table.tell(TurnCompletion(1, 0, 0.95))
    table.hear("." * 6)
    assert contents(table) == ["Who are you?"]
    table.tell(StopSpeaking())
    table.tell(PlaybackEnded(1, 0, "", True))
    [final] = [command for command in only(Transcribe, table.hear("#" * 12 + "..")) if command.final]
    assert final.start == pytest.approx(20 * WINDOW)


# ---- stages that fail -------------------------------------------------------------------------------------


def test_what_is_heard_of_a_draft_that_failed_has_its_question_in_the_history():
    table = Table()
    table.hear(SPOKEN + ".")
    table.tell(FinalTranscript(1, 0, "Hello."))
    table.tell(StageFailed("llm", 1, 0, "x"))
    assert only(Say, table.hear("." * 60))
    assert contents(table) == []
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "Half an answer.", False))
    assert contents(table) == ["Hello.", "Half an answer."]


def test_a_new_draft_is_not_thrown_away_because_the_one_before_failed():
    table = drafted_from_partials()
    table.tell(StageFailed("llm", 1, 0, "x"))
    table.hear("#" * 9 + "..")
    table.tell(FinalTranscript(1, 0, "What time is it in Rome?"))
    commands = table.hear("." * 60)
    assert only(Release, commands)
    assert not only(Say, commands)


def test_a_recogniser_that_fails_takes_the_draft_from_its_guess_along():
    table = drafted_from_partials()
    table.hear("#..")
    commands = [*table.tell(StageFailed("stt", 1, 0, "x")), *table.hear("." * 60)]
    assert only(Withdraw, commands)
    assert only(Say, commands)


def test_letting_the_talk_key_go_asks_the_recogniser_once_more():
    table = Table(mode="push_to_talk")
    table.tell(PushToTalk(True))
    table.hear("#" * 20 + "...")
    table.tell(StageFailed("stt", *table.key(), "x"))
    table.tell(PushToTalk(False))
    assert not only(Say, table.hear("."))
    assert only(Draft, table.tell(FinalTranscript(*table.key(), "Hello.")))


def test_a_draft_of_what_was_not_meant_for_the_assistant_is_withdrawn():
    table = drafted_from_partials(wake_phrase="computer")
    table.hear("#..")
    assert only(Withdraw, table.tell(FinalTranscript(1, 0, "What time is it?")))


# ---- what was asked ---------------------------------------------------------------------------------------


def test_what_the_assistant_asked_before_the_connection_broke_still_wants_its_kind_of_answer():
    table = Table()
    asked = (Message("user", "Call Bob."), Message("assistant", "What is his phone number?"))
    table.tell(Resumed(asked))
    [release] = only(Release, table.ask("It is four."))
    assert "spelling, counting" in release.why


def test_yes_under_are_you_still_there_is_an_answer():
    table = Table(idle_seconds=1.0)
    table.hear("." * 40)
    table.tell(PlaybackStarted(1, 0))
    table.hear("." * 10 + "#" * 12 + "..")
    assert only(Interrupt, table.tell(FinalTranscript(*table.key(), "Yes.")))
