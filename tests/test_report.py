"""What benchmarks print and keep."""

import json
import math
import subprocess
from pathlib import Path

import pytest

from benchmarks import report as reports
from benchmarks.plot import shown_columns
from benchmarks.report import Report, Share, Times, fingerprint, percentiles, tables
from local_voice.model_store import ModelStore
from local_voice.model_store.files import LockedFile, ModelLock

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def report():
    made = Report("a benchmark", {"threads": 2})
    made.row("5 s window", encode=Times([0.1, 0.2, 0.3]), wer=Share([(1, 10), (0, 10)]), note="clean")
    return made


def test_percentiles_are_interpolated():
    assert percentiles([1.0, 2.0, 3.0]) == {
        "n": 3,
        "p50": 2.0,
        "p95": pytest.approx(2.9),
        "p99": pytest.approx(2.98),
    }
    assert percentiles([]) == {"n": 0}


def test_times_show_three_percentiles_and_a_single_one_only_itself():
    assert str(Times([0.1, 0.2, 0.3])) == "0.200 / 0.290 / 0.298"
    assert str(Times([0.25])) == "0.250"
    assert str(Times([])) == "none"


def test_the_bad_end_of_a_rate_is_its_low_one():
    rates = Times([10.0, 20.0, 30.0], unit="tokens/s", better="more")
    assert str(rates) == "20.000 / 11.000 / 10.200"
    assert rates.content()["p5"] == pytest.approx(11.0)


def test_a_share_is_a_sum_over_a_sum_and_not_a_mean_of_quotients():
    assert Share([(1, 1), (0, 9)]).value == pytest.approx(0.1)
    assert str(Share([(1, 1), (0, 9)])) == "10.0 (1 of 10)"
    assert str(Share([(3.0, 12.0)], unit="s/s")) == "0.250"
    assert math.isnan(Share([]).value)
    assert str(Share([])) == "none"


def test_the_file_holds_machine_versions_settings_and_every_sample(report, tmp_path):
    report.finish(tmp_path / "new folder" / "result.json")
    kept = json.loads((tmp_path / "new folder" / "result.json").read_text())
    assert kept["benchmark"] == "a benchmark"
    assert kept["configuration"] == {"threads": 2}
    assert {"cpu", "memory", "system", "gpu"} <= set(kept["machine"])
    assert "faster-whisper" in kept["versions"]
    (row,) = kept["rows"]
    assert row["what"] == "5 s window"
    assert row["note"] == "clean"
    assert row["encode"]["samples"] == [0.1, 0.2, 0.3]
    assert row["encode"]["p95"] == pytest.approx(0.29)
    assert (row["wer"]["value"], row["wer"]["samples"]) == (0.05, [[1, 10], [0, 10]])


def test_the_table_names_units_and_what_was_measured(report, capsys):
    report.finish()
    shown = capsys.readouterr().out
    for part in ("a benchmark", "threads 2", "encode (s)", "wer (%)", "5 s window", "0.200 / 0.290 / 0.298"):
        assert part in shown


def test_rows_that_measure_different_things_stand_in_different_tables():
    rows = [{"what": "a", "encode": 1}, {"what": "b", "wer": 2}, {"what": "c", "encode": 3, "decode": 4}]
    assert [[row["what"] for row in table] for table in tables(rows)] == [["a", "c"], ["b"]]


def test_a_plot_is_drawn_from_what_has_samples(report, tmp_path):
    report.row("only a fact", note="nothing to draw")
    report.finish(plot_path=tmp_path / "picture.svg")
    drawn = (tmp_path / "picture.svg").read_text()
    assert drawn.startswith("<?xml")
    assert len(drawn) > 5000


def test_shares_that_are_nothing_everywhere_have_no_panel_unless_there_is_nothing_else():
    times, none, some = Times([0.1]).content(), Share([(0, 9)]).content(), Share([(1, 9)]).content()
    rows = [{"what": "a", "seconds": times, "early": none, "unanswered": none}]
    rows.append({"what": "b", "seconds": times, "early": none, "unanswered": some})
    assert shown_columns(rows) == ["seconds", "unanswered"]
    assert shown_columns([{"what": "a", "early": none}]) == ["early"]


def test_a_result_without_samples_is_no_picture(tmp_path):
    made = Report("empty", {})
    made.row("a fact", note="nothing")
    with pytest.raises(ValueError, match="no measured value"):
        made.finish(plot_path=tmp_path / "picture.png")


def test_a_model_of_ones_own_is_told_as_such(tmp_path):
    own = tmp_path / "mine"
    own.mkdir()
    (own / "model.safetensors").write_bytes(b"")
    assert fingerprint(str(own)) == ("mine", "from a folder of one's own")


def test_a_model_of_the_store_is_told_by_its_origin_and_the_hash_of_its_weights(tmp_path, monkeypatch):
    folder = tmp_path / "whisper-base"
    folder.mkdir()
    files = {"config.json": LockedFile(10, "c" * 64), "model.bin": LockedFile(1000, "a" * 64)}
    ModelLock("recipe", "owner/name at abc", "abc", files).write(folder)
    monkeypatch.setattr(ModelStore, "path", lambda self, name: folder)
    assert fingerprint("whisper-base") == ("whisper-base", "from owner/name, model.bin aaaaaaaaaaaa")


def test_a_core_that_works_is_seen_while_it_does(monkeypatch):
    lines = iter(("cpu 100 0 50 800 50 0 0 0 0 0\ncpu0 ...", "cpu 250 0 100 900 100 0 0 50 0 0\ncpu0 ..."))
    monkeypatch.setattr(Path, "read_text", lambda path: next(lines))
    monkeypatch.setattr(reports.os, "cpu_count", lambda: 2)
    assert reports.busy_cores(0.0) == pytest.approx(2 * 250 / 400)


def test_a_result_tells_how_many_cores_were_busy_when_it_was_begun(monkeypatch, capsys):
    monkeypatch.setattr(reports, "busy_cores", lambda seconds: 0.123)
    made = Report("bench", {})
    monkeypatch.setattr(reports, "busy_cores", lambda seconds: 2.0)  # by the benchmark itself
    assert made.content()["busy_before"] == 0.12
    made.finish()
    assert "cores busy before: 0.12" in capsys.readouterr().out


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """One commit of the code, with a page and a picture."""
    for name in ("local_voice/a.py", "benchmarks/NOTES.md", "benchmarks/results/picture.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was")
    person = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(reports, "ROOT", tmp_path)
    return tmp_path


def test_a_result_tells_of_which_commit_it_is_and_whether_the_code_was_changed(checkout):
    clean = reports.commit()
    head = (checkout / ".git" / (checkout / ".git/HEAD").read_text().split()[1]).read_text()
    assert len(clean) >= 7
    assert head.startswith(clean)
    (checkout / "benchmarks/NOTES.md").write_text("told")
    (checkout / "benchmarks/results/picture.png").write_text("drawn by the benchmark before")
    assert reports.versions()["commit"] == clean
    measured = Report("bench", {})
    (checkout / "local_voice/new.py").write_text("not added yet")
    assert reports.versions()["commit"] == f"{clean}-dirty"
    assert measured.content()["versions"]["commit"] == clean


def test_code_that_is_no_checkout_has_no_commit(checkout, monkeypatch):
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        assert "commit" not in reports.versions()
    copy = checkout / "a copy"
    copy.mkdir()
    monkeypatch.setattr(reports, "ROOT", copy)
    assert "commit" not in reports.versions()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither a settings file nor models, and every model is as it is asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reports, "fingerprint", lambda model: (model, "here"))


LOUD = ["--llm.model=mine", "--stt.model", "whisper-tiny.en", "--server.requests_per_minute", "0"]


def test_a_result_of_a_server_tells_its_models_and_what_is_not_the_default(nowhere, monkeypatch):
    monkeypatch.setenv("LOCAL_VOICE_TTS__THREADS", "3")
    found = reports.of_server("bench", {"turns": 2}, LOUD).content()
    assert {"mine", "whisper-tiny.en", "smart-turn-v3.2", "silero-vad-v6"} <= set(found["models"])
    assert found["configuration"]["turns"] == 2
    assert found["configuration"]["stt.model"] == "whisper-tiny.en"
    assert found["configuration"]["server.requests_per_minute"] == 0
    assert found["configuration"]["tts.threads"] == 3
    assert "tts.model" not in found["configuration"]


def test_a_settings_file_of_the_server_counts_and_its_secrets_are_kept(nowhere, tmp_path):
    (tmp_path / "own.toml").write_text('[llm]\nmodel = "mine"\napi_key = "sesame"\n')
    found = reports.of_server("bench", {}, ["--config", "own.toml", "serve"]).content()
    assert "mine" in found["models"]
    assert found["configuration"]["llm.api_key"] == "(secret)"


def test_scripts_and_distant_models_are_no_models_of_ours(nowhere):
    distant = reports.of_server("bench", {}, ["--llm.url", "http://there/v1"], ["Piper"]).content()
    assert set(distant["models"]) == {"silero-vad-v6", "smart-turn-v3.2", "whisper-base"}
    assert distant["configuration"]["llm.url"] == "http://there/v1"


def test_of_a_server_that_ran_before_only_the_address_is_known(nowhere):
    found = reports.of_server("bench", {}, [], url="http://there").content()
    assert found["models"] == {}
    assert found["configuration"]["server"] == "http://there, its settings and models are not known"


def test_settings_of_the_command_line_reach_the_benchmark(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    chosen = reports.parser("", quick="less").parse_args(["--set", "stt.threads=3", "--quick"])
    assert chosen.quick
    assert reports.settings(chosen).stt.threads == 3
