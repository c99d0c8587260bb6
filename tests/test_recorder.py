"""Recordings: both sides on one clock, limits that hold, and a disk whose failure disturbs nobody."""

import asyncio
import contextlib
import errno
import os
import threading
import wave
from collections import namedtuple
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import (
    HandTransport,
    LevelVad,
    ScriptedLlm,
    ScriptedStt,
    ScriptedTurn,
    ToneTts,
    of_kind,
    settle,
    tone,
)

from local_voice import recorder as room
from local_voice.recorder import GIB, RATE, Recorder, tidy
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import RecordingSettings, Settings
from local_voice.stages import Caption, Recording, Speech
from local_voice.trace import replay

WALL = 1_700_000_000.0


def recording(folder: Path, **more) -> Settings:
    return Settings(recording=RecordingSettings(folder=str(folder), free_gib=0, **more))


@contextlib.asynccontextmanager
async def recorded(settings: Settings, *turns: tuple[str, str]) -> AsyncIterator[HandTransport]:
    """A conversation on scripted engines that is recorded; leaves when the block ends."""
    transport = HandTransport()
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    stt, llm = ScriptedStt(*(said for said, _ in turns)), ScriptedLlm(*(reply for _, reply in turns))
    engines = Engines(LevelVad(), ScriptedTurn(), stt, llm, ToneTts(), apologies)
    async with Recorder(wall=lambda: WALL) as recorder, recorder.record(transport, settings) as both:
        session = Session(engines, settings, both, observer=both.steps, clock=lambda: 0.0)
        running = asyncio.create_task(session.run())
        await settle()
        try:
            yield transport
        finally:
            transport.leave()
            await running


async def one_turn(transport: HandTransport) -> None:
    await transport.ask()
    await transport.listen(1.0)
    await transport.hear("." * 32)


def shown(transport: HandTransport) -> list[bool]:
    return [item.on for item in of_kind(Recording, transport.notifications)]


async def test_both_sides_are_kept_on_one_clock_with_a_trace_that_can_be_decided_again(tmp_path):
    folder = tmp_path / "kept"
    async with recorded(recording(folder), ("What is red?", "It is a colour.")) as transport:
        await one_turn(transport)
    assert shown(transport) == [True], "the page shows that it is on"
    (sound,), (trace,) = folder.glob("*.wav"), folder.glob("*.jsonl")
    assert sound.name == "2023-11-14T22-13-20-0001.wav"
    samples, rate = soundfile.read(sound)
    assert (rate, samples.shape[1]) == (RATE, 2)
    assert len(samples) / rate == pytest.approx(64 * 0.032, abs=0.15), "as long as the user's sound"
    said, heard = (np.flatnonzero(np.abs(samples[:, side]) > 0.1) / rate for side in (0, 1))
    assert said.min() < 0.05
    assert said.max() == pytest.approx(0.64, abs=0.05)
    assert len(heard) / rate == pytest.approx(0.4, abs=0.1), "four words of a tenth of a second"
    assert replay(trace) == []
    assert "What is red?" in trace.read_text()
    assert {oct(path.stat().st_mode & 0o777) for path in (sound, trace)} == {"0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


async def test_a_disk_that_is_full_ends_the_recording_and_not_the_conversation(tmp_path, monkeypatch, caplog):
    async with recorded(recording(tmp_path), ("One.", "First."), ("Two.", "Second.")) as transport:
        await one_turn(transport)
        async with asyncio.timeout(2.0):
            while not sum(path.stat().st_size for path in tmp_path.glob("*.wav")) > RATE:
                await settle()

        def full(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(wave.Wave_write, "writeframes", full)
        await one_turn(transport)
        await transport.hear("." * 70)
        async with asyncio.timeout(2.0):
            while shown(transport) == [True]:
                await settle()
    assert shown(transport) == [True, False], "the page shows that it is off"
    heard = [c.text for c in of_kind(Caption, transport.notifications) if c.role == "assistant" and c.final]
    assert heard == ["First.", "Second."]
    said = [record for record in caplog.records if "no longer recorded" in record.getMessage()]
    assert len(said) == 1, "once"
    assert "No space left" in said[0].getMessage()
    (sound,) = tmp_path.glob("*.wav")
    assert soundfile.info(sound).frames > 0.9 * RATE, "what was written before can be played"


async def test_conversations_that_are_recorded_at_once_leave_each_others_files_alone(tmp_path):
    now = [WALL]
    settings = recording(tmp_path, max_gib=1 / GIB)
    async with Recorder(wall=lambda: now[0]) as recorder, contextlib.AsyncExitStack() as both:
        for _ in range(2):
            await both.enter_async_context(recorder.record(HandTransport(), settings))
        for _ in range(3):
            now[0] += 2 * room.TIDY_SECONDS
            for files in recorder._open:
                await recorder._worker.run(files.add, *[np.zeros(RATE, np.float32)] * 2, RATE, RATE, [])
        assert len(list(tmp_path.iterdir())) == 4
    assert recorder._making == set()


async def test_with_too_little_room_nothing_is_begun(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: usage(100 * GIB, 99.5 * GIB, 0.5 * GIB))
    settings = Settings(recording=RecordingSettings(folder=str(tmp_path), free_gib=1.0))
    async with recorded(settings, ("One.", "First.")) as transport:
        await one_turn(transport)
    assert shown(transport) == [True, False]
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_can_not_be_made_is_no_reason_not_to_talk(tmp_path):
    (tmp_path / "file").write_text("")
    async with recorded(recording(tmp_path / "file" / "folder"), ("One.", "First.")) as transport:
        await one_turn(transport)
    assert shown(transport) == [True, False]
    assert [c.text for c in of_kind(Caption, transport.notifications) if c.role == "assistant" and c.final]


async def test_a_disk_that_stands_still_holds_up_nobody(tmp_path, monkeypatch, caplog):
    moves = threading.Event()
    monkeypatch.setattr(room._Files, "add", lambda self, *sound: moves.wait(5.0))
    monkeypatch.setattr(room, "CLOSE_SECONDS", 0.05)
    try:
        async with asyncio.timeout(3.0):
            transport = HandTransport()
            recorder = Recorder()
            async with recorder.record(transport, recording(tmp_path)) as both:

                async def listen() -> None:
                    async for _ in both.incoming():
                        pass

                listening = asyncio.create_task(listen())
                await transport.hear("." * 200)
                transport.leave()
                await listening
        assert "still to be written" in caplog.text
    finally:
        moves.set()
        await recorder.__aexit__(None, None, None)


async def test_a_side_that_lags_gets_silence_and_a_longer_one_loses_nothing(tmp_path):
    async with recorded(recording(tmp_path)) as transport:
        transport.playout.on_read(np.full(16_000 * 5, 0.5, np.float32))
        await transport.hear("." * 40)
    (sound,) = tmp_path.glob("*.wav")
    samples, rate = soundfile.read(sound)
    assert len(samples) / rate == pytest.approx(5.0, abs=0.1)
    assert np.abs(samples[rate // 2 : 4 * rate, 1]).min() > 0.4


def put(folder: Path, name: str, age_days: float, size: int = 1000) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (WALL - age_days * 86_400,) * 2)
    return path


async def test_a_client_that_sends_no_sound_makes_nothing_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BLOCK_SECONDS", 0.01)
    transport = HandTransport()
    async with (
        Recorder(wall=lambda: WALL) as recorder,
        recorder.record(transport, recording(tmp_path)) as both,
    ):
        for _ in range(50):
            transport.playout.read(transport.playout.sample_rate)
        await asyncio.sleep(0.1)
        assert not both._sides[1]
    (sound,) = tmp_path.glob("*.wav")
    assert len(soundfile.read(sound)[0]) / RATE == pytest.approx(50, abs=0.1)


def test_what_is_too_old_goes_and_other_people_s_files_stay(tmp_path):
    old = put(tmp_path, "2023-01-01T00-00-00-0001.wav", 40)
    young = put(tmp_path, "2023-11-01T00-00-00-0002.wav", 3)
    others = [
        put(tmp_path, name, 400) for name in ("notes.txt", "song.wav", "2023-01-01T00-00-00-0001.wav.bak")
    ]
    assert tidy(tmp_path, RecordingSettings(max_age_days=30), WALL, keep=[]) == [old]
    assert young.exists()
    assert all(path.exists() for path in others)


async def test_what_is_too_old_goes_also_while_nobody_talks(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(room, "TIDY_IDLE_SECONDS", 0.01)
    limits = [RecordingSettings(folder=str(tmp_path / "not yet"))]
    async with Recorder(wall=lambda: WALL) as recorder:
        tidying = asyncio.create_task(recorder.keep_tidy(lambda: limits[-1]))
        await asyncio.sleep(0.05)
        for _ in range(2):  # the old ones of now, and of an hour later
            old = put(tmp_path, "2023-01-01T00-00-00-0001.wav", 40)
            limits.append(RecordingSettings(folder=str(tmp_path)))  # as SIGHUP may set it
            async with asyncio.timeout(5.0):
                while old.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        limits.append(RecordingSettings())
        await asyncio.sleep(0.05)
        kept = put(tmp_path, "2023-01-01T00-00-00-0001.wav", 40)
        await asyncio.sleep(0.05)
        assert kept.exists(), "what is there stays where nothing is recorded any more"
        tidying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tidying
    assert caplog.messages == []


def test_what_is_too_much_goes_oldest_first_but_never_what_is_being_made(tmp_path):
    files = [put(tmp_path, f"2023-11-0{n}T00-00-00-000{n}.wav", 9 - n) for n in range(1, 6)]
    limits = RecordingSettings(max_gib=2_500 / GIB)
    gone = tidy(tmp_path, limits, WALL, keep=[files[0].stem])
    assert gone == files[1:4]
    assert files[0].exists()
