"""What `local-voice serve` does: the server, the assistant behind it, and everybody who looks on.

Introduces them to one another; knows the order in which they start and stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_voice import memory_back, systemd, terminal
from local_voice.assistant import Assistant
from local_voice.canary import Canary
from local_voice.conversation_log import ConversationLog
from local_voice.gpu_memory import Gpus
from local_voice.metrics import Metrics
from local_voice.recorder import Recorder
from local_voice.reload import merged
from local_voice.server import Server
from local_voice.settings import Settings
from local_voice.settings_sources import SettingsError
from local_voice.signals import reloading
from local_voice.stages import Observer, StartupError, Transport
from local_voice.terminal import StartProgress
from local_voice.trace import numbered
from local_voice.transports.ice import check_ice
from local_voice.witnesses import Witnesses

if TYPE_CHECKING:
    from local_voice.turn_spans import TurnSpans

AFTER_SECONDS = 2.0
"""From a conversation's end until its memory is given back."""

log = logging.getLogger(__name__)


async def serve(load: Callable[[], Settings], trace: Path | None) -> None:
    """Until cancelled; then no reply is cut that can be finished in time. Raises `StartupError`.

    `load` reads the settings: at the start, and again where there is a SIGHUP.
    """
    settings = load()
    names, numbers, metrics = numbered(trace), count(1), Metrics(Gpus())
    spans = _spans(settings.server.otel_endpoint)
    with StartProgress() as progress:
        assistant = Assistant(settings, progress=progress)

        async def converse(transport: Any) -> None:
            current = assistant.settings
            number = next(numbers)
            observers: list[Observer] = [metrics.conversation()]
            if current.server.log_conversations:
                observers.append(ConversationLog(number))
            if spans is not None:
                observers.append(spans.conversation(number))
            async with AsyncExitStack() as stack:
                # When its tasks have ended, which still hold it.
                stack.callback(asyncio.get_running_loop().call_later, AFTER_SECONDS, memory_back.give_back)
                carrier: Transport = transport
                if current.recording.folder:
                    carrier = recorded = await stack.enter_async_context(recorder.record(transport, current))
                    observers.append(recorded.steps)
                await assistant.converse(
                    carrier,
                    trace=next(names),
                    observer=Witnesses(*observers),
                    before=transport.messages,
                    remember=transport.remember,
                )

        recorder = Recorder()
        canary = Canary(assistant).sing
        server = Server(converse, progress.warming, settings.server, metrics, assistant.waiting, canary)
        # The page is there at once, so that a port in use is said before half a minute of loading.
        async with spans or nullcontext(), recorder, server:
            terminal.err.print(f"Serving {server.url} (warming up)")
            if server.fingerprint:
                terminal.err.print(f"Its certificate's SHA-256 fingerprint is {server.fingerprint}")
            async with assistant:
                memory_back.settle()
                terminal.show_ready(progress.finish(), server.invitation)
                systemd.tell("READY=1")
                tidying = asyncio.create_task(recorder.keep_tidy(lambda: assistant.settings.recording))
                try:
                    with reloading(lambda: _reload(load, assistant, server)):
                        await systemd.keep_alive()
                finally:
                    systemd.tell("STOPPING=1")
                    tidying.cancel()
                    await server.drain()


def _spans(endpoint: str) -> TurnSpans | None:
    """Raises `StartupError`."""
    if not endpoint:
        return None
    try:
        from local_voice.turn_spans import TurnSpans  # an extra, and a tenth of a second to import
    except ImportError as error:
        raise StartupError(
            f"server.otel_endpoint needs what is not installed ({error}): run `scripts/start`, or leave the "
            "setting empty."
        ) from error
    return TurnSpans(endpoint)


def _reload(load: Callable[[], Settings], assistant: Assistant, server: Server) -> None:
    """Take over what can change while the server runs; conversations that are open keep what they have."""
    try:
        found, changed, waiting = merged(assistant.settings, load())
        check_ice(found.server)
    except (SettingsError, StartupError) as error:
        log.error("the settings stay as they are: %s", error)
        return
    assistant.settings = found
    server.apply(found.server)
    log.info("settings read again; changed: %s", ", ".join(changed) or "nothing")
    if voices := assistant.find_voices():
        log.info("voices that can be chosen now: %s", ", ".join(voices))
    if waiting:
        log.warning("these need a restart: %s", ", ".join(waiting))
