"""The canary turn: what it says when all is well, and when something is not; and `doctor --url` about it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer as TestServer

from local_voice import canary, checkup
from local_voice.ask import Answer
from local_voice.audio import AudioChunk
from local_voice.canary import QUESTION, Canary
from local_voice.checkup import examine_server
from local_voice.server import Server
from local_voice.settings import ServerSettings, Settings, TurnSettings

doors = pytest.mark.doors
TOKEN = "0123456789abcdef0123456789abcdef"


class Voice:
    """An assistant that only speaks."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.said: list[str] = []

    async def say(self, text: str) -> AudioChunk:
        self.said.append(text)
        return AudioChunk(np.zeros(160, np.float32), 16_000, 0)


@pytest.fixture
def answering(monkeypatch):
    """Replace the turn; returns a function that says how it goes, and gives the files it was asked with."""
    asked: list[Path] = []

    def so(outcome) -> list[Path]:
        async def ask(assistant, files):
            asked.extend(files)
            assert files[0].is_file()
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is None:
                await asyncio.Event().wait()
            return [outcome(files[0])]

        monkeypatch.setattr(canary, "ask", ask)
        return asked

    return so


async def test_a_turn_that_is_answered_is_told_with_what_was_heard_and_how_long_it_took(answering):
    answering(lambda path: Answer(path, heard="What is the capital", answered="Paris."))
    times = iter([0.0, 1.0, 3.5, 3.5])
    found = await Canary(Voice(), clock=lambda: next(times)).sing()
    assert found == {
        "ok": True,
        "heard": "What is the capital",
        "answered": "Paris.",
        "problem": "",
        "seconds": 2.5,
    }


async def test_a_result_is_given_again_for_a_moment_and_those_who_ask_together_share_a_turn(answering):
    now = [0.0]
    asked = answering(lambda path: Answer(path, heard="a", answered="b"))
    one = Canary(Voice(), clock=lambda: now[0])
    await asyncio.gather(one.sing(), one.sing(), one.sing())
    assert len(asked) == 1
    now[0] = canary.FRESH_SECONDS + 1
    await one.sing()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (lambda path: Answer(path, heard="", problem="no speech was recognised in it"), "no speech"),
        (lambda path: Answer(path, heard="Hello."), "no reply"),
        (ValueError("inner"), "it broke: ValueError"),
        (None, "no answer within"),
    ],
)
async def test_a_turn_that_fails_says_how(answering, monkeypatch, outcome, says, caplog):
    monkeypatch.setattr(canary, "LONGEST_SECONDS", 0.05)
    answering(outcome)
    found = await Canary(Voice()).sing()
    assert not found["ok"]
    assert says in found["problem"]
    assert "inner" not in found["problem"], "that is for the log"
    assert "canary turn failed" in caplog.text


async def test_it_says_the_wake_phrase(answering):
    answering(lambda path: Answer(path, heard="a", answered="b"))
    voice = Voice(Settings(turn=TurnSettings(wake_phrase="computer")))
    await Canary(voice).sing()
    assert voice.said == [f"computer. {QUESTION}"]


def serving(found=None, warming="", **settings) -> Server:
    async def canary_turn():
        return found

    async def converse(transport) -> None:
        pass

    return Server(converse, lambda: warming, ServerSettings(port=0, **settings), canary=canary_turn)


async def examined(server: Server, token: str = "") -> dict[str, tuple[str, str]]:
    findings = await asyncio.to_thread(examine_server, server.url, token)
    return {finding.subject: (finding.status, finding.found) for finding in findings}


@doors
async def test_doctor_asks_a_server_whether_it_converses(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy can't reach what is on this machine
    async with serving({"ok": True, "heard": "What is", "answered": "Paris.", "seconds": 2.5}) as server:
        found = await examined(server)
        assert found["canary turn"] == ("ok", "heard “What is” and answered in 2.5 s")
    async with serving({"ok": False, "problem": "there was no reply"}) as server:
        assert (await examined(server))["canary turn"] == ("bad", "there was no reply")
    async with serving(warming="loading the voice") as server:
        assert (await examined(server))["models"] == ("bad", "still warming up: loading the voice")
    assert (await examined(server))["server"][0] == "bad"
    assert checkup.examine_server("ftp://x")[0].status == "bad"


@doors
@pytest.mark.parametrize("facts", [b'{"detail": "Not Found"}', b"<html>", b"[]"])
async def test_doctor_knows_a_server_that_is_none_of_ours(facts):
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=404, body=facts)

    async with TestServer(answer) as other:
        [finding] = await asyncio.to_thread(examine_server, str(other.make_url("/")))
    assert finding.status == "bad"
    assert "no local-voice server" in finding.found


@doors
async def test_whoever_asks_from_elsewhere_needs_the_token_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr("local_voice.certificates.user_data_path", lambda name: tmp_path)
    async with serving({"ok": True}, token=TOKEN, tls="self-signed", insecure=True) as server:
        assert (await examined(server))["canary turn"][0] == "warn"
        assert (await examined(server, TOKEN))["canary turn"][0] == "ok"


@pytest.mark.models
@pytest.mark.asyncio(loop_scope="session")
async def test_the_real_assistant_hears_its_own_question_and_answers_it(assistant):
    found = await Canary(assistant).sing()
    assert found["ok"], found
    assert "capital" in str(found["heard"])
    # No two renderings of a voice are the same: "the capital of friends" was heard once in some sixty.
    assert "Paris" in str(found["answered"]) or "France" not in str(found["heard"])
