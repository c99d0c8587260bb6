"""The command line: what it understands, what it prints, and how it ends."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from local_voice import cli, terminal
from local_voice.ask import Answer
from local_voice.audio import write_wav
from local_voice.stages import StartupError
from local_voice.terminal import PullProgress, StartProgress
from local_voice.trace import numbered

COMMANDS = ("serve", "talk", "ask", "models", "settings", "doctor", "replay", "hide-words", "devices")


@pytest.fixture(autouse=True)
def nothing_global(monkeypatch, tmp_path):
    """Each test runs in an empty folder, with no settings of its surroundings and the process left alone."""
    for name in [name for name in os.environ if name.startswith("LOCAL_VOICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCAL_VOICE_MODELS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "set_up_logging", lambda verbose, **_: None)
    monkeypatch.setattr(cli, "_go_offline", lambda: None)


@pytest.fixture
def question(tmp_path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, [np.zeros(1600, np.float32)], 16_000)
    return path


class FakeAssistant:
    """Loads nothing; remembers with what it was built."""

    built: "list[FakeAssistant]" = []  # noqa: RUF012

    def __init__(self, settings, *, progress):
        self.settings, self.progress, self.left = settings, progress, False
        FakeAssistant.built.append(self)

    async def __aenter__(self):
        self.progress("voice", None)
        self.progress("voice", 0.5)
        return self

    async def __aexit__(self, *error):
        self.left = True

    def waiting(self):
        return {}


@pytest.fixture
def built(monkeypatch) -> list[FakeAssistant]:
    monkeypatch.setattr("local_voice.assistant.Assistant", FakeAssistant)
    monkeypatch.setattr("local_voice.serving.Assistant", FakeAssistant)
    monkeypatch.setattr(FakeAssistant, "built", [])
    return FakeAssistant.built


def answering(monkeypatch, *answers: Answer) -> dict[str, object]:
    """Replace the conversation over files; returns what it was asked with."""
    asked: dict[str, object] = {}

    async def ask(assistant, files, *, out, trace):
        asked.update(settings=assistant.settings, files=list(files), out=out, trace=trace)
        return list(answers)

    monkeypatch.setattr("local_voice.ask.ask", ask)
    return asked


def run_in_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_voice", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_not_every_setting(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: local-voice ")
    assert all(f"\n  {command} " in shown for command in COMMANDS)
    assert "--turn.pause_seconds" not in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert "Usage: local-voice " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage: local-voice"),
        (["sing"], "No such command 'sing'"),
        (["ask"], "Missing argument 'QUESTION.wav...'"),
        (["settings", "--stt.modle", "x"], "--stt.model"),
        (["serve", "--nonsense"], "No such option"),
    ],
)
def test_what_is_not_understood_ends_with_2(arguments, said, capsys):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err + captured.out


def test_settings_shows_values_units_and_origins_and_no_secret(capsys):
    Path("local-voice.toml").write_text("[turn]\npause_seconds = 0.2\n[llm]\napi_key = 'hunter2'\n")
    assert cli.main(["--stt.language", "de", "settings", "--server.port", "1234"]) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert rows["turn.pause_seconds"][1:3] == ["0.2", "s"]
    assert rows["turn.pause_seconds"][-3:] == ["local-voice.toml", "line", "2"] or "line 2" in shown
    assert rows["stt.language"][1:] == ["de", "flag", "--stt.language"]
    assert rows["server.port"][1:] == ["1234", "TCP", "port", "flag", "--server.port"]
    assert rows["stt.threads"][-1] == "default"
    assert rows["llm.api_key"][1] == "(set)"
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stt.device", "gpu", "settings"], "flag --stt.device: stt.device can't be 'gpu'"),
        (["--config", "gone.toml", "settings"], "There is no settings file gone.toml"),
        (["ask", "gone.wav"], "gone.wav"),
        (["replay", "gone.jsonl"], "gone.jsonl"),
        (["hide-words", "gone.jsonl", "out.jsonl"], "gone.jsonl"),
        (["hide-words", "gone.jsonl", "gone/out.jsonl"], "There is no folder"),
        (["--trace", "gone/trace.jsonl", "settings"], "There is no folder"),
        (["--trace", ".", "settings"], "is a folder"),
    ],
)
def test_a_known_error_is_one_sentence_and_ends_with_1(arguments, said, capsys):
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("Error: ")
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_a_folder_for_a_file_is_said_before_anything_is_asked(built, question, capsys):
    assert cli.main(["ask", str(question), "--out", str(question.parent)]) == 1
    assert "is a folder" in capsys.readouterr().err


def test_a_command_that_mends_is_one_that_can_be_typed(monkeypatch):
    sentence = "The model x is damaged: run `local-voice models pull x`. A server is local-voice serve."
    monkeypatch.setattr(sys, "argv", ["/a b/.venv/bin/local-voice"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    program = "'/a b/.venv/bin/local-voice'"
    assert terminal.runnable(sentence) == sentence.replace("local-voice", program)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/local-voice")
    assert terminal.runnable(sentence) == sentence


def test_ask_prints_what_was_heard_and_answered_and_the_times(monkeypatch, capsys, built, question):
    asked = answering(monkeypatch, Answer(question, "What is it?", "It is a test.", {"first sound": 0.8123}))
    arguments = ["--trace", "t.jsonl", "ask", str(question), "--out", "r.wav", "--llm.temperature", "0"]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "heard:    What is it?" in shown
    assert "answered: It is a test." in shown
    assert "first sound 0.81 s" in shown
    assert asked["files"] == [question]
    assert (asked["out"], asked["trace"]) == (Path("r.wav"), Path("t.jsonl"))
    assert asked["settings"].llm.temperature == 0
    assert built[0].left


def test_ask_as_json_is_one_object_and_nothing_else(monkeypatch, capsys, built, question):
    answering(monkeypatch, Answer(question, "Hé?", "Yes.", {"first sound": 0.5}))
    assert cli.main(["ask", "--json", str(question)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert said["answers"][0] == {
        "question": str(question),
        "heard": "Hé?",
        "answered": "Yes.",
        "seconds": {"first sound": 0.5},
        "problem": "",
        "ok": True,
    }


def test_ask_without_an_answer_ends_with_1_and_says_why(monkeypatch, capsys, built, question):
    answering(
        monkeypatch,
        Answer(question, "One?", "One."),
        Answer(question, problem="no speech was recognised in it"),
    )
    assert cli.main(["ask", str(question), str(question)]) == 1
    assert "problem:  no speech was recognised in it" in capsys.readouterr().out


def test_a_bad_question_is_said_before_anything_is_loaded(monkeypatch, capsys, built, question):
    answering(monkeypatch)
    Path("empty.wav").write_bytes(b"")
    assert cli.main(["ask", str(question), "empty.wav"]) == 1
    assert "empty.wav" in capsys.readouterr().err
    assert cli.main(["ask", str(question), "--out", "nowhere/reply.wav"]) == 1
    assert "There is no folder" in capsys.readouterr().err
    assert built == []


def test_errors_of_parallel_loading_are_each_said_once(monkeypatch, capsys, built, question):
    async def fail(self):
        errors = [
            StartupError("No voice: pull it."),
            StartupError("No voice: pull it."),
            StartupError("No ears."),
        ]
        raise ExceptionGroup("loading", errors)

    monkeypatch.setattr(FakeAssistant, "__aenter__", fail)
    assert cli.main(["ask", str(question)]) == 1
    assert capsys.readouterr().err.splitlines() == ["Error: No voice: pull it.", "Error: No ears."]


def test_an_error_that_nobody_foresaw_keeps_its_traceback(monkeypatch, built, question):
    async def fail(self):
        raise ExceptionGroup("loading", [StartupError("known"), KeyError("a bug")])

    monkeypatch.setattr(FakeAssistant, "__aenter__", fail)
    with pytest.raises(ExceptionGroup):
        cli.main(["ask", str(question)])


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_ends_with_130_and_no_traceback(monkeypatch, capsys, raised):
    def stop(context):
        raise raised

    monkeypatch.setattr(cli.Context, "load", stop)
    assert cli.main(["settings"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_ctrl_c_that_a_library_turned_into_another_error_still_ends_with_130(monkeypatch):
    def stop(context):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy failed to import") from error

    monkeypatch.setattr(cli.Context, "load", stop)
    assert cli.main(["settings"]) == 130


@pytest.fixture
def usual_signals():
    """As in a terminal, also where the tests run in a background in which Ctrl-C is switched off."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield usual
    assert {number: signal.getsignal(number) for number in usual} == usual
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_lets_the_work_clean_up(monkeypatch, usual_signals, built, question, number, code):
    async def listen(assistant, files, *, out, trace):
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        await asyncio.Event().wait()

    monkeypatch.setattr("local_voice.ask.ask", listen)
    assert cli.main(["ask", str(question)]) == code
    assert built[0].left


def test_a_second_ctrl_c_does_not_wait_for_the_cleaning():
    code = """
import asyncio, os, signal, time
from local_voice import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
async def stubborn():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(50)
cli.run(stubborn())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stderr) == (130, "Stopping; a second time: at once\n")


def test_ctrl_c_while_the_program_is_being_loaded_is_quiet():
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "rich.console":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from local_voice.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "", "")


class FakeServer:
    """Stops the program as soon as the engines are there."""

    calls: list[str] = []  # noqa: RUF012

    def __init__(self, converse, warming, settings, metrics, waiting, canary):
        assert waiting() == {}
        self.settings, self.warming, self.url = settings, warming, f"http://localhost:{settings.port}/"
        self.invitation, self.fingerprint = f"{self.url}#token=abc", ""
        FakeServer.calls = []

    async def __aenter__(self):
        if self.settings.port == 1:
            raise StartupError("Port 1 is taken: choose another with --port.")
        assert self.warming()
        return self

    async def __aexit__(self, *error):
        assert not self.warming()
        FakeServer.calls.append("left")

    async def drain(self):
        FakeServer.calls.append("drained")


def test_serve_says_where_and_stops_cleanly(monkeypatch, usual_signals, capsys, built):
    async def enter(self):
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
        return self

    monkeypatch.setattr("local_voice.serving.Server", FakeServer)
    monkeypatch.setattr(FakeAssistant, "__aenter__", enter)
    assert cli.main(["serve", "--port", "1234"]) == 143
    assert "open http://localhost:1234/#token=abc and talk" in capsys.readouterr().out
    assert FakeServer.calls == ["drained", "left"]
    assert built[0].left


def test_the_token_is_no_flag_since_everybody_can_read_a_command_line(capsys):
    assert cli.main(["settings", "--server.token", "0123456789abcdef"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_a_token_is_never_shown(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_VOICE_SERVER__TOKEN", "0123456789abcdef")
    assert cli.main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "0123456789abcdef" not in shown
    assert "(set)" in next(line for line in shown.splitlines() if "server.token " in line)


def test_a_port_in_use_is_said_before_anything_is_loaded(monkeypatch, capsys, built):
    loaded = []
    monkeypatch.setattr("local_voice.serving.Server", FakeServer)
    monkeypatch.setattr(FakeAssistant, "__aenter__", lambda self: loaded.append(self))
    assert cli.main(["serve", "--port", "1"]) == 1
    assert "Port 1 is taken" in capsys.readouterr().err
    assert loaded == []


def test_each_conversation_of_a_server_has_a_trace_of_its_own():
    names = numbered(Path("folder/talk.jsonl"))
    assert [next(names) for _ in range(3)] == [
        Path("folder/talk.jsonl"),
        Path("folder/talk-2.jsonl"),
        Path("folder/talk-3.jsonl"),
    ]
    assert next(numbered(None)) is None


def test_models_list_names_roles_and_the_folder(capsys, tmp_path):
    assert cli.main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert "whisper-base" in shown
    assert "silero-vad-v6" in shown
    assert str(tmp_path / "weights") in shown


def test_models_pull_without_names_takes_what_the_settings_miss(monkeypatch, tmp_path):
    pulled = []
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("local_voice.model_store.ModelStore.pull", lambda self, name: pulled.append(name))
    assert cli.main(["models", "pull", "--stt.model", str(own), "--llm.url", "http://gpu2:8000/v1"]) == 0
    assert pulled == ["silero-vad-v6", "smart-turn-v3.2", "piper-en_US-joe-medium"]


def test_models_pull_with_names_takes_those(monkeypatch):
    pulled = []
    monkeypatch.setattr("local_voice.model_store.ModelStore.pull", lambda self, name: pulled.append(name))
    assert cli.main(["models", "pull", "whisper-base", "whisper-tiny.en"]) == 0
    assert pulled == ["whisper-base", "whisper-tiny.en"]


def test_models_verify_says_what_is_missing(capsys):
    assert cli.main(["models", "verify", "whisper-base"]) == 1
    assert "local-voice models pull whisper-base" in capsys.readouterr().err


def test_start_progress_says_what_is_loading_and_when_it_is_over(capsys):
    with StartProgress() as progress:
        assert progress.warming() == "warming up"
        progress("language model", None)
        progress("voice", None)
        assert progress.warming() == "loading the language model and the voice"
        progress("language model", 12.34)
        assert progress.warming() == "loading the voice"
        progress("voice", 1.0)
        assert progress.finish() >= 0
        assert progress.warming() == ""
    assert "Loaded the language model in 12.3 s" in capsys.readouterr().err


def test_pull_progress_in_a_log_is_a_line_for_each_tenth_of_large_files_only(capsys):
    with PullProgress() as progress:
        for done in range(0, 100_000_001, 1_000_000):
            progress.step("model.bin", done, 100_000_000)
        progress.step("config.json", 10, 10)
        progress.say("[whisper] is installed.")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "model.bin: 10 of 100 MB"
    assert lines[-1] == "[whisper] is installed."


def test_the_module_runs_as_a_program():
    done = run_in_process("--version")
    assert done.returncode == 0
    assert "0." in done.stdout


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m local_voice settings | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_help_and_settings_load_no_heavy_library():
    heavy = ["torch", "vllm", "transformers", "faster_whisper", "aiortc", "av", "onnxruntime", "piper"]
    code = (
        "import sys; from local_voice import cli; code = cli.main(['settings']); "
        f"print([name for name in {heavy} if name in sys.modules], code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"
