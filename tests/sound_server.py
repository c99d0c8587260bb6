"""A PulseAudio of our own with two made-up devices, for programs that want a microphone and a loudspeaker.

What is played into `world` is what the microphone hears; what the program plays arrives in `speaker`.
PortAudio on Debian knows ALSA alone, so ALSA's `default` is led to this PulseAudio. Needs the packages
pulseaudio, pulseaudio-utils, libasound2-plugins and libportaudio2.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

RATE = 48_000
ALSA_CONFIG = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
START_SECONDS = 10.0


class Recorded:
    """Samples that were played, shape `(n,)` at `RATE`; there once the recording is over."""

    samples: np.ndarray


class SoundServer:
    """A context manager; nothing of it outlives the block."""

    def __init__(self) -> None:
        # Not pytest's folder: a socket's path may have 107 characters at most.
        self._folder = Path(tempfile.mkdtemp(prefix="sound-"))
        self._socket = self._folder / "native"
        self._server: subprocess.Popen[bytes]
        self._children: list[subprocess.Popen[bytes]] = []
        (self._folder / "alsa.conf").write_text(ALSA_CONFIG)
        self.environment = {
            **os.environ,
            "PULSE_SERVER": f"unix:{self._socket}",
            "ALSA_CONFIG_PATH": str(self._folder / "alsa.conf"),
            "PULSE_RUNTIME_PATH": str(self._folder),
            "XDG_CONFIG_HOME": str(self._folder),
        }
        """Give this to the program."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.kill()
            child.wait()
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Plug the devices in."""
        # norewinds: else a null sink renders 2 s ahead and a new stream is silent for as long.
        sinks = (
            f"module-null-sink sink_name={name} rate={RATE} channels=1 norewinds=1"
            for name in ("world", "speaker")
        )
        modules = (f"module-native-protocol-unix socket={self._socket} auth-anonymous=1", *sinks)
        with (self._folder / "log").open("ab") as output:
            self._server = subprocess.Popen(
                [
                    *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                    *("--disable-shm=yes", "--log-target=stderr"),
                    *(part for module in modules for part in ("-L", module)),
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._control("set-default-source", "world.monitor").returncode:
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PulseAudio does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)
        self._control("set-default-sink", "speaker").check_returncode()

    def stop(self) -> None:
        """Unplug the devices."""
        if hasattr(self, "_server"):
            self._server.kill()
            self._server.wait()
        self._socket.unlink(missing_ok=True)

    def feed_back(self) -> None:
        """From now on the microphone hears the loudspeaker, and nothing of the world."""
        # Not module-loopback: it changes its rate all the time, which no room does.
        self._control("set-default-source", "speaker.monitor").check_returncode()

    def say(self, samples: np.ndarray, rate: int = RATE) -> float:
        """Begin to play into the microphone; how long it will take, in seconds."""
        path = self._folder / f"said-{len(self._children)}.wav"
        soundfile.write(path, samples, rate)
        command = ["paplay", "--device=world", "--latency-msec=200", str(path)]
        self._children.append(subprocess.Popen(command, env=self.environment))
        return len(samples) / rate

    @contextmanager
    def listen(self) -> Iterator[Recorded]:
        """Record what the program plays during the block."""
        path = self._folder / f"heard-{len(self._children)}.wav"
        command = ["parecord", "--device=speaker.monitor", f"--rate={RATE}", "--channels=1"]
        command += ["--format=s16le", "--file-format=wav", "--latency-msec=20", str(path)]
        recorder = subprocess.Popen(command, env=self.environment)
        self._children.append(recorder)
        deadline = time.monotonic() + START_SECONDS
        while not (path.is_file() and path.stat().st_size > 1000):
            if time.monotonic() > deadline:
                raise RuntimeError("parecord records nothing")
            time.sleep(0.02)
        recorded = Recorded()
        yield recorded
        recorder.send_signal(signal.SIGINT)
        recorder.wait(START_SECONDS)
        samples, _ = soundfile.read(path, dtype="float32")
        recorded.samples = samples

    def _control(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", *command], env=self.environment, capture_output=True, timeout=START_SECONDS
        )
