"""What got worse between two results of one benchmark, by more than noise. Exit code 1 when something did.

    python -m benchmarks.regression OLD.json NEW.json [--any-machine]

Every measured value is judged by its samples: its median and its tail, which is p90 from 20 samples on and
p95 from 40 (of rates p10 and p5), or, of a share, the share itself. It is `same` when it changed by no more
than a minimum that matters: 10 %; 0.5 points where the unit is %; for seconds also 2 ms. It is `worse` or
`better` when it changed by more, and it is no accident which samples are old and which are new: chance alone
makes such a change in fewer than one of a hundred cases. When it changed by more and that can't be excluded
the verdict is `unclear`: too few samples, or too different ones, to say; measure more before you believe in
either. `chance` is how often it would be an accident.

Events, such as questions without a reply, are judged by Fisher's exact test, one-sided (R. A. Fisher,
Statistical Methods for Research Workers, 5th ed. 1934, section 21.02). Everything else by a permutation test
with 4000 random ways to share the samples out anew (Fisher, The Design of Experiments, 1935; P. Good,
Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed. 2005), counted so that chance is never 0
(Phipson and Smyth, 2010): for the median on ranks, which is Mann and Whitney's; where both judged the same
sounds, such as the words of the same sentences, each sound's pair is turned or not. Both are valid for any
distribution. Fewer than 5 samples are shown and not judged, none too: where no reply stalled there is nothing
to time, and where there was no reply the share beside it tells. Two runs on a shared machine differ by more
than their samples tell: a value near the limit deserves a second run. A value that is in OLD only is `gone`,
which is an error too; so is a whole benchmark, where the files are those of `run_all.sh`, which hold many.
Where configurations or models differ that is told. Exit code 2: the two can't be compared.
"""

from __future__ import annotations

import argparse
import json
import math
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
CHANCE = 0.01
"""There are many values in a result: at the usual 0.05 some would always seem worse."""
RELATIVE = 0.10
POINTS = 0.005
SECONDS = 0.002
QUIET_CORES = 0.2
"""At work before the measurement began: 0.01 to 0.02 on two quiet cores (before four systems), 1 where
a process computes. Other work comes and goes for minutes: within one result all samples then agree, and
shuffling them can't tell it from a change of ours. Older results have only a `load`, of the minute before; it
was 1.0 to 1.6 by the benchmark before, so it isn't asked."""
FEWEST = 5
TAILS = ((40, 95), (20, 90))
"""From so many samples on, this percentile: at least two samples then lie beyond it."""

Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""Of each row, shape `(rows, samples)` or `(rows, samples, 2)`: shape `(rows,)`."""
Verdict = Literal["worse", "better", "unclear", "same", "gone", "too few samples"]


@dataclass(frozen=True)
class Finding:
    """One value of both results."""

    what: str
    """Row, column, statistic."""
    verdict: Verdict
    old: float = float("nan")
    new: float = float("nan")
    unit: str = ""
    chance: float = float("nan")
    """How often such a change is an accident; NaN where nobody asked."""


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
        if value["samples"]:
            found += judge(what, value, after[what]) if what in after else [Finding(what, "gone")]
    return found


def measured(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The values that are measured, by row and column; also those of which nothing was seen this time."""
    return {
        f"{row['what']}: {column}": value
        for row in result["rows"]
        for column, value in row.items()
        if isinstance(value, dict) and "samples" in value
    }


def judge(what: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Finding]:
    """One value: its median and its tail, or its share. `old` has samples."""
    before, after = (np.asarray(value["samples"], float) for value in (old, new))
    fewest = min(len(before), len(after))
    for name, statistic in _statistics(before, fewest, old["better"]):
        was = float(statistic(before[None])[0])
        now = float(statistic(after[None])[0]) if len(after) else float("nan")
        finding = Finding(f"{what} {name}".strip(), "too few samples", was, now, old["unit"])
        if fewest < FEWEST:
            yield finding
        elif abs(now - was) <= _least(was, old["unit"]):
            yield replace(finding, verdict="same")
        else:
            chance = _chance(before, after, statistic, now > was)
            sure: Verdict = "worse" if (now > was) == (old["better"] == "less") else "better"
            yield replace(finding, verdict=sure if chance < CHANCE else "unclear", chance=chance)


def _statistics(samples: Numbers, fewest: int, better: str) -> Iterator[tuple[str, Statistic]]:
    """What is judged, by name."""
    if samples.ndim == 2:
        yield "", _share
        return
    yield "p50", _median
    tail = next((percent for least, percent in TAILS if fewest >= least), None)
    if tail is not None:
        tail = tail if better == "less" else 100 - tail
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


def _chance(before: Numbers, after: Numbers, statistic: Statistic, more: bool) -> float:
    """How often `statistic` changes as much by accident. `more`: it became more."""
    if _events(before) and _events(after):
        return _fisher(before, after, more)
    if statistic is _median:  # few samples have few medians
        ranks = np.unique(np.concatenate((before, after)), return_inverse=True)[1].astype(float)
        before, after = ranks[: len(before)], ranks[len(before) :]
        statistic = _mean
    sign = 1.0 if more else -1.0
    change = float(statistic(after[None])[0] - statistic(before[None])[0])
    # What is the same but for rounding is as much.
    as_much = sign * _by_accident(before, after, statistic) >= sign * change - 1e-9 * abs(change)
    return float((np.sum(as_much) + 1) / (SHUFFLES + 1))


def _events(samples: Numbers) -> bool:
    """A share of things that each happened or not."""
    return samples.ndim == 2 and bool(np.all(samples[:, 1] == 1) and np.all(np.isin(samples[:, 0], (0, 1))))


def _fisher(before: Numbers, after: Numbers, more: bool) -> float:
    """How often at least as many of the events of both fall on `after`, or, if not `more`, as few."""
    old, new = len(before), len(after)
    happened, of_new = int(before[:, 0].sum() + after[:, 0].sum()), int(after[:, 0].sum())
    counts = range(of_new, min(happened, new) + 1) if more else range(max(0, happened - old), of_new + 1)
    ways = sum(math.comb(new, count) * math.comb(old, happened - count) for count in counts)
    return ways / math.comb(old + new, happened)


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
    table = Table("what", "old", "new", "change", "chance", "verdict")
    for finding in findings:
        if finding.verdict != "same":
            known = finding.old and not np.isnan(finding.new)
            change = f"{100 * (finding.new / finding.old - 1):+.0f} %" if known else ""
            was, now = (_shown(value, finding.unit) for value in (finding.old, finding.new))
            chance = "" if np.isnan(finding.chance) else f"{finding.chance:.2g}"
            table.add_row(finding.what, was, now, change, chance, finding.verdict)
    console = Console(width=None if Console().is_terminal else 140)
    if table.row_count:
        console.print(table)
    counts = dict.fromkeys(("worse", "gone", "better", "unclear", "same", "too few samples"), 0)
    for finding in findings:
        counts[finding.verdict] += 1
    console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What is not the same in the configurations and models of two results, a sentence for each."""
    for fact, name in (("configuration", "the settings"), ("models", "the models")):
        before, after = old.get(fact, {}), new.get(fact, {})
        for key in dict.fromkeys([*before, *after]):
            was, now = (str(found.get(key, "not told")) for found in (before, after))
            if was != now:
                yield f"{name} differ in {key}: {was} -> {now}"


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
    for name in (name for name in old if name in new):
        of = f"{name.partition(':')[0]}: " if len(old) > 1 else ""
        for sentence in differences(old[name], new[name]):
            print(of + sentence)
    for side, found in (("OLD", old), ("NEW", new)):
        for name, result in found.items():
            if (busy := result.get("busy_before", 0.0)) > QUIET_CORES:
                of = f" of {name.partition(':')[0]}" if len(found) > 1 else ""
                other = f"other work ({busy:.1f} cores)"
                print(f"{side}{of} was measured beside {other}: its times prove little")
    return int(any(finding.verdict in ("worse", "gone") for finding in findings))


def results(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The results in a file, by benchmark: one, or those that `together.py` put there."""
    return {result["benchmark"]: result for result in content.get("results", [content])}


if __name__ == "__main__":
    sys.exit(main())
