"""One browser (or any WebRTC client) on aiortc: its sound in, the assistant's voice out, words beside it.

Sound arrives as Opus, is put in order, decoded, mixed down to mono and laid on an unbroken line of samples
at 48 kHz. The voice is read from the playout in frames of 20 ms. The data channel `events` carries captions
and state to the page, pings and the page's playout delay back. This room must not know what anybody says.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import aioice.ice
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av import AudioFrame

from local_voice.audio import AudioChunk, Samples
from local_voice.playout import Playout
from local_voice.stages import Control, Notification, StartupError
from local_voice.transports.jitter import InOrder, Pacer, Presence, Unbroken
from local_voice.transports.offer import OfferError, checked

log = logging.getLogger(__name__)

RATE = 48_000
"""Hz of everything in WebRTC's Opus."""
FRAME = 960
"""Samples in 20 ms, the frame that aiortc's Opus encoder takes without buffering."""
CONNECT_SECONDS = 15.0
"""A peer that isn't connected by then is closed."""
TICK_SECONDS = 0.05
"""How often quiet is looked at."""
WAITING_CHUNKS = 500
"""Received chunks (10 s) kept for a session that doesn't take them; beyond that the oldest are lost."""
WAITING_MESSAGES = 50
"""Messages kept until the data channel opens; beyond that the oldest are lost."""
CHANNEL_BYTES = 65_536
"""With this much unsent, further messages are dropped: captions that late help nobody."""
LONGEST_MESSAGE = 4_096
"""Characters of a message from the page; longer ones are ignored."""
PLAYOUT_DELAY = 0.12
"""Seconds from sending to the ear until the page reports its own: its buffer's 0.1 and a short way."""
LONGEST_PLAYOUT_DELAY = 1.0
"""Seconds; a page that reports more is not believed."""
LAST_WORDS_SECONDS = 0.05
"""Time for a goodbye to leave before the connection is torn down."""
OPENING_SECONDS = 0.5
"""Time for a data channel to open that a goodbye is waiting for."""


class PeerGoneError(ConnectionError):
    """The other side never connected, or has left."""


def require_aiortc() -> None:
    """Check the two private places of aiortc that `own_receive_path` replaces. Raises `StartupError`."""
    names = RTCRtpReceiver.__init__.__code__.co_names
    if "_RTCRtpReceiver__jitter_buffer" not in names or not hasattr(RTCRtpReceiver, "_handle_rtp_packet"):
        raise StartupError(
            "The installed aiortc receives sound in another way than 1.16.0, which the web page relies on: "
            "install aiortc==1.16.0."
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


async def answer(sdp: str, ice_servers: Sequence[str] = ()) -> tuple[WebRtcTransport, str]:
    """A transport for the peer that made this offer, and the SDP of the answer to send it.

    `ice_servers`: STUN or TURN URLs; with none, nothing outside is contacted. Raises `OfferError`; nothing
    is left behind then.
    """
    offer = RTCSessionDescription(sdp=checked(sdp, local_only=not ice_servers), type="offer")
    offer_loopback_when_alone()
    # Left out, aiortc would ask a public STUN server.
    servers = [RTCIceServer(urls=url) for url in ice_servers]
    peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
    transport = WebRtcTransport(peer)
    try:
        await peer.setRemoteDescription(offer)
        await peer.setLocalDescription(await peer.createAnswer())
    except Exception as error:
        # aiortc parses with bare asserts, int() and dictionary look-ups: a broken offer can raise anything.
        await transport.close("its offer was broken")
        log.debug("refused an offer", exc_info=True)
        raise OfferError("The offer is not valid SDP for WebRTC audio.") from error
    return transport, peer.localDescription.sdp


class WebRtcTransport:
    """Carries one conversation over one peer connection. Made by `answer`."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self.playout = Playout(RATE, delay_seconds=PLAYOUT_DELAY)
        self.echo = True
        self.on_control: Callable[[Control], None] = lambda control: None
        self.reason = ""
        """Why the peer is gone; empty while it is here."""
        self._peer = peer
        self._voice = _Voice(self.playout)
        self._line = Unbroken(RATE)
        self._presence = Presence()
        self._heard: asyncio.Queue[Samples | None] = asyncio.Queue(WAITING_CHUNKS)
        self._channel: RTCDataChannel | None = None
        self._unsent: deque[str] = deque(maxlen=WAITING_MESSAGES)
        self._connected = asyncio.Event()
        self._opened = asyncio.Event()
        self._gone = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.lost_chunks = 0
        """Received chunks dropped since the session didn't take them."""
        peer.addTrack(self._voice)
        peer.on("track", self._on_track)
        peer.on("datachannel", self._on_channel)
        peer.on("connectionstatechange", self._on_state)

    async def __aenter__(self) -> Self:
        """Wait for the connection. Raises `PeerGoneError` when it doesn't come about."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connected.wait()
        if self._gone.is_set() or not self._connected.is_set():
            await self.close("it didn't connect")
            raise PeerGoneError(f"The peer is gone: {self.reason}.")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close("the conversation is over")

    async def close(self, reason: str) -> None:
        """Say goodbye and free everything; `reason` is a clause for the page and the log. Idempotent."""
        await asyncio.shield(self._close_soon(reason))

    async def gone(self) -> None:
        """Returns when the peer has gone or the transport is closed."""
        await self._gone.wait()

    async def incoming(self) -> AsyncIterator[AudioChunk]:
        """The user's sound at 48 kHz, gaps filled with silence; ends when the user has gone."""
        position = 0
        while (samples := await self._heard.get()) is not None:
            yield AudioChunk(samples, RATE, position)
            position += len(samples)

    def notify(self, notification: Notification) -> None:
        """Send it as JSON, its class in lower case as `type`. Kept until the channel opens."""
        self._send({"type": type(notification).__name__.lower(), **asdict(notification)})

    # ---- the peer's side ------------------------------------------------------------------------------

    def _on_state(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self._connected.is_set():
            self._connected.set()
            self._start(self._watch())
        elif state == "failed":
            self._close_soon("the network between us is broken")
        elif state == "closed":
            self._close_soon("it closed the connection")

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self._peer.getReceivers() if r.track is track)
        own_receive_path(receiver, self._presence.heard)
        self._start(self._listen(track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "events" or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        while self._unsent and self._deliver(self._unsent[0]):
            self._unsent.popleft()
        self._opened.set()

    def _on_message(self, text: str | bytes) -> None:
        self._presence.heard()
        if not isinstance(text, str) or len(text) > LONGEST_MESSAGE:
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ping":
            self._take_delay(message.get("delay"))
            self._send({"type": "pong"})
        elif kind == "bye":
            self._close_soon("it said goodbye", last_words=False)

    def _take_delay(self, seconds: object) -> None:
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds):
            self.playout.delay_seconds = min(max(float(seconds), 0.0), LONGEST_PLAYOUT_DELAY)

    # ---- tasks ----------------------------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, track: MediaStreamTrack) -> None:
        # Always read, whether or not a session takes the sound: the track's queue has no bound.
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame) and frame.pts is not None:
                    self._put(self._line.push(frame.pts, _mono(frame)))
        except MediaStreamError:
            self._close_soon("it stopped sending")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = loop.time()
            elapsed, before = now - before, now
            if self._presence.tick(elapsed):
                self._close_soon("nothing was heard from it for 3 seconds")
                return
            # A tick held up by a busy machine proves no silence: the packets wait in the socket.
            self._put(self._line.idle(min(elapsed, 2 * TICK_SECONDS)))

    def _put(self, chunks: list[Samples]) -> None:
        if self._gone.is_set():
            return
        for samples in chunks:
            if self._heard.full():
                self._heard.get_nowait()
                self.lost_chunks += 1
                if self.lost_chunks == 1:
                    log.warning("the session takes no sound: the oldest of %d chunks go", WAITING_CHUNKS)
            self._heard.put_nowait(samples)

    def _send(self, message: dict[str, object]) -> None:
        text = json.dumps(message)
        if not self._gone.is_set() and not self._deliver(text):
            self._unsent.append(text)

    def _deliver(self, text: str) -> bool:
        """Hand the text to the channel, or drop it where it is choked. False: the channel isn't open yet."""
        channel = self._channel
        if channel is None or channel.readyState == "connecting":
            return False
        if channel.readyState == "open" and channel.bufferedAmount < CHANNEL_BYTES:
            channel.send(text)
        return True

    # ---- the end --------------------------------------------------------------------------------------

    def _close_soon(self, reason: str, *, last_words: bool = True) -> asyncio.Task[None]:
        if self._closing is None:
            self.reason = reason
            last_words = last_words and self._peer.connectionState == "connected"
            if last_words:
                self._send({"type": "bye", "reason": reason})
            self._gone.set()
            self._connected.set()
            if self._heard.full():
                self._heard.get_nowait()
            self._heard.put_nowait(None)
            self._closing = asyncio.create_task(self._free(last_words))
        return self._closing

    async def _free(self, last_words: bool) -> None:
        for task in self._tasks:
            task.cancel()
        if last_words:
            with suppress(TimeoutError):
                async with asyncio.timeout(OPENING_SECONDS):
                    await self._opened.wait()
                    await asyncio.sleep(LAST_WORDS_SECONDS)
        self._voice.stop()
        await self._peer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Voice(MediaStreamTrack):
    """The playout as a track: a frame each 20 ms, silence when there is nothing to say.

    The timestamps grow by exactly 960, whatever the clock did: Chromium conceals heavily where they jump.
    """

    kind = "audio"

    def __init__(self, playout: Playout) -> None:
        super().__init__()
        self._playout = playout
        self._pacer = Pacer()
        self._pts = 0

    async def recv(self) -> AudioFrame:
        """The next frame, when it is due. Raises `MediaStreamError` after `stop`."""
        await asyncio.sleep(self._pacer.wait(asyncio.get_running_loop().time()))
        if self.readyState != "live":
            raise MediaStreamError
        scaled = np.clip(self._playout.read(FRAME), -1.0, 1.0) * 32767.0
        frame = AudioFrame.from_ndarray(
            np.rint(scaled).astype(np.int16)[np.newaxis], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = self._pts
        self._pts += FRAME
        return frame


def _mono(frame: AudioFrame) -> Samples:
    """Decoded s16 sound, channels interleaved, as mono float32 of shape `(n,)`."""
    channels = len(frame.layout.channels)
    samples = frame.to_ndarray().reshape(-1, channels).astype(np.float32)
    return np.asarray(samples.mean(axis=1) / 32768.0, np.float32)


class _AtOnce:
    """In place of aiortc's jitter buffer: every packet is a frame of its own and goes to the decoder now."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame]:
        data: bytes = packet._data  # type: ignore[attr-defined]
        return False, JitterFrame(data=data, timestamp=packet.timestamp)


def own_receive_path(receiver: RTCRtpReceiver, heard: Callable[[], None]) -> None:
    """Put `InOrder` before an audio receiver and take the jitter buffer out of it.

    `heard` is called for each packet that arrives.

    Reaches into aiortc 1.16.0 at two places, which `require_aiortc` checks at start-up.
    """
    receive = receiver._handle_rtp_packet
    order: InOrder[RtpPacket] = InOrder()

    async def in_order(packet: RtpPacket, arrival_time_ms: int) -> None:
        heard()
        for ready in order.push(packet.sequence_number, packet):
            await receive(ready, arrival_time_ms=arrival_time_ms)

    setattr(receiver, "_handle_rtp_packet", in_order)  # noqa: B010
    setattr(receiver, "_RTCRtpReceiver__jitter_buffer", _AtOnce())  # noqa: B010
