import pytest

from local_voice.timeline import Timeline


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
