"""The HTTP side of the web door: who is let in, what is refused and how, how it starts and stops."""

import asyncio
import json
import logging
import socket

import aiohttp
import pytest

from benchmarks.webrtc_client import Caller, CallError
from local_voice import gate
from local_voice import server as door
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

doors = pytest.mark.doors

SDP = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendrecv",
        "a=rtpmap:111 opus/48000/2",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdabcdabcdabcdabcdab",
        "a=fingerprint:sha-256 nonsense",
        "a=setup:actpass",
        "",
    ]
)


async def listen(transport) -> None:
    async for _ in transport.incoming():
        pass


def serving(converse=listen, warming=lambda: "", **settings) -> Server:
    return Server(converse, warming, ServerSettings(**{"port": 0, **settings}))


async def ask(server: Server, method: str, path: str, **options) -> tuple[int, object, dict[str, str]]:
    """Status, body (JSON where it is) and headers of one request."""
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, server.url.rstrip("/") + path, **options) as response,
    ):
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, json.loads(text) if is_json else text, dict(response.headers)


@doors
async def test_the_page_and_its_files_are_served_with_strict_headers():
    async with serving() as server:
        for path, kind in (("/", "text/html"), ("/client.js", "text/javascript"), ("/style.css", "text/css")):
            status, text, headers = await ask(server, "GET", path)
            assert status == 200
            assert headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert text


@doors
async def test_ready_is_said_only_once_the_models_are_warm():
    warming = "loading the voice"
    async with serving(warming=lambda: warming) as server:
        status, facts, _ = await ask(server, "GET", "/readyz")
        assert (status, facts["ready"], facts["warming"]) == (503, False, "loading the voice")
        assert (await ask(server, "GET", "/healthz"))[0] == 200
        assert (await ask(server, "GET", "/"))[0] == 200
        status, facts, headers = await ask(server, "POST", "/offer", json={"sdp": SDP, "type": "offer"})
        assert (status, headers["Retry-After"]) == (503, "5")
        assert facts == {"error": "The assistant is still warming up: loading the voice."}
        warming = ""
        status, facts, _ = await ask(server, "GET", "/readyz")
        assert (status, facts["ready"]) == (200, True)


OFFER = json.dumps({"sdp": SDP, "type": "offer"})
AS_JSON = {"Content-Type": "application/json"}


@doors
@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (OFFER, {"Content-Type": "text/plain"}, 415, "application/json"),
        (OFFER, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b"", AS_JSON, 400, "not JSON"),
        ("{", AS_JSON, 400, "not JSON"),
        (b"\xff\xfe\x00", AS_JSON, 400, "not JSON"),
        ("[" * 60_000, AS_JSON, 400, "not JSON"),
        ("[]", AS_JSON, 400, "JSON object"),
        ('{"type": "offer"}', AS_JSON, 400, "has to be"),
        ('{"type": "answer", "sdp": "v=0"}', AS_JSON, 400, "has to be"),
        ('{"type": "offer", "sdp": 7}', AS_JSON, 400, "has to be"),
        ('{"type": "offer", "sdp": ""}', AS_JSON, 400, "begin with v=0"),
        ('{"type": "offer", "sdp": "nonsense"}', AS_JSON, 400, "begin with v=0"),
        ('{"type": "offer", "sdp": "v=0\\r\\nm=audio"}', AS_JSON, 400, "audio"),
        (OFFER, AS_JSON, 400, "not valid SDP"),
        ("x" * 1_000_000, AS_JSON, 413, "larger than 65536 bytes"),
        (json.dumps({"type": "offer", "sdp": "v=0" + "x" * 40_000}), AS_JSON, 400, "longer than"),
        (OFFER, {**AS_JSON, "Origin": "https://evil.example"}, 403, "own page"),
        (OFFER, {**AS_JSON, "Host": "evil.example"}, 421, "localhost"),
    ],
)
async def test_nonsense_is_refused_with_a_sentence(body, headers, status, says):
    async with serving() as server:
        got, answer, _ = await ask(server, "POST", "/offer", data=body, headers=headers)
        assert got == status
        assert says in answer["error"]
        assert answer["error"].endswith(".")
        assert server.sessions == 0
        assert (await ask(server, "GET", "/healthz"))[0] == 200


@doors
async def test_other_paths_and_methods_are_refused_as_json():
    async with serving() as server:
        assert (await ask(server, "GET", "/../settings.py"))[:2] == (404, {"error": "Not Found."})
        status, answer, headers = await ask(server, "GET", "/offer")
        assert (status, answer) == (405, {"error": "Method Not Allowed."})
        assert headers["Allow"] == "POST"


@doors
async def test_a_body_that_trickles_in_is_refused(monkeypatch):
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.1)

    async def trickle():
        yield b"{"
        await asyncio.sleep(0.5)
        yield b"}"

    async with serving() as server:
        status, _, _ = await ask(server, "POST", "/offer", data=trickle(), headers=AS_JSON)
        assert status == 408
        assert server.sessions == 0


@doors
async def test_a_full_server_refuses_before_making_a_peer_and_says_when_to_retry(monkeypatch):
    async with serving(max_sessions=1) as server:
        async with Caller(server.url):
            with monkeypatch.context() as patch:
                patch.setattr(door, "answer", None)
                with pytest.raises(CallError, match="taken; try again") as refused:
                    async with Caller(server.url):
                        pass
            assert (refused.value.status, refused.value.retry_after) == (503, "5")
        await asyncio.sleep(0.3)
        async with Caller(server.url):
            assert server.sessions == 1


@doors
async def test_a_conversation_that_breaks_is_said_to_the_user_and_the_log_and_ends_alone(caplog):
    calls = 0

    async def broken_once(transport) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("the inner reason")
        await listen(transport)

    async with serving(broken_once) as server:
        async with Caller(server.url) as caller:
            assert await caller.wait_until(lambda: len(caller.events) == 2, 5.0)
            assert [event["type"] for _, event in caller.events] == ["notice", "bye"]
            assert "log says" in caller.events[0][1]["text"]
            # The log gets it when the session has ended, which the farewell does not wait for.
            assert await caller.wait_until(lambda: "the inner reason" in caplog.text, 5.0)
        async with Caller(server.url) as second:
            await asyncio.sleep(0.3)
            assert server.sessions == 1
            assert second.events == []


@doors
async def test_a_conversation_that_ignores_its_user_leaving_is_cancelled(monkeypatch):
    monkeypatch.setattr(door, "GRACE_SECONDS", 0.2)
    ended = asyncio.Event()

    async def stubborn(transport) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(stubborn) as server:
        async with Caller(server.url):
            await asyncio.sleep(0.1)
        await asyncio.wait_for(ended.wait(), 2.0)
        await asyncio.sleep(0.1)
        assert server.sessions == 0


@doors
async def test_stopping_says_goodbye_and_ends_all_conversations(caplog):
    caplog.set_level(logging.INFO, "local_voice")
    ended = []

    async def converse(transport) -> None:
        await listen(transport)
        ended.append(transport)

    async with serving(converse) as server:
        callers = [Caller(server.url), Caller(server.url)]
        for caller in callers:
            await caller.__aenter__()
        await asyncio.sleep(0.2)
        assert server.sessions == 2
    assert len(ended) == 2
    for caller in callers:
        assert await caller.wait_until(lambda one=caller: len(one.events) == 1, 2.0)
        assert caller.events[0][1] == {"type": "bye", "reason": "the server is stopping"}
        await caller.vanish()
    assert "conversation 2 ended" in caplog.text
    assert "the server is stopping" in caplog.text


@doors
async def test_a_port_in_use_is_said_with_its_number_and_the_option():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=rf"Port {port} on 127\.0\.0\.1 is in use.*--port"):
            async with serving(port=port):
                pass


@doors
async def test_an_address_that_is_not_this_machine_s_is_said():
    with pytest.raises(StartupError, match=r"Can't listen on 203\.0\.113\.9.*--host"):
        async with serving(host="203.0.113.9", insecure=True):
            pass


@doors
async def test_serve_listens_until_cancelled():
    server = serving()
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(5.0):
        while server.port == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await ask(server, "GET", "/healthz"))[0] == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(server, "GET", "/healthz")


@doors
async def test_the_page_s_address_is_one_that_browsers_trust_with_a_microphone():
    async with serving() as server:
        assert server.url == f"http://localhost:{server.port}/"


@doors
async def test_what_the_network_carried_is_counted(monkeypatch):
    monkeypatch.setattr(door, "NETWORK_SECONDS", 0.1)
    async with serving() as server:
        count = server.metrics._registry.get_sample_value
        async with Caller(server.url) as caller:
            for way in ("in", "out"):
                labels = {"direction": way}
                assert await caller.wait_until(
                    lambda labels=labels: count("local_voice_packets_total", labels) > 10, 5.0
                )
            sent = len(caller.said)
            assert count("local_voice_packets_total", {"direction": "in"}) <= sent + 1
        assert count("local_voice_packets_lost_total", {"direction": "in"}) == 0


@doors
async def test_a_server_whose_engines_are_waited_for_lets_nobody_in():
    async with Server(
        listen, lambda: "", ServerSettings(port=0, busy_jobs=2), waiting=lambda: {"stt": 9}
    ) as server:
        for _ in range(50):
            server._admission.lag.note(0.0)
        status, answer, headers = await ask(server, "POST", "/offer", json={"sdp": SDP, "type": "offer"})
        assert (status, headers["Retry-After"]) == (503, "5")
        assert "what is being said" in answer["error"]
