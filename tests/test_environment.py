"""What the process is told before any engine is imported."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_voice import environment


def run(script: str, **variables: str) -> str:
    root = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", script],
        env={
            name: value for name, value in os.environ.items() if name.startswith(("PATH", "VIRTUAL", "HOME"))
        }
        | {"PYTHONPATH": root}
        | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_hub_client_is_offline_and_silent_whatever_the_user_has_set() -> None:
    script = (
        "from local_voice.environment import go_offline; go_offline(); "
        "from huggingface_hub import constants as c; "
        "print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    )
    assert run(script, HF_HUB_OFFLINE="0") == "True True"


def test_a_users_habits_are_kept_and_inherited_by_children() -> None:
    script = (
        "from local_voice.environment import go_offline; go_offline(); import os; "
        "os.system('echo $VLLM_WORKER_MULTIPROC_METHOD $TOKENIZERS_PARALLELISM $VLLM_HOST_IP')"
    )
    assert run(script, TOKENIZERS_PARALLELISM="true", VLLM_HOST_IP="0.0.0.0") == "spawn true 127.0.0.1"


def test_going_offline_too_late_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    for name in ("huggingface_hub", "vllm"):  # other tests may have imported them
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "transformers", object())
    with pytest.raises(RuntimeError, match="before transformers is imported"):
        environment.go_offline()


def test_nothing_is_imported_on_the_way() -> None:
    script = (
        "import sys, local_voice.environment; "
        "engines = {'torch', 'vllm', 'transformers', 'huggingface_hub', 'ctranslate2', 'onnxruntime'}; "
        "print(sorted(engines & set(sys.modules)))"
    )
    assert run(script) == "[]"


class Driver:
    """libcuda with a given answer."""

    def __init__(self, init: int, count: int) -> None:
        self._init, self._count = init, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._count
        return 0


@pytest.mark.parametrize(
    ("driver", "profile"),
    [
        (Driver(0, 2), "cuda"),
        (Driver(0, 0), "cpu"),
        (Driver(100, 0), "cpu"),
        (OSError("no such file"), "cpu"),
    ],
    ids=["two GPUs", "GPUs hidden", "driver says no device", "no driver"],
)
def test_the_profile_follows_the_driver(monkeypatch: pytest.MonkeyPatch, driver: Any, profile: str) -> None:
    def load(name: str) -> Any:
        if isinstance(driver, OSError):
            raise driver
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert environment.detect_profile() == profile
