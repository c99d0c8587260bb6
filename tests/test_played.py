"""The history is what was heard: words counted at an interruption against what Chromium really played."""

import asyncio
import contextlib
import random
import time

import numpy as np
import pytest
from browser import RECORDER, Played, open_page

from local_voice import server as server_room
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.stages import Status
from local_voice.transcript import Word
from local_voice.transports.webrtc import WebRtcTransport

doors = pytest.mark.doors
RATE = 48_000
WORD_SECONDS = 0.02
"""Short words, so that the count of words is a position."""


def babble(seconds: float) -> np.ndarray:
    """Noise of which every stretch is like no other, so that its place is found in a recording. It is as low
    as a voice: Opus keeps the wave of what is lower, and of higher sound only how loud it is."""
    noise = np.random.default_rng(1).standard_normal(round(seconds * RATE))
    return (0.1 * np.convolve(noise, np.ones(24) / 6, "same")).astype(np.float32)


SOUND = babble(4.0)


class Talker:
    """A conversation that speaks the sound as a reply and is interrupted by the test."""

    def __init__(self) -> None:
        self.transport: WebRtcTransport
        self.open = asyncio.Event()
        self.turn = 0

    async def __call__(self, transport: WebRtcTransport) -> None:
        self.transport = transport
        self.open.set()
        transport.notify(Status("listening"))
        async for _ in transport.incoming():
            pass

    async def interrupted_after(self, seconds: float) -> tuple[float, float]:
        """Speak, and cut it: when that was, and how many seconds the history would say were heard."""
        self.turn += 1
        playout = self.transport.playout
        count = round(len(SOUND) / RATE / WORD_SECONDS)
        words = tuple(Word(str(n), n * WORD_SECONDS, (n + 1) * WORD_SECONDS) for n in range(count))
        playout.open(self.turn, 1)
        playout.write(self.turn, 1, SOUND, words)
        playout.release(self.turn, 1)
        self.transport.notify(Status("speaking"))
        await asyncio.sleep(seconds)
        at = time.time()
        ended = playout.clear(self.turn, 1)
        self.transport.notify(Status("listening"))
        return at, len(ended.heard.split()) * WORD_SECONDS


def place(piece: np.ndarray) -> float | None:
    """Seconds into the sound at which a recorded piece begins; None where it isn't the sound."""
    size = 1 << (len(SOUND) + len(piece)).bit_length()
    found = np.fft.irfft(np.fft.rfft(SOUND, size) * np.fft.rfft(piece[::-1], size), size)
    found = found[len(piece) - 1 : len(SOUND)]
    at = int(found.argmax())
    alike = found[at] / (np.linalg.norm(piece) * np.linalg.norm(SOUND[at : at + len(piece)]) + 1e-9)
    return at / RATE if alike > 0.6 else None


def played_until(at: float, played: Played) -> float | None:
    """Seconds of the sound that the page had rendered at time `at`; None where the recording is broken."""
    length = RATE // 20
    for back in range(20):  # the last piece before `at` that is clearly the sound
        start = played.index(at) - length - back * 240
        piece = played.samples[max(0, start) : start + length]
        found = place(piece) if len(piece) == length else None  # what fell behind ends before `at`
        if found is not None:
            return found + (length + back * 240) / RATE
    return None


def unsteady(transport: WebRtcTransport, seconds: float) -> None:
    """Hold packets to the page up for a random time, in order: its buffer has to grow."""
    inner = transport._sender.transport._send_rtp
    loop = asyncio.get_running_loop()
    chance = random.Random(1)
    tasks: set[asyncio.Task[None]] = set()
    last = 0.0

    async def send(data: bytes) -> None:
        nonlocal last
        last = max(last, loop.time() + chance.uniform(0.0, seconds))

        async def later(due: float) -> None:
            await asyncio.sleep(due - loop.time())
            with contextlib.suppress(ConnectionError):  # the call may be over by then
                await inner(data)

        task = loop.create_task(later(last))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    transport._sender.transport._send_rtp = send


@doors
@pytest.mark.parametrize("jitter", [0.0, 0.15])
async def test_no_word_is_counted_that_the_browser_had_not_played(jitter, monkeypatch, caplog):
    caplog.set_level("DEBUG", "local_voice.transports.webrtc")  # says which report was ignored
    monkeypatch.setitem(server_room.FILES, "/recorder.js", (str(RECORDER), "text/javascript"))
    talker = Talker()
    cuts = []
    async with (
        Server(talker, lambda: "", ServerSettings(port=0)) as server,
        open_page(server.url) as page,
    ):
        await page.talk()
        await talker.open.wait()
        await page.record()
        if jitter:
            unsteady(talker.transport, jitter)
        await asyncio.sleep(1.0)
        for seconds in (0.6, 1.23, 0.87, 2.31, 1.57):
            cuts.append(await talker.interrupted_after(seconds))
            await asyncio.sleep(0.5)
        played = await page.recording()
        assert talker.transport._far_end.source == "reported"
        assert talker.transport._far_end.ignored == 0
        assert page.console == []
    measured = [(played_until(at, played), heard) for at, heard in cuts]
    short = [until - heard for until, heard in measured if until is not None]
    assert len(short) >= 3, "a busy machine broke the recording"
    print(f"jitter {jitter}: seconds played but not counted: {np.round(short, 3)}")
    assert min(short) >= 0.0
    # 30 to 50 ms of it are the output device's, which the recording doesn't have.
    assert np.median(short) < 0.15 + jitter
