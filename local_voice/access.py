"""Who may come in: which addresses need a token, which names a request may carry, what proves the token.

Every web page can send requests to this machine, and everybody in its network can where it listens for them.
Plain Python, with the time as an argument; this room knows no HTTP library.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

SHORTEST_TOKEN = 16
"""Characters of a token of the user's own; ours has 43 (256 bits)."""
LONGEST_TOKEN = 512
"""Characters; what is longer is refused before anything is computed."""
COOKIE_SECONDS = 12 * 3_600.0
"""A cookie opens the door for this long, a waking day, and is renewed by use."""


def is_local(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_protection(settings: ServerSettings) -> None:
    """Refuse to listen for others without TLS. Raises `StartupError`."""
    if settings.tls_cert and settings.tls == "self-signed":
        raise StartupError("A certificate is given with --tls-cert: leave --tls self-signed out.")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise StartupError("TLS needs both files: --tls-cert and --tls-key.")
    if is_local(settings.host) or settings.tls_cert or settings.tls == "self-signed" or settings.insecure:
        return
    raise StartupError(
        f"Listening on {settings.host} without TLS would send the token in the clear, and browsers would "
        "give no microphone: add --tls self-signed, or --tls-cert and --tls-key, or, only where a reverse "
        "proxy in front does TLS, --server.insecure true."
    )


def find_token(settings: ServerSettings) -> tuple[str, bool]:
    """The token that opens the door, and whether it was made just now; empty where none is needed.

    None is needed where only this machine can ask, by its own names, and nobody set one. Raises
    `StartupError`.
    """
    if settings.token and settings.token_file:
        raise StartupError("There are two tokens, server.token and server.token_file: leave one out.")
    if settings.token:
        return _fit(settings.token, "server.token"), False
    if settings.token_file:
        path = Path(settings.token_file).expanduser()
        try:
            text = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise StartupError(
                f"The token can't be read from {path} ({reason}): write one there with `openssl rand -hex "
                "32`, or leave server.token_file out to have one made at each start."
            ) from error
        return _fit(text, f"the token in {path}"), False
    if is_local(settings.host) and not settings.allowed_hosts and not settings.allowed_origins:
        return "", False
    return secrets.token_urlsafe(32), True


def _fit(token: str, what: str) -> str:
    plain = token.isascii() and token.isprintable() and " " not in token
    if plain and SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        return token
    raise StartupError(
        f"{what[0].upper()}{what[1:]} has to be {SHORTEST_TOKEN} to {LONGEST_TOKEN} ASCII characters without "
        "spaces: make one with `openssl rand -hex 32`."
    )


class Lock:
    """Knows the token only by its hash, and the cookies it gave out by their signature."""

    def __init__(self, token: str) -> None:
        self._hash = _hash(token)
        self._key = hmac.digest(token.encode(), b"local-voice cookie", "sha256")

    def opens(self, token: str) -> bool:
        """Whether this is the token; takes as long for every wrong one."""
        return len(token) <= LONGEST_TOKEN and hmac.compare_digest(_hash(token), self._hash)

    def cookie(self, now: float) -> str:
        """A cookie that opens for `COOKIE_SECONDS`. `now`: seconds since 1970."""
        until = str(round(now + COOKIE_SECONDS))
        return f"{until}.{self._signature(until)}"

    def accepts(self, cookie: str, now: float) -> bool:
        """Whether the cookie is ours and still good."""
        until, _, signature = cookie.partition(".")
        if not 0 < len(until) <= 12 or not (until.isascii() and until.isdigit()):
            return False
        genuine = hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(until).encode())
        return genuine and now < int(until) <= now + COOKIE_SECONDS + 1

    def _signature(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def host_allowed(host: str, own: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a `Host` header may be served: localhost, any IP address, or a name that was configured.

    A page whose own name has been pointed here (DNS rebinding) shows that name in the header; an address
    can't be pointed anywhere.
    """
    name = (urlsplit(f"//{host}").hostname or "") if _parses(host) else ""
    if name in ("localhost", own.lower(), *(one.lower() for one in more)) or name.endswith(".localhost"):
        return name != ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, host: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a post may be taken: from our own page, one that was configured, or a program (no `Origin`)."""
    if origin is None or origin in more:
        return True
    return _parses(origin) and urlsplit(origin).netloc.lower() == host.lower() != ""


def client_address(peer: str, forwarded: str, proxies: tuple[str, ...]) -> str:
    """Who asks. `forwarded` is the header X-Forwarded-For; it is believed only from a proxy of ours."""
    address = peer
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if address not in proxies:
            break
        address = hop
    return address


def _parses(text: str) -> bool:
    try:
        urlsplit(f"//{text}")
        urlsplit(text)
    except ValueError:
        return False
    return True
