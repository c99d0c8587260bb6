"""Captions of what the user said: each under its own turn, and once."""

from local_voice.conversation import Conversation
from local_voice.events import Event, Message, PlaybackEnded, Resumed, StageFailed, StopSpeaking, Typed
from local_voice.playout import Playout
from local_voice.settings import Settings
from local_voice.shown import Shown
from local_voice.stages import Caption


def captions(*events: Event, before: tuple[Message, ...] = ()) -> list[tuple[int, str]]:
    conversation, shown = Conversation(Settings()), list[Caption]()
    one = Shown(conversation, Playout(24_000), shown.append, before)
    for event in events:
        conversation.handle(event, 1.0)
        one.history()
    return [(caption.turn, caption.text) for caption in shown]


def test_a_question_that_gets_an_apology_does_not_become_the_one_before():
    said = captions(
        Typed("What is the capital of France?"),
        StopSpeaking(),
        PlaybackEnded(1, 0, "", True),
        Typed("Tell me a joke."),
        StageFailed("llm", 2, 0, "gone"),
        PlaybackEnded(2, 0, "", False),
    )
    assert said == [(1, "What is the capital of France?"), (2, "Tell me a joke.")]


def test_what_was_said_before_the_connection_broke_is_not_said_again():
    before = (Message("user", "What time is it?"),)
    assert captions(Resumed(before), Typed("Hello?"), before=before) == [(1, "Hello?")]


def test_a_question_that_is_answered_after_the_connection_broke_is_not_said_again():
    before = (Message("user", "What time is it?", interrupted=True),)
    assert captions(Resumed(before), before=before) == []
    later = (PlaybackEnded(1, 0, "Noon.", False), Typed("Hello?"))
    assert captions(Resumed(before), *later, before=before) == [(2, "Hello?")]
