"""A trace of each turn for OpenTelemetry, where it is asked for: when each stage was done, and never a word.

Told the same as the numbers of `metrics.py`. A turn's spans are made when its reply is over; a thread of the
library sends them in batches to the address that the user gave, and nowhere else. Where that is slow or
away, traces are lost and nobody waits. Importing this needs the extra `otel`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context

import local_voice
from local_voice.events import Command, Draft, Event, PlaybackEnded, StageFailed
from local_voice.stages import Notification, StartupError, Timing

log = logging.getLogger(__name__)

SPANS = (
    ("end_of_turn", ("last_voice",), "decided"),
    ("transcript", ("last_voice",), "transcript"),
    ("first_token", ("transcript",), "first_token"),
    ("first_clause", ("first_token",), "first_clause"),
    ("first_sound", ("first_clause",), "first_sound"),
    ("release", ("first_sound", "decided"), "playback"),
)
"""Name, the marks of the timeline after which it begins, and the one with which it ends."""
SEND_SECONDS = 5.0
"""A batch that takes longer is lost."""
GATHER_SECONDS = 2.0
MOST_WAITING = 2048
"""Spans, of about 250 turns. When more wait for a collector that is away, the oldest are dropped."""
CLOSE_SECONDS = 3.0
"""How long the end of the program waits for the last batch."""
NANO = 1_000_000_000


class TurnSpans:
    """Traces of all conversations of one server. Entering begins, leaving sends what waits."""

    def __init__(self, endpoint: str, exporter: SpanExporter | None = None) -> None:
        """`endpoint`: URL of a collector that takes OTLP over HTTP; without a path, /v1/traces is meant.

        `exporter`: instead of one that sends there. Raises `StartupError` for what is no such URL.
        """
        url = _url(endpoint)
        # With handlers on the root, each failed batch would log a paragraph.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        told = _Told(exporter or _sender(url), url)
        about = {"service.name": "local-voice", "service.version": local_voice.__version__}
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(about), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                told,
                max_queue_size=MOST_WAITING,
                schedule_delay_millis=GATHER_SECONDS * 1000,
                max_export_batch_size=MOST_WAITING // 4,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes at most `CLOSE_SECONDS`, during which the loop runs."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=send, name="turn-spans-close", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await sent.wait()
        except TimeoutError:
            log.warning("the last traces could not be sent in %g s", CLOSE_SECONDS)

    def conversation(self, number: int) -> ConversationSpans:
        """An observer for one conversation. `number` tells conversations apart."""
        return ConversationSpans(self._provider.get_tracer("local_voice"), number)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn whose reply can be heard."""

    number: int
    seconds: dict[str, float]
    """As in `Timing`."""
    zero: int
    """Nanoseconds since 1970 at its last voiced sample."""
    played: float
    """When its reply began, on the monotonic clock, which does not jump."""
    drafts: int


class ConversationSpans:
    """Traces of one conversation's turns. Satisfies `Observer`."""

    def __init__(self, tracer: Tracer, number: int) -> None:
        self._tracer = tracer
        self._number = number
        self._turn: _Turn | None = None
        self._drafts = 0
        self._failed = (0, "")
        """Turn and stage of the newest failure."""

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """As `Observer.write`."""
        self._drafts += sum(isinstance(command, Draft) for command in commands)
        if isinstance(event, StageFailed):
            self._failed = (event.turn, event.stage)
        elif isinstance(event, PlaybackEnded) and self._turn is not None:
            turn, self._turn = self._turn, None
            try:
                self._trace(turn, event.interrupted)
            except Exception:  # the library's own: a turn must not fail for that
                log.exception("a turn could not be traced")

    def notify(self, notification: Notification) -> None:
        """Only `Timing` counts here; it comes when a reply is first heard."""
        if isinstance(notification, Timing):
            seconds = notification.seconds
            zero = time.time_ns() - round(seconds.get("playback", 0.0) * NANO)
            played = time.monotonic()
            self._turn = _Turn(notification.turn, seconds, zero, played, self._drafts)
            self._drafts = 0

    def _trace(self, turn: _Turn, interrupted: bool) -> None:
        marks = {"last_voice": 0.0} | turn.seconds
        played = marks.get("playback", 0.0)
        over = played + time.monotonic() - turn.played

        def at(seconds: float) -> int:
            return turn.zero + round(seconds * NANO)

        facts: dict[str, str | bool | int | float] = {
            "local_voice.conversation": self._number,
            "local_voice.turn": turn.number,
            "local_voice.drafts": turn.drafts,
            "local_voice.interrupted": interrupted,
            "local_voice.seconds_to_sound": round(played, 4),
        }
        root = self._tracer.start_span("turn", Context(), start_time=at(0.0), attributes=facts)
        number, stage = self._failed
        if number == turn.number:
            root.set_attribute("local_voice.failed_stage", stage)
            root.set_status(StatusCode.ERROR)
        if "turn_completion" in marks:
            root.add_event("turn_completion", timestamp=at(marks["turn_completion"]))
        inside = set_span_in_context(root, Context())
        for name, before, end in SPANS:
            if end in marks:
                begin = max((marks[mark] for mark in before if mark in marks), default=0.0)
                span = self._tracer.start_span(name, inside, start_time=at(min(begin, marks[end])))
                span.end(at(marks[end]))
        self._tracer.start_span("reply", inside, start_time=at(played)).end(at(over))
        root.end(at(over))


class _Told(SpanExporter):
    """Says once that traces get lost, and once that they no longer do. Used by the library's thread."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._well = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As `SpanExporter.export`."""
        result = self._exporter.export(spans)
        well = result is SpanExportResult.SUCCESS
        if well and not self._well:
            log.info("%s takes traces again", self._url)
        elif self._well and not well:
            log.warning("%s takes no traces; those of the turns until it does are lost", self._url)
        self._well = well
        return result

    def shutdown(self) -> None:
        """As `SpanExporter.shutdown`."""
        self._exporter.shutdown()


def _sender(url: str) -> OTLPSpanExporter:
    """Talks to that address alone: no proxy of the environment, no password file; it follows no redirect."""
    session = requests.Session()
    session.trust_env = False
    return OTLPSpanExporter(url, timeout=SEND_SECONDS, session=session)


def _url(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise StartupError(
            f"server.otel_endpoint is {endpoint!r}; it takes a URL such as http://localhost:4318."
        )
    return parts._replace(path="/v1/traces").geturl() if parts.path in ("", "/") else endpoint
