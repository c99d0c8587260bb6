"""Every setting as a flag of the command line, and what the commands share of the words before them.

This room hands on what was written; it must not know what the commands do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from local_voice.settings import Settings
from local_voice.settings_sources import LEAVES, Loaded, allowed, load

Command = TypeVar("Command", bound=click.Command)


@dataclass
class Context:
    """What was said before the command and beside it."""

    config: Path | None
    """The settings file; None looks for one where it usually is."""
    trace: Path | None
    """Where the events and commands of a conversation are to be written, if anywhere."""
    flags: dict[str, str]
    """Dotted name -> text, of every setting that was given as a flag."""

    def load(self) -> Loaded:
        """The settings of all places. Raises `SettingsError`."""
        return load(self.config, self.flags)

    @property
    def settings(self) -> Settings:
        return self.load().settings

    def add(self, options: dict[str, str | None]) -> None:
        """Settings that have a shorter flag too, such as `--port`; None where it was not given."""
        self.flags |= {name: text for name, text in options.items() if text is not None}


def setting_flags(command: Command) -> Command:
    """Take `--section.field VALUE` for every setting, before the command's name or after it.

    They are left out of --help, which they would flood; `local-voice settings` lists them. The server's token
    is no flag: everybody on the machine can read a command line.
    """
    for name in LEAVES:
        if name == "server.token":
            continue
        option = click.Option(
            [name.replace(".", "__"), f"--{name}"],
            hidden=True,
            expose_value=False,
            callback=partial(_keep_flag, name),
            metavar=allowed(name),
        )
        command.params.append(option)
    return command


def _keep_flag(name: str, context: click.Context, _option: click.Parameter, text: str | None) -> None:
    flags: dict[str, str] = context.ensure_object(dict) if context.parent is None else context.obj.flags
    if text is not None:
        flags[name] = text
