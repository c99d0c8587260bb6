"""The language model on this machine: vLLM 0.32, its engine core a child of this process.

Messages come in, pieces of text go out as the model writes them. The file knows vLLM; it must not know what
was said before or who will speak the reply. vLLM is imported when the engine is entered, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from itertools import chain, count, repeat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from local_voice.engines.vllm_builder import VllmBuilder, first_line
from local_voice.events import Message
from local_voice.model_fit import require_memory, require_model
from local_voice.settings import LlmSettings, Profile
from local_voice.stages import StageError, StartupError
from local_voice.worker import Worker

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)

LOOP = {"min_pattern_size": 10, "max_pattern_size": 30, "min_count": 4}
"""Ends a reply that says the same 10 to 30 tokens four times running; 2 of 80 of a 0.5B model's did. Shorter
loops make patterns of that length too. Not fewer: a digit is a token, and a trillion has twelve zeros."""
WATCH_SECONDS = 1.0
"""How often an idle engine's pulse is looked at."""
RETRY_SECONDS = (0.0, 5.0, 15.0, 60.0)
"""Waits before the attempts to restart a dead engine; the last one repeats."""


class VllmEngine:
    """`LanguageModel` on vLLM's `AsyncLLM`.

    An engine core that dies or hangs is replaced: until the new one is ready, `generate` raises at once.
    """

    def __init__(
        self,
        model: Path,
        settings: LlmSettings,
        profile: Profile,
        builder: type[VllmBuilder] = VllmBuilder,
    ) -> None:
        self._model = model
        self._settings = settings
        self._profile: Profile = profile
        self._builder = builder(model, settings, profile)
        self._thread = Worker("vllm-builder")
        """Where engines are made and ended: both block for many seconds."""
        self._engine: AsyncLLM | None = None
        """Takes requests; None while there is no engine that could."""
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
        self._builder.open_log()
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

        On a CPU not while the model writes: it would hold up somebody's tokens. The first one, with which
        every conversation begins, is computed again after a restart. Raises `StageError`.
        """
        self._warmed = self._warmed or tuple(messages)
        if self._profile == "cuda" or not self._running:
            await self._write_one(messages)

    @property
    def waiting(self) -> int:
        """Replies that the engine has no room for yet."""
        return max(0, self._running - self._settings.max_concurrent)

    def count_tokens(self, text: str) -> int:
        """Length of `text` in the model's tokens, without the chat template's."""
        return len(self._builder.tokenizer.encode(text, add_special_tokens=False))

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
            raise StageError("llm", f"The language model failed: {first_line(cause)}.") from error
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
                reason = f"The model's chat template refused the conversation: {first_line(error)}."
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
        await self._thread.run(self._builder.build)
        self._engine = self._builder.engine
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
                await self._thread.run(self._builder.end)  # also what a failed attempt has left
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
        ended = asyncio.ensure_future(self._thread.run(self._builder.end))
        while not ended.done():
            self._builder.give_up()
            await asyncio.wait([ended], timeout=0.1)
        await self._thread.close()
        if not keep_log:
            self._builder.log_file.unlink(missing_ok=True)
        ended.result()


def _now() -> float:
    """Seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()
