"""The vLLM engine's judgement: deadlines, aborts, restarts and start-up, on a scripted vLLM."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from local_voice import model_fit
from local_voice.engines.vllm_builder import VllmBuilder
from local_voice.engines.vllm_engine import VllmEngine
from local_voice.events import Message
from local_voice.settings import LlmSettings, Profile
from local_voice.stages import StageError, StartupError
from tests.virtual_time import run

HELLO = [Message("system", "Be brief."), Message("user", "Hello.")]

# ---- a scripted vLLM --------------------------------------------------------------------------------------


class EngineDeadError(Exception):
    """As vLLM's."""


class EngineGenerateError(Exception):
    """As vLLM's."""


class FakeVllm:
    """`AsyncLLM` as far as the engine uses it: replies are scripts of text, seconds and errors."""

    def __init__(self, *script: str | float | Exception) -> None:
        self.script = script or ("Hi", " there.")
        self.errored = False
        self.aborted: list[str] = []
        self.asked: list[Any] = []
        self.closed = False
        self.renderer = self
        self.model_config = None

    async def render_chat_async(self, chats: list[Any], params: Any) -> Any:
        assert params.chat_template_kwargs == {"add_generation_prompt": True, "enable_thinking": False}
        text = " ".join(message["content"] for message in chats[0])
        if "refuse" in text:
            raise ValueError("roles must alternate\nand so on")
        return chats, [{"prompt_token_ids": text.split()}]

    async def generate(self, prompt: Any, params: Any, name: str) -> AsyncGenerator[Any, None]:
        self.asked.append(params)
        finished = False
        try:
            for part in self.script:
                if self.errored:
                    raise EngineDeadError
                if isinstance(part, float):
                    await asyncio.sleep(part)
                elif isinstance(part, Exception):
                    raise part
                else:
                    yield SimpleNamespace(outputs=[SimpleNamespace(text=part)])
            finished = True
        finally:
            if not finished:
                self.aborted.append(name)

    def shutdown(self, timeout: float) -> None:
        self.closed = True


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that the engine imports from vLLM when it is used."""

    def install(path: str, **names: object) -> None:
        module = ModuleType(path)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, path, module)

    for package in ("vllm", "vllm.v1", "vllm.v1.engine", "vllm.renderers"):
        install(package)
    install(
        "vllm.sampling_params",
        SamplingParams=lambda **given: SimpleNamespace(**given),
        RequestOutputKind=SimpleNamespace(DELTA="delta"),
        RepetitionDetectionParams=lambda **given: given,
    )
    tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: text.split(), chat_template="{}")
    install("vllm.tokenizers", cached_tokenizer_from_config=lambda config: tokenizer)
    install("vllm.renderers.params", ChatParams=lambda **given: SimpleNamespace(**given))
    install(
        "vllm.v1.engine.exceptions", EngineDeadError=EngineDeadError, EngineGenerateError=EngineGenerateError
    )


class Scripted(VllmEngine):
    """Gets the given engines, one after another; an exception in their place is raised."""

    def __init__(
        self, folder: Path, *engines: FakeVllm | Exception, log: str | None = None, **settings: Any
    ) -> None:
        """`log`: what each start leaves in the log."""
        waiting = list(engines)

        class Builder(VllmBuilder):
            def _construct(self) -> Any:
                engine = waiting.pop(0)
                if log is not None:
                    self.log_file.write_text(log)
                if isinstance(engine, Exception):
                    raise engine
                return engine

        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
        super().__init__(folder, LlmSettings(**{"canary_seconds": 0, **settings}), "cuda", Builder)


def virtual(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(main())


async def reply(engine: VllmEngine, messages: list[Message] | None = None) -> str:
    return "".join([piece async for piece in engine.generate(messages or HELLO)])


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  (a property has no event to wait for)
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("vllm")
def test_a_reply_comes_in_pieces_without_empty_ones(tmp_path: Path) -> None:
    async def main() -> None:
        fake = FakeVllm("", "Hi", "", " there.")
        async with Scripted(tmp_path, fake, max_tokens=50, temperature=0.7) as engine:
            assert engine.ready
            assert [piece async for piece in engine.generate(HELLO)] == ["Hi", " there."]
            assert engine.count_tokens("one two three") == 3
        assert not engine.ready
        assert fake.closed
        assert (fake.asked[-1].max_tokens, fake.asked[-1].temperature) == (50, 0.7)
        assert fake.asked[-1].output_kind == "delta"
        assert fake.asked[-1].repetition_detection["min_count"] == 4
        assert not fake.aborted

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_closing_a_reply_aborts_it(tmp_path: Path) -> None:
    async def main() -> None:
        fake = FakeVllm("Once", " upon", " a", " time")
        async with Scripted(tmp_path, fake) as engine:
            async with aclosing(engine.generate(HELLO)) as pieces:
                assert await anext(pieces) == "Once"
                assert not fake.aborted
            assert len(fake.aborted) == 1

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_cancelling_a_reply_aborts_it(tmp_path: Path) -> None:
    async def main() -> None:
        fake = FakeVllm("Once", 3.0, " upon")
        async with Scripted(tmp_path, fake) as engine:
            task = asyncio.create_task(reply(engine))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert len(fake.aborted) == 1

    virtual(main)


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize(
    ("script", "says"), [((5.0, "Hi"), "nothing for 4 s"), (("Hi", 3.0, "!"), "nothing for 2 s")]
)
def test_a_late_token_is_a_failure(tmp_path: Path, script: tuple[str | float, ...], says: str) -> None:
    async def main() -> None:
        fake = FakeVllm("Hi")
        settings = {"first_token_seconds": 4, "stall_seconds": 2}
        async with Scripted(tmp_path, fake, **settings) as engine:
            fake.script = script
            with pytest.raises(StageError, match=says):
                await reply(engine)
            assert fake.aborted == fake.aborted[:1] != []
            fake.script = ("Hi",)

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_a_slow_listener_is_no_late_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with Scripted(tmp_path, FakeVllm("a", "b"), first_token_seconds=1, stall_seconds=1) as engine:
            heard = []
            async for piece in engine.generate(HELLO):
                heard.append(piece)
                await asyncio.sleep(30)
            assert heard == ["a", "b"]

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_a_prompt_leaves_room_for_the_reply_or_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        fake = FakeVllm()
        async with Scripted(tmp_path, fake, context_tokens=20, max_tokens=10) as engine:
            await reply(engine, [Message("user", "word " * 15)])
            assert fake.asked[-1].max_tokens == 5
            with pytest.raises(StageError, match=r"does not fit 20 tokens.*llm\.context_tokens"):
                await reply(engine, [Message("user", "word " * 20)])
            with pytest.raises(
                StageError, match=r"template refused the conversation: roles must alternate\.$"
            ):
                await reply(engine, [Message("user", "refuse")])
            assert await reply(engine) == "Hi there."

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_one_failed_request_is_not_the_end_of_the_engine(tmp_path: Path) -> None:
    async def main() -> None:
        fake = FakeVllm()
        async with Scripted(tmp_path, fake) as engine:
            fake.script = ("Hi", EngineGenerateError("no room\nat all"))
            with pytest.raises(StageError, match=r"model failed: no room\.$"):
                await reply(engine)
            fake.script = ("Hi",)
            await asyncio.sleep(5)
            assert engine.ready
            assert not fake.closed

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_a_dead_engine_is_replaced_and_warmed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        first, second = FakeVllm(), FakeVllm("Back.")
        async with Scripted(tmp_path, first, RuntimeError("no memory yet"), second) as engine:
            await engine.warm(HELLO)
            first.errored = True
            with pytest.raises(StageError, match="being restarted"):
                await reply(engine)
            await until(lambda: not engine.ready)
            with pytest.raises(StageError, match="restarting"):
                await reply(engine)
            await until(lambda: engine.ready)
            assert first.closed
            assert await reply(engine) == "Back."
            assert [params.max_tokens for params in second.asked] == [1, 220]

    with caplog.at_level(logging.WARNING):
        virtual(main)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "the language model is being restarted: its process died"
    assert "no memory yet" in told[1]
    assert told[2].startswith("the language model is back after")


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize("trouble", ["the log is gone", "it can't be stopped", "an error of its own"])
def test_whatever_goes_wrong_at_a_restart_it_is_tried_again_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    async def main() -> None:
        first, second, third = FakeVllm(), FakeVllm("Back."), FakeVllm("Again.")
        if trouble == "an error of its own":
            second.script = (ValueError("what vLLM lets through"),)
        async with Scripted(tmp_path, first, RuntimeError("no memory yet"), second, third) as engine:
            if trouble == "the log is gone":
                engine._builder.log_file.unlink()
            if trouble == "it can't be stopped":
                first.shutdown = refuse  # type: ignore[method-assign]
            first.errored = True
            await until(lambda: not engine.ready)
            await until(lambda: engine.ready)
            second.script = ("Back.",)
            assert await reply(engine) == "Back."
            second.errored = True
            await until(lambda: not engine.ready)
            await until(lambda: engine.ready)
            assert await reply(engine) == "Again."

    def refuse(timeout: float) -> None:
        raise OSError("no descriptors")

    virtual(main)
    told = "no descriptors" if trouble == "it can't be stopped" else "no memory yet"
    assert told in caplog.text


@pytest.mark.usefixtures("vllm")
def test_what_an_engine_died_of_is_not_why_the_next_one_did_not_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        first = FakeVllm()
        async with Scripted(tmp_path, first, RuntimeError("see the log"), FakeVllm()) as engine:
            engine._builder.log_file.write_text(
                "Traceback\nRuntimeError: CUDA error: illegal memory access\n"
            )
            first.errored = True
            await until(lambda: not engine.ready)
            await until(lambda: engine.ready)

    virtual(main)
    assert "did not start: see the log." in caplog.text
    assert "CUDA error" not in caplog.text


@pytest.mark.usefixtures("vllm")
def test_an_engine_that_dies_while_idle_is_noticed_within_two_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        first = FakeVllm()
        async with Scripted(tmp_path, first, FakeVllm("Back.")) as engine:
            first.errored = True
            await asyncio.sleep(2)
            await until(lambda: engine.ready)
            assert await reply(engine) == "Back."

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_a_hung_engine_is_found_by_the_canary_and_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        first = FakeVllm()
        settings = {"canary_seconds": 30, "first_token_seconds": 10}
        async with Scripted(tmp_path, first, FakeVllm("Back."), **settings) as engine:
            await asyncio.sleep(35)
            asked = len(first.asked)
            assert asked >= 2  # one at the start, then the canary
            first.script = (1e6, "never")
            await until(lambda: first.closed)
            await until(lambda: engine.ready)
            assert await reply(engine) == "Back."

    virtual(main)


@pytest.mark.usefixtures("vllm")
def test_a_stall_makes_the_engine_prove_that_it_lives(tmp_path: Path) -> None:
    async def main() -> None:
        first = FakeVllm()
        settings = {"first_token_seconds": 4, "stall_seconds": 2}
        async with Scripted(tmp_path, first, FakeVllm("Back."), **settings) as engine:
            first.script = (1e6, "never")
            with pytest.raises(StageError, match="nothing for 4 s"):
                await reply(engine)
            await until(lambda: first.closed)
            await until(lambda: engine.ready)
            assert await reply(engine) == "Back."

    virtual(main)


def log_told_in(error: StartupError) -> str:
    """What is in the log that the sentence names, which is then deleted."""
    log = Path(str(error).split("Its log is ")[1].removesuffix("."))
    text = log.read_text()
    log.unlink()
    return text


# ---- start-up ---------------------------------------------------------------------------------------------


async def test_a_folder_without_weights_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StartupError, match=r"no language model in .*local-voice models pull"):
        await VllmEngine(tmp_path, LlmSettings(), "cpu").__aenter__()


async def test_too_little_memory_is_told_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_fit, "available_memory", lambda: 1.5 * model_fit.GIB)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(StartupError, match=r"needs 2.0 GiB of memory and 1.5 GiB are free"):
        await VllmEngine(tmp_path, LlmSettings(kv_cache_gib=0.5), "cpu").__aenter__()


async def test_the_reason_of_a_failed_start_is_read_from_the_childs_log(tmp_path: Path) -> None:
    said = (
        "(EngineCore) ERROR Traceback (most recent call last):\n"
        "(EngineCore) ERROR ValueError: 0.4 GiB KV cache is needed, 0.1 GiB is there.\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    with pytest.raises(StartupError) as caught:
        await Scripted(tmp_path, error, log=said).__aenter__()
    assert "did not start: 0.4 GiB KV cache is needed, 0.1 GiB is there. Free memory, or" in str(caught.value)
    assert "Traceback" in log_told_in(caught.value)


async def test_a_failure_in_our_own_process_is_told_in_its_own_words(tmp_path: Path) -> None:
    error = RuntimeError("1 validation error for ModelConfig\n  Value error, too long [type=value_error]\n")
    with pytest.raises(StartupError, match=r"did not start: too long\. Its log is \S+\.$") as caught:
        await Scripted(tmp_path, error).__aenter__()
    assert log_told_in(caught.value) == ""


@pytest.mark.parametrize(("profile", "mode"), [("cpu", "balanced"), ("cuda", "interactivity")])
def test_vllm_is_told_to_load_no_code_and_to_take_no_more_than_its_share(
    tmp_path: Path, profile: Profile, mode: str
) -> None:
    settings = LlmSettings(kv_cache_gib=2.0, gpu_memory_fraction=0.4, context_tokens=1000, max_concurrent=3)
    told = VllmBuilder(tmp_path, settings, profile)._arguments()
    assert told["load_format"] == "safetensors"
    assert (told["speculative_config"] is not None) == (profile == "cpu")
    without = VllmBuilder(tmp_path, LlmSettings(prompt_lookup=False), profile)._arguments()
    assert without["speculative_config"] is None
    assert told["trust_remote_code"] is False
    assert told["kv_cache_memory_bytes"] == 2 << 30
    assert told["gpu_memory_utilization"] == 0.4
    assert (told["max_model_len"], told["max_num_seqs"]) == (1000, 3)
    assert told["performance_mode"] == mode
    assert (told["additional_config"].on_arrival is not None) == (profile == "cpu")


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize("hybrid", [False, True])
def test_a_model_that_keeps_a_state_gets_no_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hybrid: bool
) -> None:
    class Arguments(SimpleNamespace):
        def create_model_config(self) -> SimpleNamespace:
            return SimpleNamespace(is_hybrid=hybrid)

    for path, name, value in (
        ("vllm.engine.arg_utils", "AsyncEngineArgs", Arguments),
        ("vllm.v1.engine.async_llm", "AsyncLLM", SimpleNamespace(from_engine_args=lambda given: given)),
    ):
        module = ModuleType(path)
        setattr(module, name, value)
        monkeypatch.setitem(sys.modules, path, module)
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.setattr(logging.getLogger("vllm"), "level", logging.getLogger("vllm").level)
    monkeypatch.setattr("local_voice.engines.vllm_builder.share_tokenizers", lambda: None)
    monkeypatch.setattr("signal.pthread_sigmask", lambda how, signals: None)
    constructed: Any = VllmBuilder(tmp_path, LlmSettings(), "cpu")._construct()
    assert (constructed.speculative_config is None) is hybrid


@pytest.mark.parametrize(
    ("profile", "amx", "machine", "wanted", "blocks"),
    [
        ("cpu", True, "x86_64", 16, 32),
        ("cpu", True, "x86_64", 48, 64),
        ("cpu", False, "x86_64", 16, 16),
        ("cpu", False, "aarch64", 16, 32),
        ("cuda", True, "x86_64", 16, 16),
    ],
)
def test_a_cpu_whose_attention_wants_larger_blocks_gets_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: Profile,
    amx: bool,
    machine: str,
    wanted: int,
    blocks: int,
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("platform.machine", lambda: machine)
    settings = LlmSettings(block_size=wanted)
    assert VllmBuilder(tmp_path, settings, profile)._arguments()["block_size"] == blocks
