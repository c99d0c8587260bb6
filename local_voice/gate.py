"""What every request walks through before the server looks at it, and what every answer carries.

Who asks, how often, under which name, from which page and with which token is judged here (`access.py` and
`rate_limit.py` say how); whatever goes wrong becomes one sentence, and never more, for the one who asked.
This room knows HTTP and must not know what a conversation is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import http_exceptions, web
from aiohttp.web_urldispatcher import SystemRoute, UrlMappingMatchInfo

from local_voice.access import COOKIE_SECONDS, Lock, client_address, host_allowed, is_local, origin_allowed
from local_voice.certificates import own_names
from local_voice.metrics import Refusal
from local_voice.rate_limit import RateLimit
from local_voice.settings import ServerSettings

log = logging.getLogger(__name__)

BODY_BYTES = 65_536
"""Largest request body; an offer has about 3,000 bytes."""
BODY_SECONDS = 5.0
"""A body that takes longer to arrive is refused."""
REQUEST_SECONDS = 20.0
"""No request is worked on for longer; one that gathers candidates from a STUN server takes up to 5 s."""
RETRY_SECONDS = 5.0
"""What `Retry-After` says when there is no room."""
CALL_COST = 10.0
"""What an offer takes from its address's bucket: making a peer costs 5 to 20 ms of CPU."""
WRONG_TOKEN_COST = 60.0
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
    "Server": "local-voice",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type, x-conversation",
    "Access-Control-Max-Age": "600",
}
KNOWN = web.RequestKey("KNOWN", bool)
"""Whether the request came with the token, or a cookie for it; true where no token is demanded."""
RENEW = web.RequestKey("RENEW", bool)
"""Whether its cookie has less than half of its time left."""
ADDRESS = web.RequestKey("ADDRESS", str)


class RefusalError(Exception):
    """A request that is not served: a status, a sentence for the one who asked, perhaps when to return."""

    def __init__(
        self, status: int, sentence: str, reason: Refusal, retry_seconds: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.reason = reason
        self.retry_seconds = retry_seconds


def reply(facts: dict[str, object], status: int = 200) -> web.Response:
    return web.json_response(facts, status=status)


class Gate:
    """Made once per server, when its port is known."""

    def __init__(
        self,
        settings: ServerSettings,
        lock: Lock | None,
        cookie_name: str,
        refused: Callable[[Refusal], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`lock`: None where nobody needs a token. `refused` is told the reason of each refusal."""
        self._settings = settings
        self._lock = lock
        self._cookie_name = cookie_name
        self._refused = refused
        self._clock = clock
        self._wall = wall
        rate = settings.requests_per_minute / 60
        # From elsewhere people come by the names that the certificate is made for, and need the token.
        elsewhere = not is_local(settings.host)
        self._names = (*settings.allowed_hosts, *(own_names(settings) if elsewhere else ()))
        self._limit = RateLimit(rate, settings.requests_per_minute / 2)

    @property
    def locked(self) -> bool:
        """Whether a token is demanded."""
        return self._lock is not None

    @web.middleware
    async def guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            self._look_at(request)
            if self._asks_to_embed(request):
                return web.Response(status=204, headers=PREFLIGHT)
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await handler(request)
            if request.get(RENEW):
                self._give_cookie(request, response)
            return response
        except RefusalError as refusal:
            return self._refuse(request, refusal)
        except web.HTTPRequestEntityTooLarge:
            sentence = f"The body is larger than {BODY_BYTES} bytes."
            return self._refuse(request, RefusalError(413, sentence, "request"))
        except web.HTTPException as error:
            answer = self._refuse(request, RefusalError(error.status, f"{error.reason}.", "request"))
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except TimeoutError:
            log.warning("request %s %s took longer than %g s", request.method, request.path, REQUEST_SECONDS)
            sentence = "That took too long; try again in a moment."
            return self._refuse(request, RefusalError(503, sentence, "failure", RETRY_SECONDS))
        except Exception:
            log.exception("request %s %s failed", request.method, request.path)
            sentence = "The server failed at this request; its log says why."
            return self._refuse(request, RefusalError(500, sentence, "failure"))

    def _look_at(self, request: web.Request) -> None:
        settings = self._settings
        # HAProxy adds a line of its own behind the client's; only together they are the list of hops.
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        request[ADDRESS] = client_address(request.remote or "", forwarded, settings.proxies)
        # Before anything is charged: the page that a user visits shares their address, and would lock it out.
        if self._foreign(request) and not _opens_a_tab(request):
            raise RefusalError(403, "This is given only to this server's own page.", "origin")
        self._take(request, 1.0)
        if not host_allowed(_host(request), settings.host, self._names):
            raise RefusalError(
                421,
                "This server answers only to localhost, an IP address or its own names; server.allowed_hosts "
                "adds more.",
                "host",
            )
        request[KNOWN], request[RENEW] = self._knows(request)

    def _take(self, request: web.Request, cost: float) -> None:
        wait = self._limit.take(request[ADDRESS], self._clock(), cost)
        if wait:
            raise RefusalError(429, "Too many requests from your address; try again later.", "rate", wait)

    def _knows(self, request: web.Request) -> tuple[bool, bool]:
        """Whether the token came along, and whether its cookie should be renewed."""
        if self._lock is None:
            return True, False
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        now = self._wall()
        if scheme.lower() == "bearer":  # the token, or a pass: what a cookie holds
            return self._lock.accepts(token.strip(), now) or self._tried(request, token.strip()), False
        cookie = request.cookies.get(self._cookie_name, "")
        known = self._lock.accepts(cookie, now)
        return known, known and not self._lock.accepts(cookie, now + COOKIE_SECONDS / 2)

    def _tried(self, request: web.Request, token: str) -> bool:
        assert self._lock is not None
        right = self._lock.opens(token)
        if not right:
            self._limit.charge(request[ADDRESS], self._clock(), WRONG_TOKEN_COST)
        return right

    # ---- what handlers ask for ------------------------------------------------------------------------

    def knows(self, request: web.Request) -> bool:
        """Whether the request came with the token, or none is demanded."""
        return request[KNOWN]

    def require_own_page(self, request: web.Request) -> None:
        """A post has to be JSON, from our page or from a program: a form of another page can't be that."""
        allowed = origin_allowed(
            request.headers.get("Origin"), _host(request), self._settings.allowed_origins
        )
        if not allowed or self._foreign(request):
            raise RefusalError(403, "This is taken only from this server's own page.", "origin")
        if request.content_type != "application/json":
            raise RefusalError(415, "Send it as application/json.", "request")

    def _foreign(self, request: web.Request) -> bool:
        """Whether the browser says that a page of another site asks, one that may not talk here."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        return site not in ("same-origin", "none") and not self._embeds(request)

    def _embeds(self, request: web.Request) -> bool:
        """Whether a page of another site asks that may do so."""
        return request.headers.get("Origin", "") in self._settings.allowed_origins

    def _asks_to_embed(self, request: web.Request) -> bool:
        """A browser asks, before such a page's request, whether it may be sent."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        return asks and self._embeds(request)

    async def open_to_others(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let a page of another site that may talk here read the answer. Cookies are never taken from it."""
        if self._embeds(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        if self._settings.allowed_origins:
            response.headers["Vary"] = "Origin"

    def require_token(self, request: web.Request) -> None:
        if not request[KNOWN]:
            raise RefusalError(
                401, "This server needs its token: open the link that was shown when it started.", "token"
            )

    def require_local_or_token(self, request: web.Request) -> None:
        """For what tells about the machine. A proxy here would make everybody look local, so it is not."""
        proxied = self._settings.insecure or {"X-Forwarded-For", "Forwarded", "Via"} & set(request.headers)
        here = is_local(request.remote or "") and not proxied
        if not here and not (self.locked and request[KNOWN]):
            raise RefusalError(401, "Ask from this machine, or with the server's token.", "token")

    def charge_for_call(self, request: web.Request) -> None:
        self._take(request, CALL_COST - 1.0)

    async def exchange(self, request: web.Request) -> web.Response:
        """`{"token": "..."}` for a cookie."""
        self.require_own_page(request)
        token = (await read_json(request)).get("token")
        response = web.Response(status=204)
        if self._lock is None:
            return response
        if not isinstance(token, str) or not self._tried(request, token):
            raise RefusalError(
                401, "That is not this server's token; it has a new one since its start.", "token"
            )
        self._give_cookie(request, response)
        return response

    def _give_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._lock is None or response.prepared:
            return
        # Behind a proxy that does TLS only the browser knows that the page came over HTTPS.
        secure = request.secure or request.headers.get("Origin", "").startswith("https://")
        response.set_cookie(
            self._cookie_name,
            self._lock.cookie(self._wall()),
            max_age=round(COOKIE_SECONDS),
            httponly=True,
            samesite="Strict",
            secure=secure,
            path="/",
        )

    def _refuse(self, request: web.Request, refusal: RefusalError) -> web.Response:
        self._refused(refusal.reason)
        log.debug("refused %s %s: %s", request.method, request.path, refusal.sentence)
        response = reply({"error": refusal.sentence}, refusal.status)
        if refusal.retry_seconds is not None:
            response.headers["Retry-After"] = str(math.ceil(refusal.retry_seconds))
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="local-voice"'
        return response


def _opens_a_tab(request: web.Request) -> bool:
    """Whether somebody follows a link to here; a frame, an image or a script of another page is not that."""
    headers = request.headers
    navigates = headers.get("Sec-Fetch-Mode") == "navigate"
    return request.method == "GET" and navigates and headers.get("Sec-Fetch-Dest") == "document"


def _host(request: web.Request) -> str:
    """The header as it came. Where there is none, aiohttp's `request.host` would ask a name server."""
    return request.headers.get("Host", "")


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object. Raises `RefusalError`."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError as error:
        sentence = f"The body took longer than {BODY_SECONDS:.0f} seconds to arrive."
        raise RefusalError(408, sentence, "request") from error
    except web.RequestPayloadError as error:
        raise RefusalError(400, "The body can't be read.", "request") from error
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "The body is not JSON.", "request") from error
    if not isinstance(found, dict):
        raise RefusalError(400, "The body has to be a JSON object.", "request")
    return found


async def read_offer(request: web.Request) -> str:
    """The SDP in the body of a call. Raises `RefusalError`."""
    offer = await read_json(request)
    if offer.get("type") != "offer" or not isinstance(offer.get("sdp"), str):
        raise RefusalError(400, 'The body has to be {"sdp": "...", "type": "offer"}.', "offer")
    return str(offer["sdp"])


class _Unexpected(SystemRoute):
    """Where a request with an expectation that nobody knows ends."""

    async def handle_expect_header(self, request: web.Request) -> None:
        """aiohttp's own quotes the header, and fails where it is no text: a 500 before any of our checks."""


def refuse_expectations(app: web.Application) -> None:
    """Let what a request expects be `100-continue` or nothing; the rest is a 417 like every other refusal."""
    resolve = app.router.resolve

    async def resolve_expected(request: web.Request) -> UrlMappingMatchInfo:
        if request.headers.get("Expect", "").lower() in ("", "100-continue"):
            return await resolve(request)
        return UrlMappingMatchInfo({}, _Unexpected(web.HTTPExpectationFailed()))

    setattr(app.router, "resolve", resolve_expected)  # noqa: B010


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For every response, also of paths that don't exist."""
    response.headers.update(HEADERS)


def quiet_logger() -> logging.Logger:
    """aiohttp's log without the requests that are not HTTP: an outsider must not be able to fill the disk."""
    logger = logging.getLogger(f"{__name__}.http")
    if not logger.filters:
        logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError)
