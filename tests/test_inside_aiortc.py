"""What replaces a part of aiortc does the same."""

from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCPeerConnection, rtp
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame

from local_voice.transports.inside_aiortc import SpeechEncoder, audio_level
from local_voice.transports.messages import Hello
from local_voice.transports.webrtc import RATE, WebRtcTransport

ORIGINAL = rtp.compute_audio_level_dbov


@pytest.mark.parametrize("amplitude", [0.0, 1 / 32767, 0.001, 0.03, 0.5, 1.0])
def test_loudness_is_aiortcs_own(amplitude):
    samples = np.sin(np.arange(960) / 7) * amplitude * 32767
    frame = AudioFrame.from_ndarray(samples.astype(np.int16)[None], layout="mono")
    assert audio_level(frame) == ORIGINAL(frame)


def test_the_loudest_frame_is_at_full_scale():
    frame = AudioFrame.from_ndarray(np.full((1, 960), -32768, np.int16), layout="mono")
    assert audio_level(frame) == ORIGINAL(frame) == 0


def voice(seconds: float) -> np.ndarray:
    """A buzz that comes and goes four times a second, 16 bits at 48 kHz, in frames of 20 ms."""
    time = np.arange(round(48_000 * seconds)) / 48_000
    buzz = sum(np.sin(2 * np.pi * 140 * harmonic * time) / harmonic for harmonic in range(1, 12))
    return (buzz * np.sin(np.pi * 4 * time) ** 2 * 8000).astype(np.int16).reshape(-1, 960)


def encoded(encoder: OpusEncoder, frames: np.ndarray, first: int = 0) -> tuple[list[bytes], list[int]]:
    packets, timestamps = [], []
    for number, samples in enumerate(frames, first):
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        payloads, timestamp = encoder.encode(frame)
        packets += payloads
        timestamps += [timestamp] * len(payloads)
    return packets, timestamps


def decoded(packets: list[bytes]) -> np.ndarray:
    """One channel."""
    decoder, found = OpusDecoder(), []
    for number, packet in enumerate(packets):
        for frame in decoder.decode(JitterFrame(data=packet, timestamp=number * 960)):
            found.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
    return np.concatenate(found).astype(float)


def comes_out(packets: list[bytes], sent: np.ndarray) -> tuple[int, float]:
    """How many samples later than they were sent sounds are decoded, and the correlation of the two."""
    found = decoded(packets)
    late = max(range(600), key=lambda late: float(sent[20_000:60_000] @ found[20_000 + late : 60_000 + late]))
    return late, float(np.corrcoef(sent[: len(found) - late], found[late:])[0, 1])


@pytest.mark.parametrize(("fec", "share", "alike"), [(False, 0.9, 0.99), (True, 0.3, 0.8)])
def test_speech_takes_fewer_bits_and_is_no_later_than_aiortcs(fec, share, alike):
    frames = voice(3.0)
    sent = frames.ravel().astype(float)
    encoder = SpeechEncoder()
    if fec:
        encoder.survive_loss()
    ours, ours_at = encoded(encoder, frames)
    theirs, theirs_at = encoded(OpusEncoder(), frames)
    assert ours_at == theirs_at
    assert sum(map(len, ours)) < share * sum(map(len, theirs))
    assert not any(packet[0] & 0b100 for packet in ours)  # RFC 6716, 3.1: mono
    late, like = comes_out(ours, sent)
    assert late <= comes_out(theirs, sent)[0] + 48  # a millisecond
    assert like > alike


def test_the_encoder_changes_between_two_frames():
    frames = voice(2.0)
    before, _ = encoded(SpeechEncoder(), frames)
    encoder = SpeechEncoder()
    packets, timestamps = encoded(encoder, frames[:50])
    encoder.survive_loss()
    more, later = encoded(encoder, frames[50:], first=50)
    assert timestamps + later == [number * 960 for number in range(100)]
    assert packets == before[:50]
    a, b = decoded(packets + more), decoded(before)
    assert np.corrcoef(a[40_000:60_000], b[40_000:60_000])[0, 1] > 0.8


async def test_copies_are_sent_to_a_client_that_cancels_echo_itself():
    peer = RTCPeerConnection()
    transport = WebRtcTransport(peer)
    encoder = transport._sender._RTCRtpSender__encoder
    assert encoder.codec.options == {"application": "audio"}
    transport._on_hello(Hello(False, RATE, None, None))
    assert encoder.codec.options == {"application": "audio"}
    transport._on_hello(Hello(True, RATE, None, None))
    codec = encoder.codec
    assert codec.options["fec"] == "1"
    transport._on_hello(Hello(True, RATE, None, None))  # with another microphone, or to keep us busy
    assert encoder.codec is codec
    await peer.close()
