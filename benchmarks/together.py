"""Many results as one file, which is what `regression.py` takes as well.

    python -m benchmarks.together OUT.json RESULT.json...
    python -m benchmarks.together --name

`--name` prints what this machine is called: its GPU, or its cores. A result that is not there is left out;
one of a benchmark that OUT has already takes its place.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

from benchmarks.report import machine


def name() -> str:
    """Such as `nvidia-h200` or `cpu-2-cores`."""
    gpu = machine()["gpu"]
    if gpu == "none":
        return f"cpu-{os.cpu_count()}-cores"
    return re.sub(r"[^a-z0-9]+", "-", gpu.splitlines()[0].partition(",")[0].lower()).strip("-")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--name", action="store_true", help="print this machine's name, for a result's file, and no more"
    )
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("results", type=Path, nargs="*")
    chosen = parser.parse_args()
    if chosen.name or chosen.out is None:
        print(name())
        return
    kept = json.loads(chosen.out.read_text())["results"] if chosen.out.is_file() else []
    found = {result["benchmark"]: result for result in kept}
    for path in chosen.results:
        if path.is_file():
            result = json.loads(path.read_text())
            found[result["benchmark"]] = result
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps({"results": list(found.values())}, indent=1) + "\n")
    print(f"{len(found)} results in {chosen.out}")


if __name__ == "__main__":
    main()
