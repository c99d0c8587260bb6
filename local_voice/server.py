"""The web door: the page, the offer that opens a conversation, health. Admission and safety live here.

The server starts at once and answers while the models are still warming up. It must not know what a
conversation is: it is given a coroutine function that holds one over a transport.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from local_voice.engines.echo_canceller import EchoCanceller
from local_voice.settings import ServerSettings
from local_voice.stages import Notice, StartupError, Transport
from local_voice.transports.inside_aiortc import require_aiortc
from local_voice.transports.offer import OfferError
from local_voice.transports.webrtc import PeerGoneError, WebRtcTransport, answer

log = logging.getLogger(__name__)

Converse: TypeAlias = Callable[[Transport], Awaitable[None]]
"""Holds one conversation over an entered transport; returns when its `incoming` ends."""
Warming: TypeAlias = Callable[[], str]
"""What start-up is still doing, as a short clause ("loading the voice"); empty when all models are warm."""

BODY_BYTES = 65_536
"""Largest request body; an offer has about 3,000 bytes."""
BODY_SECONDS = 5.0
"""A body that takes longer to arrive is refused."""
RETRY_SECONDS = 5
"""What `Retry-After` says when all conversations are taken."""
GRACE_SECONDS = 1.0
"""Time for a conversation to end by itself once its peer has gone."""
PAGE = Path(__file__).parent / "transports" / "web"
FILES = {
    "/": ("index.html", "text/html"),
    "/client.js": ("client.js", "text/javascript"),
    "/playback.js": ("playback.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class RefusalError(Exception):
    """A request that is not served: a status, a sentence for the one who asked, perhaps headers."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


class Server:
    """Listens from entering to leaving; leaving ends every conversation."""

    def __init__(self, converse: Converse, warming: Warming, settings: ServerSettings) -> None:
        self.port = settings.port
        """The real port once entered, also where the setting was 0."""
        self._converse = converse
        self._warming = warming
        self._settings = settings
        self._opening = 0
        self._stopping = False
        self._counter = 0
        self._sessions: dict[asyncio.Task[None], WebRtcTransport] = {}
        self._files = {path: (PAGE / name).read_text("utf-8") for path, (name, _) in FILES.items()}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self._settings.host
        if host in ("127.0.0.1", "::1", "0.0.0.0", "::"):
            host = "localhost"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def sessions(self) -> int:
        """Conversations that are open or being opened."""
        return self._opening + len(self._sessions)

    async def __aenter__(self) -> Self:
        """Start to listen. Raises `StartupError`."""
        require_aiortc()
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        for path in FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_post("/offer", self._offer)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=2.0)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(_why_not(error, self._settings)) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
        await asyncio.gather(*(one.close("the server is stopping") for one in self._sessions.values()))
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def serve(self) -> None:
        """Listen until cancelled. Raises `StartupError`."""
        async with self:
            await asyncio.Event().wait()

    # ---- requests -------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if not host_allowed(request.host, self._settings.host):
                raise RefusalError(
                    421, "This server answers only to localhost, an IP address or its own host."
                )
            return await handler(request)
        except RefusalError as refusal:
            return _json({"error": refusal.sentence}, refusal.status, refusal.headers)
        except web.HTTPRequestEntityTooLarge:
            return _json({"error": f"The body is larger than {BODY_BYTES} bytes."}, 413)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return _json({"error": f"{error.reason}."}, error.status, headers)
        except Exception:
            log.exception("request %s %s failed", request.method, request.path)
            return _json({"error": "The server failed at this request; its log says why."}, 500)

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(text=self._files[request.path], content_type=FILES[request.path][1])

    async def _health(self, request: web.Request) -> web.Response:
        """Always 200 while the process lives. The page asks here: browsers log a 503 as an error."""
        return _json(self._facts())

    async def _ready(self, request: web.Request) -> web.Response:
        return _json(self._facts(), 503 if self._warming() else 200)

    def _facts(self) -> dict[str, object]:
        warming = self._warming()
        return {
            "ready": not warming,
            "warming": warming,
            "sessions": self.sessions,
            "max_sessions": self._settings.max_sessions,
            "ice_servers": list(self._settings.ice_servers),
        }

    async def _offer(self, request: web.Request) -> web.Response:
        if not origin_allowed(request.headers.get("Origin"), request.host):
            raise RefusalError(403, "Offers are taken only from this server's own page.")
        if request.content_type != "application/json":
            raise RefusalError(415, 'Send the offer as application/json: {"sdp": "...", "type": "offer"}.')
        self._admit()
        sdp = await _read_offer(request)
        self._admit()
        self._opening += 1
        try:
            echo = EchoCanceller if self._settings.echo_cancellation else None
            transport, reply = await answer(sdp, self._settings.ice_servers, echo)
        except OfferError as error:
            raise RefusalError(400, str(error)) from error
        finally:
            self._opening -= 1
        if self._stopping:
            await transport.close("the server is stopping")
            raise RefusalError(503, "The server is stopping.")
        self._counter += 1
        task = asyncio.create_task(self._session(transport, self._counter))
        self._sessions[task] = transport
        task.add_done_callback(self._sessions.pop)
        return _json({"sdp": reply, "type": "answer"})

    def _admit(self) -> None:
        warming = self._warming()
        if warming:
            raise RefusalError(
                503, f"The assistant is still warming up: {warming}.", {"Retry-After": str(RETRY_SECONDS)}
            )
        if self.sessions >= self._settings.max_sessions:
            raise RefusalError(
                503,
                "All conversations are taken; try again in a moment.",
                {"Retry-After": str(RETRY_SECONDS)},
            )

    # ---- conversations --------------------------------------------------------------------------------

    async def _session(self, transport: WebRtcTransport, number: int) -> None:
        began = time.monotonic()
        log.info("conversation %d opens (%d of %d)", number, self.sessions, self._settings.max_sessions)
        try:
            async with transport:
                await self._converse_until_gone(transport)
        except PeerGoneError:
            pass
        except Exception:
            log.exception("conversation %d broke off", number)
        finally:
            await transport.close("the conversation is over")
            lasted = time.monotonic() - began
            log.info("conversation %d ended after %.1f s: %s", number, lasted, transport.reason)

    async def _converse_until_gone(self, transport: WebRtcTransport) -> None:
        talk = asyncio.ensure_future(self._converse(transport))
        gone = asyncio.create_task(transport.gone())
        try:
            await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not talk.done():
                await asyncio.wait({talk}, timeout=GRACE_SECONDS)
            if talk.done() and not talk.cancelled() and talk.exception() is not None:
                transport.notify(Notice("Something broke in the assistant; its log says what."))
                raise RuntimeError("the conversation failed") from talk.exception()
        finally:
            talk.cancel()
            gone.cancel()
            await asyncio.gather(talk, gone, return_exceptions=True)


def host_allowed(host: str, own: str) -> bool:
    """Whether a `Host` header may be served: localhost, any IP address, or the configured name.

    Every web page can send requests to this machine. A page whose own name has been pointed here (DNS
    rebinding) shows that name in the header; an address can't be pointed anywhere.
    """
    name = (urlsplit(f"//{host}").hostname or "") if _parses(host) else ""
    if name in ("localhost", own.lower()) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, host: str) -> bool:
    """Whether a post may be taken: from our own page, or from a program (which sends no `Origin`)."""
    return origin is None or (_parses(origin) and urlsplit(origin).netloc.lower() == host.lower() != "")


def _parses(text: str) -> bool:
    try:
        urlsplit(f"//{text}")
        urlsplit(text)
    except ValueError:
        return False
    return True


async def _read_offer(request: web.Request) -> str:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError as error:
        raise RefusalError(408, f"The body took longer than {BODY_SECONDS:.0f} seconds to arrive.") from error
    try:
        offer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "The body is not JSON.") from error
    if not isinstance(offer, dict) or offer.get("type") != "offer" or not isinstance(offer.get("sdp"), str):
        raise RefusalError(400, 'The body has to be {"sdp": "...", "type": "offer"}.')
    return str(offer["sdp"])


def _json(facts: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(facts, status=status, headers=headers)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _why_not(error: OSError, settings: ServerSettings) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} on {settings.host} is in use: stop the program that has it, "
            "or choose another with --port."
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {settings.port} is kept for the system's own services: choose one above 1023 with --port."
        )
    reason = error.strerror or str(error)
    return f"Can't listen on {settings.host}, port {settings.port}: {reason}; see --host and --port."
