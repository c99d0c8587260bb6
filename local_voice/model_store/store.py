"""The models on this machine: listed, pulled, verified, and handed out by path at start-up.

Weights live in `root/NAME/`, with `lock.json` (what was pulled, with the sha256 of each file) and
`stamp.json` (what the files looked like when they were last verified). Only a pull touches the network. What
this room must not know is how a model is used.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from local_voice.model_store.catalogue import Catalogue, HubSource, Model, Role, load_catalogue, recipe
from local_voice.model_store.files import (
    LockedFile,
    Look,
    ModelLock,
    Progress,
    PullError,
    Quiet,
    UnavailableError,
    disk_errors,
    looks,
    one_at_a_time,
    read_stamp,
    refuse_unsafe,
    sha256_of,
    write_stamp,
)
from local_voice.model_store.hub import Hub
from local_voice.model_store.packages import Packages
from local_voice.model_store.pull import Converter, Pull, Tools, convert_in_subprocess
from local_voice.settings import Profile
from local_voice.stages import StartupError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """One line of `local-voice models list`."""

    name: str
    role: Role | None
    """None for a model from the hub that the catalogue does not list."""
    licence: str
    about: str
    default: tuple[Profile, ...]
    """Profiles that use it."""
    size: int
    """Bytes on the disk, or about what it will take; 0 where only the hub knows."""
    installed: bool
    origin: str
    """Where the installed files came from, or where a pull looks first."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with an installed model."""

    model: str
    sentence: str
    """What is wrong and the command that mends it."""

    def __str__(self) -> str:
        return self.sentence


def weights_root() -> Path:
    """Where the weights live: `LOCAL_VOICE_MODELS`, or `models` in the user's cache folder."""
    chosen = os.environ.get("LOCAL_VOICE_MODELS")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("local-voice") / "models"


class ModelStore:
    """The models under one root folder. Several programs may use one root at the same time."""

    def __init__(
        self,
        root: Path | None = None,
        progress: Progress | None = None,
        *,
        catalogue: Catalogue | None = None,
        hub: Hub | None = None,
        packages: Packages | None = None,
        convert: Converter = convert_in_subprocess,
    ) -> None:
        self.root = root or weights_root()
        self.catalogue = catalogue or load_catalogue()
        self._progress = progress or Quiet()
        self._hub = hub
        self._packages = packages or Packages()
        self._convert = convert

    def list(self) -> tuple[Listing, ...]:
        """All models of the catalogue, then those from the hub that it does not name."""
        return tuple(self._listing(model) for model in self._all())

    def pull(self, name: str, *, keep_gguf: bool = False) -> Path:
        """Fetch a model unless it is here and whole; its path. Raises `PullError`.

        Where no source of it can be reached, its alternative is taken.
        """
        reason = ""
        for model in self._with_alternatives(name):
            if reason:
                self._progress.say(f"{name} can't be had now ({reason}); taking {model.asked_as} instead.")
            try:
                with disk_errors(self.root, model.asked_as):
                    return self._pull(model, keep_gguf)
            except UnavailableError as error:
                reason = str(error)
        raise PullError(
            f"{name} can't be had now ({reason}); mend that and run `local-voice models pull {name}` again: "
            "it goes on where it stopped."
        )

    def verify(self, name: str | None = None) -> tuple[Problem, ...]:
        """Read every byte of a model, or of all that are installed, and say what is wrong."""
        if name is not None:
            return self._verify(self._find(name))
        models = [model for model in self._all() if self._folder(model).is_dir()]
        return tuple(problem for model in models for problem in self._verify(model))

    def path(self, name: str) -> Path:
        """Where an engine finds a model: a catalogue name, `hf:OWNER/NAME`, or a path of the user's own.

        Cheap unless files changed since they were last verified. An alternative is taken where the model is
        not installed. Raises `StartupError` with the command that mends it.
        """
        own = Path(name).expanduser()
        if self.catalogue.find(name) is None or (os.sep in name and own.exists()):
            return self._own(own, name)
        for model in self._with_alternatives(name):
            if not self._folder(model).is_dir():
                continue
            if model.name != self._find(name).name:
                log.warning("%s is not installed; using %s instead.", name, model.asked_as)
            problems = self._verify(model, read_stamp(self._folder(model)))
            if problems:
                raise StartupError(problems[0].sentence)
            return self._entry(model)
        raise StartupError(f"The model {name} is not installed: run `local-voice models pull {name}`.")

    def _find(self, name: str) -> Model:
        model = self.catalogue.find(name)
        if model is None:
            raise PullError(f"There is no model {name}; {self._choices()}.")
        return model

    def _choices(self) -> str:
        return "choose hf:OWNER/NAME or one of " + ", ".join(model.name for model in self.catalogue.model)

    def _with_alternatives(self, name: str) -> Iterator[Model]:
        model = self._find(name)
        seen = {model.name}
        yield model
        while model.alternative and model.alternative not in seen:
            model = self._find(model.alternative)
            seen.add(model.name)
            yield model

    def _all(self) -> Iterator[Model]:
        yield from self.catalogue.model
        for folder in sorted(self.root.glob("hub--*--*")):
            model = self.catalogue.find(folder.name.removeprefix("hub--").replace("--", "/", 1))
            if model is not None and folder.is_dir():
                yield model

    def _folder(self, model: Model) -> Path:
        return self.root / model.name

    def _entry(self, model: Model) -> Path:
        return self._folder(model) / model.entry if model.entry else self._folder(model)

    def _listing(self, model: Model) -> Listing:
        lock = ModelLock.read(self._folder(model))
        first = model.source[0]
        return Listing(
            name=model.asked_as,
            role=model.role,
            licence=model.licence,
            about=model.about,
            default=model.default,
            size=sum(file.size for file in lock.files.values()) if lock else model.size,
            installed=lock is not None,
            origin=lock.origin if lock else (first.repo if isinstance(first, HubSource) else "packages"),
        )

    def _own(self, path: Path, name: str) -> Path:
        """A model that is not ours to verify, but is still refused where it could run code."""
        if path.is_file():
            if path.suffix == ".onnx":
                return path
            raise StartupError(f"{path} is not a model: give a folder with safetensors, or an .onnx file.")
        if not path.is_dir():
            raise StartupError(f"There is no model or folder {name}; {self._choices()}.")
        refuse_unsafe(path)
        if not any(path.glob("*.safetensors")) and not (path / "model.bin").is_file():
            raise StartupError(f"{path} has no safetensors weights; choose a folder that has.")
        return path

    def _verify(self, model: Model, trusted: dict[str, Look] | None = None) -> tuple[Problem, ...]:
        """Compare with the lock; files whose size and time are as in `trusted` are not read."""
        folder = self._folder(model)
        lock = ModelLock.read(folder)
        if not folder.is_dir():
            sentences = [f"The model {model.asked_as} is not installed"]
        elif lock is None:
            sentences = [f"{folder / 'lock.json'} is missing or damaged"]
        elif lock.recipe not in [recipe(source) for source in model.source]:
            sentences = [f"The catalogue lists another version of {model.asked_as} than is installed"]
        else:
            known = trusted or {}
            found = [self._wrong(folder / path, file, known.get(path)) for path, file in lock.files.items()]
            sentences = [sentence for sentence in found if sentence]
            if not sentences and trusted != (seen := looks(folder, lock)):
                write_stamp(folder, seen)
        mend = f"run `local-voice models pull {model.asked_as}`"
        problems = [Problem(model.asked_as, f"{sentence}: {mend}.") for sentence in sentences]
        try:
            refuse_unsafe(folder)
        except StartupError as error:
            problems.append(Problem(model.asked_as, str(error)))
        return tuple(problems)

    def _wrong(self, path: Path, file: LockedFile, trusted: Look | None) -> str:
        """What is wrong with one file; empty when nothing is."""
        try:
            status = path.stat()
            if status.st_size != file.size:
                return f"{path} has {status.st_size} bytes instead of {file.size}"
            if trusted == [status.st_size, status.st_mtime_ns]:
                return ""
            step, what = self._progress.step, f"reading {path.name}"
            digest = sha256_of(path, lambda done: step(what, done, file.size))
            return "" if digest == file.sha256 else f"{path} is damaged (its sha256 is wrong)"
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} can't be read ({error.strerror})"

    def _pull(self, model: Model, keep_gguf: bool) -> Path:
        name = model.asked_as
        self.root.mkdir(parents=True, exist_ok=True)

        def waiting() -> None:
            self._progress.say(f"Another program is pulling {name}; waiting for it.")

        with one_at_a_time(self.root / ".locks" / f"{model.name}.lock", waiting):
            if not self._verify(model, read_stamp(self._folder(model))):
                shutil.rmtree(self.root / ".staging" / model.name, ignore_errors=True)
                self._progress.say(f"{name} is installed.")
                return self._entry(model)
            self._hub = self._hub or Hub()
            tools = Tools(self._hub, self._packages, self._convert, self._progress)
            Pull(self.root, model, tools, keep_gguf=keep_gguf).run()
            self._progress.say(f"{name} is installed in {self._folder(model)}.")
            return self._entry(model)
