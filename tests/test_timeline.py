import pytest

from local_voice.timeline import Timeline, TurnClock


def test_both_clocks_are_in_the_line():
    timeline = Timeline(10.0)
    for name, at in (("transcript", 10.2), ("first_token", 10.3), ("decided", 10.5), ("playback", 10.6)):
        timeline.mark(name, at)
    assert timeline.since("last_voice")["playback"] == pytest.approx(0.6)
    assert timeline.line() == (
        "from last voice: transcript 0.200, first_token 0.300, decided 0.500, playback 0.600; "
        "from decision: 0.100"
    )


def test_only_the_first_mark_counts():
    timeline = Timeline(1.0)
    timeline.mark("first_token", 2.0)
    timeline.mark("first_token", 3.0)
    assert timeline.since("last_voice") == {"first_token": 1.0}


def test_an_unknown_mark_is_refused():
    with pytest.raises(ValueError, match="'lunch' is not a mark"):
        Timeline().mark("lunch", 1.0)


def test_without_a_pause_there_is_nothing_to_count_from():
    assert Timeline().since("last_voice") == {}


def test_a_released_replys_marks_belong_to_the_pause_that_it_answers_and_no_others():
    now = [0.0]
    times = TurnClock(lambda: now[0])
    times.arrived(0.5)
    now[0] = 0.1
    times.pause(0.5)
    times.mark("transcript")
    times.mark("first_token", (1, 0))  # prepared, and not yet released
    times.release((1, 0))
    times.mark("decided", (1, 0))
    now[0] = 2.0
    times.arrived(2.4)
    times.pause(2.4)  # a cough
    times.mark("transcript")
    times.mark("first_token", (2, 0))
    now[0] = 3.0
    times.mark("playback", (1, 0))
    marks = {"transcript": 0.1, "first_token": 0.1, "decided": 0.1, "playback": 3.0}
    assert times.answered.since("last_voice") == pytest.approx(marks)
    assert times.newest.since("last_voice") == {"transcript": 0.0, "first_token": 0.0}


def test_before_the_first_release_nothing_is_answered():
    times = TurnClock(lambda: 1.0)
    times.wrote()
    times.mark("transcript")
    assert times.answered.since("last_voice") == {}
    assert times.newest.since("last_voice") == {"transcript": 0.0}
