"""Who is let in over real sockets: tokens, cookies, TLS, other pages, too many requests, broken HTTP."""

import asyncio
import contextlib
import json
import logging
import ssl
import time
from urllib.parse import urljoin

import aiohttp
import pytest
import uvloop

from benchmarks.webrtc_client import Caller
from local_voice import access, certificates, doorstep, gate
from local_voice import server as door
from local_voice.gate import HEADERS
from local_voice.server import Server
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

pytestmark = pytest.mark.doors

TOKEN = "0123456789abcdef0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OFFER = {"type": "offer", "sdp": "v=0"}


async def listen(transport) -> None:
    async for _ in transport.incoming():
        pass


def serving(**settings) -> Server:
    return Server(listen, lambda: "", ServerSettings(**{"port": 0, **settings}))


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def status(http, method: str, url: str, **options) -> int:
    async with http.request(method, url, **options) as response:
        await response.read()
        return response.status


async def raw(server: Server, data: bytes, seconds: float = 3.0) -> bytes:
    """What the server answers to these bytes until it closes or says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while part := await reader.read(65_536):
                received += part
    except (TimeoutError, ConnectionResetError):
        pass
    writer.close()
    return received


async def test_without_the_token_there_is_a_page_and_nothing_else(http):
    async with serving(token=TOKEN) as server:
        assert await status(http, "GET", server.url) == 200
        async with http.get(f"{server.url}healthz") as response:
            assert await response.json() == {"ready": True, "warming": "", "locked": True}
        async with http.post(f"{server.url}offer", json=OFFER) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert "open the link" in (await response.json())["error"]
        assert server.sessions == 0


async def test_the_token_is_exchanged_once_for_a_cookie_that_scripts_can_not_read(http):
    async with serving(token=TOKEN) as server:
        async with http.post(f"{server.url}token", json={"token": TOKEN}) as response:
            assert response.status == 204
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path=/" in cookie
        assert f"Max-Age={round(access.COOKIE_SECONDS)}" in cookie
        assert "Secure" not in cookie, "plain HTTP on this machine"
        assert TOKEN not in cookie
        assert await status(http, "POST", f"{server.url}offer", json=OFFER) == 400, "let in: the SDP is bad"
        async with http.get(f"{server.url}healthz") as response:
            facts = await response.json()
            assert (facts["locked"], facts["max_sessions"]) == (False, 4)
            assert "Set-Cookie" not in response.headers, "it is still young"


async def test_a_cookie_is_renewed_by_use_after_half_of_its_time(http, monkeypatch):
    async with serving(token=TOKEN) as server:
        assert await status(http, "POST", f"{server.url}token", json={"token": TOKEN}) == 204
        later = time.time() + access.COOKIE_SECONDS * 0.6
        monkeypatch.setattr(server._gate, "_wall", lambda: later)
        async with http.get(f"{server.url}healthz") as response:
            assert "HttpOnly" in response.headers["Set-Cookie"]
        monkeypatch.setattr(server._gate, "_wall", lambda: later + access.COOKIE_SECONDS * 0.9)
        assert await status(http, "POST", f"{server.url}offer", json=OFFER) == 400
        monkeypatch.setattr(server._gate, "_wall", lambda: later + access.COOKIE_SECONDS * 3)
        assert await status(http, "POST", f"{server.url}offer", json=OFFER) == 401


async def test_a_page_that_came_over_https_through_a_proxy_gets_a_secure_cookie(http):
    async with serving(token=TOKEN, allowed_hosts=("voice.example",)) as server:
        headers = {"Host": "voice.example", "Origin": "https://voice.example"}
        async with http.post(f"{server.url}token", json={"token": TOKEN}, headers=headers) as response:
            assert response.status == 204
            assert "Secure" in response.headers["Set-Cookie"]


async def test_programs_show_the_token_itself(http):
    async with serving(token=TOKEN) as server:
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, headers=BEARER) == 400
        wrong = {"Authorization": f"Bearer {TOKEN}x"}
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, headers=wrong) == 401
        other = {"Authorization": f"Basic {TOKEN}"}
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, headers=other) == 401


async def test_a_token_can_not_be_guessed_more_than_a_few_times(http):
    async with serving(token=TOKEN) as server:
        got = [
            await status(http, "POST", f"{server.url}token", json={"token": f"wrong{n}"}) for n in range(8)
        ]
        assert got[:4] == [401] * 4
        assert got[-1] == 429
        async with http.post(f"{server.url}token", json={"token": TOKEN}) as response:
            assert response.status == 429, "nor does the right one help now"
            assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b'{"token": 7}', b'{"token": ""}', b"{}", b'{"token": "\\ud800"}']
)
async def test_what_is_no_token_is_refused(http, body):
    async with serving(token=TOKEN) as server:
        headers = {"Content-Type": "application/json"}
        assert await status(http, "POST", f"{server.url}token", data=body, headers=headers) in (400, 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_other_pages_may_not_post_even_with_the_token(http, headers):
    async with serving(token=TOKEN) as server:
        for path, body in (("offer", OFFER), ("token", {"token": TOKEN})):
            url = f"{server.url}{path}"
            assert await status(http, "POST", url, json=body, headers={**BEARER, **headers}) == 403


async def test_a_page_of_another_site_may_link_here_and_neither_costs_nor_starts_anything(http):
    turns = []

    async def canary():
        turns.append(1)
        return {"ok": True}

    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    frame = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    settings = ServerSettings(port=0, requests_per_minute=60)
    async with Server(listen, lambda: "", settings, canary=canary) as server:
        for path in ("canary", "metrics", "client.js", "offer") * 10:
            for headers in (image, frame):
                assert await status(http, "GET", f"{server.url}{path}", headers=headers) == 403
        assert not turns
        assert await status(http, "GET", server.url, headers=link) == 200
        assert await status(http, "POST", server.url, headers=link, data={"a": "form"}) == 403
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, headers=own) == 400, "let in"
        assert await status(http, "GET", f"{server.url}canary") == 200


async def test_too_many_requests_are_refused_until_the_bucket_has_filled_a_little(http):
    async with serving(requests_per_minute=60) as server:
        got = [await status(http, "GET", f"{server.url}healthz") for _ in range(31)]
        assert got == [200] * 30 + [429]
    async with serving(requests_per_minute=60) as server:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(status(http, "POST", f"{server.url}offer", json=OFFER)) for _ in range(5)
            ]
        assert sorted(call.result() for call in calls) == [400, 400, 400, 429, 429]


async def test_a_proxy_s_clients_have_buckets_of_their_own_where_it_is_trusted(http):
    for proxies, last in ((("127.0.0.1", "::1"), 200), ((), 429)):
        async with serving(requests_per_minute=30, proxies=proxies) as server:
            got = [
                await status(http, "GET", server.url, headers={"X-Forwarded-For": f"1.2.3.{n}"})
                for n in range(16)
            ]
            assert got == [200] * 15 + [last]


async def test_a_hop_that_a_proxy_adds_as_a_line_of_its_own_counts_and_not_what_the_client_wrote(http):
    async with serving(requests_per_minute=30, proxies=("127.0.0.1", "::1")) as server:
        got = []
        for number in range(16):
            lines = [("X-Forwarded-For", f"1.2.3.{number}"), ("X-Forwarded-For", "192.0.2.9")]
            got.append(await status(http, "GET", server.url, headers=lines))
        assert got == [200] * 15 + [429]


async def test_numbers_are_for_this_machine_or_with_the_token(http):
    async with serving() as server:
        async with http.get(f"{server.url}metrics") as response:
            text = await response.text()
            assert response.content_type == "text/plain"
        assert "local_voice_sessions 0.0" in text
        assert "process_resident_memory_bytes" in text
        assert (
            await status(http, "GET", f"{server.url}metrics", headers={"X-Forwarded-For": "1.2.3.4"}) == 401
        )
    async with serving(token=TOKEN, insecure=True) as server:
        assert await status(http, "GET", f"{server.url}metrics") == 401, (
            "behind a proxy everybody looks local"
        )
        assert await status(http, "GET", f"{server.url}metrics", headers=BEARER) == 200


async def test_an_address_that_others_can_reach_has_tls_and_a_token_that_is_shown_in_one_link(
    http, monkeypatch, tmp_path
):
    monkeypatch.setattr(certificates, "user_data_path", lambda name: tmp_path)
    monkeypatch.setattr(door, "own_address", lambda: "192.0.2.7")
    monkeypatch.setattr(certificates.socket, "gethostname", lambda: "MyBox")
    async with serving(host="0.0.0.0", tls="self-signed") as server:
        assert server.url == f"https://localhost:{server.port}/"
        link, _, token = server.invitation.partition("#token=")
        assert (link, len(token)) == (f"https://192.0.2.7:{server.port}/", 43)
        assert len(server.fingerprint) == 95
        trusting = ssl.create_default_context(cafile=str(tmp_path / certificates.FILE))
        assert await status(http, "GET", server.url, ssl=trusting) == 200
        for name, served in (("mybox", 200), ("mybox.local:8765", 200), ("mybox.example", 421)):
            assert await status(http, "GET", server.url, headers={"Host": name}, ssl=trusting) == served, name
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, ssl=trusting) == 401
        async with http.post(f"{server.url}token", json={"token": token}, ssl=trusting) as response:
            assert response.status == 204
            assert "Secure" in response.headers["Set-Cookie"]
        assert await status(http, "POST", f"{server.url}offer", json=OFFER, ssl=trusting) == 400
        assert await raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == b"", "plain HTTP"


async def test_a_token_of_the_user_s_own_is_in_no_link():
    async with serving(token=TOKEN) as server:
        assert TOKEN not in server.invitation
        assert server.invitation == server.url


async def test_an_open_door_is_refused_before_it_is_opened():
    with pytest.raises(StartupError, match="without TLS"):
        serving(host="0.0.0.0")


async def test_a_page_under_a_configured_name_is_served(http):
    async with serving(token=TOKEN, allowed_hosts=("voice.example",)) as server:
        assert await status(http, "GET", server.url, headers={"Host": "voice.example"}) == 200
        assert await status(http, "GET", server.url, headers={"Host": "evil.example"}) == 421


async def test_every_answer_carries_the_headers_also_a_refusal(http):
    async with serving() as server:
        for method, path in (
            ("GET", ""),
            ("GET", "gone"),
            ("POST", "offer"),
            ("PUT", "healthz"),
            ("GET", "metrics"),
        ):
            async with http.request(method, server.url + path) as response:
                for name, value in HEADERS.items():
                    assert response.headers[name] == value, path
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]


async def test_a_failure_of_ours_is_a_sentence_for_the_client_and_a_traceback_for_the_log(
    http, monkeypatch, caplog
):
    async def broken(*args):
        raise ValueError("an inner secret")

    monkeypatch.setattr(door, "answer", broken)
    async with serving() as server, http.post(f"{server.url}offer", json=OFFER) as response:
        assert response.status == 500
        text = await response.text()
    assert json.loads(text) == {"error": "The server failed at this request; its log says why."}
    assert "an inner secret" in caplog.text
    assert server.sessions == 0


async def test_a_request_that_takes_too_long_is_ended(http, monkeypatch):
    monkeypatch.setattr(gate, "REQUEST_SECONDS", 0.1)

    async def slow(*args):
        await asyncio.Event().wait()

    monkeypatch.setattr(door, "answer", slow)
    async with serving() as server:
        assert await status(http, "POST", f"{server.url}offer", json=OFFER) == 503
        assert server.sessions == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%1b[2J%0aforged HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: \xc8\r\n\r\n",
        b"GET /gone HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: more\r\n\r\n",
    ],
)
async def test_broken_http_gets_at_most_a_4xx_and_leaves_no_line_in_the_log(data, caplog):
    caplog.set_level(logging.INFO)
    async with serving() as server:
        answer = await raw(server, data, seconds=1.0)
        assert not answer or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
        assert b"Traceback" not in answer
        assert b"\x1b" not in answer
        assert (await raw(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))[
            :15
        ] == (b"HTTP/1.1 200 OK")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_header_that_trickles_in_is_cut_off(monkeypatch):
    monkeypatch.setattr(door, "IDLE_SECONDS", 0.3)
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began = time.monotonic()

        async def trickle() -> None:
            while True:
                writer.write(b"G")
                await asyncio.sleep(0.05)

        async with asyncio.timeout(3.0):
            trickling = asyncio.create_task(trickle())
            while await reader.read(100):
                pass
        assert time.monotonic() - began < 2.0
        writer.close()
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)


async def test_a_connection_too_many_is_closed_at_once_and_the_others_live(monkeypatch, http):
    monkeypatch.setattr(doorstep, "MOST_CONNECTIONS", 2)
    async with serving() as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(aiohttp.ClientConnectionError):
            await status(http, "GET", server.url)
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)
        assert await status(http, "GET", server.url) == 200


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connection_too_many_is_closed_before_its_handshake_too(monkeypatch, tmp_path, caplog, loop):
    monkeypatch.setattr(certificates, "user_data_path", lambda name: tmp_path)
    monkeypatch.setattr(doorstep, "MOST_CONNECTIONS", 3)

    async def knock() -> None:
        async with serving(tls="self-signed") as server, aiohttp.ClientSession() as http:
            came = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
            await asyncio.sleep(0.2)
            assert sum(reader.at_eof() or reader.exception() is not None for reader, _ in came) == 5
            for _, writer in came:
                writer.close()
            await asyncio.sleep(0.2)
            trusting = ssl.create_default_context(cafile=str(tmp_path / certificates.FILE))
            assert await status(http, "GET", server.url, ssl=trusting) == 200

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(knock())
    assert not caplog.records


async def test_who_stops_the_server_does_not_wait_for_handshakes(monkeypatch, tmp_path):
    monkeypatch.setattr(certificates, "user_data_path", lambda name: tmp_path)
    async with serving(tls="self-signed") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(1.0):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_two_servers_on_one_machine_have_cookies_of_their_own():
    names = {Server(listen, lambda: "", ServerSettings(port=port))._cookie_name for port in (8765, 8766)}
    assert len(names) == 2


async def test_a_refusal_for_want_of_room_comes_at_once_and_before_any_peer(http, monkeypatch):
    async with serving(max_sessions=1, requests_per_minute=0) as server, Caller(server.url):
        monkeypatch.setattr(door, "answer", None)
        took = []
        for _ in range(30):
            began = time.perf_counter()
            async with http.post(f"{server.url}offer", json=OFFER) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "5")
            took.append(time.perf_counter() - began)
        assert sorted(took)[len(took) // 2] < 0.05


async def test_a_machine_that_can_not_keep_up_takes_nobody_else(http):
    async with serving() as server:
        for _ in range(50):
            server._admission.lag.note(1.0)
        async with http.post(f"{server.url}offer", json=OFFER) as response:
            assert response.status == 503
            assert "can't keep up" in (await response.json())["error"]
        for _ in range(100):
            server._admission.lag.note(0.0)
        assert await status(http, "POST", f"{server.url}offer", json=OFFER) == 400
        refused = urljoin(server.url, "/metrics")
        async with http.get(refused) as response:
            assert 'local_voice_refusals_total{reason="busy"} 1.0' in await response.text()
