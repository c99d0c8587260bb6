"""Sounds under a reply: duck, pause, and what their words are, as tables of events."""

import pytest
from conversation_table import Table, kinds, only, replying

from local_voice.events import (
    Draft,
    Duck,
    EchoPossible,
    FinalTranscript,
    Interrupt,
    Message,
    PartialTranscript,
    Pause,
    PlaybackEnded,
    PlaybackStarted,
    Release,
    ReplyText,
    Resume,
    StageFailed,
    Transcribe,
    TurnCompletion,
)


def test_a_sound_ducks_the_reply_and_a_longer_one_pauses_it():
    table = replying()
    assert table.hear("#") == []
    assert table.hear("#") == [Duck(1, 0)]
    assert table.hear("###") == []
    paused, partial = table.hear("#")
    assert paused == Pause(1, 0)
    assert isinstance(partial, Transcribe)
    assert not partial.final
    assert table.conversation.history == [Message("user", "Tell me a story.")]


def test_words_interrupt_and_the_heard_words_are_kept_before_the_new_question_is_drafted():
    table = replying()
    table.hear("#" * 20 + "..")
    assert table.conversation.tentative
    assert table.tell(FinalTranscript(2, 0, "What was his name?")) == [Interrupt(1, 0)]
    (draft,) = only(Draft, table.tell(PlaybackEnded(1, 0, "Once upon a", interrupted=True)))
    assert draft.messages[1:] == (
        Message("assistant", "Once upon a", interrupted=True),
        Message("user", "What was his name?"),
    )
    assert table.conversation.state == "hearing"


def test_words_interrupt_while_the_user_still_speaks():
    table = replying()
    table.hear("#" * 12)
    assert table.tell(PartialTranscript(2, 0, "What")) == []
    assert table.tell(PartialTranscript(2, 0, "What was his")) == [Interrupt(1, 0)]


@pytest.mark.parametrize("text", ["Mm-hm.", "Yeah.", "", "[Music]"])
def test_a_backchannel_or_a_noise_lets_the_reply_go_on(text):
    table = replying()
    table.hear("#" * 8 + "..")
    assert table.tell(FinalTranscript(2, 0, text)) == [Resume(1, 0)]
    assert table.conversation.state == "speaking"
    assert table.hear("." * 60) == []
    table.tell(PlaybackEnded(1, 0, "Once upon a time there was a king.", interrupted=False))
    assert [m.content for m in table.conversation.history] == [
        "Tell me a story.",
        "Once upon a time there was a king.",
    ]


def test_a_click_that_was_only_ducked_for_is_forgotten():
    table = replying()
    assert table.hear("##") == [Duck(1, 0)]
    (transcribe,) = table.hear("..")
    assert transcribe.final
    assert table.tell(FinalTranscript(2, 0, "")) == [Resume(1, 0)]


def test_a_clap_that_reads_like_a_word_is_too_short_for_one():
    table = replying()
    table.hear("###..")
    assert table.tell(FinalTranscript(2, 0, "Boom!")) == [Resume(1, 0)]


def test_yes_is_an_answer_when_the_assistant_has_just_asked():
    table = replying("Do you like kings?")
    table.hear("#" * 12 + "..")
    assert table.tell(FinalTranscript(2, 0, "Yeah.")) == [Interrupt(1, 0)]


def test_the_assistants_own_words_are_no_interruption():
    table = replying()
    table.hear("#" * 20 + "..")
    assert table.tell(FinalTranscript(2, 0, "there was a king")) == [Resume(1, 0)]


@pytest.mark.parametrize(("below", "answer"), [(6.0, Resume), (2.0, Interrupt)])
def test_a_soft_stop_that_the_assistant_is_saying_itself_is_its_echo(below, answer):
    table = Table()
    table.tell(EchoPossible(True))
    table.ask("Why do leaves change their colour?")
    table.tell(ReplyText(1, 0, "In autumn the trees stop making the green that feeds them."))
    table.tell(PlaybackStarted(1, 0))
    table.hear("." * 120)
    table.level = -below
    table.hear("#" * 12 + "..")
    (command,) = only(answer, table.tell(FinalTranscript(2, 0, "Please stop.")))
    assert command == answer(1, 0)


def test_stop_is_answered_by_silence():
    table = replying()
    table.hear("#" * 12 + "..")
    assert table.tell(FinalTranscript(2, 0, "Stop.")) == [Interrupt(1, 0)]
    assert table.tell(PlaybackEnded(1, 0, "Once upon", interrupted=True)) == []
    assert table.hear("." * 60) == []
    assert [m.content for m in table.conversation.history] == ["Tell me a story.", "Once upon", "Stop."]
    assert table.conversation.state == "listening"


def test_silence_without_words_lets_the_reply_go_on_and_late_words_still_interrupt():
    table = replying()
    table.hear("#" * 8 + "..")
    assert table.hear("." * 16) == []
    assert table.hear(".") == [Resume(1, 0)]
    assert table.tell(FinalTranscript(2, 0, "What was his name?")) == [Interrupt(1, 0)]


def test_a_sound_that_goes_on_without_words_lets_the_reply_go_on():
    table = replying()
    table.hear("#" * 14)
    table.tell(PartialTranscript(2, 0, ""))
    assert only(Resume, table.hear("#" * 6)) == []  # a first word is half a word
    table.tell(PartialTranscript(2, 0, ""))
    assert Resume(1, 0) in table.hear("#")
    assert only(Pause, table.hear("#" * 40)) == []


def test_after_two_false_alarms_only_words_stop_the_reply():
    table = replying()
    for _ in range(2):
        table.hear("#" * 8 + "..")
        table.tell(FinalTranscript(*table.key(), ""))
    assert only(Pause, table.hear("#" * 30)) == []
    assert table.tell(PartialTranscript(*table.key(), "But what was")) == [Interrupt(1, 0)]


def test_a_voice_far_softer_than_the_users_is_a_television():
    table = Table()
    table.level = -25.0
    table.ask("Tell me a story.")
    table.tell(PlaybackStarted(1, 0))
    table.hear("." * 60)
    table.level = -45.0
    table.hear("#" * 20 + "..")
    assert table.tell(FinalTranscript(2, 0, "And now the weather.")) == [Resume(1, 0)]


def test_where_there_is_echo_the_first_reply_is_interrupted_by_words_alone():
    table = Table()
    table.tell(EchoPossible(True))
    table.ask("Tell me a story.")
    table.tell(PlaybackStarted(1, 0))
    assert only(Pause, table.hear("#" * 30)) == []
    assert table.tell(PartialTranscript(1, 1, "No, a poem")) == [Interrupt(1, 0)]


def test_the_echo_before_the_users_words_is_not_theirs():
    table = replying()
    table.tell(EchoPossible(True))
    table.hear("#" * 60 + "..")
    heard = "Upon a time there was a king. But what was his name?"
    assert table.tell(FinalTranscript(2, 0, heard)) == [Interrupt(1, 0)]
    (draft,) = only(Draft, table.tell(PlaybackEnded(1, 0, "Once upon a time", interrupted=True)))
    assert draft.messages[-1].content == "But what was his name?"


def test_a_sound_that_outlasts_the_reply_is_a_turn_of_its_own():
    table = replying()
    table.hear("##")
    table.tell(PlaybackEnded(1, 0, "Once upon a time there was a king.", interrupted=False))
    table.hear("#" * 10 + "..")
    (draft,) = table.tell(FinalTranscript(2, 0, "And then?"))
    assert [m.content for m in draft.messages[1:]] == ["Once upon a time there was a king.", "And then?"]


@pytest.mark.parametrize(("text", "level"), [("There was a king.", 0.0), ("And now the weather.", -20.0)])
def test_an_echo_or_a_television_that_outlasts_the_reply_is_no_turn(text, level):
    table = replying()
    table.hear("." * 3)
    table.level = level
    table.hear("##")
    table.tell(PlaybackEnded(1, 0, "Once upon a time there was a king.", interrupted=False))
    table.hear("#" * 10 + "..")
    assert table.tell(FinalTranscript(2, 0, text)) == []
    assert table.conversation.state == "listening"
    assert len(table.conversation.history) == 2


def test_a_question_that_a_soft_echo_runs_into_is_the_users():
    table = replying()
    table.tell(EchoPossible(True))
    table.hear("." * 3)
    table.level = -20.0
    table.hear("#" * 40)
    table.tell(PlaybackEnded(1, 0, "Once upon a time there was a king.", interrupted=False))
    table.level = 0.0
    table.hear("#" * 20 + "..")
    (draft,) = only(Draft, table.tell(FinalTranscript(2, 0, "There were cooking. What was his name?")))
    assert draft.messages[-1].content.endswith("What was his name?")


def test_a_recogniser_that_fails_under_a_reply_lets_it_go_on():
    table = replying()
    table.hear("#" * 8 + "..")
    assert table.tell(StageFailed("stt", 2, 0, "broken")) == [Resume(1, 0)]


# ---- the user had not finished ------------------------------------------------------------------------


def test_a_user_who_goes_on_before_the_reply_sounds_has_not_finished():
    table = Table()
    table.ask("I would like it")
    assert table.hear("##") == [Pause(1, 0)]
    table.hear("#" * 10 + "..")
    given = table.tell(FinalTranscript(1, 1, "with a pizza."))
    assert kinds(given) == [Interrupt, Draft]
    assert given[1].messages == (Message("user", "I would like it with a pizza."),)


def test_a_user_who_goes_on_right_after_the_first_sound_reopens_the_turn_and_is_given_more_time():
    table = Table()
    table.ask("I would like tea.")
    table.tell(PlaybackStarted(1, 0))
    table.hear("....")
    assert table.hear("##") == [Pause(1, 0)]
    table.hear("#" * 10 + "..")
    assert Interrupt(1, 0) in table.tell(FinalTranscript(1, 1, "with some milk."))
    table.tell(PlaybackEnded(1, 0, "Sure", interrupted=True))
    assert table.conversation.history == []
    table.tell(TurnCompletion(1, 1, 0.95))
    assert only(Release, table.hear("." * 13)) == []
    assert only(Release, table.hear("." * 30)) == [Release(1, 1)]
    assert table.conversation.history == [Message("user", "I would like tea. with some milk.")]


def test_the_parts_of_a_reopened_turn_are_a_list_together():
    table = Table()
    table.ask("The eight of spades")
    table.tell(PlaybackStarted(1, 0))
    table.hear("#" * 12 + "..")
    given = table.tell(FinalTranscript(1, 1, "the four of clubs."))
    assert only(Draft, given)[0].messages == (Message("user", "The eight of spades the four of clubs."),)
    table.tell(PlaybackEnded(1, 0, "", interrupted=True))
    table.tell(TurnCompletion(1, 1, 0.98))
    assert not only(Release, table.hear("." * 48))
    assert only(Release, table.hear("." * 8)) == [Release(1, 1)]


def test_a_breath_right_after_the_first_sound_only_holds_the_reply_up():
    table = Table()
    table.ask("I would like tea.")
    table.tell(PlaybackStarted(1, 0))
    assert table.hear("..##") == [Pause(1, 0)]
    table.hear("..")
    assert table.tell(FinalTranscript(1, 1, "")) == [Resume(1, 0)]
    table.tell(PlaybackEnded(1, 0, "Sure.", interrupted=False))
    assert [m.content for m in table.conversation.history] == ["I would like tea.", "Sure."]
