"""What is grown is seen, what is flat is called flat; and the short forms of the two that watch a server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_too_few_looks_tell_nothing():
    watch = Watch("http://nowhere", 0)
    watch.looks = [Look(0, 0, 100, 9, 11, 5, 0)]
    assert watch.slope("memory") == 0.0


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
