"""The table of the conversations shows what was judged, in rows that `regression.py` can judge again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.conversation.alignment import Hole, Playback
from benchmarks.conversation.caller import Recording, Spoken
from benchmarks.conversation.heard_words import HeardWords
from benchmarks.conversation.judge import Distractor, Gap, MidPause, Reply, Verdicts
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.script import Action, Sound
from benchmarks.conversation.summary import Result, fill
from benchmarks.conversation.sweep import OPERATING, Point
from benchmarks.conversation.tapes import Decision, Ledger, Take, Tapes
from benchmarks.regression import compare
from benchmarks.report import Report, Row

pytestmark = pytest.mark.usefixtures("at_once")


def result(**judged: Any) -> Result:
    """A call of which only the verdicts matter."""
    silent = np.zeros(0, np.float32)
    return Result(Recording("call", silent, silent, [], []), Ledger(Tapes()), Verdicts("call", **judged))


def table(*results: Result, points: tuple[Point, ...] = ()) -> dict[str, Row]:
    made = Report("conversation", {})
    fill(made, results, points, 0.9)
    return {row["what"]: row for row in made.rows}


def written(*results: Result, points: tuple[Point, ...] = ()) -> dict[str, Any]:
    """What two runs are compared by."""
    made = Report("conversation", {})
    fill(made, results, points, 0.9)
    return made.content()


def mid_pause(seconds: float, cut_off: bool, label: str = "comma") -> MidPause:
    return MidPause("scenario", label, 1.0, seconds, cut_off, False)


def test_pauses_too_short_to_be_cut_off_do_not_water_the_share_down():
    pauses = [mid_pause(0.2, False), mid_pause(0.3 - 1e-9, True), mid_pause(1.0, False)]
    rows = table(result(pauses=[*pauses, mid_pause(0.6, True, "list")]))
    shares = {name: str(row["share"]) for name, row in rows.items() if name.startswith("pauses cut off")}
    assert shares["pauses cut off: all"] == "50.0 (2 of 4)"
    assert shares["pauses cut off: 0.3 s and longer"] == "66.7 (2 of 3)"
    assert shares["pauses cut off: 0.3 s and longer, without lists"] == "50.0 (1 of 2)"


def test_replies_without_a_reason_are_counted_among_those_that_nobody_spoke_under():
    replies = [
        Reply("cats", 3.2, True, False),
        Reply("tea", 9.0, False, True),
        Reply("", 14.0, None, None),
        Reply("moon", 20.0, None, False),
    ]
    rows = table(result(replies=replies))
    cut, nothing = rows["replies cut though nobody spoke"], rows["replies to nothing"]
    assert (str(cut["share"]), cut["note"]) == ("50.0 (1 of 2)", "call, 3 s")
    assert (str(nothing["share"]), nothing["note"]) == ("33.3 (1 of 3)", "call, 9 s")


def test_a_single_word_too_many_was_not_played():
    made = result()
    made.heard = [HeardWords("call", 4.0, "a reply", in_history=n, in_recording=5) for n in (4, 5, 6)]
    rows = table(made)
    assert str(rows["history with words that were not played"]["share"]) == "33.3 (1 of 3)"
    assert rows["history with words that were not played"]["note"] == "+1 (call, 4 s)"
    assert str(rows["history off by more than a word"]["share"]) == "0.0 (0 of 3)"


def a_run(*, wrong: bool) -> Result:
    """Twenty questions, each with a reply and a cough under it; nothing goes well in one that is wrong."""
    made = result(
        gaps=[Gap("scenario", "question", 10.0 * number, None if wrong else 0.5) for number in range(20)],
        distractors=[
            Distractor("scenario", "cough", 10.0 * number, "resumed", 4000 if wrong else 0, 0.3, 0.5)
            for number in range(20)
        ],
        stray=[10.0 * number + 0.5 for number in range(20)] if wrong else [],
        unmet=[("scenario", "cough")] * 20 if wrong else [],
        playbacks=[
            Playback(Take("question", (1, 0), 0.0), 0.0, 3.0, holes=[Hole(5.0, 5.5, 0)] if wrong else [])
            for _ in range(20)
        ],
    )
    question = Action("turn", Sound(np.zeros(RATE, np.float32), ((0.0, 1.0),)), label="question")
    made.recording.spoken = [Spoken("scenario", question, 10.0 * number) for number in range(20)]
    made.recording.unmet = list(made.verdicts.unmet)
    return made


def test_what_never_happened_or_went_wrong_is_found_by_comparing_the_results():
    found = compare(written(a_run(wrong=False)), written(a_run(wrong=True)))
    assert {finding.what.partition(":")[0] for finding in found if finding.verdict == "worse"} == {
        "turns without a reply",
        "began into the caller's voice",
        "resumes that lost samples",
        "replies that stalled",
        "moments that never came",
    }
    rows = table(a_run(wrong=True))
    assert str(rows["moments that never came"]["share"]) == "50.0 (20 of 40)"
    assert rows["resumes that lost samples"]["note"] == "4000 at most"


def test_what_the_policy_cuts_off_offline_can_be_judged_and_so_can_the_least_it_reaches():
    policy = (
        Point("policy", OPERATING, (0.4, 0.8), (True,) * 4 + (False,) * 6),
        Point("policy", "slow", (0.9, 1.5), (True,) + (False,) * 9),
        Point("policy", "slower", (1.9, 1.9), (True,) + (False,) * 9),
    )
    rows = table(points=(*policy, Point("silence timer", "1.6 s", (1.6, 1.6), (False,) * 10)))
    own, fewest = rows["thresholds: policy, operating point"], rows["thresholds: policy, fewest cut off"]
    assert (str(own["cut_off"]), own["mean_delay"]) == ("40.0 (4 of 10)", 0.6)
    assert (str(fewest["cut_off"]), fewest["mean_delay"]) == ("10.0 (1 of 10)", 1.2)
    assert fewest["setting"] == "slow"
    assert rows["thresholds: silence timer, quickest with at most 5% cut off"]["setting"] == "1.6 s"
    assert "thresholds: policy, quickest with at most 5% cut off" not in rows


def test_the_cost_of_drafting_is_told_call_by_call():
    def call(wasted: int) -> Result:
        tapes = Tapes()
        ledger = Ledger(tapes)
        for key, tokens in (((1, 0), 20 - wasted), ((1, 1), wasted)):
            ledger.decisions.append(Decision(1.0, 1.0, "Draft", key))
            tapes.takes.append(Take("question", key, 1.0, tokens=tokens))
        ledger.decisions.append(Decision(1.2, 1.2, "Release", (1, 0)))
        made = result()
        made.recording.takes, made.ledger = tapes.takes, ledger
        return made

    calls = [call(1) for _ in range(10)]
    rows = table(*calls, result())
    assert len(rows["tokens of drafts never released"]["share"].samples) == 10
    assert str(rows["drafts accepted"]["share"]) == "50.0 (10 of 20)"
    found = compare(written(*calls), written(*(call(15) for _ in range(10))))
    assert [f.what for f in found if f.verdict == "worse"] == ["tokens of drafts never released: share"]


def test_a_policy_that_cuts_off_more_than_before_is_found_by_comparing_the_results():
    def points(cut: int) -> tuple[Point, ...]:
        return (Point("policy", OPERATING, (0.5,) * 20, (True,) * cut + (False,) * (40 - cut)),)

    old, new = (written(points=points(cut)) for cut in (4, 36))
    worse = {finding.what for finding in compare(old, new) if finding.verdict == "worse"}
    assert "thresholds: policy, operating point: cut_off" in worse
