"""Conversations written as tables of events; no clock, no task, no model."""

import pytest
from conversation_table import WINDOW, Table, kinds, only
from hypothesis import example, given
from hypothesis import strategies as st

from local_voice.conversation import Conversation
from local_voice.events import (
    Draft,
    FinalTranscript,
    Interrupt,
    Message,
    PartialTranscript,
    PlaybackEnded,
    PlaybackStarted,
    PredictTurnEnd,
    PushToTalk,
    Release,
    ReplyText,
    Say,
    StageFailed,
    StopSpeaking,
    Transcribe,
    TurnCompletion,
    VoiceActivity,
    Warm,
    Withdraw,
)
from local_voice.sentences import APOLOGIES
from local_voice.settings import Settings


def test_a_turn_is_transcribed_drafted_judged_and_released_in_this_order():
    table = Table()
    given = table.ask("Hello there.")
    assert kinds([c for c in given if not (isinstance(c, Transcribe) and not c.final)]) == [
        Transcribe,
        Draft,
        PredictTurnEnd,
        Release,
    ]
    assert table.conversation.history == [Message("user", "Hello there.")]
    assert table.conversation.state == "thinking"


def test_the_draft_is_asked_for_before_the_turn_is_over_and_has_the_whole_conversation():
    table = Table()
    table.ask("One.")
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "Two.", interrupted=False))
    table.hear("#" * 20 + "..")
    (draft,) = table.tell(FinalTranscript(2, 0, "Three."))
    assert draft == Draft(
        2, 0, (Message("user", "One."), Message("assistant", "Two."), Message("user", "Three."))
    )


def test_the_pre_roll_is_part_of_what_is_transcribed():
    table = Table()
    table.hear("." * 40)
    (transcribe,) = only(Transcribe, table.hear("#" * 10 + "..."))
    assert abs(transcribe.start - (40 * WINDOW - 0.5)) < 1e-6
    assert abs(transcribe.end - 52 * WINDOW) < 1e-6


def test_a_confident_verdict_releases_a_question_after_a_quarter_second_and_the_others_wait():
    for completion, text, windows in (
        (0.95, "Is it?", 7),
        (0.95, "It is so.", 12),
        (0.6, "It is so.", 16),
        (0.1, "So.", 53),
    ):
        table = Table(half_sure_seconds=0.384)
        table.hear("#" * 20 + "..")
        table.tell(FinalTranscript(1, 0, text))
        table.tell(TurnCompletion(1, 0, completion))
        assert only(Release, table.hear("." * (windows - 3))) == []
        assert only(Release, table.hear(".")) == [Release(1, 0)]


def test_speech_in_the_pause_withdraws_the_draft_and_goes_on_as_a_new_revision():
    table = Table()
    table.hear("#" * 20 + "...")
    table.tell(FinalTranscript(1, 0, "I would like"))
    assert table.hear("##") == [Withdraw(1, 0)]
    given = table.hear("#" * 10 + "...")
    (again,) = [c for c in only(Transcribe, given) if c.final]
    assert (again.turn, again.revision, again.start) == (1, 1, 0.0)


def test_a_late_transcript_still_ends_the_turn_at_once():
    table = Table()
    table.hear("#" * 20 + "......")
    table.tell(TurnCompletion(1, 0, 0.95))
    assert only(Release, table.hear("." * 20)) == []
    assert kinds(table.tell(FinalTranscript(1, 0, "Yes."))) == [Draft, Release]


def test_noise_without_words_is_no_turn():
    table = Table()
    table.hear("#" * 20 + "...")
    assert table.tell(FinalTranscript(1, 0, "")) == []
    assert table.hear("." * 60) == []
    assert table.conversation.state == "listening"
    assert table.conversation.history == []


def test_a_stale_transcript_changes_nothing():
    table = Table()
    table.hear("#" * 20 + "...")
    table.tell(FinalTranscript(1, 0, "I would like"))
    table.hear("##")
    assert table.tell(FinalTranscript(1, 0, "I would like")) == []
    assert table.tell(TurnCompletion(1, 0, 0.99)) == []


def test_a_word_that_can_not_be_the_last_holds_the_reply_back():
    table = Table()
    table.hear("#" * 20 + "..")
    table.tell(FinalTranscript(1, 0, "I want to go to."))
    table.tell(TurnCompletion(1, 0, 0.99))
    assert only(Release, table.hear("." * 70)) == []
    assert only(Release, table.hear("." * 10)) == [Release(1, 0)]


def test_long_pauses_are_learned():
    table = Table()
    for _ in range(5):
        table.hear("#" * 10 + "." * 25)
    table.hear("#" * 10 + "..")
    table.tell(FinalTranscript(*table.key(), "So I went home."))
    table.tell(TurnCompletion(*table.key(), 0.6))
    assert only(Release, table.hear("." * 24)) == []
    assert only(Release, table.hear("." * 8))


def test_words_are_read_ahead_where_the_engine_knows_prompts_to_the_token():
    table = Table()
    table.hear("#" * 40)
    assert table.tell(PartialTranscript(1, 0, "What")) == []
    (warm,) = table.tell(PartialTranscript(1, 0, "What is the cap."))
    assert warm == Warm((Message("user", "What is the cap."),))
    assert table.tell(PartialTranscript(1, 0, "What is the capital of")) == []
    (warm,) = table.tell(PartialTranscript(1, 0, "What is the capital of that country"))
    assert warm == Warm((Message("user", "What is the capital of that country"),))


def test_only_what_would_be_answered_is_read_ahead():
    table = Table(wake_phrase="okay nova")
    table.hear("#" * 40)
    assert table.tell(PartialTranscript(1, 0, "I said to her that it is late")) == []
    (warm,) = table.tell(PartialTranscript(1, 0, "Okay Nova, what is the time"))
    assert warm == Warm((Message("user", "what is the time"),))
    assert table.tell(PartialTranscript(1, 0, "Okay Nova, what is the time")) == []


def test_words_after_a_long_pause_are_read_ahead_too():
    table = Table()
    table.hear("#" * 20)
    assert only(Warm, table.tell(PartialTranscript(1, 0, "one two three four five six seven")))
    table.conversation._user.fix_segment(0.5)
    assert only(Warm, table.tell(PartialTranscript(1, 0, "and eight")))


@pytest.mark.parametrize("elsewhere", [{"profile": "cuda"}, {"llm": {"url": "http://gpu2:8000/v1"}}])
def test_elsewhere_only_stable_words_of_a_long_turn_are_read_ahead(elsewhere):
    table = Table()
    table.conversation = Conversation(Settings(**elsewhere))
    words = "I have been thinking about this for a very long time and now I want to know"
    table.hear("#" * 40)
    assert table.tell(PartialTranscript(1, 0, words)) == []
    (warm,) = table.tell(PartialTranscript(1, 0, words + " whether you"))
    assert warm == Warm((Message("user", words),))
    assert table.tell(PartialTranscript(1, 0, words + " whether you can")) == []


def test_a_partial_that_looks_complete_is_drafted_where_that_is_wanted_and_kept_if_it_was_all():
    for last, expected in (("What time is it?", []), ("What time is it in Rome?", [Withdraw, Draft])):
        table = Table(draft_from_partials=True)
        table.hear("#" * 20)
        table.tell(PartialTranscript(1, 0, "What time is it?"))
        assert kinds(table.tell(PartialTranscript(1, 0, "What time is it?"))) == [Draft]
        table.hear("#..")
        assert kinds(table.tell(FinalTranscript(1, 0, last))) == expected
        table.tell(TurnCompletion(*table.key(), 0.95))
        assert only(Release, table.hear("." * 60))


def test_a_reply_that_was_not_heard_leaves_no_trace():
    table = Table()
    table.ask("Hello.")
    table.tell(PlaybackStarted(1, 0))
    table.hear("." * 40 + "#" * 12)
    assert table.tell(PartialTranscript(2, 0, "Stop it now")) == [Interrupt(1, 0)]
    table.tell(PlaybackEnded(1, 0, "", interrupted=True))
    assert table.conversation.history == [Message("user", "Hello.")]


def test_a_failed_recogniser_apologises_when_the_user_is_silent():
    table = Table()
    table.hear("#" * 20 + "...")
    assert table.tell(StageFailed("stt", 1, 0, "broken")) == []
    given = table.hear("." * 60)
    assert only(Say, given) == [Say(1, 0, APOLOGIES["stt"])]
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "", interrupted=False))
    assert table.conversation.history == []
    assert Release(2, 0) in table.ask("Again.")


def test_a_failed_draft_apologises_instead_of_the_reply():
    table = Table()
    table.hear("#" * 20 + "...")
    table.tell(FinalTranscript(1, 0, "Hello."))
    table.tell(StageFailed("llm", 1, 0, "dead"))
    given = table.hear("." * 60)
    assert only(Say, given) == [Say(1, 0, APOLOGIES["llm"])]
    assert only(Release, given) == []
    table.tell(PlaybackEnded(1, 0, "", interrupted=False))
    assert table.conversation.history == []


def test_a_reply_that_fails_midway_ends_with_an_apology():
    table = Table()
    table.ask("Hello.")
    table.tell(PlaybackStarted(1, 0))
    assert table.tell(StageFailed("tts", 1, 0, "broken")) == [Say(1, 0, APOLOGIES["tts"])]
    table.tell(PlaybackEnded(1, 0, "Half an", interrupted=False))
    assert table.conversation.history == [Message("user", "Hello."), Message("assistant", "Half an")]


def test_a_reply_that_fails_before_its_first_word_takes_the_question_with_it():
    table = Table()
    table.ask("Hello.")
    assert kinds(table.tell(StageFailed("llm", 1, 0, "dead"))) == [Say]
    table.tell(PlaybackStarted(1, 0))
    table.tell(PlaybackEnded(1, 0, "", interrupted=False))
    assert table.conversation.history == []


def test_speech_after_a_failure_takes_the_turn_up_again():
    table = Table()
    table.hear("#" * 20 + "...")
    table.tell(StageFailed("stt", 1, 0, "broken"))
    table.hear("#" * 20 + "..")
    assert kinds(table.tell(FinalTranscript(1, 1, "Hello."))) == [Draft]


def test_no_partial_begins_in_a_soft_moment_which_may_be_the_end():
    table = Table()
    table.level = -20.0
    table.hear("#" * 17)
    table.level = -50.0
    assert only(Transcribe, table.hear("####")) == []
    table.level = -20.0
    (partial,) = only(Transcribe, table.hear("#"))
    assert not partial.final


@pytest.mark.parametrize(("end", "windows"), [("#..", 2), ("-.", 1)])
def test_the_clock_of_a_turn_starts_where_the_voice_was_last_heard(end: str, windows: int):
    """`-` is voice to Silero, and soft: there the first silent window is a pause."""
    table = Table()
    table.level = -20.0
    table.hear("#" * 20)
    for letter in end:
        table.level = -50.0 if "-" in end else -20.0
        given = table.hear("#" if letter == "-" else letter)
    (transcribe,) = only(Transcribe, given)
    assert transcribe.final
    assert transcribe.end - table.conversation.last_voice == pytest.approx(windows * WINDOW)


def test_partials_come_at_their_pace_and_stop_in_the_pause():
    table = Table()
    partials = [c for c in only(Transcribe, table.hear("#" * 68)) if not c.final]
    assert len(partials) == 4
    assert [c for c in only(Transcribe, table.hear("." * 20)) if not c.final] == []


def test_a_pause_in_a_long_turn_fixes_its_words():
    table = Table()
    table.hear("#" * 400 + "...")
    table.tell(FinalTranscript(1, 0, "A long first part."))
    given = table.hear("#" * 40 + "...")
    (transcribe,) = [c for c in only(Transcribe, given) if c.final]
    assert transcribe.start > 12.0
    (draft,) = table.tell(FinalTranscript(1, 1, "And a second."))
    assert draft.messages == (Message("user", "A long first part. And a second."),)


# ---- no order of events may break it ------------------------------------------------------------------

numbers = st.integers(0, 3)
words = st.sampled_from(["", "yes", "one two", "so"])
events = st.one_of(
    st.builds(VoiceActivity, st.sampled_from([0.0, 0.4, 0.95]), st.just(WINDOW)),
    st.sampled_from(["#" * 3, "#" * 8, "." * 3, "." * 10, "." * 50]),
    st.builds(TurnCompletion, numbers, numbers, st.floats(0, 1)),
    st.builds(PartialTranscript, numbers, numbers, words),
    st.builds(FinalTranscript, numbers, numbers, words),
    st.builds(ReplyText, numbers, numbers, words),
    st.builds(PlaybackStarted, numbers, numbers),
    st.builds(
        PlaybackEnded, numbers, numbers, st.sampled_from(["", "heard this", "heard that"]), st.booleans()
    ),
    st.builds(StageFailed, st.sampled_from(["stt", "llm", "tts"]), numbers, numbers, st.just("broken")),
    st.builds(PushToTalk, st.booleans()),
    st.just(StopSpeaking()),
    st.just("transcript"),
    st.just("start"),
    st.just("end"),
)


@given(st.lists(events, max_size=60))
@example(["###", PushToTalk(True), PushToTalk(False), "transcript"])
def test_no_order_of_events_raises_talks_over_the_user_or_invents_words(order):
    table = Table()
    heard: list[str] = []
    last_voiced = -1.0
    let_go = False
    """The talk key, and no voice since: that ends a turn at once, also where its words come later."""
    released: list[tuple[int, int]] = []
    for step in order:
        if step == "transcript":
            step = FinalTranscript(*table.key(), "yes")
        elif step == "start":
            step = PlaybackStarted(*table.conversation.replying)
        elif step == "end":
            step = PlaybackEnded(*table.conversation.replying, "heard words", interrupted=False)
        if isinstance(step, PlaybackEnded):
            heard.append(step.heard)
        steps = list(step) if isinstance(step, str) else [step]
        for item in steps:
            if isinstance(item, str):
                commands = table.hear(item)
                voiced = item == "#"
            else:
                if isinstance(item, VoiceActivity):
                    table.now += WINDOW
                commands = table.tell(item)
                voiced = isinstance(item, VoiceActivity) and item.probability > 0.9
            if voiced:
                last_voiced, let_go = table.now, False
            if isinstance(item, PushToTalk):
                let_go = not item.down
            for command in commands:
                if isinstance(command, Release):
                    assert let_go or table.now - last_voiced > WINDOW / 2, "released while the user spoke"
                    assert (command.turn, command.revision) not in released, "released twice"
                    released.append((command.turn, command.revision))
                if isinstance(command, Draft):
                    assert command.messages[-1].role == "user"
                    assert command.messages[-1].content
            state = table.conversation.state
            assert state in ("listening", "hearing", "thinking", "speaking")
    for message in table.conversation.history:
        if message.role == "assistant":
            assert message.content in heard
