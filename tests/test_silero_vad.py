from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from local_voice.audio import Rechunker, Samples, read_wav
from local_voice.engines.silero_vad import SileroVad
from local_voice.stages import StartupError

SPEECH = Path(__file__).parent / "data" / "sense_0890.wav"


def judge(vad: SileroVad, samples: Samples) -> list[float]:
    stream = vad.stream()
    return [stream.probability(window) for window in Rechunker(vad.window).push(samples)]


async def test_a_missing_model_says_how_to_get_it(tmp_path: Path):
    with pytest.raises(StartupError, match=r"nowhere\.onnx is missing: run `local-voice models pull`"):
        await SileroVad(tmp_path / "nowhere.onnx").__aenter__()


async def test_a_broken_model_says_how_to_check_it(tmp_path: Path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network in here")
    with pytest.raises(
        StartupError, match=r"broken\.onnx is not a Silero .* run `local-voice models verify`"
    ):
        await SileroVad(broken).__aenter__()


@pytest.mark.models
async def test_another_network_is_refused_at_start_up(model_path: Callable[[str], Path]):
    with pytest.raises(StartupError, match="is not a Silero voice detector"):
        await SileroVad(model_path("smart-turn-v3.2")).__aenter__()


@pytest.mark.models
async def test_human_speech_is_speech_and_silence_and_hiss_are_not(model_path: Callable[[str], Path]):
    speech = read_wav(SPEECH).samples
    hiss = (np.random.default_rng(0).standard_normal(48_000) * 0.02).astype(np.float32)
    async with SileroVad(model_path("silero-vad-v6")) as vad:
        assert np.mean(np.array(judge(vad, speech)) > 0.5) > 0.8
        assert max(judge(vad, np.zeros(48_000, np.float32))) < 0.1
        assert max(judge(vad, hiss)) < 0.35


@pytest.mark.models
async def test_streams_do_not_hear_one_another(model_path: Callable[[str], Path]):
    speech = read_wav(SPEECH).samples
    async with SileroVad(model_path("silero-vad-v6")) as vad:
        alone = judge(vad, speech)
        one, other = vad.stream(), vad.stream()
        together = []
        for window in Rechunker(vad.window).push(speech):
            together.append(one.probability(window))
            other.probability(np.zeros(vad.window, np.float32))
    assert together == alone


@pytest.mark.models
async def test_the_end_of_the_last_window_is_heard_with_the_next(model_path: Callable[[str], Path]):
    window = read_wav(SPEECH).samples[16_000:16_512]
    async with SileroVad(model_path("silero-vad-v6")) as vad:
        quiet, after_noise = vad.stream(), vad.stream()
        before = np.zeros(vad.window, np.float32)
        quiet.probability(before)
        before[-64:] = window[:64]
        after_noise.probability(before)
        # The same windows but for 64 samples at the end of the first: the context and the state differ.
        assert quiet.probability(window) != after_noise.probability(window)


@pytest.mark.models
@pytest.mark.parametrize("nonsense", [np.nan, np.inf, 1e30])
async def test_nonsense_in_the_sound_does_not_make_the_stream_deaf(
    model_path: Callable[[str], Path], nonsense: float
):
    speech = read_wav(SPEECH).samples
    async with SileroVad(model_path("silero-vad-v6")) as vad:
        stream = vad.stream()
        assert stream.probability(np.full(vad.window, nonsense, np.float32)) < 0.1
        after = [stream.probability(window) for window in Rechunker(vad.window).push(speech)]
    assert np.mean(np.array(after) > 0.5) > 0.8
