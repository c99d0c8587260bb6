"""The whole program from outside, on real parts: the browser, the microphone, a machine without network."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import open_page
from program import Program
from sound_server import RATE as SOUND_RATE
from sound_server import SoundServer

from local_voice.audio import Resampler, Samples, read_wav, silence, write_wav

pytestmark = [pytest.mark.models, pytest.mark.doors]

READY_SECONDS = 180.0
RATE = 48_000


def said(path: Path) -> Samples:
    sound = read_wav(path)
    return Resampler(sound.sample_rate, RATE).process(sound.samples, last=True)


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[Program]:
    """One for two tests, of which the second ends it."""
    with Program("serve", "--port", str(port)) as program:
        program.wait_for("Ready after", READY_SECONDS)
        yield program


async def test_a_killed_language_model_is_apologised_for_and_comes_back(
    server: Program, port: int, speak: Callable[..., Path], tmp_path: Path
) -> None:
    microphone = tmp_path / "microphone.wav"
    question = said(speak("What is the capital of France?"))
    sound = np.concatenate((silence(2, RATE), question, silence(8, RATE)))
    write_wav(microphone, [sound], RATE)
    cores = [row for row in await asyncio.to_thread(server.processes) if "EngineCore" in row[1]]
    assert cores, "no engine core is running"
    for number, _ in cores:
        os.kill(number, signal.SIGKILL)
    async with open_page(f"http://127.0.0.1:{port}", microphone=microphone, loop=True) as page:
        await page.talk()
        await page.wait_for_caption("assistant", "Sorry", turn=1, seconds=30)
        await page.wait_for_caption("assistant", "Paris", seconds=120)


async def test_a_conversation_on_the_page_in_chromium_until_ctrl_c(
    server: Program, port: int, speak: Callable[..., Path], tmp_path: Path
) -> None:
    microphone = tmp_path / "microphone.wav"
    first, second = (
        said(speak("What is the capital of France?")),
        said(speak("And what is the capital of Italy?", "rms")),
    )
    # The second question comes long after the first reply; a loop of the file is cut off by the browser.
    sound = np.concatenate((silence(2, RATE), first, silence(9, RATE), second, silence(20, RATE)))
    write_wav(microphone, [sound], RATE)
    async with open_page(f"http://127.0.0.1:{port}", microphone=microphone) as page:
        await page.talk()
        await page.listen()
        await page.wait_for_caption("user", "France", turn=1, seconds=15)
        await page.wait_for_caption("assistant", "Paris", turn=1, seconds=15)
        assert await page.loudest() > 0.05
        await page.wait_for_caption("assistant", "Rome", turn=2, seconds=25)
        assert "answers" in await page.pace()
        assert len(await page.waterfall()) == 6
        assert await page.error() == ""
        await page.screenshot(Path(os.environ.get("SCREENSHOTS", tmp_path)) / "conversation.png")
        assert page.console == []
        await page.hang_up()
    # Off the loop's thread: the wait is real.
    assert await asyncio.to_thread(server.interrupt) == 130, server.output
    assert "Traceback" not in server.output
    assert server.left_behind() == []


def test_talking_by_microphone_and_loudspeaker(speak: Callable[..., Path], tmp_path: Path) -> None:
    question = said(speak("What is the capital of France?"))
    with SoundServer() as sound, Program("talk", environment=sound.environment) as program:
        program.wait_for("Ready", READY_SECONDS)
        time.sleep(1.0)
        with sound.listen() as heard:
            time.sleep(sound.say(question, RATE))
            program.wait_for("Paris", 20.0)
            time.sleep(1.0)
        assert program.interrupt() == 130, program.output
        assert program.left_behind() == []
    reply = tmp_path / "reply.wav"
    write_wav(reply, [heard.samples], SOUND_RATE)
    voiced = np.count_nonzero(np.abs(heard.samples) > 0.01) / SOUND_RATE
    assert voiced > 0.5, "the reply was not heard from the loudspeaker"
    assert "Traceback" not in program.output


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="needs root to take the network away"
)
def test_a_whole_turn_with_the_network_cut(speak: Callable[..., Path]) -> None:
    question = str(speak("What is the capital of France?"))
    cut = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    with Program("ask", "--json", question, prefix=cut) as program:
        assert program.wait(READY_SECONDS) == 0, program.output
    (line,) = [line for line in program.lines if line.startswith("{")]
    assert "Paris" in json.loads(line)["answers"][0]["answered"]
