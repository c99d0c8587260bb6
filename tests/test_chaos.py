"""Something breaks, or somebody misbehaves, on a running server: who is concerned hears it.

The real server and sessions over real WebRTC, on scripts instead of models (`benchmarks/scripted_server.py`).
What else breaks is tested where it lives: the language model's process that is killed in
`test_vllm_engine_real.py`, the disk that is full while recording in `test_recorder.py`, a client that
vanishes or takes no sound in `test_webrtc.py`. `benchmarks/chaos.py` does to the real parts what can be done
to them from outside, and measures.
"""

import asyncio
import json
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from unittest.mock import patch

import numpy as np
import pytest

from benchmarks.scripted_server import ENGINES, Hum, Question, Reply
from benchmarks.webrtc_client import RATE, Caller
from local_voice.assistant import Assistant
from local_voice.sentences import SENTENCES
from local_voice.server import Server
from local_voice.settings import ServerSettings, Settings
from local_voice.stages import StageError
from local_voice.transcript import Transcript
from local_voice.worker import Worker

pytestmark = pytest.mark.doors

REPLY_SECONDS = 8.0
REPLY = "The capital of France is Paris, and it lies on the Seine."


@asynccontextmanager
async def living(**instead):
    """A server on scripted engines, some replaced by others."""
    async with AsyncExitStack() as stack:
        for name, engine in {**ENGINES, **instead}.items():
            stack.enter_context(patch(f"local_voice.assistant.{name}", engine))
        stack.enter_context(patch("local_voice.assistant.ModelStore"))
        stack.enter_context(patch("benchmarks.scripted_server.REPLY", REPLY))
        assistant = await stack.enter_async_context(Assistant(Settings()))

        async def converse(transport) -> None:
            await assistant.converse(transport)

        settings = ServerSettings(port=0, requests_per_minute=0)
        yield await stack.enter_async_context(
            Server(converse, lambda: "", settings, waiting=assistant.waiting)
        )


def sound(seconds: float = 0.5, level: float = 0.3) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 200 * at)).astype(np.float32)


async def wait(caller: Caller) -> float:
    """Say something; seconds until the reply is heard."""
    said = await caller.say(sound(), RATE)
    assert await caller.wait_until(lambda: caller.first_sound(said.last_voice) is not None, REPLY_SECONDS)
    return caller.first_sound(said.last_voice) - said.last_voice


def final(caller: Caller) -> list[str]:
    return [
        event["text"]
        for _, event in caller.events
        if event["type"] == "caption" and event["role"] == "assistant" and event["final"]
    ]


class FailsOnce(Question):
    """A recogniser whose first final pass breaks."""

    def __init__(self, *arguments, **named) -> None:
        self.broken = False

    async def transcribe(self, samples, *, final, **named) -> Transcript:
        if final and not self.broken:
            self.broken = True
            raise StageError("stt", "the recogniser broke")
        return await super().transcribe(samples, final=final)


class BreaksOnce(FailsOnce):
    """The same with an error that nobody foresaw."""

    async def transcribe(self, samples, *, final, **named) -> Transcript:
        if final and not self.broken:
            self.broken = True
            raise ZeroDivisionError("nobody foresaw this")
        return await Question.transcribe(self, samples, final=final)


@pytest.mark.parametrize("engine", [FailsOnce, BreaksOnce])
async def test_a_recogniser_that_breaks_is_heard_of_and_the_next_turn_works(engine, caplog):
    async with living(Whisper=engine) as server, Caller(server.url) as caller:
        await wait(caller)
        assert await caller.wait_until(lambda: bool(final(caller)), 5.0)
        assert final(caller)[0] in SENTENCES, "an apology, by voice and on the page"
        assert any(event["type"] == "notice" for _, event in caller.events)
        await caller.wait_for_reply(0.0, quiet=0.5)
        assert await wait(caller) < 3.0
        assert await caller.wait_until(lambda: len(final(caller)) > 1, REPLY_SECONDS)
        assert "Paris" in final(caller)[-1]
    assert "turn 1" in caplog.text


class Hangs(Hum):
    """A voice that takes as long as it is let, for those who are told something about Paris."""

    async def synthesize(self, clause, **named):
        if "Paris" in clause.written:
            await asyncio.sleep(0.3)
            raise StageError("tts", "the voice took longer than 0.3 s for a clause")
        async for piece in super().synthesize(clause):
            yield piece


class NeverComesBack(Hum):
    """A voice whose thread once stays in native code for ever; every other clause is well."""

    def __init__(self, *arguments, **named) -> None:
        self.ever = threading.Event()
        self.worker = Worker("voice", patience=0.2)
        self.stuck = False

    async def __aexit__(self, *_) -> None:
        await self.worker.close()
        self.ever.set()

    async def synthesize(self, clause, **named):
        work = float
        if "Paris" in clause.written and not self.stuck:
            self.stuck, work = True, self.ever.wait
        try:
            async with asyncio.timeout(0.3):
                await self.worker.run(work)
        except TimeoutError as error:
            raise StageError("tts", "the voice took longer than 0.3 s for a clause") from error
        async for piece in super().synthesize(clause):
            yield piece


async def test_after_a_voice_that_never_comes_back_the_next_turn_is_spoken_by_another_thread():
    async with living(Piper=NeverComesBack) as server, Caller(server.url) as caller:
        await wait(caller)
        assert await caller.wait_until(lambda: bool(final(caller)), 5.0)
        assert final(caller)[0] in SENTENCES
        await caller.wait_for_reply(0.0, quiet=0.5)
        assert await wait(caller) < 3.0
        assert await caller.wait_until(lambda: any("Seine" in said for said in final(caller)), REPLY_SECONDS)


async def test_a_voice_that_hangs_is_given_up_and_the_user_hears_so():
    async with living(Piper=Hangs) as server, Caller(server.url) as caller:
        await wait(caller)
        assert await caller.wait_until(lambda: bool(final(caller)), 5.0)
        assert final(caller)[0] in SENTENCES
        await caller.wait_for_reply(0.0, quiet=0.5)
        await wait(caller)


class DiesMidReply(Reply):
    """The engine is gone after a few words, once."""

    died = False

    async def generate(self, messages, **named):
        count = 0
        async for word in super().generate(messages):
            yield word
            count += 1
            if count == 9 and not DiesMidReply.died:
                DiesMidReply.died = True
                raise StageError("llm", "The language model's process died; it is being restarted.")


async def test_an_engine_that_dies_in_the_middle_of_a_reply_is_told_and_the_next_turn_works(monkeypatch):
    monkeypatch.setattr(DiesMidReply, "died", False)
    async with living(VllmEngine=DiesMidReply) as server, Caller(server.url) as caller:
        await wait(caller)
        assert await caller.wait_until(
            lambda: any(
                event["type"] == "notice" and "restarted" in event["text"] for _, event in caller.events
            ),
            5.0,
        )
        await caller.wait_for_reply(0.0, quiet=1.0)
        assert await wait(caller) < 3.0


async def test_a_clock_that_jumps_a_day_either_way_is_not_noticed(monkeypatch):
    real = time.time
    async with living() as server, Caller(server.url) as caller:
        assert await wait(caller) < 3.0
        for jump in (86_400.0, -86_400.0):
            monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
            await caller.wait_for_reply(0.0, quiet=0.5)
            assert await wait(caller) < 3.0
        assert not [event for _, event in caller.events if event["type"] in ("bye", "notice")]


async def test_one_who_sends_too_much_does_not_disturb_another():
    async with living() as server, Caller(server.url) as loud, Caller(server.url) as quiet:
        alone = await wait(quiet)
        await quiet.wait_for_reply(0.0, quiet=0.5)
        flooding = True

        async def flood() -> int:
            sent = 0
            while flooding:
                for _ in range(50):
                    loud.send({"type": "mode", "name": "half_duplex" if sent % 2 else "full_duplex"})
                    loud.send({"type": "say", "text": "x" * 1000})
                    loud._channel.send(json.dumps(["nonsense"] * 500))
                    sent += 3
                await asyncio.sleep(0.05)
            return sent

        flooded = asyncio.create_task(flood())
        beside = await wait(quiet)
        flooding = False
        assert await flooded > 300
        assert beside < alone + 1.5
        written = sum(event["type"] == "caption" and event["role"] == "user" for _, event in loud.events)
        assert 0 < written < 50, "what one may write is bounded"
        assert server.sessions == 2 or loud.events[-1][1]["type"] == "bye"


async def test_noise_without_an_end_is_answered_in_the_end_and_a_neighbour_talks_meanwhile():
    async with living() as server, Caller(server.url) as noisy, Caller(server.url) as quiet:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * RATE).astype(np.float32)
        making = asyncio.create_task(noisy.say(noise, RATE))
        await asyncio.sleep(1.0)
        assert await wait(quiet) < 3.0
        said = await making
        assert await noisy.wait_until(lambda: noisy.first_sound(said.last_voice) is not None, REPLY_SECONDS)
        transports = list(server._sessions.values())
        assert max(transport.lost_chunks for transport in transports) == 0


async def test_one_who_says_nothing_keeps_a_place_and_costs_nobody_else_anything():
    async with living() as server, Caller(server.url) as silent, Caller(server.url) as quiet:
        assert await wait(quiet) < 3.0
        await asyncio.sleep(4.0)
        assert server.sessions == 2, "silence is sound too"
        assert final(silent) == []
