"""The microphone on a made-up sound card, in virtual time; and at the end on a real PulseAudio."""

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_server import RATE as SERVER_RATE
from sound_server import SoundServer
from test_echo_canceller import babble, level, room
from virtual_time import run

from local_voice.audio import Resampler, Samples
from local_voice.engines.echo_canceller import EchoCanceller
from local_voice.settings import AudioSettings
from local_voice.stages import Notice, StartupError
from local_voice.transports import microphone as room_of_microphone
from local_voice.transports.microphone import (
    LONGEST_GAP_SECONDS,
    REOPEN_SECONDS,
    STALL_SECONDS,
    WAITING_SECONDS,
    Microphone,
)
from local_voice.transports.sound_card import Device, DeviceError, Line, PortAudio, choose

BOTH = Device(0, "Built-in", "ALSA", 2, 2, 48_000, ("input", "output"))
HEADSET = Device(1, "USB Headset", "ALSA", 1, 2, 44_100)
SPEAKERS = Device(2, "USB Speakers", "ALSA", 0, 2, 48_000)


class FakeStream:
    def __init__(self, line: Line, callback: Callable, lost: Callable[[], None]) -> None:
        self.line = line
        self.callback = callback
        self.lost = lost
        self.latency = 0.03
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeCard:
    """The test is the sound driver: it calls `hear` and `speak` when it wants."""

    def __init__(
        self, *, rates: tuple[int, ...] = (16_000, 48_000), channels: tuple[int, ...] = (1, 2)
    ) -> None:
        self.rates = rates
        self.channels = channels
        self.present = [BOTH]
        self.broken = ""
        """Why nothing can be opened."""
        self.streams: list[FakeStream] = []
        self.looks = 0

    def devices(self) -> list[Device]:
        return self.present

    def supports(self, direction: str, line: Line) -> bool:
        return line.rate in self.rates and line.channels in self.channels

    def open_input(self, line, hear, lost) -> FakeStream:
        return self._open(line, hear, lost)

    def open_output(self, line, speak, lost) -> FakeStream:
        return self._open(line, speak, lost)

    def look_again(self) -> None:
        assert all(stream.closed for stream in self.streams), "PortAudio restarts under an open stream"
        self.looks += 1

    def _open(self, line, callback, lost) -> FakeStream:
        if self.broken:
            raise DeviceError(self.broken)
        self.streams.append(FakeStream(line, callback, lost))
        return self.streams[-1]

    @property
    def input(self) -> FakeStream:
        return self.streams[-2]

    @property
    def output(self) -> FakeStream:
        return self.streams[-1]

    def hear(self, samples: Samples, *, overflow: bool = False) -> None:
        self.input.callback(samples, overflow)

    def speak(self, count: int, *, delay: float = 0.0) -> Samples:
        return self.output.callback(count, delay, False)


class Inline:
    """Does the worker's jobs at once: a thread of real time has no place on a virtual clock."""

    def __init__(self, name: str) -> None:
        self.closed = False

    async def run(self, function, *arguments):
        return function(*arguments)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_of_microphone, "Worker", Inline)


def opened(card: FakeCard, echo=None, **options) -> Microphone:
    return Microphone(AudioSettings(), echo, card=lambda: card, **options)


def sine(seconds: float, rate: int, frequency: float = 440.0) -> Samples:
    return (0.3 * np.sin(2 * np.pi * frequency / rate * np.arange(round(seconds * rate)))).astype(np.float32)


def write_reply(microphone: Microphone, samples: Samples) -> None:
    microphone.playout.open(1, 0)
    microphone.playout.write(1, 0, samples)
    microphone.playout.release(1, 0)
    microphone.playout.finish(1, 0)


async def hear_all(microphone: Microphone, card: FakeCard, sound: Samples, block: int) -> Samples:
    """Drive the input in blocks and take every chunk as it comes; what came, at 16 kHz."""
    taken: list[Samples] = []
    incoming = microphone.incoming()
    for at in range(0, len(sound), block):
        card.hear(sound[at : at + block])
        chunk = await anext(incoming)
        assert chunk.start == sum(map(len, taken))
        taken.append(chunk.samples)
    await incoming.aclose()
    return np.concatenate(taken)


# ---- sound in and out -----------------------------------------------------------------------------------


def test_what_the_microphone_hears_arrives_untouched_where_the_device_knows_16_khz():
    card = FakeCard()

    async def talk() -> Samples:
        async with opened(card) as microphone:
            return await hear_all(microphone, card, sine(0.5, 16_000), 137)

    assert np.array_equal(run(talk()), sine(0.5, 16_000))
    assert card.input.line.rate == 16_000
    assert card.output.line.rate == 48_000


def test_a_device_with_one_rate_of_its_own_is_resampled():
    card = FakeCard(rates=(44_100,))

    async def talk() -> tuple[Samples, int]:
        async with opened(card) as microphone:
            card.hear(sine(1.0, 44_100))
            incoming = microphone.incoming()
            heard = (await anext(incoming)).samples
            await incoming.aclose()
            return heard, microphone.playout.sample_rate

    heard, rate = run(talk())
    assert rate == 44_100
    assert len(heard) / 16_000 == pytest.approx(1.0, abs=0.05)
    assert np.abs(heard[2000:14_000]).max() == pytest.approx(0.3, abs=0.01)


def test_a_device_without_mono_is_opened_in_stereo():
    card = FakeCard(channels=(2,))

    async def talk() -> None:
        async with opened(card):
            assert card.input.line.channels == card.output.line.channels == 2

    run(talk())


def test_the_loudspeaker_plays_the_playout_without_gaps():
    card = FakeCard()
    reply = sine(0.5, 48_000)

    async def talk() -> Samples:
        async with opened(card) as microphone:
            write_reply(microphone, reply)
            return np.concatenate([card.speak(480) for _ in range(50)])

    assert np.array_equal(run(talk()), reply)


def test_the_delay_to_the_ear_follows_what_the_device_says():
    card = FakeCard()

    async def talk() -> None:
        async with opened(card) as microphone:
            assert microphone.playout.delay_seconds == pytest.approx(0.03)
            for _ in range(100):
                card.speak(480, delay=0.25)
            assert microphone.playout.delay_seconds == pytest.approx(0.25, abs=0.001)
            card.speak(480, delay=0.0)  # a sound system that does not know
            assert microphone.playout.delay_seconds == pytest.approx(0.25, abs=0.001)

    run(talk())


def test_sound_for_a_late_loop_is_bounded_and_keeps_its_length(caplog: pytest.LogCaptureFixture):
    card = FakeCard()

    async def talk() -> Samples:
        async with opened(card) as microphone:
            for second in range(5):
                card.hear(np.full(16_000, 0.1 * second, np.float32))
            incoming = microphone.incoming()
            chunk = await anext(incoming)
            await incoming.aclose()
            return chunk.samples

    heard = run(talk())
    assert len(heard) == 5 * 16_000
    kept = round(WAITING_SECONDS * 16_000)
    assert not heard[:-kept].any()
    assert heard[-1] == pytest.approx(0.4)
    assert sum("behind the microphone" in record.message for record in caplog.records) == 1


def test_a_driver_that_loses_sound_is_logged_once(caplog: pytest.LogCaptureFixture):
    card = FakeCard()

    async def talk() -> None:
        async with opened(card) as microphone:
            incoming = microphone.incoming()
            for _ in range(3):
                card.hear(np.zeros(160, np.float32), overflow=True)
                await anext(incoming)
            await incoming.aclose()

    with caplog.at_level(logging.INFO):
        run(talk())
    assert sum("lost sound" in record.message for record in caplog.records) == 1
    assert any("overflows 3" in record.message for record in caplog.records)


def test_an_exception_on_the_audio_thread_is_logged_and_the_sound_goes_on(caplog: pytest.LogCaptureFixture):
    card = FakeCard()

    def fail(event: object) -> None:
        raise RuntimeError("a listener is broken")

    async def talk() -> None:
        async with opened(card) as microphone:
            microphone.playout.on_event = fail
            write_reply(microphone, sine(0.5, 48_000))
            assert not card.speak(480).any()
            assert card.speak(480).any()
            card.hear(np.zeros(160, np.float32))
            incoming = microphone.incoming()
            await anext(incoming)
            await incoming.aclose()

    run(talk())
    assert any("audio thread" in record.message and record.exc_info for record in caplog.records)


# ---- echo -----------------------------------------------------------------------------------------------


class Pairs:
    """An echo canceller that takes notes."""

    def __init__(self, sample_rate: int) -> None:
        self.rate = sample_rate
        self.far: list[Samples] = []

    def process(self, near: Samples, far: Samples) -> Samples:
        assert near.shape == far.shape
        self.far.append(far)
        return near


@pytest.mark.parametrize("block", [160, 512, 97])
def test_the_echo_of_the_reply_is_20_db_softer(block: int):
    """Both callbacks run in turn, as if on one clock; the room answers 80 ms later."""
    card = FakeCard(rates=(16_000,))
    far = babble(8.0, seed=1)
    near = room(far, 0.08)

    async def talk() -> Samples:
        async with opened(card, EchoCanceller) as microphone:
            write_reply(microphone, far)
            incoming = microphone.incoming()
            out = []
            for at in range(0, len(near), block):
                card.speak(len(near[at : at + block]))
                card.hear(near[at : at + block])
                out.append((await anext(incoming)).samples)
            await incoming.aclose()
            return np.concatenate(out)

    converged = slice(4 * 16_000, None)
    assert level(near[converged]) - level(run(talk())[converged]) > 20


def test_a_loudspeaker_at_another_rate_is_laid_beside_the_microphone():
    card = FakeCard(rates=(16_000, 48_000))
    played = sine(4.0, 48_000)
    noted: list[Pairs] = []

    def make(rate: int) -> Pairs:
        noted.append(Pairs(rate))
        return noted[-1]

    async def talk() -> None:
        async with opened(card, make) as microphone:
            write_reply(microphone, played)
            incoming = microphone.incoming()
            for _ in range(400):
                card.speak(480)
                card.hear(np.zeros(160, np.float32))
                await anext(incoming)
            await incoming.aclose()

    run(talk())
    far = np.concatenate(noted[0].far)
    assert noted[0].rate == 16_000
    assert len(far) == 4 * 16_000
    expected = Resampler(48_000, 16_000).process(played, last=True)[: len(far)]
    # The resampler is late by a bit, and once: from then on the played sound has no holes.
    lag = int(np.argmax(np.correlate(far[8000:16_000], expected[8000:9000], mode="valid")))
    assert np.abs(far[16_000:40_000]).reshape(-1, 160).max(axis=1).min() > 0.25
    assert lag < 1600


def test_a_loudspeaker_whose_clock_is_fast_does_not_pile_up_sound():
    card = FakeCard(rates=(16_000,))
    noted = Pairs(16_000)

    async def talk() -> None:
        async with opened(card, lambda rate: noted) as microphone:
            counting = np.arange(200_000, dtype=np.float32)
            write_reply(microphone, counting)
            incoming = microphone.incoming()
            for _ in range(500):
                card.speak(200)  # for every 160 heard
                card.hear(np.zeros(160, np.float32))
                await anext(incoming)
            await incoming.aclose()

    run(talk())
    played = 500 * 200
    assert played - noted.far[-1][-1] <= 0.1 * 16_000 + 200


def test_the_setting_turns_the_echo_canceller_off():
    card = FakeCard()

    def never(rate: int) -> Pairs:
        raise AssertionError("not wanted")

    async def talk() -> None:
        settings = AudioSettings(echo_cancellation=False)
        async with Microphone(settings, never, card=lambda: card):
            pass

    run(talk())


# ---- devices that come and go ---------------------------------------------------------------------------


def test_leaving_closes_both_devices():
    card = FakeCard()

    async def talk() -> None:
        async with opened(card):
            pass

    run(talk())
    assert len(card.streams) == 2
    assert all(stream.closed for stream in card.streams)


def test_a_device_in_use_is_a_sentence_at_the_start():
    card = FakeCard()
    card.broken = "Device unavailable"

    async def talk() -> None:
        async with opened(card):
            pass

    with pytest.raises(StartupError, match=r"microphone Built-in .*Device unavailable.*local-voice devices"):
        run(talk())


def test_a_device_without_any_common_rate_is_a_sentence_at_the_start():
    async def talk() -> None:
        async with opened(FakeCard(rates=(11_025,))):
            pass

    with pytest.raises(StartupError, match="Can't use the microphone Built-in"):
        run(talk())


def test_a_device_that_comes_back_goes_on_where_the_reply_was():
    card = FakeCard()
    shown: list[object] = []

    async def talk() -> None:
        async with opened(card, show=shown.append) as microphone:
            loop = room_of_microphone.asyncio.get_running_loop()
            write_reply(microphone, np.arange(1, 2001, dtype=np.float32))
            incoming = microphone.incoming()
            assert card.speak(480)[-1] == 480
            card.hear(np.zeros(160, np.float32))
            first = await anext(incoming)
            card.present = []
            loop.call_later(5.0, setattr, card, "present", [BOTH])
            loop.call_later(9.0, lambda: card.hear(np.full(160, 0.2, np.float32)))
            began = loop.time()
            card.input.lost()
            gap = await anext(incoming)
            assert 9.0 <= loop.time() - began <= 10.0
            assert len(gap.samples) == LONGEST_GAP_SECONDS * 16_000
            assert not gap.samples.any()
            assert gap.start == len(first.samples)
            assert (await anext(incoming)).samples.max() == pytest.approx(0.2)
            assert card.speak(480)[0] == 481
            await incoming.aclose()

    run(talk())
    texts = [notice.text for notice in shown if isinstance(notice, Notice)]
    assert len(texts) == 2
    assert "gone" in texts[0]
    assert "back" in texts[1]
    assert 2 <= card.looks <= 8, "attempts back off"


def test_a_device_that_never_comes_back_ends_the_conversation_with_a_sentence():
    card = FakeCard()
    shown: list[object] = []

    async def talk() -> float:
        async with opened(card, show=shown.append) as microphone:
            card.present = []
            card.output.lost()
            assert [chunk async for chunk in microphone.incoming()] == []
            assert "no microphone" in microphone.failure
            return room_of_microphone.asyncio.get_running_loop().time()

    assert run(talk()) == pytest.approx(REOPEN_SECONDS, abs=0.1)
    last = shown[-1]
    assert isinstance(last, Notice)
    assert "the conversation ends" in last.text


def test_a_microphone_that_falls_silent_for_good_is_opened_again():
    card = FakeCard()

    async def talk() -> None:
        async with opened(card) as microphone:
            incoming = microphone.incoming()
            card.hear(np.zeros(160, np.float32))
            await anext(incoming)
            loop = room_of_microphone.asyncio.get_running_loop()
            loop.call_later(STALL_SECONDS + 1.0, lambda: card.hear(np.zeros(160, np.float32)))
            gap = (await anext(incoming)).samples
            assert len(gap) == LONGEST_GAP_SECONDS * 16_000
            assert len(card.streams) == 4
            await incoming.aclose()

    run(talk())


def test_a_device_that_stops_at_once_is_not_back():
    card = FakeCard()
    shown: list[object] = []

    async def talk() -> None:
        async with opened(card, show=shown.append) as microphone:

            def open_and_stop(line: Line, speak: Callable, lost: Callable[[], None]) -> FakeStream:
                lost()
                return card._open(line, speak, lost)

            card.open_output = open_and_stop
            card.output.lost()
            assert [chunk async for chunk in microphone.incoming()] == []
            assert "stops at once" in microphone.failure

    run(talk())
    assert not any("is back" in notice.text for notice in shown if isinstance(notice, Notice))


def test_a_microphone_that_opens_and_gives_nothing_ends_the_conversation():
    card = FakeCard()

    async def talk() -> None:
        async with opened(card) as microphone:
            assert [chunk async for chunk in microphone.incoming()] == []
            assert "gives no sound" in microphone.failure

    run(talk())


def test_a_loudspeaker_that_returns_with_another_rate_keeps_the_playout_waiting():
    """Its reply is made of samples at the old rate, and would be played too fast or too slow."""
    card = FakeCard()

    async def talk() -> None:
        async with opened(card) as microphone:
            card.rates = (44_100, 16_000)
            card.output.lost()
            assert [chunk async for chunk in microphone.incoming()] == []
            assert "Can't use the loudspeaker" in microphone.failure

    run(talk())


# ---- choosing -------------------------------------------------------------------------------------------

ALL = [BOTH, HEADSET, SPEAKERS]


def test_a_device_is_chosen_by_default_number_name_or_part_of_a_name():
    assert choose(ALL, "input", "") is BOTH
    assert choose(ALL, "input", "1") is HEADSET
    assert choose(ALL, "input", "headset") is HEADSET
    assert choose(ALL, "input", "usb") is HEADSET, "the speakers have no microphone"
    assert choose([HEADSET, SPEAKERS], "input", "") is HEADSET, "the only one is the default"
    twins = [HEADSET, Device(3, "USB Headset Pro", "ALSA", 1, 2, 48_000)]
    assert choose(twins, "input", "usb headset") is HEADSET, "a whole name goes before a part"


@pytest.mark.parametrize(
    ("direction", "wanted", "sentence"),
    [
        ("output", "usb", "Several loudspeakers match 'usb'.*--output-device.*1 is USB Headset; 2 is USB Sp"),
        ("input", "webcam", "No microphone matches 'webcam'.*0 is Built-in; 1 is USB Headset"),
        ("input", "2", "No microphone has the number 2"),
    ],
)
def test_a_choice_that_is_none_is_a_sentence_with_the_candidates(direction, wanted, sentence):
    with pytest.raises(StartupError, match=sentence):
        choose(ALL, direction, wanted)


def test_no_microphone_at_all_is_a_sentence():
    with pytest.raises(StartupError, match="There is no microphone: plug one in"):
        choose([SPEAKERS], "input", "")


def test_two_microphones_without_a_default_have_to_be_told_apart():
    with pytest.raises(StartupError, match="no default microphone"):
        choose([HEADSET, Device(3, "Webcam", "ALSA", 1, 0, 48_000)], "input", "")


def test_a_device_is_listed_with_its_number_and_roles():
    assert str(BOTH) == "  0  Built-in [ALSA]: microphone (default) and loudspeaker (default)"
    assert str(SPEAKERS) == "  2  USB Speakers [ALSA]: loudspeaker"


def test_a_missing_portaudio_is_a_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch):
    def fail(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(StartupError, match="sudo apt install libportaudio2"):
        PortAudio()


# ---- on PulseAudio --------------------------------------------------------------------------------------


class Program:
    """`microphone_program.py` under a sound server, until the block ends."""

    def __init__(self, server: SoundServer, folder: Path, seconds: float, *options: str) -> None:
        self.folder = folder
        script = Path(__file__).with_name("microphone_program.py")
        # Not a pipe: nobody reads it before the end, and a full one would stop the program.
        self._errors = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(seconds), *options],
            env={**server.environment, "PYTHONPATH": str(script.parent.parent)},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self._errors.close()

    def line(self) -> str:
        """The next that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.complaints()
        return line

    def complaints(self) -> str:
        return (self.folder / "errors.txt").read_text()

    def heard(self) -> Samples:
        """What it heard, at 16 kHz, once it is over."""
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, output + self.complaints()
        return soundfile.read(self.folder / "heard.wav", dtype="float32")[0]


def blocks(samples: Samples, rate: int) -> Samples:
    """Level of every 10 ms, from the first that sounds to the last."""
    size = rate // 100
    levels = np.sqrt((samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(axis=1))
    sounding = np.flatnonzero(levels > 0.02)
    return levels[sounding[0] : sounding[-1] + 1]


@pytest.mark.doors
@pytest.mark.timeout(120)
def test_pulseaudio_carries_both_directions_at_the_right_level_and_without_gaps(tmp_path: Path):
    soundfile.write(tmp_path / "play.wav", sine(3.0, 22_050), 22_050)
    with SoundServer() as server, server.listen() as played, Program(server, tmp_path, 5.0) as program:
        assert program.line() == "open at 48000 Hz\n"
        server.say(0.5 * sine(3.0, SERVER_RATE, 1000.0))
        heard = program.heard()
    for sound, rate, amplitude in ((heard, 16_000, 0.15), (played.samples, SERVER_RATE, 0.3)):
        levels = blocks(sound, rate)
        assert len(levels) == pytest.approx(300, abs=10), "3 s of it"
        assert np.median(levels) == pytest.approx(amplitude / np.sqrt(2), rel=0.05)
        # A busy test machine may make a block late; a stream that stutters has dozens.
        assert (levels[1:-1] < 0.9 * np.median(levels)).sum() <= 6


@pytest.mark.doors
@pytest.mark.timeout(120)
def test_the_reply_that_comes_back_through_pulseaudio_is_taken_out(tmp_path: Path):
    soundfile.write(tmp_path / "play.wav", babble(9.0, seed=1), 16_000)
    levels = {}
    with SoundServer() as server:
        server.feed_back()
        for option in ("raw", "echo"):
            with Program(server, tmp_path, 9.0, option) as program:
                levels[option] = level(program.heard()[5 * 16_000 :])
    assert levels["raw"] > -40, "the echo is there"
    assert levels["raw"] - levels["echo"] > 20


@pytest.mark.doors
@pytest.mark.timeout(120)
def test_a_sound_server_that_goes_and_comes_back_is_found_again(tmp_path: Path):
    with SoundServer() as server, Program(server, tmp_path, 6.0) as program:
        assert program.line().startswith("open")
        server.stop()
        assert "gone" in program.line()
        server.start()
        assert "back" in program.line()
        server.say(sine(3.0, SERVER_RATE))
        assert np.median(blocks(program.heard(), 16_000)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
