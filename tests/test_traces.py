"""Conversations that were really held, decided again: a change of the judgement shows here.

Each trace in `traces/` was recorded from the real engines by a caller of `benchmarks.bench_conversation`, and
its words were hidden by `local-voice hide-words`. Where a change is meant, record them again. They are from
before `half_sure_seconds`, and keep it at what such turns waited then; and from before short questions were
read ahead, which was added to them (`Warm`): it changes nothing that was decided.
"""

from collections import Counter
from pathlib import Path

import pytest

from local_voice.trace import read, replay

TRACES = sorted((Path(__file__).parent / "traces").glob("*.jsonl"))


def commands(name: str) -> Counter:
    _, steps = read(Path(__file__).parent / "traces" / f"{name}.jsonl")
    return Counter(command["type"] for step in steps for command in step.commands)


def test_there_are_traces():
    assert len(TRACES) >= 5


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_recorded_conversation_is_decided_as_it_was(path):
    assert replay(path) == []


def test_a_word_that_holds_keeps_the_turn_together():
    found = commands("a-word-that-holds")
    assert found["Release"] == 2  # two turns, one of them with a pause
    assert found["Withdraw"] == 1
    assert found["Interrupt"] == 0


def test_going_on_after_the_reply_began_reopens_the_turn():
    found = commands("going-on-after-the-reply-began")
    assert found["Pause"] == found["Interrupt"] == 1
    assert found["Release"] == 3


def test_a_backchannel_lets_the_reply_go_on():
    found = commands("a-backchannel")
    assert found["Resume"] == 1
    assert found["Interrupt"] == 0


def test_an_interruption_is_paused_first_and_then_cut():
    found = commands("an-interruption")
    assert found["Duck"] == found["Pause"] == found["Interrupt"] == 1


def test_its_own_echo_does_not_interrupt():
    found = commands("its-own-echo")
    assert found["Duck"] > 0  # it was heard
    assert found["Interrupt"] == 0
    assert found["Release"] == 2
