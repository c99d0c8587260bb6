"""TCP connections before the server takes them: how many there may be, and their encryption.

A connection counts from its first moment. What listens with TLS by itself is told of one only when the
handshake is over, so that strangers who never begin one could hold as many as there are descriptors.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from aiohttp import web

HANDSHAKE_SECONDS = 10.0
"""Time for TLS to be agreed on."""
MOST_CONNECTIONS = 256
"""TCP connections at once; a browser opens up to 6. One more is closed at once."""


class Doorstep:
    """Makes the protocol of each connection that comes, as `create_server` wants it."""

    def __init__(self, server: web.Server, encryption: ssl.SSLContext | None) -> None:
        self._server = server
        self._encryption = encryption
        self._greeting: set[asyncio.Task[None]] = set()
        """Connections whose encryption is being agreed on."""

    def __call__(self) -> asyncio.Protocol:
        return _Visitor(self._greet)

    def close(self) -> None:
        """Nobody is waited for any more."""
        for task in self._greeting:
            task.cancel()

    def _greet(self, transport: asyncio.Transport, visitor: _Visitor) -> None:
        if len(self._server.connections) + len(self._greeting) >= MOST_CONNECTIONS:
            transport.abort()
        elif self._encryption is None:
            visitor.enter(transport, self._server())
        else:
            transport.pause_reading()  # until it is read as TLS
            task = asyncio.create_task(self._encrypt(transport, visitor, self._encryption))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _encrypt(
        self, transport: asyncio.Transport, visitor: _Visitor, encryption: ssl.SSLContext
    ) -> None:
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, visitor, encryption, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:  # no TLS, or not in time: ssl.SSLError and TimeoutError are such
            transport.abort()
        except asyncio.CancelledError:
            transport.abort()
            raise
        else:
            if encrypted is not None and not encrypted.is_closing():
                visitor.enter(encrypted, self._server())


class _Visitor(asyncio.Protocol):
    """A connection until it is let in; keeps what it says meanwhile."""

    def __init__(self, came: Callable[[asyncio.Transport, _Visitor], None]) -> None:
        self._came = came
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not known by its class: uvloop's transports are none of asyncio's.
        self._came(cast(asyncio.Transport, transport), self)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def enter(self, transport: asyncio.Transport, server: asyncio.Protocol) -> None:
        """Hand the connection over to the server's own protocol."""
        transport.set_protocol(server)
        server.connection_made(transport)
        for data in self._early:
            server.data_received(data)
        self._early.clear()
