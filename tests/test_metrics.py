"""The numbers: each counts what its name says, and the dashboard asks for numbers that there are."""

import json
import re
from pathlib import Path

import pytest

from local_voice.events import (
    Draft,
    Duck,
    Interrupt,
    Message,
    Pause,
    PlaybackEnded,
    PushToTalk,
    Release,
    Resume,
    StageFailed,
    StopSpeaking,
    Transcribe,
    VoiceActivity,
    Withdraw,
)
from local_voice.gpu_memory import GpuMemory, Gpus
from local_voice.metrics import REFUSALS, STAGES, VOICE_BUCKETS, Metrics
from local_voice.stages import Status, Timing
from local_voice.timeline import MARKS

DASHBOARD = Path(__file__).parent.parent / "packaging" / "grafana-dashboard.json"
TICK = VoiceActivity(0.9, 0.032)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics._registry.get_sample_value(name, labels)
    assert found is not None, f"{name} {labels}"
    return found


def draft(turn: int, revision: int = 0) -> Draft:
    return Draft(turn, revision, (Message("user", "Hello."),))


def listen(turn: int, revision: int = 0) -> Transcribe:
    return Transcribe(turn, revision, 0.0, 1.0, final=True)


def test_drafts_are_counted_as_started_accepted_and_withdrawn():
    metrics = Metrics()
    one = metrics.conversation()
    one.write(1.0, TICK, [draft(1)])
    one.write(1.1, TICK, [Withdraw(1, 0)])
    one.write(2.0, TICK, [draft(1, 1)])
    one.write(2.3, TICK, [Release(1, 1)])
    started, accepted, withdrawn = (
        value(metrics, f"local_voice_drafts_{what}_total") for what in ("started", "accepted", "withdrawn")
    )
    assert (started, accepted, withdrawn) == (2, 1, 1)


def test_a_reply_silenced_for_a_new_turn_is_a_barge_in_and_for_the_same_turn_a_cut_off():
    metrics = Metrics()
    one, other = metrics.conversation(), metrics.conversation()
    one.write(5.0, TICK, [Duck(1, 0), Pause(1, 0)])
    one.write(5.2, TICK, [Interrupt(1, 0), listen(2)])
    other.write(5.0, TICK, [Interrupt(1, 0)])
    other.write(5.5, TICK, [listen(1, 1)])
    other.write(5.6, TICK, [listen(1, 1)])
    assert value(metrics, "local_voice_barge_ins_total", kind="words") == 1
    assert value(metrics, "local_voice_cut_offs_total") == 1


def test_a_reply_that_paused_and_went_on_was_no_barge_in():
    metrics = Metrics()
    one = metrics.conversation()
    one.write(5.0, TICK, [Duck(1, 0)])
    one.write(5.1, TICK, [Resume(1, 0)])
    assert value(metrics, "local_voice_barge_ins_total", kind="false") == 0, "it was only lower for a moment"
    one.write(6.0, TICK, [Pause(1, 0)])
    one.write(6.5, TICK, [Resume(1, 0)])
    assert value(metrics, "local_voice_barge_ins_total", kind="false") == 1


@pytest.mark.parametrize("event", [StopSpeaking(), PushToTalk(down=True)])
def test_a_button_is_no_word(event):
    metrics = Metrics()
    one = metrics.conversation()
    one.write(5.0, event, [Interrupt(1, 0)])
    one.write(6.0, TICK, [listen(1, 1)])
    assert value(metrics, "local_voice_barge_ins_total", kind="button") == 1
    assert value(metrics, "local_voice_cut_offs_total") == 0


def test_replies_and_failures_are_counted():
    metrics = Metrics()
    one = metrics.conversation()
    one.write(1.0, PlaybackEnded(1, 0, "Hello.", interrupted=False), [])
    one.write(2.0, PlaybackEnded(2, 0, "", interrupted=True), [])
    one.write(3.0, StageFailed("tts", 3, 0, "it broke"), [])
    assert value(metrics, "local_voice_replies_total", end="finished") == 1
    assert value(metrics, "local_voice_replies_total", end="interrupted") == 1
    assert value(metrics, "local_voice_stage_failures_total", stage="tts") == 1
    assert value(metrics, "local_voice_stage_failures_total", stage="llm") == 0


def test_the_times_of_a_turn_fall_into_buckets_of_50_ms():
    metrics = Metrics()
    one = metrics.conversation()
    one.notify(Status("listening"))
    one.notify(Timing(1, {"transcript": 0.23, "decided": 0.3, "playback": 0.92, "unknown": 7.0}))
    bucket = "local_voice_turn_stage_seconds_bucket"
    assert value(metrics, bucket, stage="playback", le="0.9") == 0
    assert value(metrics, bucket, stage="playback", le="0.95") == 1
    assert value(metrics, "local_voice_turn_stage_seconds_count", stage="first_token") == 0
    after = "local_voice_reply_after_decision_seconds_sum"
    assert value(metrics, after) == pytest.approx(0.62)
    assert [edge for edge in VOICE_BUCKETS if edge <= 1] == pytest.approx([0.05 * n for n in range(1, 21)])
    one.notify(Timing(2, {"transcript": 0.2}))
    assert value(metrics, "local_voice_reply_after_decision_seconds_count") == 1


class TwoGpus(Gpus):
    """Two of different size."""

    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 2

    def memory(self, number: int) -> GpuMemory:
        return GpuMemory(used=number + 1, total=10 * (number + 1))


def test_the_memory_of_each_gpu_is_shown_where_there_is_one():
    metrics = Metrics(TwoGpus())
    assert value(metrics, "local_voice_gpu_memory_used_bytes", gpu="1") == 2
    assert value(metrics, "local_voice_gpu_memory_bytes", gpu="0") == 10
    without = Metrics(Gpus("no-such-library.so"))
    assert "local_voice_gpu_memory_bytes" not in families(without)


def test_packets_are_counted_once_though_totals_are_told():
    metrics = Metrics()
    one = metrics.network()
    one.note(received=100, lost=3, sent=100, lost_there=0)
    one.note(received=200, lost=2, sent=200, lost_there=5)
    one.note(received=300, lost=4, sent=300, lost_there=5)
    for name, direction, expected in (
        ("packets", "in", 300),
        ("packets", "out", 295),
        ("packets_lost", "in", 4),
        ("packets_lost", "out", 5),
    ):
        assert value(metrics, f"local_voice_{name}_total", direction=direction) == expected, (name, direction)
    metrics.network().note(received=1, lost=0, sent=1, lost_there=0)
    assert value(metrics, "local_voice_packets_total", direction="in") == 301


def test_jobs_that_wait_are_shown_per_engine():
    metrics = Metrics()
    assert value(metrics, "local_voice_engine_queue", engine="llm") == 0
    metrics.waiting_jobs({"stt": 3, "tts": 1})
    assert value(metrics, "local_voice_engine_queue", engine="stt") == 3


def families(metrics: Metrics) -> dict[str, set[str]]:
    """Every sample's name -> the names of its labels."""
    return {
        sample.name: set(sample.labels)
        for family in metrics._registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_names_and_labels_follow_prometheus_s_rules_and_are_bounded():
    metrics = Metrics()
    one = metrics.conversation()
    before = len(families(metrics)), len(metrics.text())
    for turn in range(50):
        one.write(1.0, TICK, [draft(turn), Release(turn, 0), Interrupt(turn, 0), listen(turn + 1)])
        one.notify(Timing(turn, dict.fromkeys(MARKS, 0.5) | {f"mark {turn}": 1.0}))
    assert len(families(metrics)) == before[0]
    assert metrics.text().count(b"local_voice_turn_stage_seconds_count") == len(STAGES)
    assert metrics.text().count(b"local_voice_refusals_total{") == len(REFUSALS)
    for name, labels in families(metrics).items():
        assert re.fullmatch(r"local_voice_[a-z_]+", name)
        assert labels <= {"stage", "kind", "end", "reason", "le", "version", "engine", "direction"}, name


def test_the_text_holds_what_the_libraries_count_too():
    text = Metrics().text().decode()
    assert "# TYPE local_voice_loop_lag_seconds histogram" in text
    assert "process_open_fds" in text


def test_the_dashboard_asks_only_for_numbers_that_there_are_and_for_all_of_ours():
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    asked = "\n".join(target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ()))
    known = families(Metrics(TwoGpus()))
    names = set(re.findall(r"local_voice_[a-z_]+", asked))
    assert names <= set(known), names - set(known)
    parts = ("_bucket", "_sum", "_count")
    ours = {re.sub(f"({'|'.join(parts)})$", "", name) for name in known}
    shown = {re.sub(f"({'|'.join(parts)})$", "", name) for name in names}
    assert ours - shown == set()
    for name, label in re.findall(r"(local_voice_[a-z_]+)\{([a-z]+)", asked):
        assert label in known[name], (name, label)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
