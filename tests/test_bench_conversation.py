"""The judge of the conversations is right about sound whose faults are known; then the short form."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from benchmarks.bench_conversation import measure
from benchmarks.conversation import plan
from benchmarks.conversation.alignment import playbacks
from benchmarks.conversation.caller import Recording, Spoken
from benchmarks.conversation.heard_words import AROUND_SECONDS, heard_words
from benchmarks.conversation.judge import judge
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.pictures import draw_sweep, draw_timeline
from benchmarks.conversation.script import Action, IntoReply, Quiet, Sound
from benchmarks.conversation.summary import begun, fill
from benchmarks.conversation.sweep import OPERATING, turns_of
from benchmarks.conversation.tapes import Take
from local_voice.events import Message
from local_voice.settings_sources import load
from local_voice.transcript import Word

SECONDS = 20.0
FADE = RATE // 100


def reply(seconds: float = 4.0, *, begun: float = 0.0, seed: int = 0, text: str = "a reply") -> Take:
    """A take whose sound is noise at a voice's level: no two places in it are alike."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    take = Take("question", (1, 0), begun, text, written=True)
    take._sound = (0.1 * noise).astype(np.float32)
    return take


def uttered(seconds: float, *, pause: tuple[float, float] | None = None) -> Sound:
    """A sound of which only the extents matter."""
    voiced = ((0.0, seconds),) if pause is None else ((0.0, pause[0]), (pause[1], seconds))
    return Sound(np.zeros(round(seconds * RATE), np.float32), voiced)


def turn(start: float, seconds: float, **about) -> Spoken:
    return Spoken("scenario", Action("turn", uttered(seconds, **about), Quiet(), "question"), start)


def during(kind: str, start: float, seconds: float, **about) -> Spoken:
    return Spoken("scenario", Action(kind, uttered(seconds), IntoReply(1.0), kind, **about), start)


def channel(*pieces: tuple[float, np.ndarray]) -> np.ndarray:
    """Sounds at their seconds."""
    made = np.zeros(round(SECONDS * RATE), np.float32)
    for at, sound in pieces:
        first = round(at * RATE)
        made[first : first + len(sound)] += sound
    return made


def recording(assistant: np.ndarray, takes: list[Take], *spoken: Spoken) -> Recording:
    return Recording("call", np.zeros_like(assistant), assistant, list(spoken), takes)


def faded_out(sound: np.ndarray) -> np.ndarray:
    made = sound.copy()
    made[-FADE:] *= np.linspace(1, 0, FADE)
    return made


def faded_in(sound: np.ndarray) -> np.ndarray:
    made = sound.copy()
    made[:FADE] *= np.linspace(0, 1, FADE)
    return made


def test_a_gap_runs_from_the_last_voiced_sample_to_the_first_of_the_reply():
    take = reply()
    found = judge(recording(channel((3.25, take.sound)), [take], turn(1.0, 2.0)))
    assert [gap.seconds for gap in found.gaps] == [pytest.approx(0.25, abs=0.006)]


def test_a_question_without_a_reply_is_counted_as_unanswered():
    found = judge(recording(channel(), [], turn(1.0, 2.0)))
    assert [gap.seconds for gap in found.gaps] == [None]


def test_a_pause_is_cut_off_when_the_assistant_begins_in_it():
    wrong, right = reply(0.6, seed=1), reply(seed=2)
    sound = channel((2.4, wrong.sound), (5.3, right.sound))
    found = judge(recording(sound, [wrong, right], turn(1.0, 4.0, pause=(1.0, 1.6))))
    [pause] = found.pauses
    assert (pause.cut_off, pause.before_resuming) == (True, True)
    assert pause.seconds == pytest.approx(0.6)
    assert [over.seconds for over in found.talk_overs] == [pytest.approx(0.4, abs=0.006)]
    assert [gap.seconds for gap in found.gaps] == [pytest.approx(0.3, abs=0.006)]


def test_a_pause_is_cut_off_too_when_the_assistant_begins_just_after_it():
    wrong = reply(0.2)
    sound = channel((2.7, wrong.sound))
    found = judge(recording(sound, [wrong], turn(1.0, 4.0, pause=(1.0, 1.6))))
    [pause] = found.pauses
    assert (pause.cut_off, pause.before_resuming) == (True, False)
    assert [over.seconds for over in found.talk_overs] == [pytest.approx(0.2, abs=0.006)]


def test_a_pause_that_is_waited_out_is_not_cut_off():
    take = reply()
    found = judge(recording(channel((5.3, take.sound)), [take], turn(1.0, 4.0, pause=(1.0, 2.6))))
    assert [pause.cut_off for pause in found.pauses] == [False]
    assert found.talk_overs == []


def over_the_caller(*pieces: tuple[float, np.ndarray]) -> list[float]:
    """Seconds for which a reply in these pieces is heard over a caller who goes on from 4.5 to 7.5 s."""
    take = reply(4.0)
    going_on = during("going on", 4.5, 3.0)
    found = judge(recording(channel(*pieces), [take], turn(1.0, 2.0), going_on))
    return [over.seconds for over in found.talk_overs]


def test_a_reply_that_is_resumed_over_the_caller_talks_over_again():
    sound, paused = reply(4.0).sound, round(0.6 * RATE)
    first = (4.0, faded_out(sound[:paused]))
    assert over_the_caller(first) == [pytest.approx(0.1, abs=0.01)]
    again = (5.2, faded_in(sound[paused - FADE : paused + RATE]))
    assert over_the_caller(first, again) == [pytest.approx(1.1, abs=0.03)]
    after_their_last_voice = (8.0, faded_in(sound[paused - FADE :]))
    assert over_the_caller(first, after_their_last_voice) == [pytest.approx(0.1, abs=0.01)]


def test_talk_over_is_counted_too_where_the_reply_begins_softly_between_two_frames():
    # The second is looked for in frames that are counted from the first; 2.704 s is no border of others.
    before, wrong = reply(0.5, seed=1), reply(0.2, begun=2.0, seed=2)
    wrong.sound[:60] *= 0.03
    sound = channel((0.2 + 50 / RATE, before.sound), (2.7 + 54 / RATE, wrong.sound))
    said = turn(1.0, 4.0, pause=(1.0, 1.6))
    [over] = judge(recording(sound, [before, wrong], said)).talk_overs
    assert over.seconds == pytest.approx(0.2, abs=0.006)


def reasons(sound: np.ndarray, takes: list[Take], *spoken: Spoken) -> list[tuple[bool | None, bool | None]]:
    """Of each reply: whether it was cut though nobody spoke, and whether it answers nothing."""
    return [(one.cut, one.to_nothing) for one in judge(recording(sound, takes, *spoken)).replies]


def test_a_reply_that_ends_early_was_cut_though_nobody_spoke():
    take = reply(4.0)
    assert reasons(channel((3.25, take.sound)), [take], turn(1.0, 2.0)) == [(False, False)]
    cut = faded_out(take.sound[: RATE // 2])
    assert reasons(channel((3.25, cut)), [take], turn(1.0, 2.0)) == [(True, False)]


def test_a_reply_that_the_caller_interrupts_was_not_cut_for_nothing():
    old, new = reply(4.0, seed=1), reply(begun=6.0, seed=2)
    sound = channel((4.0, faded_out(old.sound[: round(1.2 * RATE)])), (7.0, new.sound))
    for kind in ("interruption", "going on"):
        assert reasons(sound, [old, new], turn(1.0, 2.0), during(kind, 5.0, 1.5)) == [
            (None, False),
            (False, False),
        ]
    # Where it was in a pause of its own, its last sound was before the caller's first.
    assert reasons(sound, [old, new], turn(1.0, 2.0), during("interruption", 5.35, 1.2))[0] == (None, False)


def test_what_a_distractor_does_to_a_reply_is_not_told_twice():
    old, new = reply(4.0, seed=1), reply(begun=6.0, seed=2)
    said = [turn(1.0, 2.0), during("distractor", 5.0, 0.4)]
    cut = faded_out(old.sound[: round(1.2 * RATE)])
    assert reasons(channel((4.0, cut)), [old, new], *said) == [(None, None)]
    assert reasons(channel((4.0, cut), (7.0, new.sound)), [old, new], *said) == [(None, None)] * 2


def test_a_second_reply_answers_nothing():
    first, second = reply(2.0, seed=1), reply(2.0, begun=7.0, seed=2)
    sound = channel((3.25, first.sound), (8.0, second.sound))
    assert reasons(sound, [first, second], turn(1.0, 2.0)) == [(False, False), (False, True)]
    assert reasons(sound, [first, second], turn(1.0, 2.0), turn(6.0, 1.5)) == [(False, False)] * 2
    assert reasons(sound, [first, second], turn(6.0, 1.5)) == [(False, True), (False, False)]


def test_the_second_attempt_at_a_reply_that_was_cut_is_an_answer():
    first, second = reply(2.0, seed=1), reply(2.0, begun=7.0, seed=2)
    sound = channel((3.25, faded_out(first.sound[:RATE])), (8.0, second.sound))
    assert reasons(sound, [first, second], turn(1.0, 2.0)) == [(True, False), (False, False)]


def test_duck_and_stop_are_timed_from_the_first_voiced_sample_of_an_interruption():
    old, new = reply(seed=1), reply(begun=7.0, seed=2)
    heard = old.sound[: round(1.25 * RATE)].copy()
    heard[round(1.1 * RATE) :] *= 0.25
    sound = channel((4.0, faded_out(heard)), (7.0, new.sound))
    found = judge(recording(sound, [old, new], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    [one] = found.interruptions
    assert one.taken, one.why
    assert one.duck == pytest.approx(0.1, abs=0.006)
    assert one.stop == pytest.approx(0.25, abs=0.01)


def test_an_interruption_that_is_spoken_over_is_missed():
    take = reply(4.0)
    sound = channel((4.0, take.sound))
    found = judge(recording(sound, [take], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    assert [(one.taken, one.why) for one in found.interruptions] == [(False, "spoken over")]


def test_a_reply_that_is_never_ducked_counts_among_those_that_are():
    take = reply(4.0)
    found = judge(
        recording(channel((4.0, take.sound)), [take], turn(1.0, 2.0), during("interruption", 5.0, 1.5))
    )
    assert [one.duck for one in found.interruptions] == [pytest.approx(3.0, abs=0.01)]


def test_an_apology_is_no_answer():
    apology = reply(1.0).sound
    found = judge(recording(channel((3.25, apology)), [], turn(1.0, 2.0)))
    assert [gap.seconds for gap in found.gaps] == [None]
    take = reply(4.0, seed=1)
    sound = channel((4.0, faded_out(take.sound[: round(1.2 * RATE)])), (7.0, apology))
    found = judge(recording(sound, [take], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    assert [one.why for one in found.interruptions] == ["not answered"]


def test_a_distractor_after_the_reply_distracts_nobody():
    take, other = reply(1.0, seed=1), reply(1.0, begun=6.0, seed=2)
    said = [turn(1.0, 2.0), during("distractor", 6.0, 0.4)]
    made = recording(channel((3.25, take.sound)), [take], *said)
    found = judge(made)
    assert (found.distractors, found.unmet, made.unmet) == ([], [("scenario", "distractor")], [])
    answered = channel((3.25, take.sound), (7.0, other.sound))
    assert reasons(answered, [take, other], *said) == [(False, False), (False, True)]
    # In a pause of its own the reply was silent already when it was cut.
    cut = channel((3.25, faded_out(reply(4.0, seed=1).sound[: round(2.6 * RATE)])))
    [one] = judge(recording(cut, [reply(4.0, seed=1)], *said)).distractors
    assert one.outcome == "cut"


def test_an_interruption_after_which_the_reply_goes_on_is_missed():
    take = reply(4.0)
    cut = round(1.2 * RATE)
    sound = channel((4.0, faded_out(take.sound[:cut])), (7.0, faded_in(take.sound[cut - FADE :])))
    found = judge(recording(sound, [take], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    assert [(one.taken, one.why) for one in found.interruptions] == [(False, "the reply went on")]


def test_an_interruption_that_makes_the_reply_waver_is_taken_when_it_stops_in_time():
    old, new = reply(4.0, seed=1), reply(begun=7.0, seed=2)
    cut, again = round(1.2 * RATE), round(1.6 * RATE)
    pieces = [(4.0, faded_out(old.sound[:cut])), (5.6, faded_out(old.sound[cut:again])), (7.0, new.sound)]
    found = judge(recording(channel(*pieces), [old, new], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    [one] = found.interruptions
    assert (one.taken, one.wavered) == (True, True)
    assert one.stop == pytest.approx(0.2, abs=0.01)


def test_an_interruption_without_an_answer_is_missed():
    take = reply(4.0)
    sound = channel((4.0, faded_out(take.sound[: round(1.2 * RATE)])))
    found = judge(recording(sound, [take], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    assert [(one.taken, one.why) for one in found.interruptions] == [(False, "not answered")]


def test_one_who_asks_for_silence_is_answered_by_it():
    old, new = reply(4.0, seed=1), reply(begun=7.0, seed=2)
    cut = (4.0, faded_out(old.sound[: round(1.2 * RATE)]))
    hush = during("interruption", 5.0, 1.5, hushes=True)
    found = judge(recording(channel(cut), [old], turn(1.0, 2.0), hush))
    assert [(one.taken, one.why) for one in found.interruptions] == [(True, "")]
    assert len(found.gaps) == 1  # the turn's before it
    found = judge(recording(channel(cut, (7.0, new.sound)), [old, new], turn(1.0, 2.0), hush))
    assert [(one.taken, one.why) for one in found.interruptions] == [(False, "answered")]


def test_a_pause_of_the_reply_itself_hides_when_it_was_stopped():
    old, new = reply(seed=1), reply(begun=7.0, seed=2)
    old.sound[round(1.1 * RATE) : round(1.5 * RATE)] = 0
    sound = channel((4.0, old.sound[: round(1.2 * RATE)]), (7.0, new.sound))
    found = judge(recording(sound, [old, new], turn(1.0, 2.0), during("interruption", 5.0, 1.5)))
    [one] = found.interruptions
    assert (one.taken, one.duck, one.stop) == (True, None, None)


def distracted(sound: np.ndarray, *takes: Take):
    said = [turn(1.0, 2.0), during("distractor", 5.0, 0.4)]
    [one] = judge(recording(sound, list(takes), *said)).distractors
    return one


def test_a_reply_that_is_heard_to_its_end_was_not_interrupted():
    take = reply()
    assert distracted(channel((4.0, take.sound)), take).outcome == "untouched"


def test_a_reply_that_is_ducked_for_a_moment_was_not_interrupted():
    take = reply()
    heard = take.sound.copy()
    heard[round(1.1 * RATE) : round(1.5 * RATE)] *= 0.25
    one = distracted(channel((4.0, heard)), take)
    assert (one.outcome, one.lost) == ("ducked", 0)


def test_a_reply_that_resumes_with_its_very_next_sample_loses_nothing():
    take = reply()
    at = round(1.2 * RATE)
    # As the playout does it: what fades out is played again, fading in.
    sound = channel((4.0, faded_out(take.sound[: at + FADE])), (6.0, faded_in(take.sound[at:])))
    one = distracted(sound, take)
    assert (one.outcome, one.lost) == ("resumed", 0)
    assert one.resume == pytest.approx(0.6, abs=0.006)
    assert one.paused == pytest.approx(0.8 - 0.01, abs=0.006)


def test_a_reply_that_was_ducked_where_it_is_quiet_loses_nothing():
    take = reply()
    at = round(1.2 * RATE)
    take.sound[at - 400 : at] *= 0.008
    ducked = take.sound[: at + FADE].copy()
    ducked[at - 600 :] *= 0.25
    sound = channel((4.0, faded_out(ducked)), (6.0, faded_in(take.sound[at:])))
    one = distracted(sound, take)
    assert (one.outcome, one.lost) == ("resumed", 0)


def test_a_reply_that_resumes_where_it_is_quiet_loses_nothing():
    take = reply()
    at = round(1.2 * RATE)
    take.sound[at : at + 600] *= 0.008  # 37 ms that are heard only with the best of ears
    sound = channel((4.0, faded_out(take.sound[: at + FADE])), (6.0, faded_in(take.sound[at:])))
    one = distracted(sound, take)
    assert (one.outcome, one.lost) == ("resumed", 0)


def test_a_reply_that_resumes_with_less_than_can_be_heard_before_it_pauses_loses_nothing():
    take = reply()
    at = round(1.2 * RATE)
    take.sound[at : at + 480] *= 0.02  # -54 dB
    take.sound[at + 480 : at + 4000] = 0
    sound = channel((4.0, faded_out(take.sound[: at + FADE])), (6.0, faded_in(take.sound[at:])))
    one = distracted(sound, take)
    assert (one.outcome, one.lost) == ("resumed", 0)


def test_the_first_hum_of_another_reply_is_no_end_of_the_one_that_was_cut():
    take, other = reply(seed=1), reply(3.0, begun=6.8, seed=2)
    hum = (0.1 * np.sin(2 * np.pi * 125 / RATE * np.arange(800))).astype(np.float32)
    take.sound[8000:8800] = hum
    other.sound[:600] = hum[:600]  # 37 ms, then a pause
    other.sound[600:2000] = 0
    heard = faded_out(take.sound[: round(1.2 * RATE)])
    sound = channel((4.0, heard), (7.0, other.sound))
    assert distracted(sound, take, other).outcome == "cut"


def test_samples_that_a_resumed_reply_skips_are_counted():
    take = reply()
    at = round(1.2 * RATE)
    sound = channel((4.0, take.sound[:at]), (6.0, take.sound[at + 800 :]))
    assert distracted(sound, take).lost == pytest.approx(800, abs=8)


def test_a_reply_that_is_cut_and_never_resumed_was_interrupted_falsely():
    take = reply()
    assert distracted(channel((4.0, faded_out(take.sound[:RATE]))), take).outcome == "cut"


def test_a_cough_that_is_answered_was_taken_for_a_turn():
    take, other = reply(2.0, seed=1), reply(begun=7.0, seed=2)
    one = distracted(channel((4.0, take.sound), (7.0, other.sound)), take, other)
    assert one.outcome == "answered"


def test_a_short_stall_of_the_voice_is_a_hole_and_not_an_end():
    take = reply()
    at = round(1.0 * RATE)
    [playback] = playbacks(channel((4.0, take.sound[:at]), (5.02, take.sound[at:])), [take])
    assert playback.completed
    assert [(round(hole.end - hole.start, 2), hole.lost) for hole in playback.holes] == [(0.02, 0)]


def test_a_reply_that_begins_like_one_that_was_cut_does_not_resume_it():
    first, second = reply(seed=1), reply(begun=6.0, seed=2)
    first.sound[1000:3000] = 0  # too little before its pause to tell the two apart
    second.sound[:8000] = 0.2 * second.sound[:8000] + first.sound[:8000]
    second.sound[1000:3000] = 0
    cut = round(1.2 * RATE)
    found = playbacks(channel((4.0, faded_out(first.sound[:cut])), (7.0, second.sound)), [first, second])
    assert [len(playback.holes) for playback in found] == [0, 0]
    assert [playback.take is take for playback, take in zip(found, (first, second), strict=True)] == [
        True
    ] * 2
    assert found[0].heard == pytest.approx(cut, abs=FADE)


def test_two_replies_after_each_other_are_told_apart():
    first, second = reply(1.0, seed=1), reply(begun=5.0, seed=2)
    found = playbacks(channel((4.0, first.sound), (5.5, second.sound)), [first, second])
    assert [playback.take for playback in found] == [first, second]
    assert all(playback.completed for playback in found)


HEARD = "boil some fresh water and warm the pot with it then add one spoon of leaves"


def cut_reply(seconds: float, history: str):
    """A reply that was interrupted after so many seconds, and what the history holds of it."""
    take = reply(4.0, text=HEARD)
    sound = channel((4.0, faded_out(take.sound[: round(seconds * RATE)])))
    made = recording(sound, [take], turn(1.0, 2.0), during("interruption", 4.0 + seconds - 0.2, 1.0))
    made.history = [Message("user", "question"), Message("assistant", history, interrupted=True)]
    return made


async def errors(made: Recording, transcript: str = HEARD) -> list[int]:
    """`transcript`: what Whisper makes of the whole reply; each word lasts a quarter of a second."""

    async def hear(sound: np.ndarray) -> list[Word]:
        assert len(sound) == round((4.0 + 2 * AROUND_SECONDS) * RATE)
        starts = (AROUND_SECONDS + 0.25 * number for number in range(16))
        return [Word(word, at, at + 0.25) for word, at in zip(transcript.split(), starts, strict=False)]

    return [one.error for one in await heard_words(made, judge(made), hear)]


async def test_the_history_of_a_cut_reply_is_compared_with_what_can_be_heard():
    assert await errors(cut_reply(1.0, "boil some fresh water")) == [0]
    assert await errors(cut_reply(1.25, "boil some fresh water")) == [-1]
    assert await errors(cut_reply(0.5, "boil some fresh water")) == [2]


async def test_a_word_that_whisper_mishears_does_not_end_the_count():
    made = cut_reply(1.5, "boil some fresh water and warm")
    assert await errors(made, HEARD.replace("some", "sum")) == [0]
    assert await errors(made, HEARD.replace("boil", "oil").replace("water", "waters")) == [0]


async def test_a_word_counts_when_it_is_over():
    assert await errors(cut_reply(1.2, "boil some fresh water")) == [0]
    assert await errors(cut_reply(1.2, "boil some fresh water and")) == [1]
    assert await errors(cut_reply(1.26, "boil some fresh water")) == [-1]


async def test_a_reply_that_the_history_forgot_counts_with_all_its_words():
    assert await errors(cut_reply(1.0, "something else")) == [-4]


async def test_a_reply_that_yielded_counts_only_where_the_history_knows_of_it():
    made = cut_reply(1.0, "boil some fresh water")
    made.spoken[1] = during("going on", 4.8, 1.0)
    assert await errors(made) == [0]
    made.history[1] = Message("assistant", "something else")
    assert await errors(made) == []


async def test_a_reply_that_is_found_in_two_parts_is_one_to_its_history():
    made = cut_reply(1.0, "boil some fresh water and warm")
    [take] = made.takes
    again = slice(round(0.8 * RATE), round(1.5 * RATE))
    made.assistant = channel((4.0, take.sound[: round(1.0 * RATE)]), (5.4, faded_out(take.sound[again])))
    assert len(playbacks(made.assistant, [take])) == 2
    assert await errors(made) == [0]


async def test_a_reply_that_was_heard_to_its_end_has_nothing_to_be_off_by():
    take = reply(text=HEARD)
    made = recording(channel((4.0, take.sound)), [take], turn(1.0, 2.0))
    assert await errors(made) == []


@pytest.mark.models
def test_the_short_form_finds_no_broken_policy(tmp_path):
    """Bounds that a loaded machine keeps and a policy that is wrong somewhere does not."""
    settings = load(None, {}).settings
    made = begun(settings, real_llm=False)
    results, points = asyncio.run(measure(plan.quick(), settings, swept=turns_of(plan.quick()), out=tmp_path))
    verdicts = [result.verdicts for result in results]
    gaps = [gap.seconds for one in verdicts for gap in one.gaps]
    assert None not in gaps
    assert np.median(gaps) < 3.0
    assert sum(pause.cut_off for one in verdicts for pause in one.pauses) <= 1
    assert sum(len(one.stray) for one in verdicts) == 0
    interruptions = [found for one in verdicts for found in one.interruptions]
    assert sum(found.taken for found in interruptions) >= 1
    assert all(over.seconds < 1.0 for one in verdicts for over in one.talk_overs)
    distractors = [found for one in verdicts for found in one.distractors]
    assert sum(found.outcome in ("cut", "answered") for found in distractors) <= 1
    assert [found.outcome for found in distractors if found.label == "echo"] in (
        ["untouched"],
        ["ducked"],
        ["resumed"],
    )
    assert all(one.error <= 2 for result in results for one in result.heard)
    assert sum(result.ledger.count("Release") for result in results) >= 10
    [ours] = [point for point in points if point.setting == OPERATING]
    assert ours.cut_off <= 0.5
    fill(made, results, points, settings.turn.confident_probability)
    made.finish(tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["rows"]
    draw_timeline(results[0], tmp_path / "timeline.png")
    draw_sweep(points, tmp_path / "sweep.png")
    assert {path.suffix for path in tmp_path.iterdir()} == {".wav", ".json", ".png"}
