import numpy as np
import pytest

from local_voice.log_mel import LogMel


def sound(seconds: float) -> np.ndarray:
    """Noise that grows, then silence: loud, soft and empty frames."""
    count = round(seconds * 16_000)
    noise = np.random.default_rng(7).standard_normal(count) * np.linspace(0, 0.2, count)
    noise[count * 2 // 3 :] = 0
    return noise.astype(np.float32)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 5.0031])
def test_features_are_those_of_faster_whisper(bands: int, seconds: float):
    from faster_whisper.feature_extractor import FeatureExtractor

    samples = sound(seconds)
    features = LogMel(bands)(samples)
    assert features.shape == (bands, len(samples) // 160)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, FeatureExtractor(feature_size=bands)(samples, padding=0), atol=1e-5)


def test_a_tone_lights_up_the_band_of_its_pitch():
    time = np.arange(16_000) / 16_000
    low, high = (LogMel(80)(np.sin(2 * np.pi * hertz * time).astype(np.float32)) for hertz in (300, 3000))
    # 300 Hz is 4.5 mel and 3000 Hz 30.8 mel of 45.2, so bands 8 and 55 of 80.
    assert abs(int(low.mean(axis=1).argmax()) - 8) <= 1
    assert abs(int(high.mean(axis=1).argmax()) - 54) <= 1


def test_silence_is_flat_and_finite():
    features = LogMel(80)(np.zeros(16_000, np.float32))
    assert np.isfinite(features).all()
    assert features.min() == features.max()
