"""The benchmarks that call a server from outside: their verdicts, and their short forms on scripts."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_concurrency import Level
from benchmarks.bench_turn import fill
from benchmarks.compare_peers import Turn, kept, row
from benchmarks.light_caller import VOICE_BYTES, Counts, LightCaller, encode
from benchmarks.report import Report
from benchmarks.waterfall import draw

ROOT = Path(__file__).parent.parent
FRAME = 960


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(48_000 * seconds)) / 48_000)).astype(np.float32)


def test_a_packet_tells_voice_from_silence_by_its_size():
    sound = np.concatenate((tone(0.4), np.zeros(48_000 // 2, np.float32)))
    question = encode(sound)
    sizes = [len(packet) for packet in question.packets]
    assert question.last_voiced == 19
    assert min(sizes[2:18]) >= VOICE_BYTES
    assert max(sizes[24:]) < VOICE_BYTES


def test_a_reply_begins_with_the_first_of_two_voiced_packets():
    caller = LightCaller.__new__(LightCaller)
    sizes = [3, 3, 90, 3, 80, 80, 80, 3]
    caller.came = [(place * 0.02, place * FRAME, size) for place, size in enumerate(sizes)]
    assert caller.voice_after(0.0) == pytest.approx(0.08)
    assert caller.voice_after(0.11) is None
    assert caller.last_voice() == pytest.approx(0.12)
    assert max(caller.lateness()) == pytest.approx(0.0)
    caller.came[4:] = [(time + 0.1, stamp, size) for time, stamp, size in caller.came[4:]]
    assert caller.lateness() == pytest.approx([0, 0, 0, 0.1, 0, 0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        (Counts(seconds=[0.9] * 20), True),
        (Counts(seconds=[1.1] * 20), False),  # twice 0.5
        (Counts(seconds=[0.5] * 90, no_reply=10), False),
        (Counts(seconds=[0.5] * 20, refused=["CallError: 503"]), False),
        (Counts(), False),
    ],
)
def test_so_many_conversations_hold_as_long_as_all_are_served_as_one_is(counts, holds):
    assert Level(8, counts).holds(Level(1, Counts(seconds=[0.5] * 20))) is holds


def test_a_turn_as_a_waterfall_with_the_first_one_apart(tmp_path):
    marks = {"transcript": 0.2, "first_token": 0.3, "decided": 0.25, "playback": 0.6, "voice_to_voice": 0.7}
    turns = [{name: value + number / 100 for name, value in marks.items()} for number in range(6)]
    turns[3] = {"voice_to_voice": None}
    report = Report("bench_turn", {})
    fill(report, turns)
    rows = {line["what"]: line for line in report.content()["rows"]}
    assert rows["voice_to_voice (caller)"]["seconds"]["n"] == 4
    assert rows["voice_to_voice (caller)"]["first_turn"]["samples"] == [0.7]
    assert rows["first sound (server, from the decision)"]["seconds"]["p50"] == pytest.approx(0.35)
    assert rows["turns without a reply"]["share"]["value"] == pytest.approx(1 / 6)
    draw(report.content(), tmp_path / "turn.png")
    assert (tmp_path / "turn.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_result_has_no_waterfall(tmp_path):
    with pytest.raises(ValueError, match="no turns"):
        draw(Report("bench_turn", {}).content(), tmp_path / "turn.png")


def test_turns_of_a_peer_are_counted_and_none_is_dropped():
    turns = [
        Turn(2.0, False, True),
        Turn(1.0, False, False),
        Turn(None, True, False),
        Turn(None, False, False),
    ]
    told = row(turns)
    assert (told["voice_to_voice"].samples, told["first_turn"].samples) == ([1.0], [2.0])
    assert (told["no_reply"].value, told["too_early"].value) == (0.25, 0.25)


def test_a_comparison_is_added_to_only_where_all_was_the_same():
    report = Report("compare_peers", {"turns": 2})
    report.row("Pipecat", **row([Turn(1.0, False, False)]), versions="pipecat-ai 1", slower="2.0 x")
    content = json.loads(json.dumps(report.content()))
    again = kept(content, report)
    assert list(again["Pipecat"]["voice_to_voice"].samples) == [1.0]
    assert again["Pipecat"]["too_early"].value == 0.0
    assert "slower" not in again["Pipecat"]
    with pytest.raises(ValueError, match="its configuration is"):
        kept(content | {"configuration": {"turns": 3}}, report)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.models
@pytest.mark.parametrize(
    ("script", "measured"),
    [
        ("bench_concurrency", {"voice_to_voice", "no_reply", "packets_late", "lag", "cpu"}),
        ("bench_barge_in", {"stop", "quiet", "duck", "answer", "went_on"}),
        ("chaos", {"told", "before", "after", "voice_to_voice", "no_reply"}),
    ],
)
def test_the_short_form_of_a_benchmark_measures_what_the_long_one_does(script, measured, tmp_path):
    result, picture = tmp_path / "result.json", tmp_path / "picture.png"
    run(script, "--quick", "--json", str(result), "--plot", str(picture))
    rows = json.loads(result.read_text())["rows"]
    values = {name: value for line in rows for name, value in line.items() if isinstance(value, dict)}
    assert measured <= {name for name, value in values.items() if value["samples"]}
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.models
@pytest.mark.parametrize(
    "script",
    [
        "bench_barge_in",
        "bench_concurrency",
        "chaos",
        "compare_peers",
        "light_caller",
        "nuisance",
        "together",
        "waterfall",
    ],
)
def test_help_says_what_is_measured_and_how(script):
    told = run(script, "--help")
    for line in (ROOT / "benchmarks" / f"{script}.py").read_text().split('"""')[1].splitlines():
        assert line.strip() in told


@pytest.mark.models
def test_run_all_says_what_it_does_and_refuses_what_it_does_not_know():
    script = [str(ROOT / "benchmarks" / "run_all.sh")]
    told = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--peers" in told
    assert subprocess.run([*script, "nonsense"], capture_output=True, check=False).returncode == 2
