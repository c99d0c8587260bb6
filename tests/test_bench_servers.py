"""The benchmarks that call a server from outside: their verdicts, and their short forms on scripts."""

import json
import mmap
import os
import re
import runpy
import subprocess
import sys
from argparse import Namespace
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av import AudioFrame

from benchmarks import bench_turn, compare_peers
from benchmarks import report as reports
from benchmarks.answers import Answer, answer, answered, outcomes, times, unanswered
from benchmarks.bench_concurrency import LAGS, Level, lags, own_memory, tell
from benchmarks.bench_turn import ASKED, TURNS_A_CALL, VOICES, fill, spoken
from benchmarks.bench_turn import Turn as BenchTurn
from benchmarks.compare_peers import Question, Turn, kept, rendered, row, slower
from benchmarks.light_caller import RENDERED, VOICE_BYTES, Counts, LightCaller, encode
from benchmarks.peers import systems
from benchmarks.peers.environments import PeerError
from benchmarks.peers.systems import SYSTEMS, Setup
from benchmarks.regression import compare
from benchmarks.report import Report, Times
from benchmarks.soak import Household, well
from benchmarks.waterfall import draw
from benchmarks.webrtc_client import Caller, Frame
from benchmarks.words import captioned, word_errors
from local_voice.sentences import APOLOGIES
from local_voice.transports.inside_aiortc import SpeechEncoder

ROOT = Path(__file__).parent.parent
FRAME = 960
pytestmark = pytest.mark.usefixtures("at_once")


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(48_000 * seconds)) / 48_000)).astype(np.float32)


def test_a_packet_tells_voice_from_silence_by_its_size():
    sound = np.concatenate((tone(0.4), np.zeros(48_000 // 2, np.float32)))
    question = encode(sound)
    sizes = [len(packet) for packet in question.packets]
    assert question.last_voiced == 19
    assert min(sizes[2:18]) >= VOICE_BYTES
    assert max(sizes[24:]) < VOICE_BYTES


def test_a_packet_with_a_copy_against_loss_tells_voice_from_silence_too():
    encoder = SpeechEncoder()
    encoder.survive_loss()
    sizes: list[int] = []
    for number, block in enumerate(np.concatenate((tone(0.4), np.zeros(48_000 // 2))).reshape(-1, FRAME)):
        frame = AudioFrame.from_ndarray((block * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * FRAME, Fraction(1, 48_000)
        sizes += map(len, encoder.encode(frame)[0])
    assert min(sizes[:20]) >= VOICE_BYTES
    assert max(sizes[22:]) < VOICE_BYTES


def test_a_reply_begins_with_the_first_of_two_voiced_packets():
    caller = LightCaller.__new__(LightCaller)
    sizes = [3, 3, 90, 3, 80, 80, 80, 3]
    caller.came = [(place * 0.02, place * FRAME, size) for place, size in enumerate(sizes)]
    assert caller.first_sound(0.0) == pytest.approx(0.08)
    assert caller.first_sound(0.11) is None
    assert caller.last_sound() == pytest.approx(0.12)
    assert max(caller.lateness()) == pytest.approx(0.0)
    caller.came[4:] = [(time + 0.1, stamp, size) for time, stamp, size in caller.came[4:]]
    assert caller.lateness() == pytest.approx([0, 0, 0, 0.1, 0, 0, 0], abs=1e-9)
    assert caller.packets() == [(0, 1, 7)]
    caller.came = [(time + 0.9, stamp, size) for time, stamp, size in caller.came]
    assert caller.packets() == [(0, 0, 3), (1, 1, 4)]


def caption(text: str, when: float, role: str = "assistant", final: bool = True, turn: int = 1):
    return when, {"type": "caption", "role": role, "turn": turn, "text": text, "final": final}


def listener(*heard: tuple[float, float], events=()) -> Caller:
    """Somebody who heard sound from a second to another, in packets as they come."""
    caller = Caller.__new__(Caller)
    loud = np.full(FRAME, 0.2, np.float32)
    caller.heard = [
        Frame(start + place * 0.02, loud)
        for start, end in heard
        for place in range(round((end - start) / 0.02))
    ]
    caller.events = list(events)
    return caller


PARIS = caption("The capital of France is Paris.", 4.0)
SORRY = caption(APOLOGIES["llm"], 2.2)


@pytest.mark.parametrize(
    ("speaker", "found"),
    [
        (listener((2.7, 4.0), events=[PARIS]), Answer(pytest.approx(0.7))),
        (listener(), Answer(None)),
        # It has sounded for a second when the question ends: this is no reply within 0.02 s.
        (listener((1.0, 4.0), events=[PARIS]), Answer(None, early=True)),
        (listener((2.2, 4.0), events=[SORRY]), Answer(None, apologised=True)),
        # It breaks off, and ends in an apology.
        (listener((2.7, 4.0), (4.5, 6.0), events=[PARIS, SORRY]), Answer(None, apologised=True)),
        # What was said before, what the user says and what stands there half way are no apologies.
        (listener((2.7, 4.0), events=[caption(APOLOGIES["llm"], 0.4)]), Answer(pytest.approx(0.7))),
        (listener((2.7, 4.0), events=[caption(APOLOGIES["llm"], 2.0, "user")]), Answer(pytest.approx(0.7))),
    ],
)
def test_a_question_is_answered_late_or_not_at_all_or_too_early_or_by_an_apology(speaker, found):
    assert answer(speaker, 0.5, 2.0) == found


def test_a_light_caller_tells_a_reply_that_came_too_early_and_an_apology_too():
    caller = LightCaller.__new__(LightCaller)
    caller.came = [(place * 0.02, place * FRAME, 80 if place > 50 else 3) for place in range(100)]
    caller.events = []
    assert answer(caller, 0.5, 1.5) == Answer(None, early=True)
    assert answer(caller, 0.5, 0.9) == Answer(pytest.approx(0.12))
    caller.events = [SORRY]
    counts = Counts()
    for last_voice in (1.5, 0.9):
        counts.add(answer(caller, 0.5, last_voice))
    assert (counts.seconds, counts.no_reply, counts.too_early, counts.apologised) == ([], 0, 1, 1)
    report = Report("bench_concurrency", {})
    tell(report, "scripted", Level(1, counts, memory=[10.0], memory_without=[5.0]))
    (told,) = report.content()["rows"]
    assert [told[why]["value"] for why in ("no_reply", "too_early", "apologised")] == [0, 0.5, 0.5]


def test_no_question_always_has_the_same_voice():
    pairs = {spoken(number) for number in range(RENDERED)}
    assert len(pairs) == RENDERED
    for text in {text for text, _ in pairs}:
        assert len({voice for other, voice in pairs if other == text}) == 2


def test_no_call_begins_with_words_that_the_model_has_read_in_another():
    begun = [spoken(number)[0] for number in range(0, ASKED * len(VOICES), TURNS_A_CALL)]
    assert len(set(begun)) == len(begun) == 10
    assert len({spoken(number) for number in range(ASKED * len(VOICES))}) == 50


def test_every_question_has_a_time_or_is_counted_once():
    answers = [Answer(1.0), Answer(None), answered(1.5, 2.0, True), answered(2.5, 2.0, True)]
    assert times(answers).samples == [1.0]
    assert {why: share.value for why, share in outcomes(answers).items()} == {
        "no_reply": 0.25,
        "too_early": 0.25,
        "apologised": 0.25,
    }
    assert unanswered(answers) == 3


@pytest.mark.parametrize(
    ("answers", "holds"),
    [
        ([Answer(1.0)] * 40, True),
        ([Answer(1.0)] * 38 + [Answer(None)] * 2, True),
        ([Answer(1.0)] * 37 + [Answer(None), Answer(None, early=True), Answer(None, apologised=True)], False),
        ([Answer(1.0)] * 20 + [Answer(None, apologised=True)] * 20, False),
        ([], False),
    ],
)
def test_a_soak_in_which_it_apologises_from_some_minute_on_has_failed(answers, holds):
    household = Household("", [], None)
    household.answers = answers
    assert well(household, Times([1.0]), Times([1.0]), "can't tell") is holds
    assert not well(household, Times([1.0]), Times([1.3]), "flat")
    assert not well(household, Times([1.0]), Times([1.0]), "grows")


def test_turns_that_were_talked_over_or_apologised_for_have_rows_of_their_own():
    report = Report("bench_turn", {})
    bad = [BenchTurn(Answer(None, early=True)), BenchTurn(Answer(None, apologised=True))]
    fill(report, [BenchTurn(Answer(1.0)), BenchTurn(Answer(0.9), {"decided": 0.3}), *bad])
    rows = {line["what"]: line for line in report.content()["rows"]}
    assert rows["voice_to_voice (caller)"]["seconds"]["samples"] == [0.9]
    labels = ("turns without a reply", "turns answered too early", "turns with an apology")
    assert [rows[label]["share"]["value"] for label in labels] == [0, 0.25, 0.25]


def test_what_sounds_unfinished_is_no_clear_end_however_soon_it_is_answered():
    turns = [
        BenchTurn(Answer(0.5), {"playback": 0.4}, clear=False),
        BenchTurn(Answer(1.9), {"playback": 1.8}),
    ]
    report = Report("bench_turn", {})
    fill(report, [BenchTurn(Answer(1.0)), *turns, BenchTurn(Answer(None))])
    rows = {line["what"]: line for line in report.content()["rows"]}
    assert rows["voice_to_voice, the question's end clear (caller)"]["seconds"]["samples"] == [1.9]
    assert rows["playback, the question's end clear (server, from last voice)"]["seconds"]["samples"] == [1.8]
    assert rows["voice_to_voice (caller)"]["seconds"]["samples"] == [0.5, 1.9]


def test_each_question_is_asked_in_each_voice_before_a_recording_is_heard_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(bench_turn, "speak", lambda text, voice, path: asked.append((text, voice)))
    bench_turn.recorded(50, tmp_path)
    assert len(set(asked)) == 50


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        (Counts(seconds=[0.9] * 20), True),
        (Counts(seconds=[1.1] * 20), False),  # twice 0.5
        (Counts(seconds=[0.5] * 90, no_reply=10), False),
        (Counts(seconds=[0.5] * 20, refused=["CallError: 503"]), False),
        (Counts(seconds=[0.5] * 90, too_early=5, apologised=5), False),
        (Counts(), False),
    ],
)
def test_so_many_conversations_hold_as_long_as_all_are_served_as_one_is(counts, holds):
    assert Level(8, counts).holds(Level(1, Counts(seconds=[0.5] * 20))) is holds


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        (Counts(), False),
        (Counts(seconds=[0.5] * 19, too_early=2), False),
        (Counts(seconds=[0.5] * 20), True),
        (Counts(seconds=[0.5] * 2, no_reply=38), True),  # it does not hold, and more can't change that
    ],
)
def test_a_level_lasts_until_its_p95_rests_on_enough_questions(counts, enough):
    assert Level(8, counts).enough(20) is enough


def test_memory_is_that_of_the_conversations_or_not_measurable():
    found = Level(4, memory=[110.0, 114.0], memory_without=[89.0, 91.0]).memory_each
    assert found.samples == [(20.0, 4), (24.0, 4)]
    assert (found.value, found.unit) == (5.5, "MiB")
    # A model let go of more than the conversations hold.
    found = Level(4, memory=[88.0, 114.0], memory_without=[89.0, 91.0]).memory_each
    assert found.samples == []


def test_memory_of_this_process_grows_by_what_it_holds():
    before = own_memory(os.getpid())
    # numpy might take memory that this process has already.
    with mmap.mmap(-1, 32 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert own_memory(os.getpid()) - before == pytest.approx(32, abs=4)


def test_packets_and_naps_count_while_everybody_talks():
    packets = [(4, 9, 9), (5, 1, 50), (6, 0, 50), (7, 9, 9), (5, 2, 51), (6, 1, 49)]
    naps = [(4.0, 9.0), (5.0, 0.01), (6.5, 0.02), (7.9, 9.0)]
    level = Level(2, Counts(packets=packets, naps=naps), began=4.9, ended=7.5)
    assert level.packets_late == [(3, 101), (1, 99)]
    assert level.callers_lag == [0.01, 0.02]


def test_the_lag_of_the_loop_is_true_to_the_steps_of_its_histogram():
    before = {0.001: 10.0, 0.002: 10.0, 0.1: 11.0, float("inf"): 11.0}
    after = {0.001: 10.0, 0.002: 12.0, 0.1: 13.0, float("inf"): 14.0}
    assert lags(before, after) == pytest.approx([0.00125, 0.00175, 0.1])
    assert lags(after, after) == []
    many = lags({0.1: 0.0, float("inf"): 0.0}, {0.1: 2000.0, float("inf"): 2000.0})
    assert len(many) == LAGS
    assert np.percentile(many, 95) == pytest.approx(0.095, abs=0.001)


def test_regression_judges_what_a_conversation_costs():
    def result(much: float) -> dict:
        packets = [(second, round(much * (second % 3)), 50) for second in range(20)]
        naps = [(second + 0.5, 0.01 * much) for second in range(20)]
        level = Level(1, Counts(packets=packets, naps=naps), began=0.0, ended=20.0, lag=[0.01 * much] * 20)
        level.cpu = [(0.1 * much + 0.001 * second, 1.0) for second in range(20)]
        level.memory, level.memory_without = [50 + 5 * much + 0.1 * look for look in range(20)], [50.0]
        report = Report("bench_concurrency", {})
        tell(report, "scripted", level)
        return json.loads(json.dumps(report.content()))

    found = {finding.what: finding.verdict for finding in compare(result(1.0), result(4.0))}
    judged = ("packets_late", "lag p50", "lag p90", "callers_lag p50", "cpu", "memory")
    assert {name: found[f"scripted, 1: {name}"] for name in judged} == dict.fromkeys(judged, "worse")


def test_what_callers_tell_line_by_line_adds_up(capsys):
    for found in (Counts(connected=1), Counts(seconds=[0.5]), Counts(no_reply=1), Counts(seconds=[0.6])):
        found.tell()
    Counts(refused=["CallError: 503"]).tell()
    heard = Counts()
    for line in capsys.readouterr().out.splitlines():
        heard.hear(json.loads(line))
    assert heard == Counts(1, [0.5, 0.6], no_reply=1, refused=["CallError: 503"])


def test_a_turn_as_a_waterfall_with_the_first_one_apart(tmp_path):
    marks = {"transcript": 0.2, "first_token": 0.3, "first_sound": 0.59, "decided": 0.25, "playback": 0.6}
    turns = [
        BenchTurn(Answer(0.7 + number / 100), {name: at + number / 100 for name, at in marks.items()})
        for number in range(6)
    ]
    turns[3] = BenchTurn(Answer(None))
    report = Report("bench_turn", {})
    fill(report, turns)
    rows = {line["what"]: line for line in report.content()["rows"]}
    assert rows["voice_to_voice (caller)"]["seconds"]["n"] == 4
    assert rows["voice_to_voice (caller)"]["first_turn"]["samples"] == [0.7]
    assert rows["first sound (server, from the decision)"]["seconds"]["p50"] == pytest.approx(0.35)
    assert rows["first packet (server, from the release)"]["seconds"]["p50"] == pytest.approx(0.01)
    assert rows["turns without a reply"]["share"]["value"] == pytest.approx(1 / 6)
    draw(report.content(), tmp_path / "turn.png")
    assert (tmp_path / "turn.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_result_has_no_waterfall(tmp_path):
    with pytest.raises(ValueError, match="no turns"):
        draw(Report("bench_turn", {}).content(), tmp_path / "turn.png")


def peers_turn(answer: Answer, first: bool = False, heard: str = "Why is the sea salty?") -> Turn:
    return Turn(answer, first, "Why is the sea salty?", heard)


def test_turns_of_a_peer_are_counted_and_none_is_dropped():
    turns = [
        peers_turn(Answer(2.0), first=True),
        peers_turn(Answer(1.0), heard="why is the sea salt"),
        peers_turn(Answer(None, early=True), heard="Why is"),
        peers_turn(Answer(None), heard=""),
    ]
    told = row(turns)
    assert (told["voice_to_voice"].samples, told["first_turn"].samples) == ([1.0], [2.0])
    assert (told["no_reply"].value, told["too_early"].value) == (0.25, 0.25)
    assert told["wer"].samples == [(0, 5), (1, 5), (3, 5), (5, 5)]
    # Without a word anywhere it is the log that tells none; nobody's recogniser errs in 100 %.
    assert row([peers_turn(Answer(1.0), heard="")])["wer"] == "it tells no words"


def test_word_errors_are_those_that_a_reader_would_count():
    assert word_errors("What color is the sky?", "what COLOUR is the sky") == (0, 5)
    assert word_errors("What color is the sky?", "what color was in the sky") == (2, 5)


def test_what_ours_heard_is_the_newest_caption_of_each_turn():
    events = [
        caption("What is", 1.0, "user", final=False),
        caption("What is", 1.5, "user"),
        caption("What is the capital?", 2.0, "user"),
        caption("Paris.", 3.0),
        caption("Of France.", 4.0, "user", turn=2),
        (5.0, {"type": "state", "state": "listening"}),
    ]
    assert captioned(events) == "What is the capital? Of France."


PIPECAT_LOG = """\
2026-11-22 08:12:53 | DEBUG    | pipecat.audio.turn:analyze:167 - End of Turn result: EndOfTurnState.COMPLETE
2026-11-22 08:12:54 | DEBUG    | pipecat.services.whisper.stt:run_stt:461 - Transcription: [ Who wrote ]
2026-11-22 08:12:55 | DEBUG    | pipecat.services.whisper.stt:run_stt:461 - Transcription: [ Romeo? ]
2026-11-22 08:12:56 | DEBUG    | pipecat.services.piper.tts:run_tts:191 - Piper#0: Finished TTS [No.]
"""
SPEECH_TO_SPEECH_LOG = """\
[pipeline 0] speech_to_speech.VAD.vad_handler - INFO - Speech soft-ended (segment=9ms, turn=turn_3 rev=0)
USER: Who wrote
[pipeline 0] speech_to_speech.STT.notifier - INFO - Transcription completed (language=en): Who wrote
[pipeline 0] speech_to_speech.VAD.vad_handler - INFO - Speech soft-ended (segment=9ms, turn=turn_3 rev=1)
USER: Who wrote Romeo?
[pipeline 0] speech_to_speech.STT.notifier - INFO - Transcription completed (language=en): Who wrote Romeo?
[pipeline 0] speech_to_speech.VAD.vad_handler - INFO - Speech soft-ended (segment=9ms, turn=turn_4 rev=0)
[pipeline 0] speech_to_speech.STT.notifier - INFO - Transcription completed: Why?
"""


@pytest.mark.parametrize(
    ("name", "log", "heard"),
    [
        ("Pipecat", PIPECAT_LOG, ["Who", "wrote", "Romeo?"]),
        ("speech-to-speech", SPEECH_TO_SPEECH_LOG, ["Who", "wrote", "Romeo?", "Why?"]),
        ("local-voice", PIPECAT_LOG, []),
    ],
)
def test_what_a_peer_heard_stands_in_its_log_and_a_turn_that_went_on_counts_once(name, log, heard):
    assert SYSTEMS[name].heard([], log).split() == heard


async def test_what_was_heard_counts_for_the_question_that_was_asked_then(monkeypatch, tmp_path):
    log = tmp_path / "pipecat.log"
    log.write_text("- Transcription: [ of the call before ]\n")
    caller = listener()

    async def ask(caller, sound, seconds, quiet):
        caller.events.append(caption(sound, 1.0, "user", turn=len(caller.events)))
        with log.open("a") as written:
            written.write(f"pipecat.services.whisper.stt:461 - Transcription: [ {sound} ]\n")
        return None, Answer(1.0)

    monkeypatch.setattr(compare_peers, "ask", ask)
    monkeypatch.setattr(compare_peers, "SETTLE_SECONDS", 0.0)
    questions = [Question("What?", "what"), Question("Why?", "why")]
    for name in ("local-voice", "Pipecat"):
        turns = await compare_peers.converse(caller, questions, SYSTEMS[name], log)
        assert [(turn.said, turn.heard) for turn in turns] == [("What?", "what"), ("Why?", "why")]
        assert [turn.first for turn in turns] == [True, False]


def test_a_comparison_is_added_to_only_where_all_was_the_same():
    report = Report("compare_peers", {"turns": 2})
    report.row("Pipecat", **row([peers_turn(Answer(1.0))]), versions="pipecat-ai 1", slower="2.0 x")
    content = json.loads(json.dumps(report.content()))
    again = kept(content, report)
    assert list(again["Pipecat"]["voice_to_voice"].samples) == [1.0]
    assert (again["Pipecat"]["too_early"].value, again["Pipecat"]["wer"].samples) == (0.0, [(0, 5)])
    assert "slower" not in again["Pipecat"]
    with pytest.raises(ValueError, match="its configuration is"):
        kept(content | {"configuration": {"turns": 3}}, report)


def test_how_much_slower_a_peer_is_has_an_interval_that_holds_it_and_is_the_same_every_time():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(1.0, 0.1, 20), rng.normal(4.0, 0.4, 20)
    told = slower(theirs, ours)
    middle, low, high = map(float, re.findall(r"\d\.\d", told))
    assert 3.5 < low < middle < high < 4.5
    assert slower(theirs, ours) == told
    assert slower([4.0] * 5, [1.0] * 5) == "4.0 x (4.0 to 4.0)"
    assert slower([4.0] * 20, [1.0] * 4) == "4.0 x"


def test_no_question_comes_twice_in_the_same_voice(monkeypatch):
    asked = []

    def speak(text, voice, path):
        asked.append((text, voice))
        path.write_bytes(b"")

    sound = compare_peers.AudioChunk(tone(0.1), 48_000, 0)
    monkeypatch.setattr(compare_peers, "speak", speak)
    monkeypatch.setattr(compare_peers, "read_wav", lambda path: sound)
    questions = rendered(50)
    assert len(set(asked)) == 50
    assert [question.words for question in questions] == [text for text, _ in asked]


@pytest.fixture
def compared(monkeypatch):
    """`compare` of systems that answer at once, and in which order they were started."""

    def compare(failing=()):
        started: list[str] = []
        busy = iter(range(100))
        monkeypatch.setattr(reports, "busy_cores", lambda seconds: next(busy))
        monkeypatch.setattr(compare_peers, "SYSTEMS", dict.fromkeys("ABCD", SYSTEMS["local-voice"]))

        def talk(name, setup, questions, keep):
            started.append(name)
            if len(started) in failing:
                raise PeerError("no such library")
            return [peers_turn(Answer(seconds), not place) for place, seconds in enumerate(questions)]

        monkeypatch.setattr(compare_peers, "talk", talk)
        rows: dict = {}
        chosen = Namespace(only=None, out=None, set=[])
        compare_peers.compare(None, chosen, [[9.0, 1.0, 2.0], [8.0, 3.0, 4.0]], rows)
        return rows, "".join(started)

    return compare


def test_systems_take_turns_so_that_an_hour_slows_all_of_them(compared):
    rows, order = compared()
    assert order == "ABCDABCD"
    assert rows["B"]["voice_to_voice"].samples == [1.0, 2.0, 3.0, 4.0]
    assert rows["B"]["first_turn"].samples == [9.0, 8.0]


def test_each_start_keeps_what_else_was_at_work_before_it(compared):
    rows, _ = compared()
    assert [rows[name]["busy_before"] for name in "ABCD"] == [[0, 4], [1, 5], [2, 6], [3, 7]]
    report = Report("compare_peers", {})
    report.row("B", **rows["B"])
    assert kept(json.loads(json.dumps(report.content())), report)["B"]["busy_before"] == [1, 5]


def test_a_peer_that_does_not_start_in_one_round_is_left_out_and_keeps_none_from_the_rest(compared):
    rows, order = compared(failing=[6])
    assert order == "ABCDABCD"
    assert rows["B"] == {"not_measured": "no such library"}
    assert len(rows["C"]["voice_to_voice"].samples) == 4
    _, order = compared(failing=[2])
    assert order == "ABCDACD"


class Store:
    def path(self, name):
        return Path(name)


def test_what_is_set_reaches_both_of_our_servers_and_a_peer(monkeypatch, tmp_path):
    commands: list[tuple[list[str], dict]] = []

    @contextmanager
    def running(command, ready, log, environment=None):
        commands.append((command, environment or {}))
        yield

    @contextmanager
    def language_model(settings, logs):
        yield "http://127.0.0.1:1/v1"

    monkeypatch.setattr(systems, "running", running)
    monkeypatch.setattr(systems, "language_model", language_model)
    monkeypatch.setattr(systems, "ModelStore", Store)
    chosen = Namespace(set=["stt.threads=3", "tts.threads=4"])
    setup = Setup(reports.settings(chosen), reports.flags_of(chosen), tmp_path)
    for name in ("local-voice", "local-voice, vLLM's server", "Pipecat", "speech-to-speech"):
        with SYSTEMS[name].open(setup):
            pass
    (ours, _), (behind_a_url, _), (_, pipecat), (piper, _), (_, peer) = commands
    for command in (ours, behind_a_url):
        assert " ".join(command).find("--stt.threads 3 --tts.threads 4") >= 0
    assert "http://127.0.0.1:1/v1" in behind_a_url
    assert (pipecat["OMP_NUM_THREADS"], pipecat["PEER_TTS_THREADS"]) == ("3", "4")
    assert (peer["OMP_NUM_THREADS"], piper[-1]) == ("3", "4")


def test_a_peers_voice_has_the_threads_of_ours_and_none_that_spins(monkeypatch, tmp_path):
    from benchmarks import piper_voice

    made = []
    monkeypatch.setattr(piper_voice, "cpu_session", lambda model, threads: made.append((model, threads)))
    path = tmp_path / "voice.onnx"
    (tmp_path / "voice.onnx.json").write_text(
        json.dumps(
            {
                "num_symbols": 1,
                "num_speakers": 1,
                "audio": {"sample_rate": 22_050},
                "espeak": {"voice": "en-us"},
                "phoneme_id_map": {},
                "inference": {},
            }
        )
    )
    assert piper_voice.piper_voice(path, 2).config.sample_rate == 22_050
    assert made == [(path, 2)]


def test_the_log_of_a_language_model_that_does_not_start_says_why(monkeypatch, tmp_path):
    found = {}

    @contextmanager
    def running(command, ready, log, environment):
        found.update(environment)
        raise PeerError("no memory")
        yield

    class Builder:
        def __init__(self, *_):
            pass

        def _arguments(self):
            ours = ("additional_config", "distributed_executor_backend", "speculative_config")
            return dict.fromkeys(ours)

    monkeypatch.setattr(systems, "running", running)
    monkeypatch.setattr(systems, "VllmBuilder", Builder)
    monkeypatch.setattr(systems, "ModelStore", Store)
    settings = reports.settings(Namespace(set=[]))
    with pytest.raises(PeerError, match="no memory"), systems.language_model(settings, tmp_path):
        pass
    assert found["VLLM_CONFIGURE_LOGGING"] == "1"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.models
@pytest.mark.parametrize(
    ("script", "measured"),
    [
        ("bench_concurrency", {"voice_to_voice", "no_reply", "packets_late", "lag", "callers_lag", "cpu"}),
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
def test_help_says_what_is_measured_and_how(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [script, "--help"])
    monkeypatch.delitem(sys.modules, f"benchmarks.{script}", raising=False)  # another one has imported it
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(f"benchmarks.{script}", run_name="__main__")
    told = capsys.readouterr().out
    for line in (ROOT / "benchmarks" / f"{script}.py").read_text().split('"""')[1].splitlines():
        assert line.strip() in told


@pytest.mark.models
def test_run_all_says_what_it_does_and_refuses_what_it_does_not_know():
    script = [str(ROOT / "benchmarks" / "run_all.sh")]
    told = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--peers" in told
    assert subprocess.run([*script, "nonsense"], capture_output=True, check=False).returncode == 2
