"""What was said, in the log, and only what was said."""

import logging

from local_voice.conversation_log import ConversationLog
from local_voice.events import Draft, Message, PlaybackEnded, Release, VoiceActivity, Withdraw

TICK = VoiceActivity(0.1, 0.032)


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_turn_that_is_answered_and_what_was_heard_of_the_reply_are_logged(caplog):
    caplog.set_level(logging.INFO, "local_voice")
    one = ConversationLog(3)
    one.write(1.0, TICK, [Draft(1, 0, (Message("user", "What is"),))])
    one.write(1.2, TICK, [Withdraw(1, 0)])
    one.write(2.0, TICK, [Draft(1, 1, (Message("user", "What is red?"),))])
    assert lines(caplog) == [], "a draft is no turn"
    one.write(2.3, TICK, [Release(1, 1)])
    one.write(4.0, PlaybackEnded(1, 1, "A colour", interrupted=True), [])
    one.write(5.0, PlaybackEnded(2, 0, "", interrupted=True), [])
    assert lines(caplog) == [
        "conversation 3, turn 1, user: What is red?",
        "conversation 3, turn 1, assistant: A colour (interrupted)",
    ]
    assert caplog.records[1].facts == {
        **{"conversation": 3, "turn": 1, "role": "assistant", "text": "A colour"},
        "interrupted": True,
    }
