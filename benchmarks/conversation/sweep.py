"""Cut-offs against delay: what every threshold would have cost, on every pause and every end of the plan.

A cut-off is a pause within a turn in which the reply was released; the delay is the silence between the
last voiced sample and the release, at true ends. Beside our policy stand a plain silence timer and Smart Turn
alone, asked once and released at 0.2 s or, below its threshold, at a timeout: LiveKit's eot-bench's terms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.conversation.replay import Evidence, Pause, listen, replay
from benchmarks.conversation.script import Action, Call, Scenario
from local_voice.settings import Settings

PATIENCE = (0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0)
"""All waits of the policy times this, at each confidence threshold."""
OPERATING = "operating point"
CONFIDENT = (0.7, 0.9, 0.97)
TIMERS = tuple(round(0.1 * tenths, 1) for tenths in range(2, 21))
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
SMART_TURN_SECONDS = 0.2
TIMEOUT_SECONDS = 1.6
TOGETHER = 4
WAITS = (
    "confident_seconds",
    "half_sure_seconds",
    "likely_seconds",
    "doubtful_seconds",
    "unfinished_seconds",
    "hold_seconds",
)

Waits = Callable[[Pause], float]


@dataclass(frozen=True)
class Point:
    """A policy at one setting."""

    policy: str
    setting: str
    waits: tuple[float, ...]
    """Seconds at each true end; one that was never released counts as the longest wait."""
    cut: tuple[bool, ...]
    """Of each pause within a turn: a reply was released in it."""

    @property
    def delay(self) -> float:
        """Mean seconds at true ends."""
        return float(np.mean(self.waits))

    @property
    def cut_off(self) -> float:
        """Part of the pauses within turns."""
        return float(np.mean(self.cut))


def turns_of(calls: Iterable[Call]) -> list[list[Action]]:
    """What is said in turn, scenario by scenario: nothing that depends on a reply's sound."""
    return [turns for call in calls for scenario in call.scenarios if (turns := _turns(scenario))]


def _turns(scenario: Scenario) -> list[Action]:
    if any(action.kind != "turn" for action in scenario.actions):
        return []
    return list(scenario.actions)


async def sweep(stretches: Sequence[Sequence[Action]], engines: Any, settings: Settings) -> list[Point]:
    """The points of all policies; ours at its own settings is `OPERATING`."""
    heard = [listen(turns, engines, seed=number) for number, turns in enumerate(stretches)]
    ours = await _all(heard, settings)
    points = [_point("policy", OPERATING, ours, settings)]
    for confident in CONFIDENT:
        for patience in PATIENCE:
            changed = _scaled(settings, confident, patience)
            found = await _all(heard, changed)
            points.append(_point("policy", f"confident at {confident}, waits x {patience}", found, changed))
    for timer in TIMERS:
        points.append(_timed("silence timer", f"{timer} s", ours, _timer(timer)))
    for threshold in THRESHOLDS:
        points.append(_timed("Smart Turn alone", f"{threshold}", ours, _smart_turn(threshold)))
    return points


def _scaled(settings: Settings, confident: float, patience: float) -> Settings:
    turn = settings.turn
    waits = {name: max(turn.predict_seconds, getattr(turn, name) * patience) for name in WAITS}
    changed = turn.model_copy(update={**waits, "confident_probability": confident})
    return settings.model_copy(update={"turn": changed})


async def _all(heard: Sequence[Evidence], settings: Settings) -> list[Pause]:
    # A few together, so that Smart Turn and the judgement are at work on others while Whisper hears one.
    together = asyncio.Semaphore(TOGETHER)

    async def one(evidence: Evidence) -> list[Pause]:
        async with together:
            return await replay(evidence, settings)

    replays = await asyncio.gather(*map(one, heard))
    return [pause for pauses in replays for pause in pauses]


def _point(policy: str, setting: str, found: Sequence[Pause], settings: Settings) -> Point:
    longest = settings.turn.hold_seconds
    ends = [pause.waited if pause.waited is not None else longest for pause in found if pause.is_end]
    return Point(policy, setting, tuple(ends), tuple(pause.cut_off for pause in found if not pause.is_end))


def _timer(seconds: float) -> Waits:
    return lambda pause: seconds


def _smart_turn(threshold: float) -> Waits:
    def waits(pause: Pause) -> float:
        done = pause.completion is not None and pause.completion >= threshold
        return SMART_TURN_SECONDS if done else TIMEOUT_SECONDS

    return waits


def _timed(policy: str, setting: str, found: Sequence[Pause], waits: Waits) -> Point:
    """A policy that waits a time it knows from the pause alone."""
    ends = tuple(waits(pause) for pause in found if pause.is_end)
    return Point(policy, setting, ends, tuple(waits(p) < p.seconds - 1e-6 for p in found if not p.is_end))
