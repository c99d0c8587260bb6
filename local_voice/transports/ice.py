"""Which STUN and TURN servers help a call through the network, and the passwords that they want.

A TURN server carries the sound where no packets get through otherwise. Its password goes to every browser, so
one made for each call and good for a while is better than one for ever. Time is an argument; this room knows
no aiortc.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass

from local_voice.settings import ServerSettings
from local_voice.stages import StartupError

PASS_SECONDS = 12 * 3_600.0
"""A call may last as long as a password made for it."""
USER = "local-voice"
_URL = re.compile(r"(?:stuns?:[^\s?/@]+|turns?:[^\s?/@]+(?:\?transport=(?:udp|tcp))?)")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A server that both ends of a call may ask for help."""

    url: str
    """`stun:host:port`, or `turn:host:port?transport=udp` and the like."""
    user: str = ""
    password: str = ""

    def for_browsers(self) -> dict[str, str]:
        """As `RTCPeerConnection` takes it."""
        known = {"username": self.user, "credential": self.password} if self.user else {}
        return {"urls": self.url, **known}


def check_ice(settings: ServerSettings) -> None:
    """Raises `StartupError` for addresses that nobody could use, and for a TURN server without a password."""
    relays = [url for url in settings.ice_servers if url.startswith("turn")]
    for url in settings.ice_servers:
        if not _URL.fullmatch(url):
            raise StartupError(
                f"server.ice_servers holds {url!r}: write stun:HOST:PORT or turn:HOST:PORT?transport=udp."
            )
    if relays and not (settings.turn_secret or (settings.turn_user and settings.turn_password)):
        raise StartupError(
            "A TURN server wants a password: set server.turn_secret to its static-auth-secret, or "
            "server.turn_user and server.turn_password."
        )
    if settings.relay_only and not relays:
        raise StartupError("server.relay_only needs a TURN server: add turn:HOST:PORT to server.ice_servers.")


def ice_servers(settings: ServerSettings, now: float) -> tuple[IceServer, ...]:
    """The servers with passwords for one call. `now`: seconds since 1970.

    The passwords are those of the "TURN REST API" draft (draft-uberti-behave-turn-rest), which coturn calls
    `use-auth-secret`: the name says until when, and is signed with a secret that only the two servers know.
    """
    user, password = settings.turn_user, settings.turn_password
    if settings.turn_secret:
        user = f"{round(now + PASS_SECONDS)}:{USER}"
        digest = hmac.digest(settings.turn_secret.encode(), user.encode(), "sha1")
        password = base64.b64encode(digest).decode()
    return tuple(
        IceServer(url, user, password) if url.startswith("turn") else IceServer(url)
        for url in settings.ice_servers
    )
