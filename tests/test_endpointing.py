"""Tables of probabilities: one character a window of 32 ms; '#' is speech, '.' silence, '~' in between."""

import pytest

from local_voice.endpointing import Endpointer, SpeechPaused, SpeechResumed, SpeechStarted, silence_that_ends
from local_voice.settings import TurnSettings, VadSettings

WINDOW = 0.032
PROBABILITY = {"#": 0.95, ".": 0.05, "~": 0.4}


def facts(windows: str, onset: float = 0.096) -> list[tuple[int, object]]:
    """(number of the window, fact) for every fact."""
    endpointer = Endpointer(VadSettings(), TurnSettings())
    found = []
    for number, letter in enumerate(windows, start=1):
        fact = endpointer.process(PROBABILITY[letter], WINDOW, number * WINDOW, onset)
        if fact is not None:
            found.append((number, fact))
    return found


def test_silence_gives_no_facts():
    assert facts("." * 100) == []


def test_speech_starts_after_three_windows_and_remembers_where_it_began():
    assert facts("..###") == [(5, SpeechStarted(pytest.approx(2 * WINDOW)))]


def test_two_loud_windows_are_a_click():
    assert facts("..##..##..") == []


def test_middling_windows_go_on_with_speech_but_do_not_begin_it():
    assert facts("~~~~~") == []
    assert [type(fact) for _, fact in facts("###~~~~~~")] == [SpeechStarted]


def test_a_pause_is_noticed_after_two_silent_windows():
    assert facts("####..")[-1] == (6, SpeechPaused(pytest.approx(4 * WINDOW)))


def test_one_silent_window_is_no_pause():
    assert len(facts("####.####.###")) == 1


def test_speech_after_a_pause_resumes_and_can_pause_again():
    kinds = [(number, type(fact)) for number, fact in facts("###..##..")]
    assert kinds == [(3, SpeechStarted), (5, SpeechPaused), (7, SpeechResumed), (9, SpeechPaused)]


def test_a_single_loud_window_in_a_pause_does_not_resume():
    assert [type(fact) for _, fact in facts("###...#....#...")] == [SpeechStarted, SpeechPaused]


def test_a_longer_onset_waits_longer():
    assert facts("#######", onset=0.224)[0][0] == 7


@pytest.mark.parametrize(
    ("completion", "turn_seconds", "expected"),
    [
        (0.95, 2.0, TurnSettings().confident_seconds),
        (0.6, 2.0, TurnSettings().likely_seconds),
        (None, 2.0, TurnSettings().likely_seconds),
        (0.1, 2.0, TurnSettings().unfinished_seconds),
        (0.1, 500.0, TurnSettings().pause_seconds),
    ],
)
def test_the_surer_the_shorter_the_wait(completion, turn_seconds, expected):
    seconds, why = silence_that_ends(TurnSettings(), completion, turn_seconds)
    assert seconds == expected
    assert why
