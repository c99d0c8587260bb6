"""What the doctor says of machines that are well, ill, or not there at all."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_voice import cli, doctor, model_fit, terminal
from local_voice.doctor import GIB, Finding, Gpu
from local_voice.server import Server
from local_voice.settings import LlmSettings, ServerSettings, Settings, SttSettings
from local_voice.settings_sources import load

CPU = Settings()
CUDA = load(None, {}, detect=lambda: "cuda", variables={}, folders=()).settings
REMOTE = Settings(llm=LlmSettings(url="http://gpu2:8000/v1"))
BIG = Gpu("NVIDIA L4", "580.65.06", 23034, 22000)


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 13), "bad"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok"), ((2, 7), "bad")]
)
def test_python(version, status):
    assert doctor.check_python(version).status == status


@pytest.mark.parametrize(
    ("settings", "cuda", "cpu", "status", "says"),
    [
        (CPU, "", "0.32.0", "ok", "0.32.0 for the cpu profile"),
        (CUDA, "0.32.0", "", "ok", "0.32.0 for the cuda profile"),
        (CPU, "", "", "bad", "not installed for the cpu profile"),
        (CUDA, "", "0.32.0", "bad", "the other profile's is"),
        (CPU, "0.32.0", "0.32.0", "bad", "over one another"),
        (REMOTE, "", "", "ok", "http://gpu2:8000/v1"),
    ],
)
def test_the_language_models_engine(settings, cuda, cpu, status, says):
    finding = doctor.check_vllm(settings, cuda, cpu)
    assert finding.status == status
    assert says in finding.found
    assert bool(finding.mend) == (status == "bad")


@pytest.mark.parametrize(
    ("settings", "gpu", "status", "says"),
    [
        (CPU, None, "ok", "none"),
        (CPU, BIG, "warn", "scripts/setup --profile cuda"),
        (CUDA, BIG, "ok", "22000 of 23034 MiB free"),
        (CUDA, None, "bad", "nvidia-smi"),
        (CUDA, Gpu("NVIDIA L4", "550.54", 23034, 22000), "bad", "580 or newer"),
        (CUDA, Gpu("NVIDIA L4", "580.65", 23034, 9000), "bad", "Pass --llm.gpu_memory_fraction 0.34"),
        (Settings(stt=SttSettings(device="cuda")), None, "bad", "nvidia-smi"),
    ],
)
def test_the_gpu(settings, gpu, status, says):
    finding = doctor.check_gpu(settings, gpu)
    assert finding.status == status
    assert says in f"{finding.found} {finding.mend}"


@pytest.mark.parametrize(
    ("name", "total", "free", "status", "says"),
    [
        ("RTX 4060", 8188, 8000, "bad", "Free 6848 MiB on the GPU, or choose a smaller --llm.model"),
        ("RTX 3060", 12288, 11900, "bad", "Free 2948 MiB"),
        ("RTX 4080", 16376, 15500, "ok", ""),
        ("H200 that others use", 143771, 61440, "bad", "--llm.gpu_memory_fraction 0.38"),
    ],
)
def test_a_gpu_must_hold_the_weights_the_cache_and_whisper(name, total, free, status, says):
    finding = doctor.check_gpu(CUDA, Gpu(name, "590.0", total, free), weights=8 * GIB)
    assert (finding.status, says in finding.mend) == (status, True)


def test_the_size_of_the_language_model_is_known_before_it_is_pulled(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_VOICE_MODELS", str(tmp_path))
    assert doctor.llm_weights(CPU) > GIB // 2
    assert doctor.llm_weights(CUDA) == 0  # only the hub knows
    assert doctor.llm_weights(REMOTE) == 0


@pytest.mark.parametrize(
    ("answer", "gpu"),
    [
        ("NVIDIA L4, 580.65.06, 23034, 22000\nNVIDIA L4, 580.65.06, 23034, 1\n", BIG),
        ("No devices were found\n", None),
        ("", None),
        ("NVIDIA L4, 580.65.06, [N/A], 22000\n", None),
    ],
)
def test_what_nvidia_smi_says_is_read(monkeypatch, answer, gpu):
    done = subprocess.CompletedProcess([], 0, stdout=answer)
    monkeypatch.setattr(doctor.subprocess, "run", lambda *arguments, **options: done)
    assert doctor.read_gpu() == gpu


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), subprocess.TimeoutExpired("nvidia-smi", 1), subprocess.CalledProcessError(9, "")],
)
def test_an_nvidia_smi_that_fails_is_no_gpu(monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(doctor.subprocess, "run", fail)
    assert doctor.read_gpu() is None


@pytest.mark.parametrize(
    ("settings", "available", "status"),
    [(CPU, 8 * GIB, "ok"), (CPU, 2 * GIB, "bad"), (REMOTE, 2 * GIB, "ok"), (REMOTE, GIB // 2, "bad")],
)
def test_memory(settings, available, status):
    assert doctor.check_memory(settings, available).status == status


def test_the_memory_of_this_machine_is_a_plausible_number():
    assert 2**20 < doctor.available_memory() < 2**50


@pytest.mark.parametrize(
    ("limit", "left"), [(3 * 2**20, 2**20 + 2**19), ("max", None), ("junk", None), (2**60, None)]
)
def test_a_containers_limit_counts_but_not_what_can_make_way(monkeypatch, tmp_path, limit, left):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{2 * 2**20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\nactive_file {2**19}\ninactive_file 0\n")
    monkeypatch.setattr(model_fit, "MEMORY_GROUP", tmp_path)
    free = model_fit.available_memory()
    assert free == left if left else 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("missing", "free", "status"), [(0, 10 * GIB, "ok"), (0, GIB // 2, "warn"), (2 * GIB, 3 * GIB, "bad")]
)
def test_disk(missing, free, status):
    finding = doctor.check_disk(Path("/weights"), missing, free)
    assert finding.status == status
    assert "/weights" in finding.found


def test_free_disk_of_a_folder_that_is_still_to_be_made(tmp_path):
    assert doctor.free_disk(tmp_path / "not" / "yet") == pytest.approx(doctor.free_disk(tmp_path), rel=0.1)


def test_missing_models_are_bad_and_come_with_their_pull(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_VOICE_MODELS", str(tmp_path))
    findings = {finding.subject: finding for finding in doctor.check_models(CPU)}
    whisper = findings["model whisper-base"]
    assert (whisper.status, whisper.mend) == ("bad", "local-voice models pull whisper-base")
    assert findings["disk"].found.endswith(str(tmp_path))
    assert len(findings) == 6


def test_a_model_that_another_server_holds_is_not_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_VOICE_MODELS", str(tmp_path))
    assert not any(REMOTE.llm.model in finding.subject for finding in doctor.check_models(REMOTE))


def test_missing_libraries_are_bad_and_come_with_the_package(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(doctor, "cublas12", lambda: None)
    mends = [finding.mend for finding in doctor.check_libraries(CPU)]
    assert mends == ["sudo apt-get install libnuma1", "sudo apt-get install util-linux"]
    findings = doctor.check_libraries(CUDA)
    assert {finding.status for finding in findings if "headers" not in finding.subject} == {"bad"}
    assert findings[-1].subject == "libcublas.so.12"
    assert doctor.check_libraries(REMOTE) == []


def test_headers_are_those_of_the_python_that_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    (finding,) = (found for found in doctor.check_libraries(CUDA) if "headers" in found.subject)
    version = ".".join(map(str, sys.version_info[:2]))
    assert (finding.status, finding.mend) == ("bad", f"sudo apt-get install python{version}-dev")


def test_cublas_is_found_beside_the_other_packages(monkeypatch, tmp_path):
    library = tmp_path / "nvidia/cublas/lib/libcublas.so.12"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor.cublas12() == library


def test_without_portaudio_only_the_microphone_is_lost(monkeypatch):
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda name: None)
    (finding,) = doctor.check_sound()
    assert (finding.status, finding.mend) == ("warn", "sudo apt-get install libportaudio2")


@pytest.mark.parametrize(
    ("microphones", "loudspeakers", "status"), [(1, 2, "ok"), (0, 1, "warn"), (1, 0, "warn")]
)
def test_sound_devices(microphones, loudspeakers, status):
    assert doctor.check_devices(microphones, loudspeakers).status == status


def test_a_free_port_is_ok_and_a_taken_one_is_bad(monkeypatch):
    monkeypatch.setattr(doctor, "ANSWER_SECONDS", 0.05)
    assert doctor.check_port("127.0.0.1", 0).status == "ok"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # Nobody answers there, so the question whether it is ours runs into its time limit.
        finding = doctor.check_port("127.0.0.1", port)
    assert finding.status == "bad"
    assert f"sport = :{port}" in finding.mend
    assert doctor.check_port("127.0.0.1", port).status == "ok"


def test_a_host_that_is_not_this_machine_is_bad(monkeypatch):
    assert "no address of this machine" in doctor.check_port("192.0.2.77", 8765).found

    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(doctor.socket, "getaddrinfo", unknown)
    assert doctor.check_port("no.such.host.invalid", 8765).status == "bad"


@pytest.mark.doors
@pytest.mark.parametrize(("tls", "scheme"), [("off", "http"), ("self-signed", "https")])
async def test_a_port_on_which_we_already_serve_is_only_a_warning(tls, scheme, monkeypatch, tmp_path):
    monkeypatch.setattr("local_voice.certificates.user_data_path", lambda name: tmp_path)
    settings = ServerSettings(port=0, tls=tls)
    async with Server(lambda transport: asyncio.sleep(0), lambda: "loading", settings) as server:
        finding = await asyncio.to_thread(doctor.check_port, "127.0.0.1", server.port)
        assert (finding.status, finding.found) == ("warn", "local-voice is already serving there")
        assert finding.mend == f"Open {scheme}://127.0.0.1:{server.port}/"


@pytest.mark.parametrize(("found", "status"), [(["192.0.2.2"], "ok"), ([], "warn")])
def test_addresses(found, status):
    assert doctor.check_addresses(found).status == status


@pytest.mark.parametrize(
    ("states", "worst"),
    [(["ok", "ok"], "ok"), (["ok", "warn"], "warn"), (["warn", "bad", "ok"], "bad"), ([], "ok")],
)
def test_the_worst_finding_counts(states, worst):
    assert doctor.worst(Finding("", state, "") for state in states) == worst


@pytest.fixture
def patient(monkeypatch, tmp_path):
    """The command with its findings replaced; returns the list to fill."""
    findings: list[Finding] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(cli, "examine", lambda settings: findings)
    monkeypatch.setattr(cli, "_go_offline", lambda: None)
    monkeypatch.setattr(terminal, "set_up_logging", lambda verbose, **_: None)
    return findings


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("bad", 1)])
def test_the_command_ends_with_1_only_when_something_is_bad(patient, capsys, status, code):
    patient += [
        Finding("Python", "ok", "3.12.1"),
        Finding("disk [1]", status, "full", "tidy up" if code else ""),
    ]
    assert cli.main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert "ok    Python: 3.12.1" in shown
    assert "disk [1]: full" in shown
    assert ("tidy up" in shown) == bool(code)


def test_the_command_prints_json(patient, capsys):
    patient.append(Finding("port 8765", "bad", "taken", "stop it"))
    assert cli.main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"subject": "port 8765", "status": "bad", "found": "taken", "mend": "stop it"}
    ]


@pytest.mark.doors
def test_this_machine_is_examined_without_an_exception(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_VOICE_MODELS", str(tmp_path))
    findings = doctor.examine(CPU)
    assert all(finding.subject and finding.found for finding in findings)
    assert all(finding.mend for finding in findings if finding.status != "ok")
    assert len({finding.subject for finding in findings}) == len(findings)
