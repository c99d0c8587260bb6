"""The keyboard, on a real pseudo-terminal."""

import asyncio
import os
import pty
import sys
import termios

import pytest

from local_voice.events import PushToTalk, StopSpeaking
from local_voice.keys import Keys


@pytest.fixture
def keyboard(monkeypatch):
    """A terminal's far end, whose near end is standard input."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield master
    os.close(master)


async def pressed(keyboard: int, keys: bytes, count: int, *, talk_key: bool) -> list[object]:
    found: list[object] = []
    enough = asyncio.Event()

    def press(control: object) -> None:
        found.append(control)
        if len(found) == count:
            enough.set()

    with Keys(press, talk_key=talk_key):
        os.write(keyboard, keys)
        async with asyncio.timeout(5):
            await enough.wait()
    return found


async def test_the_space_bar_begins_and_ends_a_turn_and_enter_silences(keyboard):
    found = await pressed(keyboard, b" x\n ", 3, talk_key=True)
    assert found == [PushToTalk(True), StopSpeaking(), PushToTalk(False)]


async def test_without_a_talk_key_the_space_bar_means_nothing(keyboard):
    assert await pressed(keyboard, b" \n", 1, talk_key=False) == [StopSpeaking()]


async def test_the_terminal_is_as_before_afterwards(keyboard):
    before = termios.tcgetattr(sys.stdin)
    await pressed(keyboard, b"\n", 1, talk_key=False)
    assert termios.tcgetattr(sys.stdin) == before


async def test_where_input_is_no_terminal_there_are_no_keys(monkeypatch, tmp_path):
    with (tmp_path / "input").open("w+") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with Keys(lambda control: None, talk_key=True):
            pass
