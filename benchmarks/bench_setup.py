"""How long it takes until the assistant can be talked to: set-up, a hub that is not there, a warm start.

    python -m benchmarks.bench_setup [--starts 5] [--from-nothing]

`hub`: from the beginning of a pull until the packages are asked instead, where the hub has no name, where it
takes no connection, and where it takes one and never answers; nothing is downloaded. `second set-up`:
`scripts/setup` in this clone with nothing to do; left out where the clone was not set up by it. `warm start`:
a new process each time, from its launch until all engines are warm, and the seconds of each part; on a CPU
the parts run side by side and don't add up. The weights are in the disk's cache from the first start on.

`--from-nothing` clones the last commit into a temporary folder and sets it up there with a model folder of
its own: a stranger's first command, by step. It downloads some 3 GB and needs 8 GB of disk; what pip has in
its cache or on this machine it need not download, so both are told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import report as reports
from benchmarks.report import Report, Times
from local_voice.environment import go_offline
from local_voice.model_store import ModelStore, PullError
from local_voice.model_store.files import UnavailableError
from local_voice.model_store.hub import Hub
from local_voice.model_store.packages import Packages
from local_voice.settings import Settings

CLONE = Path(__file__).parent.parent
MODEL = "whisper-base"
"""Has both sources."""
STEP = re.compile(
    r"Making a virtual environment|Installing (\d+ packages|PyTorch)|(Pulling|Converting) [\w.-]*\w"
)


def second_setup(clone: Path, models: Path | None, runs: int) -> Times:
    """Seconds of `scripts/setup` in a clone that is set up."""
    environment = os.environ | ({"LOCAL_VOICE_MODELS": str(models)} if models else {})
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([clone / "scripts" / "setup"], check=True, capture_output=True, env=environment)
        seconds.append(time.perf_counter() - began)
    return Times(seconds)


@contextlib.contextmanager
def unknown() -> Iterator[str]:
    """A name that nobody has (RFC 6761)."""
    yield "http://hub.invalid"


@contextlib.contextmanager
def busy() -> Iterator[str]:
    """An address where connections are not taken: the queue of the one who listens is full."""
    with socket.socket() as listener, contextlib.ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            caller = queue.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """An address where connections are taken and nothing is said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def until_packages(place: Callable[[], AbstractContextManager[str]], runs: int) -> Times:
    """Seconds until a pull gives the hub up and asks for the first package."""
    seconds = []

    def asked(requirement: str, folder: Path, progress: Callable[[int], None]) -> None:
        seconds.append(time.perf_counter() - began)
        raise UnavailableError(f"{requirement} is not wanted: this is a measurement")

    for _ in range(runs):
        with place() as address, tempfile.TemporaryDirectory() as folder:
            store = ModelStore(Path(folder), hub=Hub(address), packages=Packages(asked))
            began = time.perf_counter()
            with contextlib.suppress(PullError):
                store.pull(MODEL)
    return Times(seconds)


def start(settings: Settings, launched: float) -> dict[str, float]:
    """Start the assistant in this process, and stop it. `launched`: when that was, by the monotonic clock."""
    go_offline()
    from local_voice.assistant import Assistant

    parts = {"interpreter and imports": time.monotonic() - launched}

    def progress(step: str, seconds: float | None) -> None:
        if seconds is not None:
            parts[step] = seconds

    async def once() -> None:
        async with Assistant(settings, progress=progress):
            parts["from the command to ready"] = time.monotonic() - launched

    asyncio.run(once())
    return parts


def warm_starts(report: Report, chosen: argparse.Namespace) -> None:
    """A row for each part. The processes are this script again."""
    found = []
    for _ in range(chosen.starts):
        command = [sys.executable, "-m", "benchmarks.bench_setup", "--launched", str(time.monotonic())]
        command += [word for pair in chosen.set for word in ("--set", pair)]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=CLONE).stdout
        found.append(json.loads(told.splitlines()[-1]))
    for part in found[0]:
        report.row(f"warm start: {part}", seconds=Times([parts[part] for parts in found]))


def from_nothing(report: Report) -> None:
    """Clone, set up with nothing there, and once more with everything there."""
    with tempfile.TemporaryDirectory(prefix="local-voice-first-") as root:
        clone, models = Path(root) / "clone", Path(root) / "models"
        subprocess.run(["git", "clone", "--quiet", CLONE, clone], check=True)
        began = time.perf_counter()
        steps: list[tuple[str, float]] = []
        with subprocess.Popen(
            [clone / "scripts" / "setup"],
            env=os.environ | {"LOCAL_VOICE_MODELS": str(models), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if step := STEP.match(line):
                    steps.append((re.sub(r" \d+", "", step[0]), time.perf_counter()))
        if process.returncode:
            sys.exit("the set-up from nothing failed; its own words stand above")
        ended = time.perf_counter()
        report.row("first set-up: all", seconds=Times([ended - began]))
        for (name, at), (_, over) in zip(steps, [*steps[1:], ("", ended)], strict=True):
            report.row(f"first set-up: {name}", seconds=Times([over - at]))
        for folder in (clone / ".venv", models):
            size = sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink())
            report.row(f"first set-up: size of {folder.name}", size=f"{size / 1e9:.1f} GB")
        report.row("second set-up, of that clone", seconds=second_setup(clone, models, 5))


def pip(*arguments: str) -> str:
    """What pip says."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def nearby() -> dict[str, str]:
    """What of the first set-up may be on this machine already."""
    folder = Path(pip("cache", "dir") or "/nonexistent")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    places = [
        pip("config", "get", f"global.{name}") for name in ("find-links", "index-url", "extra-index-url")
    ]
    return {"pip_cache": f"{size / 1e9:.1f} GB", "pip_mirrors": "some" if any(places) else "none"}


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="the hub's rows only, once")
    parser.add_argument("--starts", type=int, default=5, help="warm starts (default: 5)")
    parser.add_argument("--from-nothing", action="store_true", help="also the first set-up, in a fresh clone")
    parser.add_argument("--launched", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    settings = reports.settings(chosen)
    if chosen.launched is not None:
        print(json.dumps(start(settings, chosen.launched)))
        return
    about = {"profile": settings.profile, **nearby()}
    report = Report("bench_setup: until it can be talked to", about)
    runs = 1 if chosen.quick else 5
    for fault, place in (("has no name", unknown), ("takes no connection", busy), ("never answers", silent)):
        report.row(f"hub that {fault}, until packages are asked", seconds=until_packages(place, runs))
    if not chosen.quick:
        if (CLONE / ".venv" / "local-voice.stamp").is_file():
            report.row("second set-up", seconds=second_setup(CLONE, None, runs))
        else:
            print(f"{CLONE} was not set up by scripts/setup, so its second set-up is not measured")
        warm_starts(report, chosen)
    if chosen.from_nothing:
        from_nothing(report)
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
