"""What got worse between two results of one benchmark, by more than noise. Exit code 1 when something did.

    python -m benchmarks.regression OLD.json NEW.json [--any-machine]

Every measured value is judged by its samples. The median and, from 40 samples on, p95 (of rates p5; of a
share the share itself) is worse when two things hold. It changed by more than a minimum that matters: 10 %;
0.5 points where the unit is %; for seconds also 2 ms. And it is no accident which samples are old and which
are new: of 4000 random ways to share them out anew fewer than 0.5 % give such a change (a permutation test;
for the median on ranks, which is Mann and Whitney's; where both judged the same sounds, each sound's pair is
turned or not). Fewer than 5 samples are shown and not judged. Two runs on a shared machine differ by more
than their samples tell: a value near the limit deserves a second run. A value that is in OLD only is `gone`,
which is an error too; so is a whole benchmark, where the files are those of `run_all.sh`, which hold many.
Exit code 2: the two can't be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

SHUFFLES = 4000
CHANCE = 0.005
"""There are many values in a result: at the usual 0.05 some would always seem worse."""
RELATIVE = 0.10
POINTS = 0.005
SECONDS = 0.002
QUIET_LOAD = 1.0
"""Processes at work before the measurement began. Other work comes and goes for minutes: within one result
all samples then agree, and shuffling them can't tell it from a change of ours."""
FEWEST = 5
FEWEST_FOR_TAIL = 40

Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""Of each row, shape `(rows, samples)` or `(rows, samples, 2)`: shape `(rows,)`."""
Verdict = Literal["worse", "better", "same", "gone", "too few samples"]


@dataclass(frozen=True)
class Finding:
    """One value of both results."""

    what: str
    """Row, column, statistic."""
    verdict: Verdict
    old: float = float("nan")
    new: float = float("nan")
    unit: str = ""


class NotComparableError(Exception):
    """The two results are not of the same thing; the message says why."""


def compare(old: dict[str, Any], new: dict[str, Any], *, any_machine: bool = False) -> list[Finding]:
    """Every measured value of `old`, beside that of `new`. Raises `NotComparableError`."""
    if old["benchmark"] != new["benchmark"]:
        raise NotComparableError(f"these are two benchmarks: {old['benchmark']} and {new['benchmark']}")
    for fact in ("cpu", "gpu"):
        if not any_machine and old["machine"][fact] != new["machine"][fact]:
            raise NotComparableError(
                f"measured on {old['machine'][fact]} and on {new['machine'][fact]}: run both on one machine, "
                "or say --any-machine"
            )
    before, after = measured(old), measured(new)
    found: list[Finding] = []
    for what, value in before.items():
        found += judge(what, value, after[what]) if what in after else [Finding(what, "gone")]
    return found


def measured(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The values that were measured, by row and column."""
    return {
        f"{row['what']}: {column}": value
        for row in result["rows"]
        for column, value in row.items()
        if isinstance(value, dict) and value.get("samples")
    }


def judge(what: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Finding]:
    """One value: its median and p95, or its share."""
    before, after = (np.asarray(value["samples"], float) for value in (old, new))
    fewest = min(len(before), len(after))
    for name, statistic in _statistics(before, fewest, old["better"]):
        was, now = float(statistic(before[None])[0]), float(statistic(after[None])[0])
        verdict: Verdict = "too few samples"
        if fewest >= FEWEST:
            verdict = _verdict(before, after, statistic, now - was, _least(was, old["unit"]), old["better"])
        yield Finding(f"{what} {name}".strip(), verdict, was, now, old["unit"])


def _statistics(samples: Numbers, fewest: int, better: str) -> Iterator[tuple[str, Statistic]]:
    """What is judged, by name."""
    if samples.ndim == 2:
        yield "", _share
        return
    yield "p50", _median
    if fewest >= FEWEST_FOR_TAIL:
        tail = 95 if better == "less" else 5
        yield f"p{tail}", lambda drawn: np.asarray(np.percentile(drawn, tail, axis=1))


def _share(drawn: Numbers) -> Numbers:
    return np.asarray(drawn[..., 0].sum(axis=1) / drawn[..., 1].sum(axis=1))


def _median(drawn: Numbers) -> Numbers:
    return np.asarray(np.median(drawn, axis=1))


def _least(was: float, unit: str) -> float:
    """The smallest change that matters."""
    if unit == "%":
        return POINTS
    return max(RELATIVE * abs(was), SECONDS if unit == "s" else 0.0)


def _verdict(
    before: Numbers, after: Numbers, statistic: Statistic, change: float, least: float, better: str
) -> Verdict:
    if abs(change) <= least:
        return "same"
    sign = np.sign(change)
    if statistic is _median:  # few samples have few medians
        ranks = np.unique(np.concatenate((before, after)), return_inverse=True)[1].astype(float)
        before, after = ranks[: len(before)], ranks[len(before) :]
        statistic = _mean
        change = float(after.mean() - before.mean())
    if np.mean(sign * _by_accident(before, after, statistic) >= sign * change) >= CHANCE:
        return "same"
    return "worse" if (sign > 0) == (better == "less") else "better"


def _mean(drawn: Numbers) -> Numbers:
    return np.asarray(drawn.mean(axis=1))


def _by_accident(before: Numbers, after: Numbers, statistic: Statistic) -> Numbers:
    """Changes of `statistic` where chance says which samples are old and which new, shape `(SHUFFLES,)`."""
    rng = np.random.default_rng(0)
    if _same_sounds(before, after):
        turned = rng.random((SHUFFLES, len(before), 1)) < 0.5
        return statistic(np.where(turned, before, after)) - statistic(np.where(turned, after, before))
    pooled = np.concatenate((before, after))
    shuffled = pooled[rng.random((SHUFFLES, len(pooled))).argsort(axis=1)]
    return statistic(shuffled[:, len(before) :]) - statistic(shuffled[:, : len(before)])


def _same_sounds(before: Numbers, after: Numbers) -> bool:
    """Both are shares of the same wholes, such as errors in the same sentences: they can be paired."""
    return before.ndim == 2 and before.shape == after.shape and bool(np.all(before[:, 1] == after[:, 1]))


def show(findings: list[Finding]) -> None:
    """A table of what changed, and one line that counts."""
    table = Table("what", "old", "new", "change", "verdict")
    for finding in findings:
        if finding.verdict != "same":
            known = finding.old and finding.verdict != "gone"
            change = f"{100 * (finding.new / finding.old - 1):+.0f} %" if known else ""
            was, now = (_shown(value, finding.unit) for value in (finding.old, finding.new))
            table.add_row(finding.what, was, now, change, finding.verdict)
    console = Console(width=None if Console().is_terminal else 140)
    if table.row_count:
        console.print(table)
    counts = dict.fromkeys(("worse", "gone", "better", "same", "too few samples"), 0)
    for finding in findings:
        counts[finding.verdict] += 1
    console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def _shown(value: float, unit: str) -> str:
    return "" if np.isnan(value) else f"{100 * value:.2f} %" if unit == "%" else f"{value:.4g} {unit}"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--any-machine", action="store_true", help="compare what two machines measured")
    chosen = parser.parse_args(arguments)
    old, new = (results(json.loads(path.read_text())) for path in (chosen.old, chosen.new))
    findings: list[Finding] = []
    try:
        for name, result in old.items():
            label = f"{name.partition(':')[0]}, " if len(old) > 1 else ""
            if name not in new and len(old) == len(new) == 1:
                compare(result, *new.values())  # says that they are two benchmarks
            if name not in new:
                findings.append(Finding(name, "gone"))
                continue
            some = compare(result, new[name], any_machine=chosen.any_machine)
            findings += [replace(finding, what=label + finding.what) for finding in some]
    except NotComparableError as error:
        print(error, file=sys.stderr)
        return 2
    if not findings:
        print("the old result holds no samples, so nothing can be compared", file=sys.stderr)
        return 2
    show(findings)
    for side, found in (("OLD", old), ("NEW", new)):
        for name, result in found.items():
            if (load := result.get("load", 0.0)) > QUIET_LOAD:
                of = f" of {name.partition(':')[0]}" if len(found) > 1 else ""
                print(f"{side}{of} was measured beside other work (load {load:.1f}): its times prove little")
    return int(any(finding.verdict in ("worse", "gone") for finding in findings))


def results(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The results in a file, by benchmark: one, or those that `together.py` put there."""
    return {result["benchmark"]: result for result in content.get("results", [content])}


if __name__ == "__main__":
    sys.exit(main())
