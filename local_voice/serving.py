"""What `local-voice serve` does: the server, the assistant behind it, and everybody who looks on.

Introduces them to one another; knows the order in which they start and stop.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from local_voice import systemd, terminal
from local_voice.assistant import Assistant
from local_voice.canary import Canary
from local_voice.conversation_log import ConversationLog
from local_voice.gpu_memory import Gpus
from local_voice.metrics import Metrics
from local_voice.server import Server
from local_voice.settings import Settings
from local_voice.stages import Observer
from local_voice.terminal import StartProgress
from local_voice.trace import numbered
from local_voice.witnesses import Witnesses


async def serve(settings: Settings, trace: Path | None) -> None:
    """Until cancelled; then no reply is cut that can be finished in time. Raises `StartupError`."""
    names, numbers, metrics = numbered(trace), count(1), Metrics(Gpus())
    with StartProgress() as progress:
        assistant = Assistant(settings, progress=progress)

        async def converse(transport: Any) -> None:
            observers: list[Observer] = [metrics.conversation()]
            if settings.server.log_conversations:
                observers.append(ConversationLog(next(numbers)))
            await assistant.converse(
                transport,
                trace=next(names),
                observer=Witnesses(*observers),
                before=transport.messages,
                remember=transport.remember,
            )

        canary = Canary(assistant).sing
        server = Server(converse, progress.warming, settings.server, metrics, assistant.waiting, canary)
        # The page is there at once, so that a port in use is said before half a minute of loading.
        async with server:
            terminal.err.print(f"Serving {server.url} (warming up)")
            if server.fingerprint:
                terminal.err.print(f"Its certificate's SHA-256 fingerprint is {server.fingerprint}")
            async with assistant:
                terminal.show_ready(progress.finish(), server.invitation)
                systemd.tell("READY=1")
                try:
                    await systemd.keep_alive()
                finally:
                    systemd.tell("STOPPING=1")
                    await server.drain()
