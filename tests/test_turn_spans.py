"""Traces of turns: one for each, with the times of the timeline and without a word; nobody waits for them."""

import asyncio
import contextlib
import http.server
import logging
import sys
import threading

import pytest
from fakes import HandTransport, LevelVad, ScriptedLlm, ScriptedStt, ScriptedTurn, ToneTts, settle, tone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from local_voice import serving
from local_voice import turn_spans as room
from local_voice.events import (
    Draft,
    Message,
    PlaybackEnded,
    Release,
    ReplyText,
    StageFailed,
    Typed,
    VoiceActivity,
)
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import Settings
from local_voice.stages import Caption, Speech, StartupError, Timing
from local_voice.turn_spans import SPANS, TurnSpans

URL = "http://collector.example:4318"
TICK = VoiceActivity(0.9, 0.032)
SECONDS = {
    "transcript": 0.25,
    "turn_completion": 0.26,
    "first_token": 0.4,
    "first_clause": 0.5,
    "first_sound": 0.6,
    "decided": 0.3,
    "playback": 0.62,
}


class Clock:
    """Both of the computer's: the one that can be set, and the one that can't."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.steady = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def time_ns(self) -> int:
        return round(self.wall * 1e9)

    def monotonic(self) -> float:
        return self.steady


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(room, "time", made)
    return made


@contextlib.asynccontextmanager
async def collected():
    """Traces that come to a list, which is full when the block ends."""
    found: list = []
    exporter = InMemorySpanExporter()
    async with TurnSpans(URL, exporter) as spans:
        yield spans, found
    found += exporter.get_finished_spans()


def named(found: list) -> dict:
    return {span.name: span for span in found}


def after(span, zero: float) -> tuple[float, float]:
    """Its two ends, in seconds since a moment."""
    return (span.start_time / 1e9 - zero, span.end_time / 1e9 - zero)


async def test_a_turn_is_one_trace_with_a_span_for_each_stage(clock):
    async with collected() as (spans, found):
        one = spans.conversation(7)
        one.write(1.0, TICK, [Draft(3, 0, (Message("user", "Hello."),)), Release(3, 0)])
        one.notify(Timing(3, SECONDS))
        zero = clock.wall - 0.62
        clock.pass_(2.0)
        one.write(4.0, PlaybackEnded(3, 0, "Hello.", interrupted=False), [])
    by_name = named(found)
    assert set(by_name) == {"turn", "reply", *(name for name, _, _ in SPANS)}
    assert len({span.context.trace_id for span in found}) == 1
    turn = by_name["turn"]
    assert {span.parent.span_id for span in found if span is not turn} == {turn.context.span_id}
    assert turn.parent is None
    assert after(turn, zero) == pytest.approx((0.0, 2.62), abs=1e-3)
    for name, begin, end in (
        ("end_of_turn", 0.0, 0.3),
        ("transcript", 0.0, 0.25),
        ("first_token", 0.25, 0.4),
        ("first_sound", 0.5, 0.6),
        ("release", 0.6, 0.62),
        ("reply", 0.62, 2.62),
    ):
        assert after(by_name[name], zero) == pytest.approx((begin, end), abs=1e-3), name
    assert dict(turn.attributes) == {
        "local_voice.conversation": 7,
        "local_voice.turn": 3,
        "local_voice.drafts": 1,
        "local_voice.interrupted": False,
        "local_voice.seconds_to_sound": 0.62,
    }
    assert [event.name for event in turn.events] == ["turn_completion"]
    assert turn.status.is_ok
    assert turn.resource.attributes["service.name"] == "local-voice"


async def test_an_interrupted_reply_and_a_failed_stage_are_told_of_their_own_turn_alone(clock):
    async with collected() as (spans, found):
        one = spans.conversation(1)
        one.notify(Timing(1, {"decided": 0.2, "playback": 0.5}))
        one.write(1.0, StageFailed("llm", 1, 0, "it broke"), [])
        one.write(2.0, PlaybackEnded(1, 0, "", interrupted=True), [])
        one.notify(Timing(2, {"playback": 0.5}))
        one.write(3.0, PlaybackEnded(2, 0, "Hello.", interrupted=False), [])
        one.write(4.0, PlaybackEnded(2, 0, "Again.", interrupted=False), [])
    first, second = (span for span in found if span.name == "turn")
    assert first.attributes["local_voice.interrupted"] is True
    assert first.attributes["local_voice.failed_stage"] == "llm"
    assert first.status.status_code is StatusCode.ERROR
    assert "local_voice.failed_stage" not in second.attributes
    assert second.status.is_ok
    assert first.context.trace_id != second.context.trace_id


async def test_a_clock_that_is_set_back_makes_no_span_end_before_it_begins(clock):
    async with collected() as (spans, found):
        one = spans.conversation(1)
        one.notify(Timing(1, SECONDS | {"transcript": 0.45}))  # the reply was begun from a partial transcript
        clock.pass_(1.0)
        clock.wall -= 86_400.0
        one.write(2.0, PlaybackEnded(1, 0, "Hello.", interrupted=False), [])
    assert len(found) == 2 + len(SPANS)
    assert all(span.start_time <= span.end_time for span in found)


async def test_no_word_of_a_conversation_is_in_a_trace():
    secret = "xylophone"
    async with collected() as (spans, found):
        one = spans.conversation(1)
        one.write(0.5, Typed(secret), [Draft(1, 0, (Message("user", secret),)), Release(1, 0, secret)])
        one.write(0.6, ReplyText(1, 0, secret), [])
        one.write(0.7, StageFailed("tts", 1, 0, secret), [])
        one.notify(Caption("user", 1, secret, final=True))
        one.notify(Timing(1, SECONDS))
        one.write(2.0, PlaybackEnded(1, 0, secret, interrupted=False), [])
    assert len(found) == 2 + len(SPANS)
    assert not [span for span in found if secret in span.to_json()]


async def test_a_conversation_on_scripts_leaves_a_trace_for_each_turn():
    transport = HandTransport()
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    stt, llm = ScriptedStt("One?", "Two?"), ScriptedLlm("First.", "Second.")
    engines = Engines(LevelVad(), ScriptedTurn(), stt, llm, ToneTts(), apologies)
    async with collected() as (spans, found):
        session = Session(engines, Settings(), transport, observer=spans.conversation(1), clock=lambda: 0.0)
        running = asyncio.create_task(session.run())
        await settle()
        for _ in range(2):
            await transport.ask()
            await transport.listen(1.0)
            await transport.hear("." * 32)
        transport.leave()
        await running
    turns = [span.attributes["local_voice.turn"] for span in found if span.name == "turn"]
    assert turns == [1, 2]
    assert {span.name for span in found} >= {"turn", "reply", "transcript", "first_token", "end_of_turn"}


class Away(SpanExporter):
    """A collector that answers as it is told."""

    def __init__(self, *answers: SpanExportResult) -> None:
        self.answers = list(answers)

    def export(self, spans) -> SpanExportResult:
        return self.answers.pop(0)

    def shutdown(self) -> None:
        pass


def test_a_collector_that_is_away_is_told_of_once_and_again_when_it_is_back(caplog):
    caplog.set_level(logging.INFO)
    bad, good = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    answers = [good, bad, bad, good, good]
    told = room._Told(Away(*answers), URL)
    assert [told.export([]) for _ in answers] == answers, "the library may judge for itself"
    assert [record.getMessage() for record in caplog.records] == [
        f"{URL} takes no traces; those of the turns until it does are lost",
        f"{URL} takes traces again",
    ]


class StandsStill(Away):
    """A collector that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = threading.Event()

    def export(self, spans) -> SpanExportResult:
        self.moves.wait(10.0)
        return SpanExportResult.FAILURE


async def test_a_collector_that_stands_still_holds_up_neither_a_turn_nor_the_end(monkeypatch, caplog):
    monkeypatch.setattr(room, "CLOSE_SECONDS", 0.05)
    exporter = StandsStill()
    async with asyncio.timeout(5.0), TurnSpans(URL, exporter) as spans:
        one = spans.conversation(1)
        for turn in range(2 * room.MOST_WAITING):
            one.notify(Timing(turn, {"playback": 0.5}))
            one.write(2.0, PlaybackEnded(turn, 0, "Hello.", interrupted=False), [])
    assert "could not be sent" in caplog.text
    exporter.moves.set()


async def test_a_library_that_breaks_breaks_no_turn(monkeypatch, caplog):
    async with collected() as (spans, _):
        one = spans.conversation(1)
        one.notify(Timing(1, {"playback": 0.5}))
        monkeypatch.setattr(one._tracer, "start_span", lambda *_, **__: 1 // 0)
        one.write(2.0, PlaybackEnded(1, 0, "Hello.", interrupted=False), [])
    assert "could not be traced" in caplog.text


@pytest.mark.parametrize("wrong", ["localhost:4318", "ftp://here", "http://", "http://here:port", "http://["])
def test_what_is_no_url_is_refused_in_a_sentence(wrong):
    with pytest.raises(StartupError, match="takes a URL such as"):
        TurnSpans(wrong)


def test_nothing_is_sent_unless_somebody_asks_for_it(monkeypatch):
    assert Settings().server.otel_endpoint == ""
    monkeypatch.setitem(sys.modules, "local_voice.turn_spans", None)  # importing it would fail
    assert serving._spans("") is None
    with pytest.raises(StartupError, match="run `scripts/start`"):
        serving._spans(URL)


@pytest.mark.doors
async def test_a_real_collector_gets_them_and_no_proxy_does(monkeypatch):
    bodies: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as door:
        serving_thread = threading.Thread(target=door.serve_forever)
        serving_thread.start()
        try:
            spans = serving._spans(f"http://127.0.0.1:{door.server_port}")
            assert spans is not None
            async with spans:
                one = spans.conversation(1)
                one.notify(Timing(1, SECONDS))
                one.write(2.0, PlaybackEnded(1, 0, "Hello.", interrupted=False), [])
        finally:
            door.shutdown()
            serving_thread.join()
    ((path, body),) = bodies
    assert path == "/v1/traces"
    request = ExportTraceServiceRequest.FromString(body)
    sent = [
        span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
    ]
    assert sorted(sent) == sorted(["turn", "reply", *(name for name, _, _ in SPANS)])
