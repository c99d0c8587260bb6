"""What the process must be told before the first engine library is imported.

Everything runs with the network cut: the hub libraries are told so, usage statistics are off, and what vLLM
opens for its own processes stays on this machine. This room sets environment variables and looks for a GPU;
it must not import anything that reads them.
"""

from __future__ import annotations

import ctypes
import os
import sys

from local_voice.settings import Profile

OFFLINE = {
    # The hub client and transformers: never ask the hub for a newer file.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DISABLE_TELEMETRY": "1",
    # vLLM posts a usage report at every start unless one of these is set.
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""No call home. Set whatever the user's environment says."""

ON_THIS_MACHINE = {
    # vLLM 0.32 asks the routing table for its address otherwise, and takes 0.0.0.0 where there is no network.
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOOPBACK_IP": "127.0.0.1",
    # gloo and NCCL connect the workers; without a name they listen on the address that the host's name has.
    "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}
"""Nothing listens on other interfaces. Set whatever the user's environment says."""

HABITS = {
    # The engine core must not inherit our threads, locks or CUDA state.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # The tokenizers' thread pool deadlocks after a fork, and one prompt has nothing to share out.
    "TOKENIZERS_PARALLELISM": "false",
    # Logging is ours.
    "VLLM_CONFIGURE_LOGGING": "0",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""Good defaults, which the user's environment may overrule."""


def go_offline() -> None:
    """Prepare this process and its children for a life without network. Call before importing an engine.

    Raises `RuntimeError` where a library that reads these variables at import is already here.
    """
    late = [name for name in ("huggingface_hub", "transformers", "vllm") if name in sys.modules]
    if late and any(os.environ.get(name) != value for name, value in OFFLINE.items()):
        raise RuntimeError(f"go_offline() has to be called before {late[0]} is imported")
    os.environ.update(OFFLINE)
    os.environ.update(ON_THIS_MACHINE)
    for name, value in HABITS.items():
        os.environ.setdefault(name, value)


def detect_profile() -> Profile:
    """`cuda` where the NVIDIA driver is loaded and shows at least one GPU, else `cpu`.

    Asks the driver's own library, which is there in containers that have no nvidia-smi, in a few milliseconds
    and without creating a CUDA context. `CUDA_VISIBLE_DEVICES` is respected.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cpu"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "cpu"
    return "cuda" if count.value > 0 else "cpu"
