"""Child processes that end with us, and print where we say."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local_voice import lifeline
from local_voice.lifeline import Family, Lifeline, children


def test_a_lifeline_does_nothing_in_the_process_that_made_it(tmp_path: Path) -> None:
    again = pickle.loads(pickle.dumps(Lifeline(tmp_path / "log")))
    assert isinstance(again, Lifeline)
    assert "lifeline" not in {thread.name for thread in threading.enumerate()}


GRANDCHILD = """
import pickle, sys, time
pickle.loads(bytes.fromhex(sys.argv[1]))
print("quiet")
sys.stdout.flush()
time.sleep(600)
"""
CHILD = """
import pathlib, pickle, subprocess, sys, time
from local_voice.lifeline import Lifeline
lifeline = pickle.dumps(Lifeline(pathlib.Path(sys.argv[1]))).hex()
middle = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
subprocess.Popen([sys.executable, "-c", middle, "-c", sys.argv[2], lifeline])
time.sleep(600)
"""


def _wait(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("victim", [0, 1])
def test_a_tied_process_is_quiet_and_ends_with_its_maker_and_with_its_parent(
    tmp_path: Path, victim: int
) -> None:
    log = tmp_path / "log"
    maker = subprocess.Popen([sys.executable, "-c", CHILD, str(log), GRANDCHILD], stdout=subprocess.PIPE)
    try:
        _wait(lambda: log.exists() and log.read_text() == "quiet\n")
        (middle,) = children(maker.pid)
        (tied,) = children(middle)
        os.kill((maker.pid, middle)[victim], signal.SIGKILL)
        _wait(lambda: not _alive(tied))
    finally:
        for pid in children(maker.pid):
            os.kill(pid, signal.SIGKILL)
        maker.kill()
        if _alive(middle):
            os.kill(middle, signal.SIGKILL)
        assert maker.communicate()[0] == b""


def test_a_family_is_ended_whole_even_when_it_is_stopped() -> None:
    middle = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    parent = subprocess.Popen([sys.executable, "-c", middle])
    _wait(lambda: len(children(parent.pid)) == 1)
    (child,) = children(parent.pid)
    family = Family([parent.pid])
    os.kill(child, signal.SIGSTOP)
    family.end()
    assert not _alive(parent.pid)  # a zombie, since nobody has waited for it
    assert not _alive(child)
    family.end()
    assert parent.wait(10) == -signal.SIGKILL
    Family([child]).end()  # gone already


def test_a_family_has_given_its_memory_back_when_it_is_ended() -> None:
    hoarder = "held = bytearray(b'x') * (1 << 28); print(len(held), flush=True); import time; time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", hoarder], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"268435456\n"
    family = Family([child.pid])
    family.end()
    status = Path(f"/proc/{child.pid}/status").read_text()
    assert "State:\tZ" in status
    assert "VmRSS" not in status
    child.communicate()


def test_a_process_that_outlives_its_end_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    family = Family([child.pid])
    monkeypatch.setattr(lifeline, "END_SECONDS", 0.05)
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: None)  # as one stuck in the kernel
    try:
        family.end()
        assert _alive(child.pid)
        assert [record.getMessage() for record in caplog.records] == [
            f"process {child.pid} is still there 0.05 s after it was killed"
        ]
        family.end()  # no longer our matter
    finally:
        child.kill()
        child.wait(10)
