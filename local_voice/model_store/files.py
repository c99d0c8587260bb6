"""Model files on disk: hashes, locks, whole-or-nothing writes, and what may not be loaded.

This room keeps bytes honest; it must not know where they came from.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from local_voice.stages import StartupError

log = logging.getLogger(__name__)

BLOCK = 1 << 20
Look: TypeAlias = list[int]
"""Size in bytes and time of change in ns: a file that still has both has not been written to."""
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
CODE = {".py", ".pyc", ".so"}


class PullError(StartupError):
    """A pull can't go on; the message is a sentence that says what to do."""


class UnavailableError(PullError):
    """One source can't give a model now; the next one may."""


class Progress(Protocol):
    """Who is told how a pull goes."""

    def say(self, sentence: str) -> None:
        """Something worth a line."""
        ...

    def step(self, what: str, done: int, total: int) -> None:
        """`done` of `total` bytes of `what`; a step is over when they are equal. Called often."""
        ...


class Quiet:
    """Tells nobody."""

    def say(self, sentence: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        pass


@dataclass(frozen=True)
class LockedFile:
    """What a file was when it was pulled."""

    size: int
    sha256: str


@dataclass(frozen=True)
class ModelLock:
    """What a pull got, kept beside the weights and held to ever after."""

    recipe: str
    """Fingerprint of the catalogue's source."""
    origin: str
    """For people: repository and commit, or packages."""
    commit: str = ""
    """The hub's commit; empty for packages."""
    files: dict[str, LockedFile] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        files = {name: {"size": file.size, "sha256": file.sha256} for name, file in self.files.items()}
        write_json(
            folder / "lock.json",
            {"recipe": self.recipe, "origin": self.origin, "commit": self.commit, "files": files},
        )

    @classmethod
    def read(cls, folder: Path) -> ModelLock | None:
        """The lock in `folder`; None where it is missing or damaged."""
        try:
            data = json.loads((folder / "lock.json").read_text(encoding="utf-8"))
            files = {name: LockedFile(file["size"], file["sha256"]) for name, file in data["files"].items()}
            return cls(data["recipe"], data["origin"], data["commit"], files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def looks(folder: Path, lock: ModelLock) -> dict[str, Look]:
    """What each file of a model looks like now."""
    statuses = {path: (folder / path).stat() for path in lock.files}
    return {path: [status.st_size, status.st_mtime_ns] for path, status in statuses.items()}


def read_stamp(folder: Path) -> dict[str, Look]:
    """What the files looked like when they were last verified; empty where nobody knows."""
    try:
        stamp = json.loads((folder / "stamp.json").read_text(encoding="utf-8"))
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def write_stamp(folder: Path, seen: dict[str, Look]) -> None:
    """Remember that files which look like that are right."""
    try:
        write_json(folder / "stamp.json", seen)
    except OSError as error:  # a store that only others may write to: the next start reads the files again
        log.info("%s can't be written (%s).", folder / "stamp.json", error.strerror)


def write_json(path: Path, value: Any) -> None:
    """Write all of it or nothing."""
    partial = path.with_name(path.name + f".{os.getpid()}.tmp")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def sha256_of(path: Path, progress: Callable[[int], None] = lambda done: None) -> str:
    """Hex digest of a file; `progress` is told the bytes read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress(done)
    return digest.hexdigest()


def git_sha1_of(path: Path) -> str:
    """The name that git gives a file's contents, which the hub publishes for its small files."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def keep(partial: Path, final: Path) -> None:
    """Give a finished file its name, once its bytes are on the disk."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    final.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(final)


@contextlib.contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path`; `waiting` is called when somebody else has it. A dead holder frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def readable(size: float) -> str:
    """Bytes for people: `1.6 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit != "MB" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def full_disk(folder: Path, name: str, missing: int = 0) -> PullError:
    """The sentence for a disk with no room left."""
    more = f"{readable(missing)} more is needed" if missing else "it has no room left"
    return PullError(
        f"The disk that holds {folder} is full ({more}): free some space, or set LOCAL_VOICE_MODELS to a "
        f"folder on another disk, then run `local-voice models pull {name}` again; what was fetched is kept."
    )


@contextlib.contextmanager
def disk_errors(folder: Path, name: str) -> Iterator[None]:
    """Turn the operating system's refusals to write into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(folder, name) from error
        raise PullError(
            f"{error.filename or folder} can't be written ({error.strerror or error}): make it writable, or "
            f"set LOCAL_VOICE_MODELS to another folder, then run `local-voice models pull {name}` again."
        ) from error


def need_space(folder: Path, name: str, size: int) -> None:
    """Raise `PullError` unless `size` bytes fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise full_disk(folder, name, size - free)


def refuse_unsafe(folder: Path) -> None:
    """Raise `StartupError` where a folder holds files that run code when they are loaded.

    Pickles and Python files are refused by name. CTranslate2 also calls its weights model.bin: that one is
    let through when its first bytes say so (a version, then the name of a model class).
    """
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        if suffix in CODE and path.is_file():
            raise StartupError(f"{path} is code, and models that bring code are refused: choose another.")
        if suffix in PICKLES and path.is_file() and not is_ctranslate2(path):
            raise StartupError(
                f"{path} may be a pickle, which runs code when loaded: choose a model in safetensors format."
            )


def is_ctranslate2(path: Path) -> bool:
    """Whether a file begins as CTranslate2 writes it: uint32 version, uint16 length, a `...Spec` name."""
    if path.name != "model.bin":
        return False
    with path.open("rb") as file:
        head = file.read(6)
        if len(head) < 6:
            return False
        version, length = struct.unpack("<IH", head)
        return 1 <= version < 100 and file.read(length).rstrip(b"\0").endswith(b"Spec")
