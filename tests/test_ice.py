"""STUN and TURN by settings, and calls through a real coturn with no other way allowed."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from browser import open_page
from test_page import Script, serving, until

from benchmarks.webrtc_client import RATE, Caller
from local_voice.settings import ServerSettings
from local_voice.stages import StartupError
from local_voice.transports import inside_aiortc
from local_voice.transports.ice import PASS_SECONDS, IceServer, check_ice, ice_servers

doors = pytest.mark.doors
SECRET = "a secret that only the two servers know"


def settings(**given) -> ServerSettings:
    return ServerSettings(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ice_servers": ("http://turn.example",)}, "write stun:HOST:PORT"),
        ({"ice_servers": ("turn:ann:secret@turn.example",)}, "write stun:HOST:PORT"),
        ({"ice_servers": ("turn:turn.example",)}, "wants a password"),
        ({"ice_servers": ("turn:turn.example",), "turn_user": "ann"}, "wants a password"),
        ({"ice_servers": ("stun:stun.example",), "relay_only": True}, "relay_only needs a TURN server"),
    ],
)
def test_what_could_not_work_is_said_at_the_start(given, says):
    with pytest.raises(StartupError, match=says):
        check_ice(settings(**given))


def test_a_secret_makes_a_password_for_each_call_that_coturn_can_check():
    given = settings(ice_servers=("stun:a.example", "turns:b.example:443?transport=tcp"), turn_secret="logen")
    check_ice(given)
    stun, turn = ice_servers(given, 1_000.0 - PASS_SECONDS)
    assert stun == IceServer("stun:a.example")
    assert stun.for_browsers() == {"urls": "stun:a.example"}
    # echo -n 1000:local-voice | openssl dgst -sha1 -hmac logen -binary | base64
    assert turn.for_browsers() == {
        "urls": "turns:b.example:443?transport=tcp",
        "username": "1000:local-voice",
        "credential": "tVGTq1Ml0k6ck3gKRNCzye+KHFE=",
    }


def test_a_fixed_name_and_password_are_handed_on_and_never_shown():
    given = settings(ice_servers=("turn:b.example",), turn_user="ann", turn_password="very secret")
    check_ice(given)
    assert ice_servers(given, 0.0) == (IceServer("turn:b.example", "ann", "very secret"),)
    assert "very secret" not in repr(given)
    assert "very secret" not in given.model_dump_json()


def address() -> str:
    """Where Chromium finds a TURN server on this machine: it does not ask loopback from other addresses."""
    return next((one for one in get_host_addresses(True, False) if one != "127.0.0.1"), "127.0.0.1")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind((address(), 0))
        return int(door.getsockname()[1])


@contextlib.asynccontextmanager
async def turn_server() -> AsyncIterator[str]:
    """A coturn on this machine that takes passwords made with SECRET; gives its URL."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed: apt-get install coturn")
    here, port = address(), free_port()
    process = subprocess.Popen(  # noqa: ASYNC220 (it is there at once)
        [
            program,
            *("-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "--pidfile="),
            *(f"--listening-ip={here}", f"--listening-port={port}", f"--relay-ip={here}"),
            *("--realm=local-voice", "--use-auth-secret", f"--static-auth-secret={SECRET}"),
            *("--allow-loopback-peers", "--min-port=40000", "--max-port=40100"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(10.0):
            while True:
                with socket.socket() as door:
                    if door.connect_ex((here, port)) == 0:
                        break
                assert process.poll() is None, "coturn has ended"
                await asyncio.sleep(0.05)
        yield f"turn:{here}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def way(transport) -> str:
    """The kind of the server's own candidate that carries the sound."""
    connection = transport._sender.transport.transport._connection
    return connection._nominated[1].local_candidate.type


@doors
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_call_goes_through_a_turn_server_when_nothing_else_is_allowed(protocol):
    script = Script()
    async with turn_server() as url:
        given = {"ice_servers": (f"{url}?transport={protocol}",), "turn_secret": SECRET, "relay_only": True}
        (server_of_caller,) = ice_servers(settings(**given), time.time())
        network = RTCConfiguration(
            iceServers=[RTCIceServer(*server_of_caller.for_browsers().values())],
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
        )
        async with serving(script, **given) as server, Caller(server.url, network=network) as caller:
            await until(lambda: script.transport is not None)
            tone = (0.5 * np.sin(np.arange(RATE) * 0.05)).astype(np.float32)
            await caller.say(tone, RATE)
            await until(lambda: np.abs(script.heard(2.0)).max() > 0.2)
            script.say(tone)
            assert await caller.wait_for_reply(0.0, quiet=0.3) is not None
            assert way(script.transport) == "relay"


@doors
async def test_the_page_talks_through_a_turn_server_and_says_when_it_can_not(tmp_path):
    script = Script()
    async with turn_server() as url:
        given = {"ice_servers": (url,), "relay_only": True}
        async with serving(script, **given, turn_secret=SECRET) as server, open_page(server.url) as page:
            await page.talk()
            await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
            assert way(script.transport) == "relay"
            assert page.console == []
        async with serving(script, **given, turn_secret="another") as server, open_page(server.url) as page:
            await page.page.locator("#talk:enabled").click()
            await page.wait_for_state("idle", seconds=15.0)
            assert "The TURN server can" in await page.error()
            assert server.sessions == 0


@doors
async def test_a_call_over_ipv6_alone(monkeypatch):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(inside_aiortc.aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["::1"])
    script = Script()
    async with serving(script, host="::1") as server, Caller(f"http://[::1]:{server.port}") as caller:
        await caller.say((0.5 * np.sin(np.arange(RATE) * 0.05)).astype(np.float32), RATE)
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.2)
        connection = script.transport._sender.transport.transport._connection
        assert connection._nominated[1].local_candidate.host == "::1"
