"""What an operator watches: numbers about turns, conversations and refusals, in Prometheus's form.

Fed from outside the conversation with what a trace would hold, and nothing that anybody said. Labels have few
values, all listed here. What the client library counts of this process (`process_*`) is shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

import local_voice
from local_voice.events import (
    Command,
    Draft,
    Event,
    Interrupt,
    Pause,
    PlaybackEnded,
    PushToTalk,
    Release,
    Resume,
    Stage,
    StageFailed,
    StopSpeaking,
    Transcribe,
    Typed,
    Withdraw,
)
from local_voice.gpu_memory import Gpus
from local_voice.stages import Notification, Timing
from local_voice.timeline import MARKS

STAGES = tuple(mark for mark in MARKS if mark != "last_voice")
Refusal: TypeAlias = Literal[
    "warming",
    "full",
    "busy",
    "queue",
    "stopping",
    "rate",
    "token",
    "host",
    "origin",
    "request",
    "offer",
    "failure",
]
"""Why a request was not served. `busy`: the event loop is late; `queue`: too many jobs wait for an engine.
`request`: not HTTP as it should be."""
REFUSALS = get_args(Refusal)
STAGE_NAMES = get_args(Stage)
BARGE_INS = ("words", "button", "false")
"""`words`: the user took the floor; `button`: by a key; `false`: the reply paused and went on."""
ENDS = ("finished", "interrupted")
ENGINES = ("stt", "turn", "llm", "tts")
DIRECTIONS = ("in", "out")
"""Of packets: from the client, and to it."""

VOICE_BUCKETS = (
    *(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.95, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
"""Seconds. A step of 50 ms from 50 to 1000 ms, where voice is won or lost."""
LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SESSION_BUCKETS = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """All numbers of one server."""

    def __init__(self, gpus: Gpus | None = None) -> None:
        """`gpus`: whose memory is to be shown."""
        own = self._registry = CollectorRegistry()
        self.turn_stage = Histogram(
            "local_voice_turn_stage_seconds",
            "From the user's last voiced sample to each mark of the turn's timeline.",
            ["stage"],
            buckets=VOICE_BUCKETS,
            registry=own,
        )
        self.after_decision = Histogram(
            "local_voice_reply_after_decision_seconds",
            "From the decision that the turn is over to the reply's first sample.",
            buckets=VOICE_BUCKETS,
            registry=own,
        )
        self.barge_ins = Counter(
            "local_voice_barge_ins_total", "Sounds of the user that stopped a reply.", ["kind"], registry=own
        )
        self.cut_offs = Counter(
            "local_voice_cut_offs_total", "Replies that began before the user had finished.", registry=own
        )
        self.drafts_started = Counter(
            "local_voice_drafts_started_total", "Replies prepared before the turn was over.", registry=own
        )
        self.drafts_accepted = Counter(
            "local_voice_drafts_accepted_total", "Prepared replies that were released.", registry=own
        )
        self.drafts_withdrawn = Counter(
            "local_voice_drafts_withdrawn_total", "Prepared replies that nobody heard.", registry=own
        )
        self.replies = Counter(
            "local_voice_replies_total",
            "Replies whose sound is over, by how it ended.",
            ["end"],
            registry=own,
        )
        self.failures = Counter(
            "local_voice_stage_failures_total", "Engines that failed at a turn.", ["stage"], registry=own
        )
        self.sessions = Gauge(
            "local_voice_sessions", "Conversations that are open or being opened.", registry=own
        )
        self.sessions_limit = Gauge(
            "local_voice_sessions_limit", "Conversations that may be open at once.", registry=own
        )
        self.sessions_opened = Counter(
            "local_voice_sessions_opened_total", "Conversations opened.", registry=own
        )
        self.session_length = Histogram(
            "local_voice_session_seconds",
            "How long conversations lasted.",
            buckets=SESSION_BUCKETS,
            registry=own,
        )
        self.refusals = Counter(
            "local_voice_refusals_total",
            "Requests that were not served, by reason.",
            ["reason"],
            registry=own,
        )
        self.loop_lag = Histogram(
            "local_voice_loop_lag_seconds",
            "How late the event loop is, sampled ten times a second.",
            buckets=LAG_BUCKETS,
            registry=own,
        )
        self.queue = Gauge(
            "local_voice_engine_queue", "Jobs that wait for an engine.", ["engine"], registry=own
        )
        self.packets = Counter(
            "local_voice_packets_total", "Packets of sound that arrived.", ["direction"], registry=own
        )
        self.packets_lost = Counter(
            "local_voice_packets_lost_total",
            "Packets of sound that the network lost.",
            ["direction"],
            registry=own,
        )
        self.tasks = Gauge("local_voice_tasks", "Tasks of the event loop that have not ended.", registry=own)
        self.build = Gauge("local_voice_build_info", "1, with the version.", ["version"], registry=own)
        self.build.labels(local_voice.__version__).set(1)
        # Shown as 0 from the start: a rate over a series that appears with its first event misses that event.
        for family, values in (
            (self.turn_stage, STAGES),
            (self.barge_ins, BARGE_INS),
            (self.replies, ENDS),
            (self.failures, STAGE_NAMES),
            (self.refusals, REFUSALS),
            (self.queue, ENGINES),
            (self.packets, DIRECTIONS),
            (self.packets_lost, DIRECTIONS),
        ):
            for value in values:
                family.labels(value)
        if gpus:
            _show_memory(gpus, own)

    def conversation(self) -> ConversationMetrics:
        """An observer for one conversation."""
        return ConversationMetrics(self)

    def network(self) -> NetworkMetrics:
        """A counter of one conversation's packets."""
        return NetworkMetrics(self)

    def waiting_jobs(self, waiting: Mapping[str, int]) -> None:
        """So many jobs wait for each engine."""
        for engine, jobs in waiting.items():
            self.queue.labels(engine).set(jobs)

    def refused(self, reason: Refusal) -> None:
        self.refusals.labels(reason).inc()

    def text(self) -> bytes:
        """All numbers now, with those of the libraries, in the text form (`CONTENT_TYPE`)."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)


class ConversationMetrics:
    """Counts one conversation. Told the same as `TraceWriter`, and what the transport is shown."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._interrupted: int | None = None
        """Turn of a reply that was silenced by a voice, until it is known whose turn goes on."""
        self._paused = False

    def write(self, now: float, event: Event, commands: Sequence[Command]) -> None:
        """`now`: seconds of audio at which the conversation was told `event` and answered `commands`."""
        metrics = self._metrics
        if isinstance(event, PlaybackEnded):
            metrics.replies.labels("interrupted" if event.interrupted else "finished").inc()
        elif isinstance(event, StageFailed):
            metrics.failures.labels(event.stage).inc()
        by_button = isinstance(event, StopSpeaking | PushToTalk | Typed)
        for command in commands:
            self._count(command, by_button)

    def notify(self, notification: Notification) -> None:
        """What the user is shown; only `Timing` counts here."""
        if not isinstance(notification, Timing):
            return
        seconds = notification.seconds
        for stage in STAGES:
            if stage in seconds:
                self._metrics.turn_stage.labels(stage).observe(seconds[stage])
        if "playback" in seconds and "decided" in seconds:
            self._metrics.after_decision.observe(seconds["playback"] - seconds["decided"])

    def _count(self, command: Command, by_button: bool) -> None:
        metrics = self._metrics
        match command:
            case Transcribe():
                self._whose_turn(command.turn)
            case Draft():
                self._whose_turn(command.turn)
                metrics.drafts_started.inc()
            case Release():
                metrics.drafts_accepted.inc()
            case Withdraw():
                metrics.drafts_withdrawn.inc()
            case Pause():
                self._paused = True
            case Resume():
                if self._paused:
                    metrics.barge_ins.labels("false").inc()
                self._paused = False
            case Interrupt():
                self._paused = False
                if by_button:
                    metrics.barge_ins.labels("button").inc()
                else:
                    self._interrupted = command.turn

    def _whose_turn(self, turn: int) -> None:
        """The same turn goes on after its reply was silenced: the user had not finished."""
        if self._interrupted is None:
            return
        if turn == self._interrupted:
            self._metrics.cut_offs.inc()
        else:
            self._metrics.barge_ins.labels("words").inc()
        self._interrupted = None


class NetworkMetrics:
    """Counts one conversation's packets. Told totals, since that is what RTP keeps."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known = dict.fromkeys(("received", "lost", "sent", "lost_there"), 0)

    def note(self, **totals: int) -> None:
        """`received`, `lost`, `sent` and `lost_there` since the conversation began, as `Packets` has them."""
        # A packet that was only late is taken back from the losses; a counter can't be.
        more = {name: max(0, total - self._known[name]) for name, total in totals.items()}
        self._known = {name: max(total, self._known[name]) for name, total in totals.items()}
        packets, lost = self._metrics.packets, self._metrics.packets_lost
        packets.labels("in").inc(more["received"])
        lost.labels("in").inc(more["lost"])
        packets.labels("out").inc(max(0, more["sent"] - more["lost_there"]))
        lost.labels("out").inc(more["lost_there"])


def _show_memory(gpus: Gpus, registry: CollectorRegistry) -> None:
    """Asked for when the numbers are, so that an idle server does nothing."""
    used = Gauge("local_voice_gpu_memory_used_bytes", "Memory in use on a GPU.", ["gpu"], registry=registry)
    total = Gauge("local_voice_gpu_memory_bytes", "Memory that a GPU has.", ["gpu"], registry=registry)

    def show(number: int) -> None:
        used.labels(str(number)).set_function(lambda: gpus.memory(number).used)
        total.labels(str(number)).set_function(lambda: gpus.memory(number).total)

    for number in range(len(gpus)):
        show(number)
