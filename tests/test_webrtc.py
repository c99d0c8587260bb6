"""The transport with a real aiortc caller on this machine's network."""

import asyncio
import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver

from benchmarks.webrtc_client import RATE, Caller
from local_voice.events import PushToTalk, StopSpeaking, Typed
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.stages import Caption, Notice, StartupError, Status, Timing
from local_voice.transports import inside_aiortc, webrtc
from local_voice.transports.ice import IceServer
from local_voice.transports.inside_aiortc import offer_loopback_when_alone, require_aiortc
from local_voice.transports.offer import OfferError
from local_voice.transports.webrtc import WebRtcTransport, answer

doors = pytest.mark.doors
ROOT = Path(__file__).parent.parent


def tone(frequency: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def strength(samples: np.ndarray, frequency: float) -> float:
    """Amplitude of one frequency in the samples."""
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / RATE)
    return float(2 * abs(np.mean(samples * wave))) if len(samples) else 0.0


def heard(caller: Caller, after: float = 0.0) -> np.ndarray:
    frames = [frame.samples for frame in caller.heard if frame.time > after]
    return np.concatenate(frames) if frames else np.zeros(0, np.float32)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Ear:
    """A conversation that keeps what it receives, and plays a tone when asked or as soon as it hears one."""

    def __init__(self, answer_hz: float = 0.0, answer_seconds: float = 0.3) -> None:
        self.transports: list[WebRtcTransport] = []
        self.received: list[np.ndarray] = []
        self.starts: list[int] = []
        self.hz = answer_hz
        self.seconds = answer_seconds
        self.turn = 0
        self.answered_at: list[float] = []

    async def __call__(self, transport: WebRtcTransport) -> None:
        self.transports.append(transport)
        silent = 1.0
        async for chunk in transport.incoming():
            self.received.append(chunk.samples)
            self.starts.append(chunk.start)
            loud = float(np.abs(chunk.samples).max()) > 0.1
            if loud and silent > 0.2 and self.hz:
                self.answered_at.append(asyncio.get_running_loop().time())
                self.play(transport, tone(self.hz, self.seconds))
            silent = 0.0 if loud else silent + chunk.duration

    def play(self, transport: WebRtcTransport, samples: np.ndarray) -> None:
        self.turn += 1
        transport.playout.open(self.turn, 1)
        transport.playout.write(self.turn, 1, samples)
        transport.playout.finish(self.turn, 1)
        transport.playout.release(self.turn, 1)

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate(self.received) if self.received else np.zeros(0, np.float32)


def serving(converse, **settings) -> Server:
    return Server(converse, lambda: "", ServerSettings(port=0, **settings))


async def until(true, seconds: float = 5.0) -> float:
    """Seconds until something became true; fails the test when it doesn't."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@contextlib.asynccontextmanager
async def an_offer() -> AsyncIterator[str]:
    """A sound offer of a peer that will never answer."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("audio")
        await peer.setLocalDescription(await peer.createOffer())
        await asyncio.sleep(0.05)
        yield peer.localDescription.sdp
    finally:
        await peer.close()


@doors
async def test_sound_arrives_both_ways_and_nothing_else_does():
    ear = Ear(answer_hz=880.0)
    async with serving(ear) as server, Caller(server.url) as caller:
        await asyncio.sleep(0.3)
        said = await caller.say(tone(440.0, 1.0), RATE)
        await caller.wait_for_reply(said.start, quiet=0.4)
        reply = heard(caller, caller.first_sound(said.start) - 0.03)
    assert strength(ear.sound[-3 * RATE :], 440.0) > 0.1
    assert strength(ear.sound, 880.0) < 0.01
    assert strength(reply[: round(0.3 * RATE)], 880.0) > 0.3
    assert ear.starts == [0, *np.cumsum([len(chunk) for chunk in ear.received])[:-1]]


@doors
async def test_the_way_through_the_server_takes_less_than_two_tenths_of_a_second():
    ear = Ear(answer_hz=880.0, answer_seconds=0.1)
    waits = []
    async with serving(ear) as server, Caller(server.url) as caller:
        await asyncio.sleep(0.3)
        for _ in range(8):
            said = await caller.say(tone(440.0, 0.1), RATE)
            assert await caller.wait_for_reply(said.start, quiet=0.35) is not None
            waits.append(caller.first_sound(said.start) - said.start)
    print(f"ear to ear through the server: median {np.median(waits):.3f} s, worst {max(waits):.3f} s")
    assert np.median(waits) < 0.2


@doors
async def test_a_lost_packet_costs_its_own_sound_and_no_delay(monkeypatch):
    lost: list[int] = []
    own_path = webrtc.own_receive_path

    def lossy(receiver, arrived) -> None:
        own_path(receiver, arrived)
        deliver = receiver._handle_rtp_packet

        async def drop_some(packet, arrival_time_ms) -> None:
            if packet.sequence_number % 25 == 0:
                lost.append(packet.sequence_number)
            else:
                await deliver(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = drop_some

    monkeypatch.setattr(webrtc, "own_receive_path", lossy)
    ear = Ear()
    async with serving(ear) as server, Caller(server.url) as caller:
        await asyncio.sleep(0.3)
        await caller.say(tone(440.0, 3.0), RATE)
        await asyncio.sleep(0.3)
    sound = ear.sound
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    span = sound[loud[0] : loud[-1] + 1]
    frames = [np.abs(span[n : n + 480]).max() for n in range(0, len(span) - 480, 480)]
    holes = sum(level < 0.05 for level in frames)
    assert len(lost) >= 4
    assert len(span) == pytest.approx(3.0 * RATE, abs=0.05 * RATE)
    assert 4 <= holes <= 2 * len(lost)


@doors
async def test_notifications_arrive_as_json_also_those_sent_before_the_channel_opens():
    async def converse(transport: WebRtcTransport) -> None:
        transport.notify(Status("listening"))
        transport.notify(Caption("user", 1, "hello <b>there</b>", final=True))
        transport.notify(Timing(1, {"first_sound": 0.8}))
        transport.notify(Notice("Something is wrong."))
        async for _ in transport.incoming():
            pass

    async with serving(converse) as server, Caller(server.url) as caller:
        assert await caller.wait_until(lambda: len(caller.events) == 4, 5.0)
    assert [event for _, event in caller.events] == [
        {"type": "status", "state": "listening"},
        {
            "type": "caption",
            "role": "user",
            "turn": 1,
            "text": "hello <b>there</b>",
            "final": True,
            "interrupted": False,
        },
        {"type": "timing", "turn": 1, "seconds": {"first_sound": 0.8}},
        {"type": "notice", "text": "Something is wrong."},
    ]


@doors
async def test_the_page_s_own_playout_delay_is_taken_but_not_nonsense():
    ear = Ear()
    async with serving(ear) as server, Caller(server.url) as caller:
        caller.playout_delay = 0.31
        await until(lambda: ear.transports and ear.transports[0].playout.delay_seconds == 0.31)
        for delay, taken in ((-1, 0.0), (99, 1.0), ("x", 1.0), (None, 1.0), (True, 1.0), (0.2, 0.2)):
            caller.playout_delay = delay
            caller.send({"type": "ping", "delay": delay})
            await asyncio.sleep(0.1)
            assert ear.transports[0].playout.delay_seconds == taken
        for nonsense in (
            "NaN",
            "[1, 2]",
            "{",
            '"ping"',
            "null",
            "[" * 4000,
            "x" * 10_000,
            '{"type": ["ping"]}',
        ):
            caller._channel.send(nonsense)
        caller._channel.send(b"\x00\xff")
        caller.playout_delay = 0.44
        await until(lambda: ear.transports[0].playout.delay_seconds == 0.44)


@doors
async def test_a_client_s_report_of_what_it_played_is_mapped_to_the_very_sample():
    ear = Ear()
    async with serving(ear) as server:
        caller = Caller(server.url)
        timestamps: list[int] = []

        def note(track) -> None:
            receiver = caller._peer.getReceivers()[0]
            receive = receiver._handle_rtp_packet

            async def noting(packet, arrival_time_ms) -> None:
                timestamps.append(packet.timestamp)
                await receive(packet, arrival_time_ms=arrival_time_ms)

            receiver._handle_rtp_packet = noting

        caller._peer.on("track", note)
        async with caller:
            await until(lambda: len(timestamps) > 30)
            transport = ear.transports[0]
            ear.play(transport, tone(880.0, 2.0))
            began = transport.playout.samples_read
            await until(lambda: caller.first_sound(0.0) is not None)
            # The reply's first sound came in the frame after `began`, and that frame's packet says so too.
            first = next(n for n, frame in enumerate(caller.heard) if np.abs(frame.samples).max() > 0.1)
            caller.send({"type": "played", "timestamp": timestamps[first], "latency": 0.0})
            await until(lambda: transport._far_end.source == "reported")
            assert abs(transport._far_end._played - began) <= 960
            # What has not been sent, or what a stranger makes up, changes nothing.
            known = transport._far_end._played
            for wild in (timestamps[-1] + 48_000, timestamps[0] - 960, 12_345):
                caller.send({"type": "played", "timestamp": wild % 2**32})
            await until(lambda: transport._far_end.ignored == 3)
            assert transport._far_end._played == known


async def test_a_report_of_what_was_played_says_nothing_before_it_is_known_what_was_sent():
    transport = WebRtcTransport(RTCPeerConnection(RTCConfiguration(iceServers=[])))
    for timestamp in (0, 960, 2_485_316_412):
        transport._on_message(f'{{"type": "played", "timestamp": {timestamp}}}')
    assert (transport._far_end.source, transport._far_end.ignored) == ("assumed", 0)
    await transport.close("the test is over")


@doors
async def test_what_the_user_presses_reaches_the_conversation_and_its_failure_breaks_nothing():
    ear = Ear()
    pressed = []

    def on_control(control) -> None:
        pressed.append(control)
        if len(pressed) == 1:
            raise RuntimeError("a broken conversation")

    async with serving(ear) as server, Caller(server.url) as caller:
        await until(lambda: bool(ear.transports) and caller._channel.readyState == "open")
        caller.send({"type": "interrupt"})  # nobody listens yet
        await asyncio.sleep(0.1)
        ear.transports[0].on_control = on_control
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        for message in (
            {"type": "interrupt"},
            {"type": "talk", "down": True},
            {"type": "talk", "down": "no"},
        ):
            caller.send(message)
        caller.send({"type": "talk", "down": False})
        await until(lambda: len(pressed) == 3)
    assert pressed == [StopSpeaking(), PushToTalk(down=True), PushToTalk(down=False)]


async def test_who_writes_faster_than_anybody_types_is_told_once_and_may_go_on_later(monkeypatch):
    monkeypatch.setattr(webrtc, "WRITTEN", (6, 0.2))
    transport = WebRtcTransport(RTCPeerConnection(RTCConfiguration(iceServers=[])))
    came: list[object] = []
    transport.on_control = came.append
    for number in range(20):
        transport._press(Typed(str(number)))
    transport._press(StopSpeaking())  # no message, and so not held back
    await asyncio.sleep(0)
    assert came == [*(Typed(str(number)) for number in range(6)), StopSpeaking()]
    told = [text for text in transport._unsent if '"notice"' in text]
    assert len(told) == 1
    await asyncio.sleep(0.25)
    transport._press(Typed("Hello again."))
    await asyncio.sleep(0)
    assert came[-1] == Typed("Hello again.")
    await transport.close("the test is over")


@doors
async def test_our_own_canceller_runs_until_the_client_says_it_has_one():
    ear = Ear()
    async with serving(ear) as server, Caller(server.url) as caller:
        await until(lambda: bool(ear.transports) and caller._channel.readyState == "open")
        transport = ear.transports[0]
        assert transport._echo_path is not None
        assert transport.echo
        caller.send({"type": "hello", "echo_cancellation": "yes"})
        caller.send({"type": "hello", "echo_cancellation": False, "sample_rate": 48_000})
        await asyncio.sleep(0.2)
        assert transport._echo_path is not None
        caller.send({"type": "hello", "echo_cancellation": True})
        await until(lambda: not transport.echo)
        assert transport._echo_path is None
        caller.send({"type": "hello", "echo_cancellation": False})  # a microphone that was opened later
        await until(lambda: transport._echo_path is not None)
        caller.send({"type": "hello", "echo_cancellation": True})
        caller.send({"type": "hello", "echo_cancellation": False})
        await until(lambda: transport._echo_path is None and transport.echo)  # not again and again
    async with serving(ear, echo_cancellation=False) as server, Caller(server.url):
        await until(lambda: len(ear.transports) == 2)
        assert ear.transports[1]._echo_path is None
        assert ear.transports[1].echo


@doors
async def test_a_flood_of_notifications_is_dropped_and_not_queued():
    ear = Ear()
    async with serving(ear) as server, Caller(server.url) as caller:
        await until(lambda: bool(ear.transports) and ear.transports[0]._channel is not None)
        transport = ear.transports[0]
        for n in range(5_000):
            transport.notify(Caption("user", n, "word " * 20, final=False))
        assert transport._channel.bufferedAmount < 2 * webrtc.CHANNEL_BYTES
        await asyncio.sleep(0.5)
        transport.notify(Notice("still here"))
        assert await caller.wait_until(lambda: caller.events[-1][1]["type"] == "notice", 5.0)


@doors
async def test_a_session_that_takes_no_sound_makes_nothing_grow():
    release = asyncio.Event()
    transports = []

    async def deaf(transport: WebRtcTransport) -> None:
        transports.append(transport)
        await release.wait()

    async with serving(deaf) as server, Caller(server.url):
        await until(lambda: bool(transports))
        transport = transports[0]
        for _ in range(2 * webrtc.WAITING_CHUNKS):
            transport._put([np.zeros(960, np.float32)])
        await asyncio.sleep(0.2)
        assert transport._heard.qsize() == webrtc.WAITING_CHUNKS
        track = transport._peer.getReceivers()[0].track
        assert track._queue.qsize() < 5
        release.set()


async def test_a_client_can_not_make_more_sound_than_time_passes(caplog):
    transport = WebRtcTransport(RTCPeerConnection(RTCConfiguration(iceServers=[])))
    stamp = 0
    for _ in range(50):  # each packet is 5 s ahead of the one before
        transport._put(transport._line.push(stamp, np.zeros(960, np.float32)))
        stamp += 5 * webrtc.RATE + 960
    taken = sum(len(transport._heard.get_nowait()) for _ in range(transport._heard.qsize()))
    await transport.close("enough")
    assert taken / webrtc.RATE < webrtc.AHEAD_SECONDS + 1
    assert transport._credit.refused > 200
    assert caplog.text.count("more sound than time passes") == 1


@doors
async def test_hanging_up_ends_the_sound_at_once_and_frees_everything():
    ear = Ear()
    async with serving(ear) as server:
        async with Caller(server.url):
            await asyncio.sleep(0.3)
        await until(lambda: server.sessions == 0)
        gc.collect()
        before = (open_files(), threading.active_count(), len(asyncio.all_tasks()))
        for _ in range(5):
            async with Caller(server.url), Caller(server.url):
                await asyncio.sleep(0.1)
                assert server.sessions == 2
                assert open_files() > before[0]
            assert await until(lambda: server.sessions == 0) < 1.0
        ear.transports.clear()
        await asyncio.sleep(0.1)
        gc.collect()
        after = (open_files(), threading.active_count(), len(asyncio.all_tasks()))
    # The default executor of the loop keeps a few threads for Opus; it has no more than it may.
    opus = sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    assert after[0] <= before[0]
    assert after[1] - opus <= before[1]
    assert after[2] <= before[2]


@doors
async def test_a_killed_caller_is_noticed_within_five_seconds_and_freed(tmp_path):
    ear = Ear()
    async with serving(ear) as server:
        await asyncio.sleep(0.1)
        before = (open_files(), len(asyncio.all_tasks()))
        script = (
            "import asyncio, sys\n"
            "from benchmarks.webrtc_client import Caller\n"
            "async def main():\n"
            "    async with Caller(sys.argv[1], channel=sys.argv[2] == 'channel'):\n"
            "        await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        for kind in ("channel", "no channel"):
            caller = subprocess.Popen([sys.executable, "-c", script, server.url, kind], cwd=ROOT)  # noqa: ASYNC220
            try:
                await until(lambda: len(ear.transports) > 0 and len(ear.received) > 25, 20.0)
                assert server.sessions == 1
            finally:
                caller.send_signal(signal.SIGKILL)
                caller.wait()
            took = await until(lambda: server.sessions == 0, 10.0)
            print(f"killed caller with {kind}: freed after {took:.2f} s")
            assert took < 5.0
            assert "nothing was heard" in ear.transports[0].reason
            ear.transports.clear()
            ear.received.clear()
        await asyncio.sleep(0.1)
        gc.collect()
        assert open_files() <= before[0]
        assert len(asyncio.all_tasks()) <= before[1]


@doors
async def test_a_caller_that_never_connects_is_given_up(monkeypatch):
    monkeypatch.setattr(webrtc, "CONNECT_SECONDS", 0.3)
    async with an_offer() as sdp:
        transport, _ = await answer(sdp)
        with pytest.raises(webrtc.PeerGoneError, match="didn't connect"):
            async with transport:
                pass


@doors
async def test_conversations_do_not_mix():
    async def converse(transport: WebRtcTransport) -> None:
        opened = False
        async for chunk in transport.incoming():
            if not opened:
                opened = True
                transport.playout.open(1, 1)
                transport.playout.release(1, 1)
            transport.playout.write(1, 1, chunk.samples)

    # A voice that repeats what it hears is an echo like any other, so the canceller would take some of it.
    quiet = serving(converse, echo_cancellation=False)
    async with quiet as server, Caller(server.url) as one, Caller(server.url) as two:
        await asyncio.sleep(0.3)
        await asyncio.gather(one.say(tone(400.0, 1.0), RATE), two.say(tone(1500.0, 1.0), RATE))
        await asyncio.sleep(0.5)
        first, second = heard(one), heard(two)
    assert strength(first, 400.0) > 0.1 > 0.005 > strength(first, 1500.0)
    assert strength(second, 1500.0) > 0.1 > 0.005 > strength(second, 400.0)


@doors
async def test_the_voice_keeps_its_pace_through_a_stall_of_the_program():
    ear = Ear()
    async with serving(ear) as server, Caller(server.url) as caller:
        await until(lambda: len(caller.heard) > 20)
        time.sleep(0.5)  # noqa: ASYNC251  (a stall is what is tested)
        await asyncio.sleep(0.5)
        count = len(caller.heard)
        await asyncio.sleep(1.0)
        assert 45 <= len(caller.heard) - count <= 55
        assert 0.3 < ear.transports[0]._voice.pacer.skipped_seconds < 0.7


@doors
@pytest.mark.parametrize(
    "break_it",
    [
        lambda sdp: sdp.replace("a=ice-pwd", "a=nothing"),
        lambda sdp: sdp.replace("a=setup:actpass", "a=setup:never"),
        lambda sdp: sdp.replace("a=setup:actpass\r\n", ""),
        lambda sdp: sdp.replace("a=rtcp-mux\r\n", ""),
        lambda sdp: sdp.replace("m=audio", "m=audio x"),
        lambda sdp: sdp.replace("a=mid:0", "a=mid:7"),
        lambda sdp: sdp.replace("a=fingerprint:sha-256 ", "a=fingerprint:"),
        lambda sdp: sdp.replace("opus/48000", "opus/48000/x/y"),
        lambda sdp: sdp.replace("a=candidate:", "a=candidate: "),
        lambda sdp: sdp[: len(sdp) // 2] + "\r\na=fmtp:999 x\r\n",
    ],
)
async def test_a_damaged_offer_is_refused_or_answered_but_leaves_nothing_behind(break_it):
    async with an_offer() as sdp:
        damaged = break_it(sdp)
        assert damaged != sdp
        before = (open_files(), len(asyncio.all_tasks()))
        with contextlib.suppress(OfferError):
            transport, reply = await answer(damaged)
            assert reply.startswith("v=0")
            await transport.close("the test is over")
        await asyncio.sleep(0.05)
        assert (open_files(), len(asyncio.all_tasks())) == before


async def test_no_public_server_is_asked_unless_configured(monkeypatch):
    asked = []
    async with an_offer() as sdp:
        pass

    class Recorder:
        def __init__(self, configuration) -> None:
            asked.append(configuration.iceServers)
            raise RuntimeError("enough seen")

    monkeypatch.setattr(webrtc, "RTCPeerConnection", Recorder)
    for servers in ((), (IceServer("stun:stun.example.org"), IceServer("turn:b.example", "ann", "secret"))):
        with pytest.raises(RuntimeError, match="enough seen"):
            await answer(sdp, servers)
    assert asked[0] == []
    assert [(server.urls, server.username, server.credential) for server in asked[1]] == [
        ("stun:stun.example.org", None, None),
        ("turn:b.example", "ann", "secret"),
    ]


def test_the_installed_aiortc_has_the_receive_path_that_is_replaced():
    require_aiortc()


def test_another_aiortc_is_refused_at_start_up(monkeypatch):
    monkeypatch.delattr(RTCRtpReceiver, "_handle_rtp_packet")
    with pytest.raises(StartupError, match=r"install aiortc==1\.16\.0"):
        require_aiortc()


def test_a_machine_without_a_network_offers_loopback(monkeypatch):
    ice = inside_aiortc.aioice.ice
    monkeypatch.setattr(ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
    offer_loopback_when_alone()
    assert ice.get_host_addresses(True, True) == ["127.0.0.1"]


def test_a_machine_with_a_network_offers_only_that(monkeypatch):
    ice = inside_aiortc.aioice.ice
    monkeypatch.setattr(ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["10.0.0.1"])
    offer_loopback_when_alone()
    offer_loopback_when_alone()
    assert ice.get_host_addresses(True, True) == ["10.0.0.1"]
