"""Jobs that wait for an engine, averaged."""

import pytest

from local_voice.queues import Queues


def test_one_busy_moment_is_no_queue_and_seconds_of_them_are():
    queues = Queues()
    queues.note({"stt": 10})
    assert queues.average("stt") < 0.5
    for _ in range(100):
        queues.note({"stt": 10, "tts": 1})
    assert queues.longest == ("stt", pytest.approx(10, abs=1.5))
    for _ in range(150):
        queues.note({"stt": 0, "tts": 1})
    assert queues.longest[0] == "tts"
    assert queues.average("stt") < 0.5


def test_before_anything_is_known_nothing_waits():
    assert Queues().longest == ("", 0.0)
    assert Queues().average("llm") == 0.0
