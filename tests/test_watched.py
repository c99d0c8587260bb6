"""What is grown is seen, what is flat is called flat; and the short forms of the two that watch a server."""

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import connects
from benchmarks.watched import HELD, Look, Watch

ROOT = Path(__file__).parent.parent


def watched(memory) -> Watch:
    watch = Watch("http://nowhere", 0)
    watch.looks = [Look(n, n * 10, memory(n * 10), 9, 11, 5, 0) for n in range(101)]
    watch.done = 1000
    return watch


def test_growth_is_told_per_thousand_and_the_warming_up_is_left_out():
    assert watched(lambda done: 100 + 0.05 * done).slope("memory") == pytest.approx(50.0)
    assert watched(lambda done: min(done, 150)).slope("memory") == pytest.approx(0.0, abs=0.01)
    assert watched(lambda done: 100).slope("threads") == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("memory", "growth"),
    [
        (lambda done: 100 + done % 3, "flat"),
        (lambda done: 100 + 0.05 * done + done % 3, "grows"),
        (lambda done: 100 + 0.03 * done + 40 * (done // 150 % 2), "can't tell"),
    ],
)
def test_growth_is_what_noise_can_not_explain(memory, growth):
    assert watched(memory).growth("memory") == growth


def test_the_soak_that_is_kept_tells_of_no_growth_and_does_not_prove_that_there_is_none():
    kept = json.loads((ROOT / "benchmarks" / "results" / "soak-cpu-2-cores.json").read_text())["looks"]
    watch = Watch("http://nowhere", 0)
    watch.looks = [Look(**look) for look in kept]
    watch.done = watch.looks[-1].done
    assert watch.growth("memory") == "can't tell"
    leaking = [replace(look, memory=look.memory + 0.15 * look.done) for look in watch.looks]
    watch.looks = leaking
    assert watch.growth("memory") == "grows"


@pytest.mark.parametrize(("done", "code"), [(20, 0), (19, 1), (0, 1)])
def test_callers_that_end_before_their_time_are_a_failure(monkeypatch, capsys, done, code):
    @contextmanager
    def served(flags, scripted):
        yield "http://nowhere", 0

    async def measure(*arguments):
        watch = watched(lambda done: 100)
        return watch, [{"connect": 0.1, "reply": 0.5}] * done

    monkeypatch.setattr(connects, "served", served)
    monkeypatch.setattr(connects, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["connects", "--cycles", "20"])
    assert connects.main() == code
    assert (f"only {done} of 20 cycles were done" in capsys.readouterr().out) is bool(code)


def test_too_few_looks_tell_nothing():
    watch = Watch("http://nowhere", 0)
    watch.looks = [Look(0, 0, 100, 9, 11, 5, 0)]
    assert watch.slope("memory") == 0.0
    assert watch.growth("memory") == "can't tell"


@pytest.mark.doors
@pytest.mark.parametrize(("script", "what"), [("connects", "took"), ("soak", "voice_to_voice")])
def test_the_short_form_measures_and_draws(script, what, tmp_path):
    result, picture = tmp_path / "result.json", tmp_path / "picture.png"
    command = [sys.executable, "-m", f"benchmarks.{script}", "--quick"]
    done = subprocess.run(
        [*command, "--json", str(result), "--plot", str(picture)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(result.read_text())
    assert all(row[what]["n"] > 0 for row in found["rows"] if what in row)
    assert set(HELD) <= {row["what"] for row in found["rows"]}
    assert found["looks"][-1]["conversations"] == 0, "everybody has gone, and it was noticed"
    assert picture.read_bytes().startswith(b"\x89PNG")
