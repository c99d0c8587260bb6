"""One browser (or any WebRTC client) on aiortc: its sound in, the assistant's voice out, words beside it.

Sound arrives as Opus, is put in order, decoded, mixed down to mono, laid on an unbroken line of samples at
48 kHz and, unless the client says that it does so itself, freed from the echo of our own voice. The data
channel `events` carries captions and state to the page; back come pings, how far the voice has been played
and what the user presses. This room must not know what anybody says.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from local_voice.audio import AudioChunk, Samples
from local_voice.events import ChooseMode, Message, PushToTalk, StopSpeaking, Typed
from local_voice.playout import Playout
from local_voice.stages import Control, Manner, Notice, Notification, RemovesEcho
from local_voice.transports.allowance import Allowance, SoundCredit
from local_voice.transports.echo_path import EchoPath
from local_voice.transports.far_end import ASSUMED_SECONDS, FarEnd, sample_of
from local_voice.transports.ice import IceServer
from local_voice.transports.inside_aiortc import (
    close_whole,
    encode_speech,
    last_timestamp,
    measure_loudness_at_once,
    offer_loopback_when_alone,
    own_receive_path,
    watch_connecting,
)
from local_voice.transports.jitter import Presence, Unbroken
from local_voice.transports.messages import Bye, Hello, Ping, Played, parse
from local_voice.transports.offer import OfferError, checked
from local_voice.transports.voice import FRAME, RATE, Voice, mono

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0
"""A peer that isn't connected by then is closed."""
TICK_SECONDS = 0.05
"""How often quiet is looked at."""
WAITING_CHUNKS = 500
"""Received chunks (10 s) kept for a session that doesn't take them; beyond that the oldest are lost."""
AHEAD_SECONDS = 10.0
"""So much more sound than time may come from a client; the rest is not taken."""
WAITING_MESSAGES = 50
"""Messages kept until the data channel opens; beyond that the oldest are lost."""
CHANNEL_BYTES = 65_536
"""With this much unsent, further messages are dropped: captions that late help nobody."""
PRESSES = (20, 5.0)
"""What a client may press and choose in so many seconds; more is ignored."""
WRITTEN = (6, 20.0)
"""What it may write: each message costs a reply."""
ROUND_TRIP_SECONDS = 1.0
"""How often the network's round trip is looked up, while our own canceller runs."""
LAST_WORDS_SECONDS = 0.05
"""Time for a goodbye to leave before the connection is torn down."""
OPENING_SECONDS = 0.5
"""Time for a data channel to open that a goodbye is waiting for."""


class PeerGoneError(ConnectionError):
    """The other side never connected, or has left."""


MakesCanceller: TypeAlias = Callable[[int], RemovesEcho]
"""Makes an echo canceller for a rate in Hz."""


async def answer(
    sdp: str,
    ice_servers: Sequence[IceServer] = (),
    echo: MakesCanceller | None = None,
    relay_only: bool = False,
) -> tuple[WebRtcTransport, str]:
    """A transport for the peer that made this offer, and the SDP of the answer to send it.

    `ice_servers`: with none, nothing outside is contacted. `echo`: as in `WebRtcTransport`. `relay_only`:
    sound may go through the TURN server alone. Raises `OfferError`; nothing is left behind then.
    """
    offer = RTCSessionDescription(sdp=checked(sdp, local_only=not ice_servers), type="offer")
    offer_loopback_when_alone()
    measure_loudness_at_once()
    # Left out, aiortc would ask a public STUN server.
    servers = [RTCIceServer(one.url, one.user or None, one.password or None) for one in ice_servers]
    policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
    peer = RTCPeerConnection(RTCConfiguration(iceServers=servers, iceTransportPolicy=policy))
    transport = WebRtcTransport(peer, echo)
    try:
        await peer.setRemoteDescription(offer)
        await peer.setLocalDescription(await peer.createAnswer())
    except Exception as error:
        # aiortc parses with bare asserts, int() and dictionary look-ups: a broken offer can raise anything.
        await transport.close("its offer was broken")
        log.debug("refused an offer", exc_info=True)
        raise OfferError("The offer is not valid SDP for WebRTC audio.") from error
    return transport, peer.localDescription.sdp


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of sound on the network since the conversation began."""

    received: int = 0
    lost: int = 0
    """Of the client's, on their way here."""
    sent: int = 0
    lost_there: int = 0
    """Of ours, as the client's receiver reports tell."""


class WebRtcTransport:
    """Carries one conversation over one peer connection. Made by `answer`."""

    def __init__(self, peer: RTCPeerConnection, echo: MakesCanceller | None = None) -> None:
        """`echo`: used until the client says that it cancels echo itself; None leaves its sound as it is."""
        self.playout = Playout(RATE, delay_seconds=ASSUMED_SECONDS)
        self.echo = True
        """The client's sound may hold some of the assistant's voice: it doesn't say that it cancels echo."""
        self.on_control: Callable[[Control], None] = lambda control: None
        """Told what the user presses, on the loop."""
        self.reason = ""
        """Why the peer is gone; empty while it is here."""
        self.hung_up = False
        """The user ended the conversation; otherwise its connection broke."""
        self.messages: tuple[Message, ...] = ()
        """What was said and heard on an earlier connection of the conversation; at the end, all of it."""
        self._peer = peer
        self._voice = Voice(self.playout, self._on_frame)
        self._sender = peer.addTrack(self._voice)
        self._encoder = encode_speech(self._sender)
        self._presses, self._written = Allowance(*PRESSES), Allowance(*WRITTEN)
        self.ignored_presses = 0
        self._told_to_wait = False
        self._sent: tuple[int, int] | None = None
        """RTP timestamp of a frame that has been sent, and the sample at which it begins; None until the
        second frame is made, which is when the first one's is known."""
        self._far_end = FarEnd(RATE)
        self._delay_source = self._far_end.source
        self._echo_path = EchoPath(echo, RATE) if echo is not None else None
        self._spare = echo
        """Makes one more canceller, for a client that begins without a microphone; None when it is used."""
        self._round_trip = 0.0
        """Of the network, in seconds, as the client's receiver reports tell."""
        self._line = Unbroken(RATE)
        self._presence = Presence()
        self._greeted = False
        self._credit = SoundCredit(AHEAD_SECONDS)
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
        peer.on("track", self._on_track)
        peer.on("datachannel", self._on_channel)
        peer.on("connectionstatechange", self._on_state)
        watch_connecting(peer, self._on_broken)

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

    def remember(self, messages: Sequence[Message]) -> None:
        """Keep what was said and heard, for the conversation's next connection."""
        self.messages = tuple(messages)

    def notify(self, notification: Notification) -> None:
        """Send it as JSON, its class in lower case as `type`. Kept until the channel opens."""
        self._send({"type": type(notification).__name__.lower(), **asdict(notification)})

    async def packets(self) -> Packets:
        """What the network has carried and lost so far."""
        came = [await receiver.getStats() for receiver in self._peer.getReceivers()]
        went = [await self._sender.getStats()]
        return Packets(
            received=_sum(came, "inbound-rtp", "packetsReceived"),
            lost=_sum(came, "inbound-rtp", "packetsLost"),
            sent=_sum(went, "outbound-rtp", "packetsSent"),
            lost_there=_sum(went, "remote-inbound-rtp", "packetsLost"),
        )

    # ---- the peer's side ------------------------------------------------------------------------------

    def _on_state(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self._connected.is_set():
            self._connected.set()
            self._start(self._watch())
            self._start(self._watch_round_trip())
        elif state == "failed":
            self._close_soon("the network between us is broken")
        elif state == "closed":
            self._close_soon("it closed the connection")

    def _on_broken(self, error: Exception) -> None:
        log.debug("connecting failed: %r", error)
        self._close_soon("its offer was broken")

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
        match parse(text):
            case Ping(delay):
                if delay is not None:
                    self._far_end.estimated(delay)
                    self._set_delay()
                self._send({"type": "pong"})
            case Played() as played:
                self._on_played(played)
            case Hello() as hello:
                self._on_hello(hello)
            case PushToTalk() | StopSpeaking() | Typed() | ChooseMode() | Manner() as control:
                self._press(control)
            case Bye():
                self.hung_up = True
                self._close_soon("it said goodbye", last_words=False)

    def _press(self, control: Control) -> None:
        loop = asyncio.get_running_loop()
        writes = isinstance(control, Typed)
        allowed = self._written if writes else self._presses
        if not allowed.take(loop.time()):
            if not self.ignored_presses:
                log.warning(
                    "the client presses or writes more than %d times in %g s", allowed.most, allowed.seconds
                )
            if writes and not self._told_to_wait:
                self.notify(Notice("That is faster than I can answer: please write it again in a moment."))
            self._told_to_wait = self._told_to_wait or writes
            self.ignored_presses += 1
            return
        self._told_to_wait = self._told_to_wait and not writes
        # Not from here: what goes wrong there must not break the data channel.
        loop.call_soon(self.on_control, control)

    def _on_played(self, played: Played) -> None:
        if self._sent is None:
            return
        sample, ignored = sample_of(played.timestamp, *self._sent), self._far_end.ignored
        self._far_end.reported(sample, played.latency)
        self._set_delay()
        if self._far_end.ignored > ignored:
            log.debug("the client says it has played sample %d of %d: ignored", sample, self._sent[1])

    def _on_hello(self, hello: Hello) -> None:
        self.echo = not hello.echo_cancellation
        if hello.echo_cancellation:
            self._echo_path = None
            self._encoder.survive_loss()
        elif self._echo_path is None and self._spare is not None:
            self._echo_path, self._spare = EchoPath(self._spare, RATE), None
            self._start(self._watch_round_trip())
        level = logging.DEBUG if self._greeted else logging.INFO
        log.log(level, "the client says of its microphone: %s", hello)
        self._greeted = True

    def _on_frame(self, samples: Samples, skipped: int) -> None:
        if self._voice.position:
            self._sent = (last_timestamp(self._sender), self._voice.position - FRAME)
        self._far_end.sent(len(samples), voice=bool(samples.any()))
        self._set_delay()
        if self._echo_path is not None:
            self._echo_path.played(samples, skipped)

    def _set_delay(self) -> None:
        self.playout.delay_seconds = self._far_end.seconds
        if self._far_end.source != self._delay_source:
            self._delay_source = self._far_end.source
            log.info("playout delay %.3f s, %s", self._far_end.seconds, self._delay_source)

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
                    self._put(self._line.push(frame.pts, mono(frame)))
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
        now = asyncio.get_running_loop().time()
        for chunk in chunks:
            refused = self._credit.refused
            if not self._credit.take(len(chunk) / RATE, now):
                if not refused:
                    log.warning("the client sends more sound than time passes: it is not taken")
                continue
            samples = self._clean(chunk)
            if self._heard.full():
                self._heard.get_nowait()
                self.lost_chunks += 1
                if self.lost_chunks == 1:
                    log.warning("the session takes no sound: the oldest of %d chunks go", WAITING_CHUNKS)
            self._heard.put_nowait(samples)

    def _clean(self, samples: Samples) -> Samples:
        if self._echo_path is None:
            return samples
        known = self._round_trip if self._far_end.source == "assumed" else self._far_end.least
        return self._echo_path.clean(samples, known)

    async def _watch_round_trip(self) -> None:
        while self._echo_path is not None:
            stats = await self._sender.getStats()
            trips = [getattr(report, "roundTripTime", None) for report in stats.values()]
            self._round_trip = next((trip for trip in trips if trip is not None), self._round_trip)
            await asyncio.sleep(ROUND_TRIP_SECONDS)

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
        await close_whole(self._peer)
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _sum(stats: Sequence[Mapping[str, Any]], kind: str, field: str) -> int:
    """A field of all reports of a kind; a packet that came twice makes aiortc's losses negative."""
    reports = (report for group in stats for report in group.values() if report.type == kind)
    return sum(max(0, getattr(report, field)) for report in reports)
