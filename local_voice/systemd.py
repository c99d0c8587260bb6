"""Tells systemd how the service is: ready, alive, stopping. Does nothing where systemd did not start us.

The protocol of sd_notify(3): a line of text to the socket that the environment names.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress


def tell(state: str, variables: Mapping[str, str] = os.environ) -> None:
    """Send a state such as `READY=1`, `STOPPING=1` or `STATUS=...`."""
    address = variables.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    # A service manager that does not listen is no reason to stop serving.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, suppress(OSError):
        channel.connect(name)
        channel.send(state.encode())


async def keep_alive(variables: Mapping[str, str] = os.environ) -> None:
    """Run until cancelled; where somebody watches, say twice per watchdog time that the loop runs too."""
    given = variables.get("WATCHDOG_USEC", "")
    if not given.isdecimal() or int(given) == 0:
        await asyncio.Event().wait()
    while True:
        tell("WATCHDOG=1", variables)
        await asyncio.sleep(int(given) / 1e6 / 2)
