"""Offline, every pause is judged again by the real judgement, on evidence that engines gave once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fakes import LevelVad, ScriptedTurn

from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.replay import Pause, listen, replay
from benchmarks.conversation.script import Action, Sound
from benchmarks.conversation.sweep import OPERATING, sweep
from local_voice.settings import Settings
from local_voice.transcript import Transcript


class CountingStt:
    """Always hears the same words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.passes = 0

    async def transcribe(self, samples, *, final: bool, draft: str = "") -> Transcript:
        self.passes += 1
        return Transcript(self.text)


def engines(probability: float, text: str = "What is the capital of France?") -> SimpleNamespace:
    return SimpleNamespace(vad=LevelVad(), turn=ScriptedTurn(probability), stt=CountingStt(text))


def said(*voiced: tuple[float, float], reply: str = "Paris.") -> Action:
    samples = np.zeros(round(voiced[-1][1] * RATE), np.float32)
    for start, end in voiced:
        samples[round(start * RATE) : round(end * RATE)] = 0.5
    return Action("turn", Sound(samples, voiced), label="question", reply=reply)


async def test_a_confident_end_is_released_after_the_confident_wait():
    settings = Settings()
    [end] = await replay(listen([said((0.0, 1.0))], engines(0.99)), settings)
    assert end.is_end
    assert not end.cut_off
    assert end.completion == 0.99
    # Windows last 32 ms, and the last voice may end anywhere in one.
    assert end.waited == pytest.approx(settings.turn.confident_seconds, abs=0.065)


async def test_a_pause_longer_than_the_wait_is_cut_off_and_a_shorter_one_is_not():
    shown = [said((0.0, 1.0), (1.6, 2.5)), said((0.0, 1.0), (1.12, 2.5))]
    long, _, short, _ = await replay(listen(shown, engines(0.99)), Settings())
    assert (long.seconds, long.cut_off) == (pytest.approx(0.6), True)
    assert (short.seconds, short.cut_off) == (pytest.approx(0.12), False)


async def test_engines_are_asked_once_however_often_the_judgement_is_replayed():
    found = engines(0.3)
    evidence = listen([said((0.0, 1.0), (1.6, 2.5))], found)
    settings = Settings()
    await replay(evidence, settings)
    passes = found.stt.passes
    assert passes > 0
    await replay(evidence, settings)
    assert found.stt.passes == passes


async def test_every_turn_of_a_stretch_is_answered():
    asked = said((0.0, 1.0), reply="Shall I go on?")
    ends = await replay(listen([asked, said((0.0, 0.4)), said((0.0, 1.0))], engines(0.99)), Settings())
    assert [end.waited is not None for end in ends] == [True, True, True]


async def test_the_sweep_holds_our_point_and_those_of_a_timer_and_of_smart_turn_alone():
    stretches = [[said((0.0, 1.0), (1.6, 2.5))], [said((0.0, 1.0))]]
    points = await sweep(stretches, engines(0.6), Settings())
    [ours] = [point for point in points if point.setting == OPERATING]
    assert (len(ours.cut), len(ours.waits)) == (1, 2)
    timers = {point.setting: point for point in points if point.policy == "silence timer"}
    assert (timers["0.5 s"].cut_off, timers["0.5 s"].delay) == (1.0, 0.5)
    assert (timers["0.7 s"].cut_off, timers["0.7 s"].delay) == (0.0, pytest.approx(0.7))
    alone = {point.setting: point for point in points if point.policy == "Smart Turn alone"}
    assert (alone["0.5"].cut_off, alone["0.5"].delay) == (1.0, pytest.approx(0.2))
    assert (alone["0.7"].cut_off, alone["0.7"].delay) == (0.0, pytest.approx(1.6))


async def test_longer_waits_cost_delay_and_save_cut_offs():
    stretches = [[said((0.0, 1.0), (1.3 + gap, 2.5 + gap))] for gap in (0.0, 0.3, 0.6, 1.0)]
    points = [point for point in await sweep(stretches, engines(0.6), Settings()) if point.policy == "policy"]
    curve = [point for point in points if point.setting.startswith("confident at 0.9,")]
    cut_off = [point.cut_off for point in curve]
    # In between a turn that was cut off waits longer at its end.
    assert curve[0].delay < curve[-1].delay
    assert cut_off == sorted(cut_off, reverse=True)
    assert cut_off[0] > cut_off[-1]


def test_a_pause_that_nobody_released_in_was_not_cut_off():
    assert not Pause("comma", 0.6, None, 0.2).cut_off
    assert Pause("comma", 0.6, 0.3, 0.2).cut_off
