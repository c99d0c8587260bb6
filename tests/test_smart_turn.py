from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from local_voice.audio import Samples, read_wav, silence
from local_voice.engines.smart_turn import SmartTurn, turn_features
from local_voice.log_mel import LogMel
from local_voice.stages import StageError, StartupError

DATA = Path(__file__).parent / "data"


def speech(name: str) -> Samples:
    """A sentence without the silence around it, and 0.15 s of silence after it."""
    samples = read_wav(DATA / f"{name}.wav").samples
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    return np.concatenate([samples[loud[0] : loud[-1]], silence(0.15, 16_000)])


@pytest.mark.parametrize("seconds", [0.5, 3.0, 8.0, 11.0])
def test_features_are_those_that_transformers_makes(seconds: float):
    whisper = pytest.importorskip("transformers.models.whisper.feature_extraction_whisper")
    count = round(seconds * 16_000)
    samples = (np.random.default_rng(3).standard_normal(count) * np.linspace(0, 0.3, count)).astype(
        np.float32
    )
    padded = np.zeros(128_000, np.float32)
    padded[max(0, 128_000 - count) :] = samples[-128_000:]
    reference = whisper.WhisperFeatureExtractor(chunk_length=8)(
        padded, sampling_rate=16_000, do_normalize=True, return_tensors="np"
    ).input_features[0]
    features = turn_features(samples, LogMel(80))
    assert features.shape == (80, 800)
    np.testing.assert_allclose(features, reference, atol=2e-4)


async def test_a_missing_model_says_how_to_get_it(tmp_path: Path):
    with pytest.raises(StartupError, match=r"nowhere\.onnx is missing: run `local-voice models pull`"):
        await SmartTurn(tmp_path / "nowhere.onnx").__aenter__()


async def test_a_broken_model_says_how_to_check_it(tmp_path: Path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network in here")
    with pytest.raises(
        StartupError, match=r"broken\.onnx is not a Smart Turn .* `local-voice models verify`"
    ):
        await SmartTurn(broken).__aenter__()


@pytest.mark.models
async def test_a_sentence_is_done_at_its_end_and_not_in_its_middle(model_path: Callable[[str], Path]):
    async with SmartTurn(model_path("smart-turn-v3.2")) as turn:
        for name in ("sense_0870", "sense_0890", "sense_0920"):
            whole = speech(name)
            assert await turn.probability(whole) > 0.5
            assert await turn.probability(whole[: len(whole) * 55 // 100]) < 0.5


@pytest.mark.models
async def test_only_the_last_eight_seconds_count(model_path: Callable[[str], Path]):
    before = speech("sense_0930")
    recent = np.concatenate([speech("sense_0870"), speech("sense_0920")])[-128_000:]
    async with SmartTurn(model_path("smart-turn-v3.2")) as turn:
        assert await turn.probability(np.concatenate([before, recent])) == await turn.probability(recent)


@pytest.mark.models
async def test_any_length_gives_a_probability(model_path: Callable[[str], Path]):
    async with SmartTurn(model_path("smart-turn-v3.2")) as turn:
        for samples in (silence(0, 16_000), silence(0.01, 16_000), silence(20, 16_000)):
            assert 0.0 <= await turn.probability(samples) <= 1.0


@pytest.mark.models
async def test_a_failing_network_is_a_stage_error(
    model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
):
    class Failing:
        def run(self, *arguments: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] out of memory\nat some line")

    async with SmartTurn(model_path("smart-turn-v3.2")) as turn:
        monkeypatch.setattr(turn, "_session", Failing())
        with pytest.raises(StageError, match=r"the turn detector failed: .*out of memory$"):
            await turn.probability(silence(1, 16_000))
