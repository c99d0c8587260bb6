"""The keyboard in `talk`: the space bar is the talk key, Enter silences the assistant.

A terminal does not tell when a key is let go, so the first press of the space bar begins a turn and the
second one ends it. Where standard input is no terminal there are no keys.
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from local_voice.events import PushToTalk, StopSpeaking
from local_voice.stages import Control

HINTS = {
    "full_duplex": "Speak; Enter silences the assistant, Ctrl-C ends.",
    "half_duplex": "Speak when the assistant is silent; Enter silences it, Ctrl-C ends.",
    "push_to_talk": "Space begins your turn and ends it; Enter silences the assistant, Ctrl-C ends.",
}
"""What to press, by `turn.mode`."""


class Keys:
    """A context manager on the event loop's thread; the terminal is as before when it is left."""

    def __init__(self, press: Callable[[Control], None], *, talk_key: bool) -> None:
        """`talk_key`: the space bar means something."""
        self._press = press
        self._talk_key = talk_key
        self._down = False
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if sys.stdin is not None and sys.stdin.isatty():
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)  # keys come one by one and are not echoed; Ctrl-C stays a signal
            asyncio.get_running_loop().add_reader(sys.stdin, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            asyncio.get_running_loop().remove_reader(sys.stdin)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        keys = os.read(sys.stdin.fileno(), 64)
        if not keys:  # the terminal is gone
            asyncio.get_running_loop().remove_reader(sys.stdin)
        for key in keys.decode(errors="ignore"):
            if key == " " and self._talk_key:
                self._down = not self._down
                self._press(PushToTalk(self._down))
            elif key == "\n":
                self._press(StopSpeaking())
