"""The real vLLM with the real small model: it writes, and it is killed and hung and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio

from local_voice.engines.vllm_engine import VllmEngine
from local_voice.events import Message
from local_voice.lifeline import children
from local_voice.settings import LlmSettings
from local_voice.stages import StageError

FRANCE = [Message("system", "Be brief."), Message("user", "What is the capital of France?")]


async def reply(engine: VllmEngine, messages: list[Message]) -> str:
    return "".join([piece async for piece in engine.generate(messages)])


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  (a property has no event to wait for)
        await asyncio.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Real:
    """One engine for all tests below; those that hurt it wait until it is back."""

    def __init__(self, model: Path) -> None:
        self.engine = VllmEngine(model, LlmSettings(temperature=0, context_tokens=1024), "cpu")

    async def __aenter__(self) -> Self:
        await self.engine.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.__aexit__(None, None, None)

    @property
    def core(self) -> int:
        (core,) = self.engine._builder._cores()
        assert core.pid is not None
        return core.pid

    async def back(self) -> None:
        async with asyncio.timeout(200):
            await until(lambda: not self.engine.ready)
            await until(lambda: self.engine.ready)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(model_path: Callable[[str], Path]) -> AsyncIterator[Real]:
    async with Real(model_path(LlmSettings().model)) as started:
        yield started
        family = [started.core, *children(started.core)]
    assert not [pid for pid in family if _alive(pid)]


real_one = [
    pytest.mark.models,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]


def marked(test: Any) -> Any:
    for mark in real_one:
        test = mark(test)
    return test


@marked
async def test_the_model_answers_in_pieces(real: Real) -> None:
    pieces = [piece async for piece in real.engine.generate(FRANCE)]
    assert len(pieces) > 3
    assert "Paris" in "".join(pieces)
    assert real.engine.count_tokens("Hello there, world.") == 5


@marked
async def test_the_model_computes_inside_the_core_on_cores_of_its_own(real: Real) -> None:
    assert "Paris" in await reply(real.engine, FRANCE)  # it takes its cores with the first step
    assert children(real.core) == []
    assert len(os.sched_getaffinity(real.core)) == 1
    assert len(os.sched_getaffinity(0)) > 1  # ours is left alone


@marked
async def test_what_a_reply_takes_up_from_its_question_is_written_several_words_at_once(real: Real) -> None:
    sentence = "The old keeper of the lighthouse counted every ship that passed in the long winter nights."
    pieces = [piece async for piece in real.engine.generate([Message("user", f"Repeat: {sentence}")])]
    text = "".join(pieces)
    assert sentence in text
    assert len(pieces) < 0.6 * real.engine.count_tokens(text)


@marked
async def test_a_reply_that_fills_the_context_to_its_end_is_cut_there(real: Real) -> None:
    row = "one two three four five six seven eight nine ten "
    begun = Message("user", "Count to ten again and again. " + row * 97)
    text = await reply(real.engine, [begun])
    assert 3 < real.engine.count_tokens(text) < 40
    assert "Paris" in await reply(real.engine, FRANCE)


async def computed(real: Real, tokens: list[int], **prompt: str) -> tuple[list[int], int]:
    """What the model writes after these tokens, and how many of them it has found again."""
    params = real.engine._sampling(12, 0.0)
    engine, number = real.engine._engine, next(real.engine._numbers)
    assert engine is not None
    written: list[int] = []
    found = 0
    async for output in engine.generate({"prompt_token_ids": tokens, **prompt}, params, f"test-{number}"):
        written += output.outputs[0].token_ids
        found = output.num_cached_tokens or found
    return written, found


@marked
async def test_a_prompt_is_found_again_to_the_token_and_means_the_same(real: Real) -> None:
    tokenizer = real.engine._builder.tokenizer
    text = "A ship that had no name came in one night, and the keeper of the light wrote into his book "
    begun = tokenizer.encode(text * 3)
    other = tokenizer.encode(" but nobody knew why")
    assert len(begun) > 60
    await computed(real, begun)
    same = 0
    for shared in (len(begun) - 1, len(begun) - 2, 48, 47, 33, 32, 31, 20):
        tokens = begun[:shared] + other
        # Where another prompt is computed at the same time, too.
        (ours, found), (twin, _) = await asyncio.gather(computed(real, tokens), computed(real, tokens))
        alone, nothing = await computed(real, tokens, cache_salt=f"not found {shared}")
        assert (found, nothing) == (shared, 0)
        same += ours == twin == alone
    assert same >= 6  # two words may be as likely as each other
    # What was written is known, but for its last token, unless that was guessed.
    written, _ = await computed(real, begun)
    whole = [*begun, *written, *other]
    _, found = await computed(real, whole)
    assert 0 <= len(begun + written) - found <= 1


@marked
async def test_nothing_is_read_ahead_while_somebody_is_answered(real: Real) -> None:
    async with aclosing(real.engine.generate([Message("user", "Tell me a long story.")])) as pieces:
        await anext(pieces)
        before = next(real.engine._numbers)
        await real.engine.warm(FRANCE)
        assert next(real.engine._numbers) == before + 1  # no request was made
    await real.engine.warm(FRANCE)
    assert next(real.engine._numbers) == before + 3


@marked
async def test_a_reply_that_goes_round_in_circles_is_ended(real: Real) -> None:
    song = [Message("user", "Write this line again and again for ever: row, row, row your boat.")]
    text = await reply(real.engine, song)
    assert "boat" in text
    assert real.engine.count_tokens(text) < 100


@marked
async def test_a_warmed_prompt_begins_sooner(real: Real) -> None:
    system = Message("system", "You know many things about trains. " * 40)

    async def first(message: str) -> float:
        began = time.monotonic()
        async with aclosing(real.engine.generate([system, Message("user", message)])) as pieces:
            await anext(pieces)
        return time.monotonic() - began

    cold = await first("Which is the fastest?")
    warm = min([await first("Which is the longest?"), await first("Which is the oldest?")])
    assert warm < cold / 1.5


@marked
async def test_a_long_prompt_does_not_make_a_short_one_wait_for_its_end(real: Real) -> None:
    began: dict[str, float] = {}

    async def first(name: str, message: str) -> None:
        async with aclosing(real.engine.generate([Message("user", message)])) as pieces:
            await anext(pieces)
        began[name] = time.monotonic()

    numbers = " ".join(str(number) for number in range(150))  # some 500 tokens that nobody has computed yet
    long = asyncio.create_task(first("long", f"Which of these is the largest: {numbers}?"))
    await asyncio.sleep(0.05)
    await first("short", "Is it late?")
    await long
    assert began["short"] < began["long"]


@marked
async def test_an_abort_frees_the_engine_at_once(real: Real) -> None:
    for _ in range(10):  # more than may run at once
        async with aclosing(real.engine.generate([Message("user", "Count to one thousand.")])) as pieces:
            await anext(pieces)
    assert real.engine._engine is not None
    assert real.engine._engine.get_num_unfinished_requests() == 0
    assert "Paris" in await reply(real.engine, FRANCE)


@marked
async def test_a_conversation_that_is_too_long_is_a_stage_error_and_no_crash(real: Real) -> None:
    with pytest.raises(StageError, match="does not fit 1024 tokens"):
        await reply(real.engine, [Message("user", "word " * 5000)])
    assert "Paris" in await reply(real.engine, FRANCE)


@marked
async def test_a_killed_engine_fails_the_reply_and_comes_back(real: Real) -> None:
    core = real.core
    pieces = real.engine.generate([Message("user", "Count to one thousand.")])
    await anext(pieces)
    os.kill(core, signal.SIGKILL)
    with pytest.raises(StageError, match="restart"):
        async for _ in pieces:
            pass
    with pytest.raises(StageError, match="restart"):
        await reply(real.engine, FRANCE)
    await real.back()
    assert real.core != core
    assert "Paris" in await reply(real.engine, FRANCE)


@marked
async def test_a_hung_engine_is_replaced_after_a_stall(real: Real) -> None:
    old = [real.core, *children(real.core)]
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    real.engine._settings = real.engine._settings.model_copy(update={"first_token_seconds": 2.0})
    with pytest.raises(StageError, match="wrote nothing for 2 s"):
        await reply(real.engine, FRANCE)
    real.engine._settings = real.engine._settings.model_copy(update={"first_token_seconds": 20.0})
    await real.back()
    assert not [pid for pid in old if _alive(pid)]
    assert "Paris" in await reply(real.engine, FRANCE)
