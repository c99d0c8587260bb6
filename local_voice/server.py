"""The web door: the page, the offer that opens a conversation, health and numbers. Admission lives here.

The server starts at once and answers while the models are still warming up. Who may ask is judged in
`gate.py`. This room must not know what a conversation is: it is given a coroutine function that holds one
over a transport.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from aiohttp import web

from local_voice.access import Lock, find_token, is_local, require_protection
from local_voice.admission import Admission, Waiting, Warming
from local_voice.certificates import own_address, tls_context
from local_voice.doorstep import Doorstep
from local_voice.engines.echo_canceller import EchoCanceller
from local_voice.events import Message
from local_voice.gate import (
    BODY_BYTES,
    RETRY_SECONDS,
    Gate,
    RefusalError,
    add_headers,
    quiet_logger,
    read_offer,
    refuse_expectations,
    reply,
)
from local_voice.metrics import CONTENT_TYPE, Metrics
from local_voice.resume import Resumable
from local_voice.settings import ServerSettings
from local_voice.stages import Notice, StartupError, Transport
from local_voice.transports.ice import check_ice, ice_servers
from local_voice.transports.inside_aiortc import require_aiortc
from local_voice.transports.offer import OfferError
from local_voice.transports.webrtc import PeerGoneError, WebRtcTransport, answer

log = logging.getLogger(__name__)

Canary: TypeAlias = Callable[[], Awaitable[dict[str, object]]]
"""Holds a turn with every engine; `ok` says whether it worked."""
Converse: TypeAlias = Callable[[Transport], Awaitable[None]]
"""Holds one conversation over an entered transport; returns when its `incoming` ends."""

IDLE_SECONDS = 15.0
"""A connection without a whole request for this long is closed; a slow one is cut off."""
DRAIN_TICK_SECONDS = 0.05
NETWORK_SECONDS = 5.0
"""How often a conversation's packets are counted."""
GRACE_SECONDS = 1.0
"""Time for a conversation to end by itself once its peer has gone."""
CONVERSATION = "X-Conversation"
"""Header of an offer that goes on with a conversation whose connection broke: its secret name."""
EVERYWHERE = ("0.0.0.0", "::")
"""Hosts that mean every address of this machine."""
PAGE = Path(__file__).parent / "transports" / "web"
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("client", "door", "levels", "microphone", "page", "playback", "turns")
    },
}


class Server:
    """Listens from entering to leaving; leaving ends every conversation."""

    def __init__(
        self,
        converse: Converse,
        warming: Warming,
        settings: ServerSettings,
        metrics: Metrics | None = None,
        waiting: Waiting = dict,
        canary: Canary | None = None,
    ) -> None:
        """Raises `StartupError` where the settings would let in who must not come in."""
        require_protection(settings)
        check_ice(settings)
        self.port = settings.port
        """The real port once entered, also where the setting was 0."""
        self.metrics = metrics or Metrics()
        self.fingerprint = ""
        """SHA-256 of the certificate, once entered, where it was made here."""
        self._token, self._shows_token = find_token(settings)
        self._converse = converse
        self._canary = canary
        self._warming = warming
        self._settings = settings
        self._opening = 0
        self._counter = 0
        self._sessions: dict[asyncio.Task[None], WebRtcTransport] = {}
        """By their tasks, each of which has the conversation's secret name."""
        self._earlier: dict[asyncio.Task[None], str] = {}
        """The name before that one: where our answer to a return is lost, the browser knows no other."""
        self._resumable = Resumable()
        self._files = {path: (PAGE / name).read_text("utf-8") for path, (name, _) in FILES.items()}
        self._admission = Admission(settings, warming, waiting, self.metrics)
        self._gate: Gate
        self._runner: web.AppRunner
        self._door: asyncio.Server
        self._doorstep: Doorstep
        self._watching: asyncio.Task[None]
        self.metrics.sessions.set_function(lambda: self.sessions)
        self.metrics.sessions_limit.set(settings.max_sessions)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self._settings.host
        return self._url("localhost" if is_local(host) or host in EVERYWHERE else host)

    @property
    def invitation(self) -> str:
        """What to open in order to talk: with the token, if it was made just now, for whoever may see it.

        A browser does not send what stands behind the #.
        """
        host = self._settings.host
        url = self._url(own_address() or "localhost") if host in EVERYWHERE else self.url
        return f"{url}#token={self._token}" if self._shows_token else url

    def apply(self, settings: ServerSettings) -> None:
        """Other settings from now on; the address, the gate and what is open stay as they are."""
        self._settings = self._admission.settings = settings
        self.metrics.sessions_limit.set(settings.max_sessions)

    def _url(self, host: str) -> str:
        encrypted = self._settings.tls_cert or self._settings.tls != "off"
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if encrypted else 'http'}://{host}:{self.port}/"

    @property
    def sessions(self) -> int:
        """Conversations that are open or being opened."""
        return self._opening + len(self._sessions)

    async def __aenter__(self) -> Self:
        """Start to listen. Raises `StartupError`."""
        require_aiortc()
        settings = self._settings
        encryption, self.fingerprint = tls_context(settings)
        lock = Lock(self._token) if self._token else None
        self._gate = Gate(settings, lock, self._cookie_name, self.metrics.refused)
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=quiet_logger(),
            keepalive_timeout=IDLE_SECONDS,
            shutdown_timeout=2.0,
            auto_decompress=False,  # an offer is small, and what is packed may unpack to anything
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._doorstep = Doorstep(self._runner.server, encryption)
        try:
            self._door = await asyncio.get_running_loop().create_server(
                self._doorstep, settings.host, settings.port
            )
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(_why_not(error, settings)) from error
        self.port = self._door.sockets[0].getsockname()[1]
        self._watching = asyncio.create_task(self._admission.watch())
        loop = asyncio.get_running_loop()
        self.metrics.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.stopping = True
        self._watching.cancel()
        self._door.close()
        self._doorstep.close()
        await asyncio.gather(*(one.close("the server is stopping") for one in self._sessions.values()))
        await asyncio.gather(*self._sessions, return_exceptions=True)
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._runner.cleanup()

    async def serve(self) -> None:
        """Listen until cancelled. Raises `StartupError`."""
        async with self:
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Let nobody in any more; returns when no reply is being spoken, or after `drain_seconds`.

        Each conversation ends as soon as its reply does.
        """
        self._admission.stopping = True
        ending = [asyncio.create_task(self._finish(one)) for one in self._sessions.values()]
        if ending:
            log.info("stopping: %d conversations may finish their replies", len(ending))
            await asyncio.gather(*ending, return_exceptions=True)

    async def _finish(self, transport: WebRtcTransport) -> None:
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                while transport.playout.speaking:  # noqa: ASYNC110 (its events belong to the session)
                    await asyncio.sleep(DRAIN_TICK_SECONDS)
                # What has been read is still on its way to the ear.
                await asyncio.sleep(transport.playout.delay_seconds)
        except TimeoutError:
            log.info("a reply was still being spoken after %g s", self._settings.drain_seconds)
        await transport.close("the server is stopping")

    # ---- requests -------------------------------------------------------------------------------------

    @property
    def _cookie_name(self) -> str:
        """Cookies don't know ports: two servers on one machine must not take each other's."""
        return f"local-voice-{self._settings.port or 'any'}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[self._gate.guard])
        app.on_response_prepare.append(add_headers)
        app.on_response_prepare.append(self._gate.open_to_others)
        refuse_expectations(app)
        for path in FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._numbers)
        app.router.add_get("/canary", self._turn)
        app.router.add_post("/token", self._gate.exchange)
        app.router.add_post("/offer", self._offer)
        return app

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(text=self._files[request.path], content_type=FILES[request.path][1])

    async def _health(self, request: web.Request) -> web.Response:
        """Always 200 while the process lives. The page asks here: browsers log a 503 as an error."""
        return reply(self._facts(known=self._gate.knows(request)))

    async def _ready(self, request: web.Request) -> web.Response:
        ready = not self._warming() and not self._admission.stopping
        return reply(self._facts(known=self._gate.knows(request)), 200 if ready else 503)

    def _facts(self, *, known: bool) -> dict[str, object]:
        """`known`: whether the one who asks may know more than that there is a server."""
        warming = self._warming()
        facts: dict[str, object] = {"ready": not warming, "warming": warming, "locked": not known}
        if known:
            facts |= {
                "sessions": self.sessions,
                "max_sessions": self._settings.max_sessions,
                "ice_servers": [one.for_browsers() for one in ice_servers(self._settings, time.time())],
                "relay_only": self._settings.relay_only,
            }
        return facts

    async def _numbers(self, request: web.Request) -> web.Response:
        self._gate.require_local_or_token(request)
        return web.Response(body=self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _turn(self, request: web.Request) -> web.Response:
        """Hold a turn and say whether it worked: 200 or 503."""
        self._gate.require_local_or_token(request)
        if self._canary is None or self._warming():
            raise RefusalError(503, "The assistant is still warming up.", "warming", RETRY_SECONDS)
        found = await self._canary()
        return reply(found, 200 if found["ok"] else 503)

    async def _offer(self, request: web.Request) -> web.Response:
        self._gate.require_own_page(request)
        self._gate.require_token(request)
        earlier = request.headers.get(CONVERSATION, "")
        before = await self._resume(earlier) if earlier else ()
        try:
            return await self._open(request, before, earlier)
        except BaseException:
            if before:  # it may be tried again
                self._resumable.keep(earlier, before, time.monotonic())
            raise

    async def _open(self, request: web.Request, before: tuple[Message, ...], earlier: str) -> web.Response:
        """A new conversation, or the next connection of `earlier`, of which `before` was said and heard."""
        self._admission.check(self.sessions)
        self._gate.charge_for_call(request)
        sdp = await read_offer(request)
        self._admission.check(self.sessions)
        self._opening += 1
        try:
            echo = EchoCanceller if self._settings.echo_cancellation else None
            servers = ice_servers(self._settings, time.time())
            transport, sdp = await answer(sdp, servers, echo, self._settings.relay_only)
        except OfferError as error:
            raise RefusalError(400, str(error), "offer") from error
        finally:
            self._opening -= 1
        if self._admission.stopping:
            await transport.close("the server is stopping")
            raise RefusalError(503, "The server is stopping.", "stopping", RETRY_SECONDS)
        self._counter += 1
        transport.messages = before
        name = self._resumable.new_name()
        task = asyncio.create_task(self._session(transport, self._counter, name), name=name)
        self._sessions[task] = transport
        task.add_done_callback(self._sessions.pop)
        if before:
            self._earlier[task] = earlier
            task.add_done_callback(self._earlier.pop)
        return reply({"sdp": sdp, "type": "answer", "conversation": name, "resumed": bool(before)})

    async def _resume(self, name: str) -> tuple[Message, ...]:
        """What was said and heard in the conversation of this secret name.

        Its old connection may not have been given up yet: then it is now.
        """
        for task, transport in list(self._sessions.items()):
            if name in (task.get_name(), self._earlier.get(task)):
                name = task.get_name()
                await transport.close("it has connected again")
                await asyncio.wait({task})
                break
        return self._resumable.take(name, time.monotonic())

    # ---- conversations --------------------------------------------------------------------------------

    async def _session(self, transport: WebRtcTransport, number: int, name: str) -> None:
        began = time.monotonic()
        self.metrics.sessions_opened.inc()
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
            if not transport.hung_up:
                self._resumable.keep(name, transport.messages, time.monotonic())
            lasted = time.monotonic() - began
            self.metrics.session_length.observe(lasted)
            log.info("conversation %d ended after %.1f s: %s", number, lasted, transport.reason)

    async def _converse_until_gone(self, transport: WebRtcTransport) -> None:
        talk = asyncio.ensure_future(self._converse(transport))
        counting = asyncio.create_task(self._count_packets(transport))
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
            counting.cancel()
            await asyncio.gather(talk, gone, counting, return_exceptions=True)

    async def _count_packets(self, transport: WebRtcTransport) -> None:
        """Count what the network carries, until cancelled and once more."""
        network = self.metrics.network()
        try:
            while True:
                await asyncio.sleep(NETWORK_SECONDS)
                network.note(**asdict(await transport.packets()))
        finally:
            network.note(**asdict(await transport.packets()))


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
