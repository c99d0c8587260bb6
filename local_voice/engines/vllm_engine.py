"""The language model on this machine: vLLM 0.32, its engine core a child of this process.

Messages come in, pieces of text go out as the model writes them. The file knows vLLM; it must not know what
was said before or who will speak the reply. vLLM is imported when the engine is entered, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import re
import signal
import tempfile
from collections.abc import AsyncGenerator, Sequence
from itertools import chain, count, repeat
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from local_voice.engines.inside_vllm import (
    allow_small_blocks,
    prefer_compiled_norm,
    prefer_vnni_product,
    share_tokenizers,
)
from local_voice.events import Message
from local_voice.lifeline import Family, Lifeline
from local_voice.model_fit import GIB, require_memory, require_model
from local_voice.settings import LlmSettings, Profile
from local_voice.stages import StageError, StartupError
from local_voice.worker import Worker

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

PREFILL_TOKENS: dict[Profile, int] = {"cpu": 128, "cuda": 4096}
"""Prompt tokens computed in one step, which holds up everybody's next token: 512 take 1 s on 2 cores."""
FAIR_TOKENS = 32
"""Of a step, what each prompt gets at least where several are computed; more if there is room."""
LOOP = {"min_pattern_size": 10, "max_pattern_size": 30, "min_count": 4}
"""Ends a reply that says the same 10 to 30 tokens four times running; 2 of 80 of a 0.5B model's did. Shorter
loops make patterns of that length too. Not fewer: a digit is a token, and a trillion has twelve zeros."""
IN_ONE_PROCESS = "local_voice.engines.vllm_executor.InsideCore"
"""The executor for a CPU. On one GPU vLLM by itself gives the model no process of its own."""
WATCH_SECONDS = 1.0
"""How often an idle engine's pulse is looked at."""
RETRY_SECONDS = (0.0, 5.0, 15.0, 60.0)
"""Waits before the attempts to restart a dead engine; the last one repeats."""
SHUTDOWN_SECONDS = 2.0
"""The engine core may take this long to end by itself."""
EXCEPTION = re.compile(r"\b(?:[A-Z]\w*(?:Error|Exception)): (\S.*)")
"""How Python ends a traceback."""


class VllmEngine:
    """`LanguageModel` on vLLM's `AsyncLLM`.

    An engine core that dies or hangs is replaced: until the new one is ready, `generate` raises at once.
    """

    def __init__(self, model: Path, settings: LlmSettings, profile: Profile) -> None:
        self._model = model
        self._settings = settings
        self._profile: Profile = profile
        self._builder = Worker("vllm-builder")  # constructing and closing block for many seconds
        self._engine: AsyncLLM | None = None
        """Takes requests; None while there is no engine that could."""
        self._built: AsyncLLM | None = None
        """What `_end` has to stop."""
        self._building = False
        self._strangers: set[int | None] = set()
        self._family = Family(())
        self._tokenizer: Any = None
        self._log_file = Path()
        self._log_begins = 0
        """Bytes of it that engines before this one wrote."""
        self._keeper: asyncio.Task[None] | None = None
        self._suspect = asyncio.Event()
        self._numbers = count()
        self._running = 0
        self._last_sign = 0.0
        self._warmed: tuple[Message, ...] = ()
        self._closing = False

    @property
    def ready(self) -> bool:
        """The engine answers; false while it starts, restarts, or after it was left."""
        return self._engine is not None and not self._closing

    async def __aenter__(self) -> Self:
        """Load the model; takes 20 to 60 s. Raises `StartupError`."""
        require_model(self._model)
        if self._profile == "cpu":
            require_memory(self._model, self._settings)
        descriptor, name = tempfile.mkstemp(prefix="local-voice-llm-", suffix=".log")
        os.close(descriptor)
        self._log_file = Path(name)
        try:
            await self._start()
        except BaseException as error:
            await asyncio.shield(self._leave(keep_log=isinstance(error, StartupError)))
            raise
        self._keeper = asyncio.create_task(self._keep(), name="vllm-keeper")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._leave(keep_log=False))

    async def generate(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Pieces of the reply as they are written. Closing the iterator aborts the request.

        Raises `StageError` when the engine is down, the prompt is too long, or a token is late.
        """
        settings = self._settings
        params = self._sampling(settings.max_tokens, settings.temperature)
        stream = self._stream(messages, params, settings.first_token_seconds)
        try:
            async for text in stream:
                yield text
        finally:
            await stream.aclose()

    async def warm(self, messages: Sequence[Message]) -> None:
        """Compute a prompt that others will begin with, so that they find it in the prefix cache.

        The first one, with which every conversation begins, is computed again after a restart. Raises
        `StageError`.
        """
        self._warmed = self._warmed or tuple(messages)
        await self._write_one(messages)

    @property
    def waiting(self) -> int:
        """Replies that the engine has no room for yet."""
        return max(0, self._running - self._settings.max_concurrent)

    def count_tokens(self, text: str) -> int:
        """Length of `text` in the model's tokens, without the chat template's."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    # ---- one request ---------------------------------------------------------------------------------

    def _sampling(self, tokens: int, temperature: float) -> SamplingParams:
        from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind, SamplingParams

        return SamplingParams(
            max_tokens=tokens,
            temperature=temperature,
            output_kind=RequestOutputKind.DELTA,
            repetition_detection=RepetitionDetectionParams(**LOOP),
        )

    async def _write_one(self, messages: Sequence[Message], seconds: float | None = None) -> None:
        limit = seconds or self._settings.first_token_seconds
        async for _ in self._stream(messages, self._sampling(1, 0.0), limit):
            pass

    async def _stream(
        self, messages: Sequence[Message], params: SamplingParams, first_token_seconds: float
    ) -> AsyncGenerator[str, None]:
        from vllm.v1.engine.exceptions import EngineDeadError

        engine = self._engine
        if engine is None or self._closing:
            raise StageError("llm", "The language model is restarting; ask again in half a minute.")
        prompt = await self._render(engine, messages)
        room = self._settings.context_tokens - len(prompt["prompt_token_ids"])
        params.max_tokens = min(params.max_tokens or 1, room)
        outputs = engine.generate(prompt, params, f"reply-{next(self._numbers)}")
        limit = first_token_seconds
        self._running += 1
        try:
            while True:
                try:
                    async with asyncio.timeout(limit):
                        output = await anext(outputs)
                except StopAsyncIteration:
                    return
                self._last_sign = _now()
                limit = self._settings.stall_seconds
                if text := output.outputs[0].text:
                    yield text
        except TimeoutError:
            self._suspect.set()
            raise StageError("llm", f"The language model wrote nothing for {limit:g} s.") from None
        except EngineDeadError:
            self._suspect.set()
            raise StageError("llm", "The language model's process died; it is being restarted.") from None
        except Exception as error:  # EngineGenerateError, and what vLLM lets through as it is
            cause = error.__cause__ or error
            raise StageError("llm", f"The language model failed: {_first_line(cause)}.") from error
        finally:
            self._running -= 1
            await outputs.aclose()

    async def _render(self, engine: AsyncLLM, messages: Sequence[Message]) -> Any:
        from vllm.renderers.params import ChatParams

        params = ChatParams(
            # vLLM's renderer, unlike its server, opens the reply only when told. Templates without a
            # thinking switch ignore the second.
            chat_template_kwargs={"add_generation_prompt": True, "enable_thinking": False}
        )
        chat = [{"role": message.role, "content": message.content} for message in messages]
        try:
            _, (prompt,) = await engine.renderer.render_chat_async([chat], params)
            length = len(prompt["prompt_token_ids"])
        except Exception as error:  # the template is the model's own code and may raise anything
            if "context length" not in str(error) and "max_total_tokens" not in str(error):
                reason = f"The model's chat template refused the conversation: {_first_line(error)}."
                raise StageError("llm", reason) from error
            length = self._settings.context_tokens
        if length >= self._settings.context_tokens:
            raise StageError(
                "llm",
                f"The conversation does not fit {self._settings.context_tokens} tokens; "
                "start a new one or raise llm.context_tokens.",
            )
        return prompt

    # ---- the engine's life ---------------------------------------------------------------------------

    async def _start(self) -> None:
        began = _now()
        await self._builder.run(self._build)
        self._engine = self._built
        with contextlib.suppress(StageError):  # the keeper sees to an engine that can't do even this
            await self._write_one(self._warmed or (Message("user", "Hello."),))
        self._last_sign = _now()
        log.debug("the language model started in %.1f s", self._last_sign - began)

    async def _keep(self) -> None:
        """Look at the engine's pulse until cancelled; replace the engine when there is none."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._suspect.wait()
            complaint = await self._complaint(self._suspect.is_set())
            self._suspect.clear()
            if complaint:
                await self._restart(complaint)

    async def _complaint(self, suspect: bool) -> str:
        """What is wrong with the engine; empty when nothing is."""
        if self._engine is None or self._engine.errored:
            return "its process died"
        canary = self._settings.canary_seconds
        quiet = not self._running and _now() - self._last_sign > canary > 0
        if not (suspect or quiet):
            return ""
        try:
            # One that has just been silent for too long gets no second time of grace.
            limit = self._settings.stall_seconds if suspect else None
            await self._write_one((Message("user", "Hello."),), limit)
        except StageError as error:
            return error.reason
        return ""

    async def _restart(self, complaint: str) -> None:
        log.error("the language model is being restarted: %s", complaint.rstrip("."))
        began = _now()
        for wait in chain(RETRY_SECONDS, repeat(RETRY_SECONDS[-1])):
            self._engine = None
            await asyncio.sleep(wait)
            try:
                await self._builder.run(self._end)  # also what an attempt has left that failed half-way
                await self._start()
            except StartupError as error:
                log.error("%s", error)
            except Exception:  # nobody else would ever start it again, nor say so
                log.exception("the language model could not be restarted")
            else:
                self._suspect.clear()
                log.warning("the language model is back after %.1f s", _now() - began)
                return

    async def _leave(self, keep_log: bool) -> None:
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._engine = None
        # Waits for a constructor at work, which can only be stopped by ending what it waits for.
        ended = asyncio.ensure_future(self._builder.run(self._end))
        while not ended.done():
            if self._building:
                for core in self._cores():
                    core.kill()
            await asyncio.wait([ended], timeout=0.1)
        await self._builder.close()
        if not keep_log:
            self._log_file.unlink(missing_ok=True)
        ended.result()

    # ---- on the builder's thread ---------------------------------------------------------------------

    def _build(self) -> None:
        """Raises `StartupError`."""
        self._strangers = {process.pid for process in multiprocessing.active_children()}
        # What engines before this one died of is not its reason.
        self._log_begins = self._log_file.stat().st_size if self._log_file.exists() else 0
        self._building = True
        try:
            # In no local variable: a module that vLLM imports keeps our frames, and them with it, for ever.
            self._built = self._construct()
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
        self._tokenizer = cached_tokenizer_from_config(self._built.model_config)
        if getattr(self._tokenizer, "chat_template", "") is None:
            raise StartupError(
                f"{self._model} has no chat template, so it can't converse; choose an instruct model."
            )

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
        if self._closing:  # importing takes seconds, and nobody wants the engine any more
            raise StartupError("The language model was not started.")
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**self._arguments()))

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
            "block_size": settings.block_size,
            # Explicit, or vLLM measures and takes all it may. The fraction is checked all the same.
            "kv_cache_memory_bytes": int(settings.kv_cache_gib * GIB),
            "gpu_memory_utilization": settings.gpu_memory_fraction,
            "enforce_eager": settings.eager,
            "performance_mode": "interactivity" if cuda else "balanced",
            "disable_log_stats": True,
            "enable_log_requests": False,
            "distributed_executor_backend": None if cuda else IN_ONE_PROCESS,
            "additional_config": Lifeline(self._log_file, None if cuda else _prepare_cpu),
        }

    def _failure(self, error: Exception) -> str:
        """A sentence with the innermost reason: from the child's log if it has one, else the exception."""
        said = b""
        with contextlib.suppress(OSError):  # who tidies /tmp takes it
            said = self._log_file.read_bytes()[self._log_begins :]
        reasons = EXCEPTION.findall(said.decode(errors="replace"))
        reason = reasons[0].rstrip(".") if reasons else _first_line(error)
        hint = ""
        if re.search(r"memory|KV cache", reason, re.IGNORECASE):
            hint = " Free memory, or lower llm.kv_cache_gib, llm.context_tokens or llm.gpu_memory_fraction."
        return (
            f"The language model in {self._model} did not start: {reason}.{hint} Its log is {self._log_file}."
        )

    def _cores(self) -> list[multiprocessing.process.BaseProcess]:
        """The engine cores of this engine."""
        children = multiprocessing.active_children()
        return [
            child for child in children if child.name == "EngineCore" and child.pid not in self._strangers
        ]

    def _end(self) -> None:
        """Stop the engine if there is one, and whatever is left of its processes."""
        engine, self._built = self._built, None
        if engine is not None:
            self._family.ask_to_end()  # the core would wait 4 s for its worker, which this wakes at once
            engine.shutdown(timeout=SHUTDOWN_SECONDS)
            del engine
            gc.collect()  # it is part of cycles, and would print a traceback when the interpreter ends
        self._family.end()


def _prepare_cpu() -> None:
    """In a process of vLLM's, before the model is made."""
    prefer_vnni_product()
    prefer_compiled_norm()
    allow_small_blocks()


def _first_line(error: BaseException) -> str:
    """The exception's own words, without the essay that may follow and without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # pydantic: "1 validation error for X", then "Value error, <the reason> [type=...]"
    told = next((line for line in lines if line.startswith("Value error, ")), lines[0] if lines else "")
    return told.removeprefix("Value error, ").split(" [type=")[0].rstrip(".") or type(error).__name__


def _now() -> float:
    """Seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()
