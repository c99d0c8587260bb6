"""A picture of a benchmark's result: its tables as bars, every sample a dot.

    python -m benchmarks.plot RESULT.json PICTURE.png

A bar is p50 (or a share), a tick p95 (of rates p5).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import Row, tables

INK, BAR, DOT = "#1f2933", "#a9cdd0", "#2f6f75"


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the content of a result file. The ending of `path` says how: .png, .svg, .pdf."""
    drawn = [[row for row in rows if _columns([row])] for rows in tables(content["rows"])]
    drawn = [rows for rows in drawn if rows]
    if not drawn:
        raise ValueError("the result holds no measured value to draw")
    heights = [1.0 + 0.26 * len(rows) for rows in drawn]
    across = max(len(shown_columns(rows)) for rows in drawn)
    figure = Figure(figsize=(4.0 + 2.4 * across, 0.9 + sum(heights)), layout="constrained")
    for part, rows in zip(
        figure.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)[:, 0], drawn, strict=True
    ):
        columns = shown_columns(rows)
        panels = part.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, column in zip(panels, columns, strict=True):
            _panel(axes, column, rows)
        panels[0].set_yticks(range(len(rows)), [row["what"] for row in rows], fontsize=9)
        panels[0].invert_yaxis()
    about = content["machine"]
    gpu = "" if about["gpu"] == "none" else f", {about['gpu']}"
    figure.suptitle(f"{content['benchmark']}\n{about['cpu']}{gpu}, {content['when'][:10]}", color=INK)
    legend = "bar and number: p50, or the share; tick: p95, of rates p5"
    never = [
        name.replace("_", " ") for rows in drawn for name in _columns(rows) if name not in shown_columns(rows)
    ]
    legend += f"\n0 % of all: {', '.join(dict.fromkeys(never))}" if never else ""
    figure.supxlabel(legend, color=INK, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _columns(rows: list[Row]) -> list[str]:
    """Those with samples."""
    return list(
        dict.fromkeys(
            name
            for row in rows
            for name, value in row.items()
            if isinstance(value, dict) and value.get("samples")
        )
    )


def shown_columns(rows: list[Row]) -> list[str]:
    """The columns worth a panel: not shares that are nothing in every row, unless there is nothing else."""
    columns = _columns(rows)
    some = [
        name for name in columns if any(row[name].get("value", 1) for row in rows if name in _columns([row]))
    ]
    return some or columns


def _tail(value: dict[str, Any]) -> float:
    """The bad end: p95, of a rate p5; 0 of a share."""
    return float(value.get("p95", value.get("p5", 0.0)))


def _panel(axes: Axes, column: str, rows: list[Row]) -> None:
    """One column of a table, a bar for each row that has it."""
    unit = next(row[column]["unit"] for row in rows if column in _columns([row]))
    for place, row in enumerate(rows):
        if column not in _columns([row]):
            continue
        value = row[column]
        middle = (100.0 if unit == "%" else 1.0) * value.get("p50", value.get("value"))
        axes.barh(place, middle, height=0.7, color=BAR)
        if value["n"] > 1 and "p50" in value:
            jitter = np.random.default_rng(place).uniform(-0.25, 0.25, value["n"])
            axes.plot(value["samples"], place + jitter, ".", color=DOT, markersize=4, alpha=0.6, mew=0)
            axes.plot([_tail(value)] * 2, [place - 0.35, place + 0.35], color=INK, linewidth=1.5)
        end = max(middle, _tail(value))
        beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
        axes.annotate(f"{middle:.3g}", (end, place), color=INK, **beside)
    axes.set_xlim(0, 1.15 * axes.get_xlim()[1])
    axes.set_title(f"{column.replace('_', ' ')} ({unit})", fontsize=10, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.25)


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
