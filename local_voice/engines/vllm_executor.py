"""Where vLLM's model runs on a CPU: in the engine core itself, on cores of its own.

vLLM 0.32 gives the model of a CPU a process beside the engine core that plans its steps. With one model that
only costs: 12 s of the start, and 2 ms of every token, in which the core spins besides. This room names cores
and threads; it must not know what is computed on them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from vllm import envs
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.executor.uniproc_executor import UniProcExecutor

log = logging.getLogger(__name__)


class InsideCore(UniProcExecutor):  # type: ignore[misc]  # vLLM is not typed
    """vLLM finds it by its name."""

    def _init_executor(self) -> None:
        """Raises `ValueError` for cores that are not there, and for none."""
        lists = OMPProcessManager(self.vllm_config).cpu_lists
        self._cores = chosen_cores(
            lists[0] if lists else (), os.sched_getaffinity(0), envs.VLLM_CPU_OMP_THREADS_BIND
        )
        _compute_with(1)  # while it loads: threads made now would start on any core
        super()._init_executor()
        self._bound = False

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        """One step."""
        if not self._bound:
            # Not sooner: threads run where the one that makes them does, and those which carry tokens in and
            # out should run anywhere.
            bind(self._cores)
            self._bound = True
        return super().execute_model(scheduler_output, non_block)


def chosen_cores(found: Sequence[int], here: Collection[int], threads: str) -> list[int]:
    """Those that vLLM has found for `llm.threads`, which is `threads`. Raises `ValueError`.

    `here`: the cores that this process may use.
    """
    if not found and threads == "auto":
        # vLLM looks at the first node's memory alone, and a container may be given another one's cores.
        return sorted(here)[:-1] or sorted(here)
    if not found or not set(found) <= set(here):
        wanted = ", ".join(map(str, found)) or "no cores"
        raise ValueError(f"llm.threads names {wanted}; choose of {sorted(here)}, or auto")
    return list(found)


def bind(cores: Sequence[int]) -> None:
    """Put this thread onto one core, or onto several those with which it computes, one each.

    OpenMP makes its threads at the first sum that needs them; an affinity it takes from the environment
    alone, and that is our own process's too. It may end some and make them anew, with this thread's cores: so
    where there are several this one keeps them all, and finds the first one free.
    """
    before = _threads()
    _compute_with(len(cores))
    torch.ones(1 << 20).add_(1.0)
    helpers = sorted(_threads() - before)
    os.sched_setaffinity(0, cores)
    if len(helpers) != len(cores) - 1:
        log.warning("%d helpers compute beside one thread on %d cores", len(helpers), len(cores))
    for thread, core in zip(helpers, cores[1:], strict=False):
        os.sched_setaffinity(thread, {core})


def _compute_with(threads: int) -> None:
    torch._C.set_num_threads(threads)  # vLLM replaces the one of `torch` by a warning


def _threads() -> set[int]:
    return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}
