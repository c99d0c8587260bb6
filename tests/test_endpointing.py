"""Tables of probabilities: one character a window of 32 ms.

'#' is speech, '.' silence as loud as it, '~' in between; 's' and '-' are what Silero calls speech and silence
where next to nothing is to be heard.
"""

import pytest

from local_voice.endpointing import (
    Endpointer,
    Evidence,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    UsualPause,
    silence_that_ends,
)
from local_voice.settings import TurnSettings, VadSettings

WINDOW = 0.032
PROBABILITY = {"#": 0.95, ".": 0.05, "~": 0.4, "s": 0.95, "-": 0.05}
LEVEL = {"s": -50.0, "-": -50.0}


def facts(windows: str, onset: float = 0.096) -> list[tuple[int, object]]:
    """(number of the window, fact) for every fact."""
    endpointer = Endpointer(VadSettings(), TurnSettings())
    found = []
    for number, letter in enumerate(windows, start=1):
        level = LEVEL.get(letter, -20.0)
        fact = endpointer.process(PROBABILITY[letter], WINDOW, number * WINDOW, onset, level=level)
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


def test_one_silent_window_is_a_pause_where_the_sound_was_soft_for_two():
    assert facts("####ss-")[-1] == (7, SpeechPaused(pytest.approx(6 * WINDOW)))
    assert facts("####s-")[-1] == (6, SpeechPaused(pytest.approx(5 * WINDOW)))
    assert facts("####--")[-1] == (6, SpeechPaused(pytest.approx(4 * WINDOW)))


def test_a_voice_fades_from_the_second_soft_window_until_it_pauses_or_comes_back():
    endpointer = Endpointer(VadSettings(), TurnSettings())
    fading = []
    for number, letter in enumerate("##s####ss#sss--", start=1):
        level = LEVEL.get(letter, -20.0)
        endpointer.process(PROBABILITY[letter], WINDOW, number * WINDOW, 0.096, level=level)
        fading.append(endpointer.fading)
    assert [number for number, fades in enumerate(fading, start=1) if fades] == [9, 12, 13]


def test_what_silero_calls_voice_is_no_pause_however_soft():
    assert len(facts("####ssssssss####")) == 1


def test_a_soft_moment_that_is_over_makes_no_pause():
    assert len(facts("####ss#.###")) == 1
    assert facts("####s.-.")[-1] == (7, SpeechPaused(pytest.approx(5 * WINDOW)))


def test_a_bang_does_not_make_all_speech_after_it_soft():
    endpointer = Endpointer(VadSettings(), TurnSettings())
    quiet = []
    for number, level in enumerate([-35.0] * 4 + [-5.0] + [-35.0] * 40, start=1):
        endpointer.process(0.95, WINDOW, number * WINDOW, 0.096, level=level)
        quiet.append(endpointer.quiet)
    assert quiet[5]
    assert not quiet[-1]


def test_soft_is_softer_than_this_turn_not_than_the_one_before():
    endpointer = Endpointer(VadSettings(), TurnSettings())
    turns = [-10.0] * 4 + [-60.0] * 2, [-40.0] * 4 + [-60.0] * 2
    number = 0
    for levels in turns:
        for level in levels:
            number += 1
            voice = 0.95 if level > -50 else 0.05
            endpointer.process(voice, WINDOW, number * WINDOW, 0.096, level=level)
        endpointer.reset()
    assert not endpointer.quiet


def test_speech_after_a_pause_resumes_and_can_pause_again():
    kinds = [(number, type(fact)) for number, fact in facts("###..##..")]
    assert kinds == [(3, SpeechStarted), (5, SpeechPaused), (7, SpeechResumed), (9, SpeechPaused)]


def test_a_single_loud_window_in_a_pause_does_not_resume():
    assert [type(fact) for _, fact in facts("###...#....#...")] == [SpeechStarted, SpeechPaused]


def test_a_longer_onset_waits_longer():
    assert facts("#######", onset=0.224)[0][0] == 7


TURN = TurnSettings(half_sure_seconds=0.384)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(0.95), TURN.confident_seconds),
        (Evidence(0.6), TURN.likely_seconds),
        (Evidence(None), TURN.likely_seconds),
        (Evidence(0.01), TURN.unfinished_seconds),
        (Evidence(0.01, turn_seconds=500.0), TURN.pause_seconds),
        (Evidence(0.95, text="I want to go to"), TURN.hold_seconds),
        (Evidence(0.95, text="Is the oven still on?"), TURN.confident_seconds),
        (Evidence(0.95, text="现在几点了？", language="zh"), TURN.confident_seconds),  # noqa: RUF001
        (Evidence(0.95, text='Did he say "why?"'), TURN.confident_seconds),
        (Evidence(0.3, text="What is the capital of France?", usual_pause=0.9), TURN.half_sure_seconds),
        (Evidence(0.95, text="Please add apples."), TURN.half_sure_seconds),
        (Evidence(0.95, text="Twelve apples.", asked_for="open"), TURN.confident_seconds),
        (Evidence(0.95, text="Please add apples.", cut_off=True), TURN.likely_seconds),
        (Evidence(0.2, text="What is the capital of France?"), TURN.half_sure_seconds),
        (Evidence(0.8, text="What is the capital of France?"), TURN.half_sure_seconds),
        (Evidence(0.8, text="What is the capital of France?", cut_off=True), TURN.likely_seconds),
        (Evidence(0.01, text="Yes.", asked_for="yes_no"), TURN.confident_seconds),
        (Evidence(0.95, text="Five five five", asked_for="digits"), TURN.unfinished_seconds),
        (Evidence(0.95, cut_off=True), TURN.likely_seconds),
        (Evidence(0.6, cut_off=True), TURN.doubtful_seconds),
        (Evidence(0.2, text="Play some music for me."), TURN.doubtful_seconds),
        (Evidence(0.01, text="What is the capital of France?"), TURN.doubtful_seconds),
        (Evidence(0.2, text="Twelve.", asked_for="open"), TURN.likely_seconds),
        (Evidence(0.98, text="If it rains tomorrow."), TURN.hold_seconds),
        (Evidence(0.98, text="After the meeting.", asked_for="open"), TURN.confident_seconds),
        (Evidence(0.98, text="Pack my shoes, my coat."), TURN.unfinished_seconds),
        (Evidence(0.6, usual_pause=0.8), 0.9),
        (Evidence(0.6, usual_pause=5.0), TURN.unfinished_seconds),
        (Evidence(0.95, usual_pause=5.0), TURN.confident_seconds),
    ],
)
def test_the_surer_the_shorter_the_wait(evidence, expected):
    seconds, why = silence_that_ends(TURN, evidence)
    assert seconds == pytest.approx(expected)
    assert why


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"half_sure_seconds": 0.1}, 0.224),
        ({"half_sure_seconds": 3.0}, 0.512),
        ({"half_sure_seconds": 0.3, "confident_seconds": 0.4}, 0.4),
    ],
)
def test_a_statement_waits_no_shorter_than_a_question_and_no_longer_than_one_that_is_only_likely_over(
    changed, expected
):
    evidence = Evidence(0.95, text="Please add apples.")
    assert silence_that_ends(TurnSettings(**changed), evidence)[0] == pytest.approx(expected)


def test_the_usual_pause_follows_the_user_and_ignores_gaps_between_words():
    usual = UsualPause()
    usual.learn(0.1)
    assert usual.seconds == 0.0
    usual.learn(0.5)
    assert usual.seconds == 0.5
    for _ in range(20):
        usual.learn(1.0)
    assert usual.seconds == pytest.approx(1.0, abs=0.01)


def test_a_softer_voice_counts_where_the_onset_is_lower():
    endpointer = Endpointer(VadSettings(), TurnSettings())
    assert endpointer.process(0.32, 0.032, 0.032, 0.064, 0.3) is None
    assert endpointer.process(0.31, 0.032, 0.064, 0.064, 0.3) == SpeechStarted(0.0)
    usual = Endpointer(VadSettings(), TurnSettings())
    assert [usual.process(0.32, 0.032, 0.032 * number, 0.064) for number in (1, 2, 3)] == [None] * 3
