"""The benchmarks run: the sounds they play are what they say, and their short forms measure something."""

import gzip
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import sounds
from benchmarks.sounds import QUESTIONS, VOICES, noises, questions, telephone, with_noise
from local_voice.audio import SPEECH_RATE

ROOT = Path(__file__).parent.parent


def tone(hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(SPEECH_RATE) / SPEECH_RATE)).astype(np.float32)


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples)) + 1e-12))


@pytest.mark.parametrize("decibels", [10.0, 5.0])
def test_noise_is_as_loud_as_it_is_called(decibels):
    clean = tone(440)
    noisy = with_noise(clean, decibels, np.random.default_rng(0))
    assert level(clean) - level(noisy - clean) == pytest.approx(decibels, abs=0.2)


def test_a_telephone_carries_voices_and_neither_rumble_nor_hiss():
    assert level(telephone(tone(1000))) == pytest.approx(level(tone(1000)), abs=0.1)
    assert level(telephone(tone(100))) < -60
    assert level(telephone(tone(5000))) < -60


def test_noises_are_the_same_in_every_run_and_none_is_too_loud():
    once, again = noises(), noises()
    assert len(once) == 36
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))
    assert all(np.isfinite(sound).all() and np.abs(sound).max() <= 1.0 for sound in once)


def test_a_hundred_questions_differ_in_words_or_voice(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "benchmarks.sounds.subprocess.run", lambda command, check: asked.append(tuple(command[2:5]))
    )
    monkeypatch.setattr("benchmarks.sounds.sound_file", lambda path: np.zeros(10, np.float32))
    spoken = questions(100)
    assert [words for _, words in spoken] == list(QUESTIONS) * 5
    assert len(set(asked)) == 100
    assert {command[0] for command in asked} == set(VOICES)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_announcements_are_those_in_plain_words_evenly_from_all(tmp_path, monkeypatch):
    texts = [
        "one: The first plain one.",
        "two: Press 2 for more.",
        "beep: [this is a tone]",
        "gone: It is not there.",
    ]
    texts += [
        "short: All right.",
        "sub/three: The second plain one.",
        "four: To be continued...",
        "five: The third one.",
    ]
    monkeypatch.setattr(sounds, "EXCHANGE", tmp_path)
    monkeypatch.setattr(sounds, "EXCHANGE_WORDS", tmp_path / "words.gz")
    assert sounds.announcements(9) == []
    (tmp_path / "words.gz").write_bytes(gzip.compress("\n".join(["; About.", "", *texts]).encode()))
    (tmp_path / "sub").mkdir()
    for name in ("one", "two", "beep", "short", "sub/three", "four", "five"):
        (tmp_path / f"{name}.g722").write_bytes(bytes(8000))  # G.722 has no header: a second
    found = sounds.announcements(9)
    assert [words for _, words in found] == [
        "The first plain one.",
        "The second plain one.",
        "The third one.",
    ]
    assert [len(samples) for samples, _ in found] == [16_000] * 3
    assert [words for _, words in sounds.announcements(2)] == [
        "The first plain one.",
        "The second plain one.",
    ]


@pytest.mark.models
@pytest.mark.parametrize(
    ("script", "more", "measured"),
    [
        (
            "bench_stt",
            ["--model", "whisper-tiny.en"],
            {"encode", "final", "wer", "second_window", "invented"},
        ),
        ("bench_llm", [], {"start", "first_token", "each", "together", "abort_to_idle", "next"}),
        ("bench_tts", [], {"start", "first_sound", "real_time_factor", "difference", "jump"}),
        ("bench_setup", [], {"seconds"}),
        (
            "bench_network",
            ["--set", "stt.model=whisper-tiny.en"],
            {"really_lost", "recognised", "understood", "given_up"},
        ),
    ],
)
def test_the_short_form_of_a_benchmark_measures_what_the_long_one_does(script, more, measured, tmp_path):
    result, picture = tmp_path / "result.json", tmp_path / "picture.png"
    run(script, "--quick", *more, "--json", str(result), "--plot", str(picture))
    rows = json.loads(result.read_text())["rows"]
    values = [(name, value) for row in rows for name, value in row.items() if isinstance(value, dict)]
    assert measured <= {name for name, value in values if value["samples"]}
    assert all(np.isfinite(value["samples"]).all() for _, value in values)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "0 worse, 0 gone" in run("regression", str(result), str(result))


@pytest.mark.models
@pytest.mark.parametrize(
    "script",
    [
        "bench_stt",
        "bench_llm",
        "bench_tts",
        "bench_setup",
        "bench_turn",
        "bench_network",
        "regression",
        "plot",
    ],
)
def test_help_says_what_is_measured_and_how(script, monkeypatch, capsys):
    module = (ROOT / "benchmarks" / f"{script}.py").read_text()
    monkeypatch.setattr("sys.argv", [script, "--help"])
    monkeypatch.delitem(sys.modules, f"benchmarks.{script}", raising=False)  # another one has imported it
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(f"benchmarks.{script}", run_name="__main__")
    told = capsys.readouterr().out
    for line in module.split('"""')[1].splitlines():
        assert line.strip() in told
