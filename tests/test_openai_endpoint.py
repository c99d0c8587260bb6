"""The language model elsewhere, against a small server that plays what real ones do, and a real vLLM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local_voice.certificates import self_signed
from local_voice.engines.openai_endpoint import OpenAiEndpoint
from local_voice.events import Message
from local_voice.settings import LlmSettings
from local_voice.stages import StageError, StartupError

HELLO = [Message("system", "Be brief."), Message("user", "Hello.")]
Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def event(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


def streaming(*parts: bytes | float) -> Answer:
    """Sends the bytes; a number is a silence in seconds."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            if isinstance(part, bytes):
                await response.write(part)
            else:
                await asyncio.sleep(part)
        return response

    return answer


def refusing(status: int, body: object) -> Answer:
    async def answer(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


@asynccontextmanager
async def serving(answer: Answer, models: object = None, models_status: int = 200) -> AsyncIterator[str]:
    """The base URL of a server that lists `models` and answers every chat with `answer`."""

    async def chat(request: web.Request) -> web.StreamResponse:
        return await answer(request, await request.json())

    async def list_models(_: web.Request) -> web.StreamResponse:
        return web.json_response(models or {"data": [{"id": "small"}, {"id": "big"}]}, status=models_status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", list_models)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def reply(url: str, **settings: Any) -> str:
    async with OpenAiEndpoint(LlmSettings(url=url, **settings)) as model:
        return "".join([piece async for piece in model.generate(HELLO)])


def test_the_token_estimate_is_from_above_for_english_and_for_chinese() -> None:
    model = OpenAiEndpoint(LlmSettings(url="http://127.0.0.1:1/v1"))
    assert model.count_tokens("") == 0
    assert model.count_tokens("Hello there, world.") >= 5  # Qwen's tokenizer: 5
    assert model.count_tokens("你好") == 2


@pytest.mark.doors
async def test_text_arrives_in_pieces_and_the_first_listed_model_is_asked() -> None:
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(body | {"authorization": request.headers.get("Authorization")})
        parts = (event(""), event("Hi"), b": keep-alive\n\n", event(" there."), event(None, "stop"))
        return await streaming(*parts, b"data: [DONE]\n\n")(request, body)

    async with serving(answer) as url:
        settings = LlmSettings(url=url + "/", api_key="secret", max_tokens=9, temperature=0.5)
        async with OpenAiEndpoint(settings) as model:
            assert model.ready
            assert [piece async for piece in model.generate(HELLO)] == ["Hi", " there."]
        assert not model.ready
    assert asked == [
        {
            "model": "small",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello."},
            ],
            "max_tokens": 9,
            "temperature": 0.5,
            "stream": True,
            "chat_template_kwargs": {"enable_thinking": False},
            "authorization": "Bearer secret",
        }
    ]


@pytest.mark.doors
@pytest.mark.parametrize(
    "last",
    [
        {"choices": None, "usage": {"total_tokens": 9}},
        {"choices": [{"delta": None, "finish_reason": "stop"}]},
        {"error": None, "choices": [{"delta": {}, "finish_reason": "stop"}]},
    ],
)
async def test_null_is_taken_for_what_it_stands_for(last: dict[str, Any]) -> None:
    parts = (event("Hi"), event(None, "stop"), b"data: " + json.dumps(last).encode() + b"\n\n")
    async with (
        serving(streaming(*parts, b"data: [DONE]\n\n")) as url,
        OpenAiEndpoint(LlmSettings(url=url)) as model,
    ):
        assert [piece async for piece in model.generate(HELLO)] == ["Hi"]


@pytest.mark.doors
async def test_a_set_model_is_asked_for_even_where_models_are_not_listed() -> None:
    asked: list[str] = []

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(body["model"])
        return await streaming(event("Hi", "stop"))(request, body)

    async with serving(answer, models_status=404) as url:
        assert await reply(url, remote_model="mine") == "Hi"
    assert asked == ["mine"]


@pytest.mark.doors
async def test_a_server_that_minds_the_thinking_switch_is_asked_without_it() -> None:
    bodies: list[dict[str, Any]] = []

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        bodies.append(body)
        if "chat_template_kwargs" in body:
            return web.json_response({"error": {"message": "Unrecognized request argument"}}, status=400)
        return await streaming(event("Hi", "stop"))(request, body)

    async with serving(answer) as url, OpenAiEndpoint(LlmSettings(url=url)) as model:
        for _ in range(2):
            assert [piece async for piece in model.generate(HELLO)] == ["Hi"]
    assert ["chat_template_kwargs" in body for body in bodies] == [True, False, False]


@pytest.mark.doors
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusing(401, {"error": {"message": "bad key"}}), "wants another key; set llm.api_key"),
        (refusing(404, {"error": {"message": "no such model"}}), "check llm.url and llm.remote_model"),
        (refusing(503, {"error": "full"}), r"too busy \(503\)"),
        (refusing(429, {}), r"too busy \(429\)"),
        (refusing(500, {"detail": "it broke"}), "answered 500: it broke"),
        (refusing(400, {"error": {"message": "maximum context length is 5"}}), "conversation that long"),
        (refusing(418, "tea"), "answered 418: tea"),
        (streaming(event("Hi"), b"data: {not json\n\n"), "does not stream as OpenAI does"),
        (streaming(event("Hi"), b"data: [1, 2]\n\n"), "does not stream as OpenAI does"),
        (streaming(event("Hi"), b"data: \xff\xfe\n\n"), "does not stream as OpenAI does"),
        (streaming(event("Hi"), b"data: " + b"x" * 300_000), "does not stream as OpenAI does"),
        (streaming(event("Hi"), b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        (streaming(event("Hi")), "broke off in the middle"),
        (streaming(b"<html>hello</html>"), "broke off in the middle"),
    ],
)
async def test_each_failure_of_the_server_is_one_sentence(answer: Answer, says: str) -> None:
    async with serving(answer) as url:
        with pytest.raises(StageError, match=says) as caught:
            await reply(url)
    assert caught.value.stage == "llm"
    assert "\n" not in caught.value.reason
    assert caught.value.reason.endswith(".")


@pytest.mark.doors
@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((event(""), 60.0), "wrote nothing for 0.2 s"),
        ((event("Hi"), 60.0), "wrote nothing for 0.1 s"),
        # Signs of life are no words.
        ((b": ping\n\n", 0.15, b": ping\n\n", 0.15, b": ping\n\n", 60.0), "wrote nothing for 0.2 s"),
    ],
)
async def test_a_late_word_is_a_failure(parts: tuple[bytes | float, ...], says: str) -> None:
    async with serving(streaming(*parts)) as url:
        with pytest.raises(StageError, match=says):
            await reply(url, first_token_seconds=0.2, stall_seconds=0.1)


@pytest.mark.doors
async def test_closing_the_reply_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        try:
            return await streaming(event("Once"), 60.0)(request, body)
        except asyncio.CancelledError:
            closed.set()
            raise

    async with serving(answer) as url, OpenAiEndpoint(LlmSettings(url=url)) as model:
        async with aclosing(model.generate(HELLO)) as pieces:
            assert await anext(pieces) == "Once"
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "127.0.0.1:11434/v1", "gpu2", "http//localhost/v1", "http://"]
)
async def test_an_address_that_is_none_is_told_at_the_start(url: str) -> None:
    with pytest.raises(StartupError, match=r"llm\.url must be an address with http:// or https://"):
        await reply(url)


@pytest.mark.doors
@pytest.mark.parametrize(
    ("tls", "says"), [(True, "certificate that is not trusted"), (False, "not speak TLS")]
)
async def test_what_is_wrong_with_tls_is_told_at_the_start(tmp_path: Path, tls: bool, says: str) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(tmp_path, ["127.0.0.1"], datetime.now(UTC)))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context if tls else None)
    async with server:
        with pytest.raises(StartupError, match=says):
            await reply(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")


THOUGHT = b'data: {"choices": [{"delta": {"content": "", "reasoning": "Hm."}, "finish_reason": null}]}\n\n'


@pytest.mark.doors
async def test_a_model_that_only_thinks_is_named() -> None:
    thinking = streaming(THOUGHT, event("", "length"), b"data: [DONE]\n\n")
    async with serving(thinking) as url, OpenAiEndpoint(LlmSettings(url=url)) as model:
        await model.warm(HELLO)  # one token says nothing about that
        with pytest.raises(StageError, match=r"only thought and said nothing; .* llm\.max_tokens"):
            assert [piece async for piece in model.generate(HELLO)] == []


@pytest.mark.doors
async def test_a_model_that_thinks_and_speaks_is_heard() -> None:
    async with serving(streaming(THOUGHT, event("Hi", "stop"), b"data: [DONE]\n\n")) as url:
        assert await reply(url) == "Hi"


@pytest.mark.doors
async def test_warming_asks_for_one_token() -> None:
    asked: list[int] = []

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(body["max_tokens"])
        return await streaming(event("Hi", "length"))(request, body)

    async with serving(answer) as url, OpenAiEndpoint(LlmSettings(url=url)) as model:
        await model.warm(HELLO)
    assert asked == [1]


@pytest.mark.doors
async def test_a_server_that_is_not_there_is_told_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StartupError, match=f"127.0.0.1:{port}/v1 can't be reached"):
        await reply(f"http://127.0.0.1:{port}/v1")


@pytest.mark.doors
@pytest.mark.parametrize(
    ("models", "status", "says"),
    [
        ({"data": []}, 200, "serves no model"),
        ({"object": "list", "data": None}, 200, "serves no model"),
        ({"error": {"message": "no"}}, 401, "wants another key"),
        ({"models": ["small"]}, 200, "check that llm.url ends in /v1"),
        ([1], 200, "check that llm.url ends in /v1"),
        ({"detail": "Not Found"}, 404, "check llm.url"),
    ],
)
async def test_a_server_without_models_is_told_at_the_start(models: object, status: int, says: str) -> None:
    async with serving(streaming(), models, status) as url:
        with pytest.raises(StartupError, match=says):
            await reply(url)


@pytest.mark.doors
async def test_a_server_that_dies_between_two_replies_is_a_stage_error() -> None:
    async with serving(streaming(event("Hi", "stop"))) as url:
        model = OpenAiEndpoint(LlmSettings(url=url))
        await model.__aenter__()
        assert [piece async for piece in model.generate(HELLO)] == ["Hi"]
    with pytest.raises(StageError, match=r"can't be reached|broke off"):
        assert [piece async for piece in model.generate(HELLO)] == []
    await model.__aexit__(None, None, None)


@pytest.mark.models
@pytest.mark.timeout(240)
async def test_vllm_as_a_server_writes_a_reply(model_path: Callable[[str], Path], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["--model", str(model_path(LlmSettings().model)), "--served-model-name", "small"]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--max-model-len", "2048"]
    arguments += ["--kv-cache-memory-bytes", str(256 << 20), "--max-num-seqs", "2"]
    with (tmp_path / "server.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "vllm.entrypoints.openai.api_server", *arguments),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"VLLM_CPU_OMP_THREADS_BIND": "auto"},
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        while True:
            assert server.returncode is None, (tmp_path / "server.log").read_text()[-2000:]
            try:
                async with OpenAiEndpoint(LlmSettings(url=url, temperature=0)) as model:
                    question = [HELLO[0], Message("user", "What is the capital of France?")]
                    pieces = [piece async for piece in model.generate(question)]
                    break
            except StartupError:
                await asyncio.sleep(1)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        await server.wait()
    assert len(pieces) > 3
    assert "Paris" in "".join(pieces)
