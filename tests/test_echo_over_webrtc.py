"""A caller whose loudspeaker is heard by its microphone, and who has no echo canceller of its own."""

import asyncio
from collections import deque
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from benchmarks.webrtc_client import FRAME, RATE, Caller, _Mouth
from local_voice.audio import SPEECH_RATE, Resampler, Samples, read_wav
from local_voice.engines.whisper import Whisper
from local_voice.server import Server
from local_voice.settings import ServerSettings, SttSettings
from local_voice.transports.jitter import Pacer
from local_voice.transports.webrtc import WebRtcTransport

doors = pytest.mark.doors
DATA = Path(__file__).parent / "data"
ECHO_SECONDS = 0.1
"""From hearing to saying it again; packets and coding come on top."""
LATE_FRAMES = 8
"""More than these waiting were held up on their way, and a loudspeaker doesn't play them."""
FAR_TEXT = (
    "The old lighthouse keeper climbed the stairs every evening, counting each of them under his breath. "
    "He trimmed the lamp, wound the clock, and wrote the weather into a heavy book with a green cover. "
    "On quiet nights he could hear the ships before he saw them, a low humming across the water."
)


class _EchoingMouth(_Mouth):
    """Says what is to be said, and with it what was heard 0.1 s ago, softer."""

    def __init__(self, said: list, decibels: float) -> None:
        super().__init__(said)
        self._pacer = Pacer(catch_up_seconds=10.0)  # a microphone goes on through a stall of the program
        self._gain = 10 ** (decibels / 20)
        self.air: deque[Samples] = deque(np.zeros((round(ECHO_SECONDS * RATE / FRAME), FRAME), np.float32))

    async def recv(self):
        spoken = self._unspoken.popleft() if self._unspoken else np.zeros(FRAME, np.float32)
        if not self._unspoken:
            self._empty.set()
        while len(self.air) > LATE_FRAMES:  # what comes too late for its moment is not played
            self.air.popleft()
        echo = self.air.popleft() if self.air else np.zeros(FRAME, np.float32)
        self._unspoken.appendleft((spoken + self._gain * echo).astype(np.float32))
        return await super().recv()


class Room(Caller):
    """A caller without a headset."""

    def __init__(self, url: str, decibels: float) -> None:
        super().__init__(url)
        self._mouth = _EchoingMouth(self.said, decibels)
        self.heard = _Heard(self._mouth.air)


class _Heard(list):
    """Frames heard; each is also on its way from the loudspeaker to the microphone."""

    def __init__(self, air: deque[Samples]) -> None:
        super().__init__()
        self._air = air

    def append(self, frame) -> None:
        super().append(frame)
        self._air.append(frame.samples)


class Storyteller:
    """A conversation that tells the far text again and again, and keeps what it hears."""

    def __init__(self, story: Samples) -> None:
        self._story = story
        self.heard: list[Samples] = []
        self.transport: WebRtcTransport

    async def __call__(self, transport: WebRtcTransport) -> None:
        self.transport = transport
        self.heard.clear()
        transport.playout.open(1, 1)
        transport.playout.write(1, 1, np.tile(self._story, 6))
        transport.playout.release(1, 1)
        async for chunk in transport.incoming():
            self.heard.append(chunk.samples)

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.float32)


def at_48k(path: Path) -> Samples:
    sound = read_wav(path)
    return Resampler(sound.sample_rate, RATE).process(sound.samples, last=True)


def level(samples: Samples) -> float:
    """Decibels relative to full scale."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def at_level(samples: Samples, decibels: float) -> Samples:
    return (samples * 10 ** ((decibels - level(samples)) / 20)).astype(np.float32)


@pytest.fixture
def story(speak) -> Samples:
    return at_level(at_48k(speak(FAR_TEXT, "rms")), -24.0)


@doors
@pytest.mark.parametrize("decibels", [-10.0, -20.0])
async def test_the_echo_of_a_caller_without_a_canceller_is_gone_after_three_seconds(story, decibels):
    teller = Storyteller(story)
    softer = []
    async with (
        Server(teller, lambda: "", ServerSettings(port=0)) as server,
        Room(server.url, decibels) as caller,
    ):
        await asyncio.sleep(3.2)
        for _ in range(5):
            said, heard = len(caller.said), len(teller.sound)
            await asyncio.sleep(1.0)
            echo = level(np.concatenate([frame.samples for frame in caller.said[said:]]))
            assert echo > -24.0 + decibels - 12.0, "there was no echo to cancel"
            softer.append(echo - level(teller.sound[heard:]))
    moves = teller.transport._echo_path.moves
    print(f"echo at {decibels:g} dB: softer by {np.round(softer)} dB in seconds 4 to 8; {moves} moves")
    # A busy machine that stalls for a moment costs the canceller a second or two, caller and server at once.
    assert np.median(softer) > 20.0


@doors
@pytest.mark.models
async def test_a_person_who_interrupts_is_understood_through_the_canceller(story, model_path):
    lines = [line.split(" ", 1) for line in (DATA / "transcripts.txt").read_text().splitlines()]
    teller = Storyteller(story)
    sounds, understood = [], []
    async with Whisper(model_path("whisper-base"), SttSettings()) as whisper:
        async with (
            Server(teller, lambda: "", ServerSettings(port=0)) as server,
            Room(server.url, -10.0) as caller,
        ):
            for name, _ in lines[:4]:
                await asyncio.sleep(2.5)
                began = len(teller.sound)
                speaking = asyncio.create_task(
                    caller.say(at_level(at_48k(DATA / f"{name}.wav"), -24.0), RATE)
                )
                await asyncio.sleep(0.3)  # what a barge-in takes until the reply is silent
                teller.transport.playout.pause(1, 1)
                await speaking
                await asyncio.sleep(0.4)
                sounds.append(teller.sound[began:])
                teller.transport.playout.resume(1, 1)
        for sound in sounds:
            heard = Resampler(RATE, SPEECH_RATE).process(sound, last=True)
            understood.append((await whisper.transcribe(heard, final=True)).text)
    plain = BasicTextNormalizer()
    errors = jiwer.wer([plain(text) for _, text in lines[:4]], [plain(text) for text in understood])
    print(f"word errors of a person who interrupts, echo at -10 dB, with our canceller: {errors:.1%}")
    print(*understood, sep="\n")
    assert errors < 0.15
