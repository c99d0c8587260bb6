"""A conversation by microphone, as a person sees it in the terminal.

Finished lines scroll; below them stands what is being said right now and what the assistant is doing.
Where standard output is no terminal there are only the finished lines. This room must not decide anything.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from local_voice.printable import printable
from local_voice.stages import Caption, Notice, Notification, Status

STATES = {
    "listening": ("● Listening", "green"),
    "hearing": ("● Hearing you", "bold green"),
    "thinking": ("● Thinking", "yellow"),
    "speaking": ("● Speaking", "cyan"),
}
SPEAKERS = {"user": ("You: ", "bold"), "assistant": ("Assistant: ", "bold cyan")}


class Captions:
    """A context manager whose `show` takes what a transport is notified of."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = "listening"
        self._said: Caption | None = None
        """The user's words of this turn. They may still grow while the user has the floor."""
        self._reply: Caption | None = None
        """The reply as far as it has been heard."""
        self._live = Live(console=console, auto_refresh=False, transient=True, get_renderable=self._now)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_said()
        self._live.stop()

    def show(self, notification: Notification) -> None:
        """Returns at once; anything but captions, states and notices is not shown."""
        match notification:
            case Status(state):
                self._state = state
                if state != "hearing":
                    self._finish_said()
            case Caption("user"):
                self._said = notification
            case Caption("assistant", final=False):
                self._reply = notification
            case Caption("assistant"):
                self._finish_said()
                self._reply = None
                self._console.print(_line(notification))
            case Notice(text):
                self._console.print(Text(printable(text), style="yellow"))
        if self._live.is_started:
            self._live.refresh()

    def _finish_said(self) -> None:
        """A pause makes a caption final, and yet the user may go on: the line is over with the turn."""
        if self._said is not None and self._said.text:
            self._console.print(_line(self._said))
        self._said = None

    def _now(self) -> RenderableType:
        lines = [_line(caption, style="dim") for caption in (self._said, self._reply) if caption is not None]
        word, style = STATES[self._state]
        return Group(*lines, Text(word, style=style))


def _line(caption: Caption, style: str = "") -> Text:
    name, name_style = SPEAKERS[caption.role]
    line = Text.assemble((name, name_style), (printable(caption.text), style))
    return line.append(" (interrupted)", style="dim") if caption.interrupted else line
