"""What `packaging/` names exists: paths, commands, flags, settings. No container engine is needed."""

import asyncio
import re
import shlex
import shutil
import signal
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
import yaml

from local_voice.cli import app
from local_voice.server import Server
from local_voice.settings import ServerSettings, Settings
from local_voice.settings_sources import NOT_SETTINGS, PREFIX

ROOT = Path(__file__).parent.parent
PACKAGING = ROOT / "packaging"
CONTAINERFILES = [PACKAGING / "Containerfile", PACKAGING / "Containerfile.cuda"]
UNIT = PACKAGING / "local-voice.service"


def instructions(path: Path) -> list[tuple[str, str]]:
    """(INSTRUCTION, its arguments), continued lines joined, comments left out."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(first, rest) for first, _, rest in (line.partition(" ") for line in joined) if first]


def known(words: list[str]) -> None:
    """`local-voice WORDS` is understood."""
    context = click.Context(app)
    command: click.Command = app
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            assert any(name in option.opts for option in command.params), f"{name} in {words}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"{word} in {words}"
            command = found


def settings_variable(name: str) -> None:
    """`LOCAL_VOICE_GROUP__FIELD` is a setting."""
    if name in NOT_SETTINGS:
        return
    group, _, field = name.removeprefix(PREFIX).lower().partition("__")
    assert field in type(getattr(Settings(), group)).model_fields, name


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_everything_that_is_copied_and_run_is_there(path):
    steps = instructions(path)
    copied = [source for kind, rest in steps if kind == "COPY" for source in rest.split()[:-1]]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not set(copied) & set(ignored)
    scripts = re.findall(r"scripts/\w+", path.read_text())
    assert "scripts/setup" in scripts
    assert all((ROOT / script).is_file() for script in scripts)
    (command,) = (rest for kind, rest in steps if kind == "CMD")
    known(yaml.safe_load(command))
    for name in re.findall(rf"{PREFIX}\w+", path.read_text()):
        settings_variable(name)


def test_the_flags_of_setup_are_its_own():
    told = subprocess.run([ROOT / "scripts" / "setup", "--help"], capture_output=True, text=True, check=True)
    for path in [*CONTAINERFILES, PACKAGING / "README.md"]:
        for line in re.findall(r"scripts/setup(.*)", path.read_text()):
            for flag in re.findall(r"--[\w-]+", line):
                assert flag in told.stdout, flag


def test_the_two_images_differ_only_in_what_a_gpu_needs():
    cpu, cuda = (dict.fromkeys(instructions(path)) for path in CONTAINERFILES)
    differing = {kind for kind, _ in set(cpu) ^ set(cuda)}
    assert differing == {"RUN", "ENV"}


def test_the_compose_file_has_a_service_for_each_image():
    compose = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
    assert set(compose["services"]) == {"local-voice", "local-voice-cuda"}
    for service in compose["services"].values():
        assert (PACKAGING / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()
        assert service["network_mode"] == "host"
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in compose["volumes"]
        for name in service["environment"]:
            settings_variable(name)
    reserved = compose["services"]["local-voice-cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert reserved[0]["driver"] == "nvidia"
    grace = float(compose["services"]["local-voice"]["stop_grace_period"].removesuffix("s"))
    assert grace > ServerSettings().drain_seconds


def test_the_commands_in_the_readme_and_the_unit_are_understood():
    texts = [path.read_text("utf-8") for path in (PACKAGING / "README.md", UNIT, PACKAGING / "compose.yaml")]
    commands = [
        found.group(1) for text in texts for found in re.finditer(r"(?:bin/|`)local-voice ([^`\n]+)", text)
    ]
    assert len(commands) >= 4
    for command in commands:
        known(shlex.split(command))


def test_the_unit_starts_our_program_and_waits_long_enough_for_its_end():
    text = UNIT.read_text()
    assert "Type=notify" in text
    stop = float(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])
    assert stop > ServerSettings().drain_seconds
    assert f"SuccessExitStatus={128 + signal.SIGTERM}\n" in text, "or each stop is a failure to systemd"
    for name in re.findall(rf"{PREFIX}\w+", text):
        settings_variable(name)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    program = f'"{sys.executable}"'  # its folder's name may hold a space
    unit.write_text(UNIT.read_text().replace("/opt/local-voice/.venv/bin/local-voice", program))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.doors
async def test_the_health_check_of_the_images_knows_a_living_server_from_none(monkeypatch, tmp_path):
    for proxy in ("http_proxy", "https_proxy"):  # as Docker sets them in every container behind one
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.setattr("local_voice.certificates.user_data_path", lambda name: tmp_path)

    async def healthy(port: int) -> int | None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, ROOT / "scripts" / "healthy", str(port), stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()

    for tls in ("off", "self-signed"):
        async with Server(
            lambda transport: asyncio.sleep(0), lambda: "loading", ServerSettings(port=0, tls=tls)
        ) as server:
            assert await healthy(server.port) == 0
    assert await healthy(server.port) == 1


def test_the_drop_in_for_a_gpu_names_its_devices_as_the_driver_does():
    """Since driver 550; older ones said nvidia-frontend."""
    allowed = re.findall(r"^DeviceAllow=char-(\S+) rw$", (PACKAGING / "README.md").read_text(), re.MULTILINE)
    for name in ("nvidia", "nvidiactl", "nvidia-uvm"):
        assert any(fnmatch(name, pattern) for pattern in allowed), name
