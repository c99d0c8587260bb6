"""Where the time of a turn goes, as a waterfall: the result of `bench_turn` as a picture.

    python -m benchmarks.waterfall RESULT.json PICTURE.png

Each bar is a stage, from the median of the mark before it to the median of its own; the tick is p95 of its
end, every turn a dot. Hearing and thinking run beside the decision that the turn is over; what the caller
hears stands below. The first turn after the start is a ring.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib.figure import Figure

INK, DOT = "#1f2933", "#2f6f75"
STAGES = (
    ("is that all? (Smart Turn)", None, "turn_completion", "#d9c8a9"),
    ("decided: the turn is over", None, "decided", "#d9c8a9"),
    ("last words heard (Whisper)", None, "transcript", "#a9cdd0"),
    ("first token (vLLM)", "transcript", "first_token", "#c9b8d9"),
    ("first clause written", "first_token", "first_clause", "#c9b8d9"),
    ("first sound made (Piper)", "first_clause", "first_sound", "#e3b7a5"),
    ("first sound sent", "first_sound", "playback", "#b5c9a5"),
    ("first sound with the caller", None, "voice_to_voice", "#2f6f75"),
)
"""Name, the mark at which the stage begins (None: the last voiced sample), the one at its end, colour."""


def marks(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of marks, by mark."""
    return {row["what"].partition(" (")[0]: row for row in content["rows"] if "first_turn" in row}


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the content of a result file. Raises `ValueError` where it holds no turns."""
    found = {name: row for name, row in marks(content).items() if row["seconds"]["samples"]}
    shown = [stage for stage in STAGES if stage[2] in found]
    if not shown:
        raise ValueError("the result holds no turns to draw")
    figure = Figure(figsize=(9.5, 1.4 + 0.42 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, (_, begin, mark, colour) in enumerate(shown):
        seconds = found[mark]["seconds"]
        start = found[begin]["seconds"]["p50"] if begin in found else 0.0
        end = seconds["p50"]
        axes.barh(place, end - start, left=start, height=0.62, color=colour, alpha=0.85)
        jitter = np.random.default_rng(place).uniform(-0.2, 0.2, seconds["n"])
        axes.plot(seconds["samples"], place + jitter, ".", color=DOT, markersize=4, alpha=0.5, mew=0)
        axes.plot([seconds["p95"]] * 2, [place - 0.31, place + 0.31], color=INK, linewidth=1.5)
        first = found[mark]["first_turn"]["samples"]
        axes.plot(first, [place] * len(first), "o", mfc="none", mec=INK, markersize=6)
        label = f"{end:.2f} / {seconds['p95']:.2f} s"
        far = max([seconds["p95"], *seconds["samples"], *first])
        axes.annotate(label, (far, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [name for name, *_ in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18 * axes.get_xlim()[1])
    axes.set_xlabel(
        "seconds since the user's last voiced sample; number: p50 / p95; tick: p95; ring: first turn"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    about = content["machine"]
    gpu = "" if about["gpu"] == "none" else f", {about['gpu']}"
    figure.suptitle(
        f"a turn, over WebRTC: {about['cpu']}{gpu}, {content['when'][:10]}", color=INK, fontsize=11
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    chosen = parser.parse_args()
    draw(json.loads(chosen.result.read_text()), chosen.picture)


if __name__ == "__main__":
    main()
