"""The language model on another machine: any server that speaks OpenAI's streaming chat completions.

For when one box is outgrown: a vLLM cluster, or whatever else serves `/v1/chat/completions`. The file knows
HTTP (through aiohttp, which the web page needs anyway); it must not know who asks or who speaks the reply.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import aiohttp

from local_voice.events import Message
from local_voice.settings import LlmSettings
from local_voice.stages import StageError, StartupError

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
"""A server that takes longer to accept a connection is as good as gone."""
BYTES_PER_TOKEN = 3
"""English has about 4 bytes a token, Chinese 3: the estimate errs on the side that fits the context."""


class OpenAiEndpoint:
    """`LanguageModel` on a server elsewhere. Nothing is kept here but the connections."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._model = settings.remote_model
        self._session: aiohttp.ClientSession | None = None
        self._switches: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
        """What vLLM understands beyond OpenAI's own fields; dropped for a server that minds."""

    @property
    def ready(self) -> bool:
        """The server was there when this was entered."""
        return self._session is not None

    async def __aenter__(self) -> Self:
        """Look for the server and, where none is set, for a model. Raises `StartupError`."""
        key = self._settings.api_key
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        try:
            await self._look()
        except StageError as error:
            await self._close()
            raise StartupError(error.reason) from error
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def generate(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Pieces of the reply as they arrive. Closing the iterator closes the HTTP stream.

        Raises `StageError` when the server can't be reached, refuses, fails, or is late.
        """
        limit = self._settings.first_token_seconds
        async with aclosing(self._pieces(messages, self._settings.max_tokens)) as pieces:
            while True:
                try:
                    async with asyncio.timeout(limit):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise StageError("llm", f"{self._server} wrote nothing for {limit:g} s.") from None
                yield piece
                limit = self._settings.stall_seconds

    async def warm(self, messages: Sequence[Message]) -> None:
        """Have a prompt computed that others will begin with: the server may keep it. Raises `StageError`."""
        try:
            async with asyncio.timeout(self._settings.first_token_seconds):
                async with aclosing(self._pieces(messages, 1)) as pieces:
                    async for _ in pieces:
                        pass
        except TimeoutError:
            raise StageError("llm", f"{self._server} took too long to answer.") from None

    def count_tokens(self, text: str) -> int:
        """An estimate from above, for the tokenizer is far away: a token for each 3 bytes of UTF-8."""
        return -(-len(text.encode()) // BYTES_PER_TOKEN)

    # ---- HTTP ----------------------------------------------------------------------------------------

    @property
    def _server(self) -> str:
        return f"The language model server at {self._url}"

    async def _look(self) -> None:
        """The first model it lists, unless one is set. A server without a list is asked for what is set."""
        try:
            async with asyncio.timeout(self._settings.first_token_seconds):
                async with self._open().get(f"{self._url}/models") as response:
                    if response.status == 404 and self._model:
                        return
                    await self._require_ok(response)
                    answer = await response.json(content_type=None)
                    # Servers in Go write null for an empty list.
                    listed = [str(entry["id"]) for entry in answer["data"] or []]
        except TimeoutError:
            raise StageError("llm", f"{self._server} does not answer; check that it is running.") from None
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error
        except (ValueError, KeyError, TypeError) as error:
            reason = (
                f"{self._server} does not list its models as OpenAI does; check that llm.url ends in /v1."
            )
            raise StageError("llm", reason) from error
        if not self._model:
            if not listed:
                raise StageError("llm", f"{self._server} serves no model; load one, or set llm.remote_model.")
            self._model = listed[0]
        elif self._model not in listed:
            log.warning("%s does not list %s, only %s", self._server, self._model, ", ".join(listed))

    async def _pieces(self, messages: Sequence[Message], tokens: int) -> AsyncGenerator[str, None]:
        """The texts that are not empty, of one streamed completion."""
        body = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": tokens,
            "temperature": self._settings.temperature,
            "stream": True,
        }
        url = f"{self._url}/chat/completions"
        try:
            response = await self._open().post(url, json=body | self._switches)
            if response.status in (400, 422) and self._switches:
                refused = await response.read()
                response = await self._open().post(url, json=body)
                if response.status == 200:
                    log.info("%s knows no chat_template_kwargs: %s", self._server, refused[:200])
                    self._switches = {}
            try:
                await self._require_ok(response)
                async for text in self._texts(response, may_only_think=tokens == 1):
                    yield text
            finally:
                response.close()
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _texts(
        self, response: aiohttp.ClientResponse, *, may_only_think: bool
    ) -> AsyncGenerator[str, None]:
        """Reads server-sent events: of each line `data: {...}` the text of the first choice."""
        finished, spoke, thought = False, False, False
        try:
            async for line in response.content:
                field, _, data = line.decode().strip().partition(":")
                if field != "data":
                    continue  # a comment that keeps the connection alive, another field, or a blank
                if data.strip() == "[DONE]":
                    finished = True
                    break
                event = json.loads(data)
                if "error" in event and event["error"] is not None:
                    raise StageError("llm", f"{self._server} failed: {_message(event)}.")
                # The last event may hold usage and no choice, which is null for some.
                for choice in (event["choices"] or [])[:1]:
                    finished = finished or choice.get("finish_reason") is not None
                    delta = choice.get("delta") or {}
                    thought = thought or bool(delta.get("reasoning") or delta.get("reasoning_content"))
                    if text := delta.get("content"):
                        spoke = True
                        yield text
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError("llm", f"{self._server} does not stream as OpenAI does ({error}).") from error
        if not finished:
            raise StageError("llm", f"{self._server} broke off in the middle of the reply.")
        if thought and not spoke and not may_only_think:
            raise StageError(
                "llm",
                f"The model at {self._url} only thought and said nothing; choose one that does not think, "
                "or raise llm.max_tokens.",
            )

    async def _require_ok(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        text = (await response.content.read(4096)).decode(errors="replace")
        try:
            said = _message(json.loads(text))
        except ValueError:
            said = " ".join(text.split())[:200]
        status = response.status
        if status in (401, 403):
            reason = f"{self._server} wants another key; set llm.api_key."
        elif status == 404:
            reason = f"{self._server} has no such page or model; check llm.url and llm.remote_model."
        elif status in (429, 503):
            reason = f"{self._server} is too busy ({status}); try again in a moment."
        elif status == 400 and "context" in said:
            reason = f"{self._server} can't take a conversation that long; lower llm.context_tokens."
        else:
            reason = f"{self._server} answered {status}: {said.rstrip('.')}."
        raise StageError("llm", reason)

    def _unreachable(self, error: aiohttp.ClientError) -> StageError:
        # NonHttpUrlClientError is no InvalidURL, and both are no connection errors; certificates' are.
        if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
            return StageError("llm", f"llm.url must be an address with http:// or https://, not {self._url}.")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            mend = "set SSL_CERT_FILE to the certificate that signed it"
            return StageError("llm", f"{self._server} has a certificate that is not trusted here; {mend}.")
        if isinstance(error, aiohttp.ClientSSLError):
            return StageError("llm", f"{self._server} does not speak TLS; try http:// in llm.url.")
        if isinstance(error, aiohttp.ClientConnectionError) and not isinstance(
            error, aiohttp.ServerDisconnectedError
        ):
            return StageError("llm", f"{self._server} can't be reached; check that it is running.")
        return StageError("llm", f"{self._server} broke off ({type(error).__name__}).")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise StageError("llm", f"{self._server} was left already.")
        return self._session

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _message(answer: Any) -> str:
    """The sentence in an error's body, in OpenAI's or FastAPI's shape."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return " ".join(str(error).split())[:200]
