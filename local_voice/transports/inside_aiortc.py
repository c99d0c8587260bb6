"""The places where aiortc and aioice are not as a conversation needs them, changed from outside.

aiortc 1.16.0 delays sound, does not say which RTP timestamp a frame got, and its ICE forgets loopback. Each
change here reaches into a private place; `require_aiortc` checks at start-up that they are still there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import aioice.ice
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, rtp
from aiortc.codecs.opus import OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from av import AudioFrame, AudioResampler, CodecContext

from local_voice.stages import StartupError
from local_voice.transports.jitter import InOrder

log = logging.getLogger(__name__)

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_TIMESTAMP = "_RTCRtpSender__rtp_timestamp"
_ENCODER = "_RTCRtpSender__encoder"
_CONNECT = "_RTCPeerConnection__connect"
_DTLS = "_RTCPeerConnection__dtlsTransports"


def require_aiortc() -> None:
    """Check the private places of aiortc that are used here. Raises `StartupError`."""
    receiving = _BUFFER in RTCRtpReceiver.__init__.__code__.co_names
    sending = {_TIMESTAMP, _ENCODER} <= {*RTCRtpSender.__init__.__code__.co_names}
    connecting = hasattr(RTCPeerConnection, _CONNECT)
    closing = _DTLS in RTCPeerConnection.__init__.__code__.co_names
    handling = hasattr(RTCRtpReceiver, "_handle_rtp_packet")
    if not (receiving and sending and connecting and closing and handling):
        raise StartupError(
            "The installed aiortc receives or sends sound in another way than 1.16.0, which the web page "
            "relies on: install aiortc==1.16.0."
        )


def offer_loopback_when_alone() -> None:
    """Let a machine without any network talk to its own browser.

    aioice offers every address but 127.0.0.1, so that a laptop in flight mode would have none to offer.
    """
    found = aioice.ice.get_host_addresses
    if getattr(found, "offers_loopback", False):
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return found(use_ipv4, use_ipv6) or ["127.0.0.1"]

    addresses.offers_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = addresses


def measure_loudness_at_once() -> None:
    """Let numpy do what aiortc does with a loop over every sample that is sent: 3.5 instead of 72 µs a frame,
    the largest single part of what a conversation cost the interpreter."""
    rtp.compute_audio_level_dbov = audio_level


def audio_level(frame: AudioFrame) -> int:
    """Loudness of a frame of 16-bit samples in dB of full scale, -127 to 0 (RFC 6465, appendix A)."""
    samples = np.frombuffer(bytes(frame.planes[0]), np.int16).astype(np.float64)
    power = float(samples @ samples) / (frame.samples * 32767.0**2)
    return round(min(max(10 * float(np.log10(power)), -127.0), 0.0)) if power > 0 else -127


def watch_connecting(peer: RTCPeerConnection, failed: Callable[[Exception], None]) -> None:
    """Tell when an offer turns out to be broken only while connecting; aiortc would tell nobody."""
    connect = getattr(peer, _CONNECT)

    async def watched() -> None:
        try:
            await connect()
        except Exception as error:  # aiortc looks for what an offer should have with bare asserts
            failed(error)

    setattr(peer, _CONNECT, watched)


async def close_whole(peer: RTCPeerConnection) -> None:
    """Close a peer; also one whose offer was so broken that aiortc's own closing stops half-way."""
    try:
        await peer.close()
    except Exception:
        log.debug("a peer closed only in parts", exc_info=True)
        for dtls in list(getattr(peer, _DTLS)):
            await dtls.stop()
            await dtls.transport.stop()
        peer.remove_all_listeners()


class _AtOnce:
    """In place of aiortc's jitter buffer: every packet is a frame of its own and goes to the decoder now."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame]:
        data: bytes = packet._data  # type: ignore[attr-defined]
        return False, JitterFrame(data=data, timestamp=packet.timestamp)


def own_receive_path(receiver: RTCRtpReceiver, heard: Callable[[], None]) -> None:
    """Put `InOrder` before an audio receiver and take the jitter buffer out of it.

    `heard` is called for each packet that arrives.
    """
    receive = receiver._handle_rtp_packet
    order: InOrder[RtpPacket] = InOrder()

    async def in_order(packet: RtpPacket, arrival_time_ms: int) -> None:
        heard()
        for ready in order.push(packet.sequence_number, packet):
            await receive(ready, arrival_time_ms=arrival_time_ms)

    setattr(receiver, "_handle_rtp_packet", in_order)  # noqa: B010
    setattr(receiver, _BUFFER, _AtOnce())


class SpeechEncoder(OpusEncoder):
    """Opus for one voice, in place of aiortc's 96 kbit/s of stereo for telephones.

    At first mono, 64 kbit/s, with the wave as it is (correlation 0.9997; aiortc's 0.89), which an echo
    canceller on this side wants. "lowdelay" would be 4 ms sooner, and its timestamps too: a jump at a change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._survives_loss = False
        self.resampler = AudioResampler(
            format="s16", layout="mono", rate=self.codec.sample_rate, frame_size=self.resampler.frame_size
        )
        self._open(64_000, application="audio")

    def survive_loss(self) -> None:
        """From the next frame on each packet carries a coarser copy of the one before it, which browsers use.
        Again it changes nothing: a client may say hello as often as it likes.

        In-band FEC (RFC 6716, 2.1.7). For 28 s of speech PESQ (wide band) is 4.40 without loss (aiortc's:
        4.50), but 4.36, 4.00 and 3.69 with 1, 5 and 10 % of the packets lost (4.13, 2.91 and 2.32). But
        the wave is no longer kept (0.84).
        """
        if self._survives_loss:
            return
        self._survives_loss = True
        # Complexity 10 takes 0.1 ms a frame more, and PESQ is the same; so it is with 5 to 15 % expected.
        self._open(48_000, application="voip", fec="1", packet_loss="10", compression_level="5")

    def _open(self, bit_rate: int, **options: str) -> None:
        codec = CodecContext.create("libopus", "w")
        codec.bit_rate, codec.layout, codec.options = bit_rate, "mono", options
        codec.format = self.codec.format
        codec.sample_rate, codec.time_base = self.codec.sample_rate, self.codec.time_base
        self.codec = codec


def encode_speech(sender: RTCRtpSender) -> SpeechEncoder:
    """Let a sender use a `SpeechEncoder`, which is returned; before its first frame."""
    encoder = SpeechEncoder()
    setattr(sender, _ENCODER, encoder)
    return encoder


def last_timestamp(sender: RTCRtpSender) -> int:
    """RTP timestamp of the packet that was sent last, 0 to 2**32 - 1; 0 before the first.

    The sender adds a random origin to a frame's own timestamp and keeps it to itself. It asks the track for
    a frame only when the one before has been sent, so that within the track's `recv` this is that one's.
    """
    return int(getattr(sender, _TIMESTAMP))
