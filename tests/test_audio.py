from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from local_voice.audio import AudioFileError, Rechunker, Resampler, Tape, read_wav, write_wav


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_rechunking_keeps_every_sample_in_order(sizes):
    rechunker = Rechunker(512)
    sound = np.arange(sum(sizes), dtype=np.float32)
    windows, at = [], 0
    for size in sizes:
        windows += rechunker.push(sound[at : at + size])
        at += size
    assert all(window.shape == (512,) for window in windows)
    joined = np.concatenate(windows) if windows else np.zeros(0)
    assert (joined == sound[: len(sound) // 512 * 512]).all()


def tone(hertz: float, rate: int = 48_000) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)


def decibels(sound: np.ndarray) -> float:
    """Of a tone, against full scale; its ends left out."""
    return 10 * np.log10(2 * np.mean(np.square(sound[1000:-1000])) + 1e-20)


@pytest.mark.parametrize("hertz", [50, 440, 3_400, 7_000])
def test_a_tone_that_the_lower_rate_can_hold_passes_whole(hertz: float):
    kept = Resampler(48_000, 16_000).process(tone(hertz), last=True)
    np.testing.assert_allclose(kept[1000:-1000], tone(hertz, 16_000)[1000:-1000], atol=0.01)


@pytest.mark.parametrize("hertz", [8_600, 9_000, 12_000, 16_000, 23_000])
def test_a_tone_that_the_lower_rate_can_not_hold_is_kept_out(hertz: float):
    assert decibels(Resampler(48_000, 16_000).process(tone(hertz), last=True)) < -80


@pytest.mark.parametrize("sizes", [[960] * 50, [1] * 300 + [7, 100, 5000, 42_593], [48_000]])
def test_how_a_stream_is_cut_changes_nothing_and_nothing_is_missing(sizes: list[int]):
    assert sum(sizes) == 48_000
    stream = Resampler(48_000, 16_000)
    pieces = [stream.process(piece) for piece in np.split(tone(440), np.cumsum(sizes)[:-1])]
    kept = np.concatenate([*pieces, stream.process(np.zeros(0, np.float32), last=True)])
    assert len(kept) == 16_000
    np.testing.assert_allclose(kept, Resampler(48_000, 16_000).process(tone(440), last=True), atol=1e-6)


def test_the_browsers_sound_is_held_back_for_less_than_2_ms():
    stream, made = Resampler(48_000, 16_000), 0
    for number in range(1, 51):
        made += len(stream.process(np.zeros(960, np.float32)))
        assert number * 0.02 - made / 16_000 < 0.002


def test_resampling_in_chunks_equals_resampling_at_once():
    time = np.arange(48_000) / 48_000
    sound = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    chunked = Resampler(48_000, 16_000)
    pieces = [chunked.process(sound[i : i + 960]) for i in range(0, len(sound), 960)]
    pieces.append(chunked.process(np.zeros(0, np.float32), last=True))
    whole = Resampler(48_000, 16_000).process(sound, last=True)
    joined = np.concatenate(pieces)
    assert len(joined) == len(whole) == 16_000
    assert np.abs(joined - whole).max() < 1e-4


@given(st.lists(st.integers(0, 90), max_size=20), st.floats(0, 12), st.floats(0, 12))
def test_a_tape_gives_back_what_it_still_holds(sizes, start, end):
    tape = Tape(1.0, 100)
    sound = np.arange(sum(sizes), dtype=np.float32)
    at = 0
    for size in sizes:
        tape.push(sound[at : at + size])
        at += size
    first, last = max(round(start * 100), len(sound) - 100, 0), min(round(end * 100), len(sound))
    assert (tape.between(start, end) == sound[first : max(first, last)]).all()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_of_any_kind_become_mono_floats(tmp_path: Path, subtype: str, channels: int):
    path = tmp_path / "sound.wav"
    frames = np.full((800, channels), 0.25, np.float32)
    soundfile.write(path, frames, 8_000, subtype=subtype)
    chunk = read_wav(path)
    assert chunk.sample_rate == 8_000
    assert chunk.samples.dtype == np.float32
    assert chunk.duration == pytest.approx(0.1)
    assert np.abs(chunk.samples - 0.25).max() < 0.01


@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is no sound at all, whatever its name says"])
def test_a_file_that_is_no_sound_is_refused_by_name(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"broken\.wav"):
        read_wav(path)


def test_a_missing_or_silent_file_is_refused(tmp_path: Path):
    with pytest.raises(AudioFileError, match="absent"):
        read_wav(tmp_path / "absent.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16_000)
    with pytest.raises(AudioFileError, match="holds no sound"):
        read_wav(tmp_path / "none.wav")


def test_channels_of_different_length_are_written_side_by_side(tmp_path: Path):
    path = tmp_path / "both.wav"
    write_wav(path, [np.full(10, 0.5, np.float32), np.full(20, -0.5, np.float32)], 16_000)
    frames, rate = soundfile.read(path)
    assert (frames.shape, rate) == ((20, 2), 16_000)
    assert frames[15].tolist() == pytest.approx([0.0, -0.5])
