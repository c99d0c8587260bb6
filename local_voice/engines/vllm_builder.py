"""How vLLM's engine is made and ended: its arguments, its processes, why it did not start.

Both block for seconds, so they have a thread to themselves. This room must not know what is asked of the
engine.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import platform
import re
import signal
import tempfile
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_voice.engines.inside_vllm import (
    allow_small_blocks,
    draw_and_compare,
    know_prompts_to_the_token,
    prefer_compiled_norm,
    prefer_vnni_product,
    share_tokenizers,
)
from local_voice.lifeline import Family, Lifeline
from local_voice.model_fit import GIB
from local_voice.settings import LlmSettings, Profile
from local_voice.stages import StartupError

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

PREFILL_TOKENS: dict[Profile, int] = {"cpu": 128, "cuda": 4096}
"""Prompt tokens computed in one step, which holds up everybody's next token: 512 take 1 s on 2 cores."""
FAIR_TOKENS = 32
"""Of a step, what each prompt gets at least where several are computed; more if there is room."""
IN_ONE_PROCESS = "local_voice.engines.vllm_executor.InsideCore"
"""The executor for a CPU. On one GPU vLLM by itself gives the model no process of its own."""
GUESSES = {
    "method": "custom_class",
    "model": "local_voice.engines.vllm_drafter.PromptLookup",
    "num_speculative_tokens": 3,
}
"""For a CPU. With a GPU vLLM would no longer plan a step while the one before it runs."""
SHUTDOWN_SECONDS = 2.0
"""The engine core may take this long to end by itself."""
EXCEPTION = re.compile(r"\b(?:[A-Z]\w*(?:Error|Exception)): (\S.*)")
"""How Python ends a traceback."""


class VllmBuilder:
    """Makes an engine and ends it, as often as that is needed; one at a time."""

    def __init__(self, model: Path, settings: LlmSettings, profile: Profile) -> None:
        self.engine: AsyncLLM | None = None
        """The one that was made and not ended yet."""
        self.tokenizer: Any = None
        """The engine's, whatever became of it."""
        self.log_file = Path()
        """What the engine's processes say."""
        self._log_begins = 0
        """Bytes of it that engines before this one wrote."""
        self._model = model
        self._settings = settings
        self._profile: Profile = profile
        self._wanted = True
        self._building = False
        self._strangers: set[int | None] = set()
        self._family = Family(())

    def open_log(self) -> None:
        """Make `log_file`, before the first engine."""
        descriptor, name = tempfile.mkstemp(prefix="local-voice-llm-", suffix=".log")
        os.close(descriptor)
        self.log_file = Path(name)

    def build(self) -> None:
        """Make `engine` and `tokenizer`. Raises `StartupError`."""
        self._strangers = {process.pid for process in multiprocessing.active_children()}
        # What engines before this one died of is not its reason.
        self._log_begins = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._building = True
        try:
            # In no local variable: a module that vLLM imports keeps our frames, and them with it, for ever.
            self.engine = self._construct()
        except ImportError as error:
            raise StartupError(f"vLLM can't be imported ({error}); run `scripts/start`.") from error
        except StartupError:
            raise
        except Exception as error:  # vLLM raises bare ValueError, RuntimeError, pydantic's and more
            raise StartupError(self._failure(error)) from error
        finally:
            self._building = False
        from vllm.tokenizers import cached_tokenizer_from_config

        self._family = Family(core.pid for core in self._cores() if core.pid is not None)
        # The one of which vLLM's renderer uses copies on other threads.
        self.tokenizer = cached_tokenizer_from_config(self.engine.model_config)
        if getattr(self.tokenizer, "chat_template", "") is None:
            raise StartupError(
                f"{self._model} has no chat template, so it can't converse; choose an instruct model."
            )

    def end(self) -> None:
        """Stop the engine if there is one, and whatever is left of its processes."""
        engine, self.engine = self.engine, None
        if engine is not None:
            self._family.ask_to_end()  # vLLM's own way ends it after the timeout: 2.4 s instead of 0.6
            engine.shutdown(timeout=SHUTDOWN_SECONDS)
            del engine
            gc.collect()  # it is part of cycles, and would print a traceback when the interpreter ends
        self._family.end()

    def give_up(self) -> None:
        """Build no more, and let a constructor at work fail, by ending what it waits for.

        Called from another thread, again and again, since it may yet start a process.
        """
        self._wanted = False
        if self._building:
            for core in self._cores():
                core.kill()

    def _construct(self) -> AsyncLLM:
        # A core that was killed leaves shared memory, which Python's tracker frees, but not without a word.
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
        # Children inherit this thread's mask: the terminal's Ctrl-C is for us, who end them in order. The
        # tracker goes first, because starting it unblocks the signal again (CPython 3.11 to 3.13).
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        # The lifeline travels by pickle, and a fork would inherit our threads' locks.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
        if self._profile == "cpu":
            os.environ["VLLM_CPU_OMP_THREADS_BIND"] = self._settings.threads
        if not log.isEnabledFor(logging.DEBUG):
            # Each start would warn of what we chose on purpose (eager mode, no Triton), and an engine that
            # ends prints a traceback that says less than our own line. What matters is raised as well.
            logging.getLogger("vllm").setLevel(logging.CRITICAL)
            os.environ.setdefault("TORCH_LOGS", "-torch._library.triton")
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        share_tokenizers()
        if not self._wanted:  # importing takes seconds
            raise StartupError("The language model was not started.")
        arguments = AsyncEngineArgs(**self._arguments())
        if arguments.speculative_config and arguments.create_model_config().is_hybrid:
            # It takes guesses back from a model that keeps a state by a kernel that no CPU has.
            arguments.speculative_config = None
        return AsyncLLM.from_engine_args(arguments)

    def _arguments(self) -> dict[str, Any]:
        settings, cuda = self._settings, self._profile == "cuda"
        return {
            "model": str(self._model),
            "load_format": "safetensors",  # never a pickle
            "trust_remote_code": False,
            "max_model_len": settings.context_tokens,
            "max_num_seqs": settings.max_concurrent,
            "max_num_batched_tokens": max(PREFILL_TOKENS[self._profile], settings.max_concurrent),
            # Else the first prompt takes each step whole until it is done, and the next ones wait.
            "long_prefill_token_threshold": min(FAIR_TOKENS, settings.context_tokens),
            "long_prefill_token_threshold_adaptive": True,
            "enable_prefix_caching": True,
            "block_size": self._block_size(),
            # Explicit, or vLLM measures and takes all it may. The fraction is checked all the same.
            "kv_cache_memory_bytes": int(settings.kv_cache_gib * GIB),
            "gpu_memory_utilization": settings.gpu_memory_fraction,
            "enforce_eager": settings.eager,
            "performance_mode": "interactivity" if cuda else "balanced",
            "disable_log_stats": True,
            "enable_log_requests": False,
            "distributed_executor_backend": None if cuda else IN_ONE_PROCESS,
            "speculative_config": GUESSES if settings.prompt_lookup and not cuda else None,
            "additional_config": Lifeline(self.log_file, None if cuda else _prepare_cpu),
        }

    def _block_size(self) -> int:
        size = self._settings.block_size
        if self._profile == "cpu":
            import torch

            # vLLM's attention takes multiples of 32 alone on ARM, and leaves AMX unused for any other.
            if torch.cpu._is_amx_tile_supported() or platform.machine() == "aarch64":
                return -(-size // 32) * 32
        return size

    def _failure(self, error: Exception) -> str:
        """A sentence with the innermost reason: from the child's log if it has one, else the exception."""
        said = b""
        with contextlib.suppress(OSError):  # who tidies /tmp takes it
            said = self.log_file.read_bytes()[self._log_begins :]
        reasons = EXCEPTION.findall(said.decode(errors="replace"))
        reason = reasons[0].rstrip(".") if reasons else first_line(error)
        hint = ""
        if re.search(r"memory|KV cache", reason, re.IGNORECASE):
            hint = " Free memory, or lower llm.kv_cache_gib, llm.context_tokens or llm.gpu_memory_fraction."
        return (
            f"The language model in {self._model} did not start: {reason}.{hint} Its log is {self.log_file}."
        )

    def _cores(self) -> list[multiprocessing.process.BaseProcess]:
        """The engine cores of this engine."""
        children = multiprocessing.active_children()
        return [
            child for child in children if child.name == "EngineCore" and child.pid not in self._strangers
        ]


def _prepare_cpu() -> None:
    """In a process of vLLM's, before the model is made."""
    prefer_vnni_product()
    prefer_compiled_norm()
    allow_small_blocks()
    draw_and_compare()
    know_prompts_to_the_token()


def first_line(error: BaseException) -> str:
    """The exception's own words, without the essay that may follow and without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # pydantic: "1 validation error for X", then "Value error, <the reason> [type=...]"
    told = next((line for line in lines if line.startswith("Value error, ")), lines[0] if lines else "")
    return told.removeprefix("Value error, ").split(" [type=")[0].rstrip(".") or type(error).__name__
