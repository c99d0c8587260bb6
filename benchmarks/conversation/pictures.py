"""Two pictures: cut-offs against delay as thresholds sweep, and what happened when in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.summary import Result
from benchmarks.conversation.sweep import OPERATING, Point
from local_voice.audio import Samples

INK, CALLER, ASSISTANT = "#1f2933", "#8a5a00", "#2f6f75"
COLOURS = {"policy": ASSISTANT, "Smart Turn alone": "#b5651d", "silence timer": "#8896a3"}
SHOWN = {
    "Release": "#1b7f3b",
    "Withdraw": "#9aa5b1",
    "Duck": "#c99a2e",
    "Pause": "#c96a2e",
    "Resume": "#2e7fc9",
    "Interrupt": "#b3261e",
    "Say": "#6a3fb5",
}
"""Decisions in the timeline, and their colours; drafts are dots."""
ROW_SECONDS = 20.0
ENVELOPE = RATE // 100


def draw_sweep(points: Sequence[Point], path: Path) -> None:
    """Share of pauses cut off over the mean delay at true ends; the lower left is better."""
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    for policy, colour in COLOURS.items():
        some = [point for point in points if point.policy == policy and point.setting != OPERATING]
        axes.scatter([p.delay for p in some], [100 * p.cut_off for p in some], s=16, color=colour, alpha=0.5)
        front = _front(some)
        axes.plot(
            [p.delay for p in front], [100 * p.cut_off for p in front], color=colour, lw=2, label=policy
        )
    [ours] = [point for point in points if point.setting == OPERATING]
    at = (ours.delay, 100 * ours.cut_off)
    axes.scatter(*at, s=130, marker="*", color="#b3261e", zorder=5, label="our operating point")
    axes.annotate(
        f"{ours.delay:.2f} s, {100 * ours.cut_off:.1f} %", at, xytext=(8, 8), textcoords="offset points"
    )
    axes.axhline(5, color="#9aa5b1", lw=0.8, ls="--")
    axes.set_xlabel("mean silence before the release at true ends (s)")
    axes.set_ylabel("pauses within turns cut off (%)")
    counts = f"{len(ours.cut)} pauses within turns, {len(ours.waits)} ends"
    axes.set_title(f"{counts}; lines: the best of each", color=INK)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=-2)
    axes.legend()
    figure.savefig(path, dpi=110)


def _front(points: Sequence[Point]) -> list[Point]:
    """Those that no other point beats in both."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.delay, p.cut_off)):
        if not best or point.cut_off < best[-1].cut_off:
            best.append(point)
    return best


def draw_timeline(result: Result, path: Path, *, start: float = 0.0, seconds: float = 60.0) -> None:
    """Both voices and every decision of a stretch of a call, 20 s in each row."""
    recording = result.recording
    end = min(start + seconds, len(recording.assistant) / RATE)
    rows = max(1, int(np.ceil((end - start) / ROW_SECONDS)))
    figure = Figure(figsize=(15, 2.6 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for number, axes in enumerate(panels):
        first = start + number * ROW_SECONDS
        _voices(axes, recording.caller, recording.assistant, first)
        _said(axes, result, first)
        _decisions(axes, result, first)
        axes.set_xlim(first, first + ROW_SECONDS)
        axes.set_ylim(-1.55, 1.6)
        axes.set_yticks([0.5, -0.6], ["caller", "assistant"])
        axes.spines[["top", "right", "left"]].set_visible(False)
    panels[-1].set_xlabel("seconds")
    figure.suptitle(f"{recording.call}: both voices and the session's decisions", color=INK)
    lines = [Line2D([], [], color=colour, label=name) for name, colour in SHOWN.items()]
    dot = Line2D([], [], color="#9aa5b1", marker=".", ls="", label="Draft")
    panels[0].legend(
        handles=[dot, *lines], ncols=len(lines) + 1, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1)
    )
    figure.savefig(path, dpi=100)


def _voices(axes: Axes, caller: Samples, assistant: Samples, first: float) -> None:
    for samples, middle, colour in ((caller, 0.5, CALLER), (assistant, -0.6, ASSISTANT)):
        part = samples[round(first * RATE) : round((first + ROW_SECONDS) * RATE)]
        part = part[: len(part) - len(part) % ENVELOPE]
        height = np.abs(part.reshape(-1, ENVELOPE)).max(axis=1)
        at = first + np.arange(len(height)) * ENVELOPE / RATE
        axes.fill_between(at, middle - height, middle + height, color=colour, lw=0)


def _said(axes: Axes, result: Result, first: float) -> None:
    for spoken in result.recording.spoken:
        for start, end in spoken.voiced:
            axes.axvspan(start, end, 0.45, 0.85, color=CALLER, alpha=0.12, lw=0)
        if first <= spoken.start < first + ROW_SECONDS:
            words = spoken.action.sound.words or spoken.action.label
            axes.text(spoken.first_voice, 1.3, words, fontsize=8, color=CALLER, clip_on=True)
    for playback in result.verdicts.playbacks:
        if playback.take is not None and first <= playback.start < first + ROW_SECONDS:
            axes.text(
                playback.start, -1.45, playback.take.text[:60], fontsize=8, color=ASSISTANT, clip_on=True
            )


def _decisions(axes: Axes, result: Result, first: float) -> None:
    for decision in result.ledger.decisions:
        if not first <= decision.wall < first + ROW_SECONDS:
            continue
        if decision.name == "Draft":
            axes.plot(decision.wall, 1.15, ".", color="#9aa5b1", ms=5)
        elif decision.name in SHOWN:
            axes.axvline(decision.wall, 0.06, 0.9, color=SHOWN[decision.name], lw=1.4)
