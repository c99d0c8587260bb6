"""The cores on which vLLM's model computes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm")

pytestmark = pytest.mark.models  # imports the whole of vLLM

BIND = """
import os, sys, threading
cores = [int(core) for core in sys.argv[1:]]
from local_voice.engines.vllm_executor import _threads, bind
import torch
quiet = threading.Event()
threading.Thread(target=quiet.wait, daemon=True).start()
before = _threads()
torch._C.set_num_threads(1)
bind(cores)
new = sorted(_threads() - before)
print(([sorted(os.sched_getaffinity(thread)) for thread in (0, *new)], torch.get_num_threads(),
    [sorted(os.sched_getaffinity(thread)) for thread in sorted(before - {os.getpid()})]))
"""


def bound(*cores: int) -> tuple[list[list[int]], int, list[list[int]]]:
    """Cores of the first thread and of its helpers; how many compute; cores of all other threads."""
    command = [sys.executable, "-W", "ignore", "-c", BIND, *map(str, cores)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said: tuple[list[list[int]], int, list[list[int]]] = ast.literal_eval(done.stdout.splitlines()[-1])
    return said


def test_cores_are_those_that_were_found_or_else_all_that_may_be_used_but_one():
    from local_voice.engines.vllm_executor import chosen_cores

    assert chosen_cores([2], {0, 1, 2, 3}, "2") == [2]
    assert chosen_cores([], {16, 17, 18}, "auto") == [16, 17]
    assert chosen_cores([], {5}, "auto") == [5]
    for threads, found in (("7", [7]), ("nonsense", [])):
        with pytest.raises(ValueError, match=r"choose of \[0, 1\], or auto"):
            chosen_cores(found, {0, 1}, threads)


def test_one_core_holds_the_thread_that_computes_and_no_other():
    every = sorted(os.sched_getaffinity(0))
    computing, threads, others = bound(every[0])
    assert (computing, threads) == ([every[:1]], 1)
    assert others
    assert all(cores == every for cores in others)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_each_helper_has_a_core_of_its_own():
    first, second = sorted(os.sched_getaffinity(0))[:2]
    computing, threads, others = bound(first, second)
    assert (computing, threads) == ([[first, second], [second]], 2)
    assert all(len(cores) >= 2 for cores in others)
