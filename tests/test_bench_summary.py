"""The table of the conversations shows what was judged, in rows that `regression.py` can judge again."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.conversation.caller import Recording
from benchmarks.conversation.judge import MidPause, Verdicts
from benchmarks.conversation.summary import Result, fill
from benchmarks.conversation.sweep import Point
from benchmarks.conversation.tapes import Ledger, Tapes
from benchmarks.report import Report, Row


def result(**judged: Any) -> Result:
    """A call of which only the verdicts matter."""
    silent = np.zeros(0, np.float32)
    return Result(Recording("call", silent, silent, [], []), Ledger(Tapes()), Verdicts("call", **judged))


def table(*results: Result, points: tuple[Point, ...] = ()) -> dict[str, Row]:
    made = Report("conversation", {})
    fill(made, results, points, 0.9)
    return {row["what"]: row for row in made.rows}


def mid_pause(seconds: float, cut_off: bool, label: str = "comma") -> MidPause:
    return MidPause("scenario", label, 1.0, seconds, cut_off, False)


def test_pauses_too_short_to_be_cut_off_do_not_water_the_share_down():
    pauses = [mid_pause(0.2, False), mid_pause(0.3 - 1e-9, True), mid_pause(1.0, False)]
    rows = table(result(pauses=[*pauses, mid_pause(0.6, True, "list")]))
    shares = {name: str(row["share"]) for name, row in rows.items() if name.startswith("pauses cut off")}
    assert shares["pauses cut off: all"] == "50.0 (2 of 4)"
    assert shares["pauses cut off: 0.3 s and longer"] == "66.7 (2 of 3)"
    assert shares["pauses cut off: 0.3 s and longer, without lists"] == "50.0 (1 of 2)"
