"""Where vLLM's model runs on a CPU: in the engine core itself, on cores of its own.

vLLM 0.32 gives the model of a CPU a process beside the engine core that plans its steps. With one model that
only costs: 12 s of the start, and 2 ms of every token, in which the core spins besides. This room names cores
and threads; it must not know what is computed on them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from vllm.utils.ompmultiprocessing import OMPProcessManager
from vllm.v1.executor.uniproc_executor import UniProcExecutor


class InsideCore(UniProcExecutor):  # type: ignore[misc]  # vLLM is not typed
    """vLLM finds it by its name."""

    def _init_executor(self) -> None:
        """Raises `ValueError` for cores that are not there."""
        (self._cores,) = OMPProcessManager(self.vllm_config).cpu_lists or [[]]
        if missing := set(self._cores) - os.sched_getaffinity(0):
            raise ValueError(f"llm.threads names cores that are not there: {sorted(missing)}")
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


def bind(cores: Sequence[int]) -> None:
    """Put this thread onto the first of the cores, and each of those with which it computes onto the next.

    Without any, leave them where they are. OpenMP makes its threads at the first sum that needs them and
    keeps them; an affinity it takes from the environment alone, and that is our own process's too.
    """
    if not cores:
        return
    before = _threads()
    _compute_with(len(cores))
    torch.ones(1 << 20).add_(1.0)
    helpers = sorted(_threads() - before)
    for thread, core in zip([0, *helpers], cores, strict=False):
        os.sched_setaffinity(thread, {core})


def _compute_with(threads: int) -> None:
    torch._C.set_num_threads(threads)  # vLLM replaces the one of `torch` by a warning


def _threads() -> set[int]:
    return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}
