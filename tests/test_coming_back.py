"""A conversation whose connection breaks goes on with the next one."""

import asyncio

import pytest

from benchmarks.webrtc_client import Caller, CallError
from local_voice.events import Message
from local_voice.server import Server
from local_voice.settings import ServerSettings

doors = pytest.mark.doors


class Counter:
    """A conversation in which each connection says one more thing."""

    def __init__(self) -> None:
        self.before: list[tuple[Message, ...]] = []

    async def __call__(self, transport) -> None:
        self.before.append(transport.messages)
        try:
            async for _ in transport.incoming():
                pass
        finally:
            said = Message("user", f"message {len(self.before)}")
            transport.remember([*transport.messages, said])


def serving(talk: Counter, **settings) -> Server:
    return Server(talk, lambda: "", ServerSettings(port=0, **settings))


async def closed(server: Server) -> None:
    async with asyncio.timeout(5.0):
        while server.sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@doors
async def test_a_caller_whose_connection_broke_goes_on_and_one_who_hung_up_begins_anew():
    talk = Counter()
    async with serving(talk) as server:
        first, again, last = Caller(server.url), Caller(server.url), Caller(server.url)
        async with first:
            assert first.conversation
            assert not first.resumed
            await first.vanish()
        await closed(server)
        again.conversation = first.conversation
        async with again:  # leaving hangs up
            assert again.resumed
            assert again.conversation not in ("", first.conversation)
            await again.wait_until(lambda: again._channel.readyState == "open", 5.0)  # to say goodbye on
        await closed(server)
        last.conversation = again.conversation
        async with last:
            assert not last.resumed
    assert [[message.content for message in before] for before in talk.before] == [[], ["message 1"], []]


@doors
async def test_a_new_connection_takes_the_place_of_one_that_is_not_yet_given_up():
    talk = Counter()
    async with serving(talk, max_sessions=1) as server:
        one, stranger, two = Caller(server.url), Caller(server.url), Caller(server.url)
        async with one:
            stranger.conversation = "made up"
            with pytest.raises(CallError, match="taken"):
                await stranger.__aenter__()
            two.conversation = one.conversation
            async with two:
                assert two.resumed
                assert server.sessions == 1
    assert talk.before == [(), (Message("user", "message 1"),)]


@doors
async def test_who_did_not_get_the_answer_to_their_return_comes_back_under_the_name_they_know():
    talk = Counter()
    async with serving(talk, max_sessions=1) as server:
        one, unheard, two = Caller(server.url), Caller(server.url), Caller(server.url)
        async with one:
            await one.vanish()
        await closed(server)
        unheard.conversation = two.conversation = one.conversation
        async with unheard, two:
            assert two.resumed
            assert server.sessions == 1
    assert [len(before) for before in talk.before] == [0, 1, 2]


@doors
async def test_a_refused_return_may_be_tried_again():
    talk = Counter()
    async with serving(talk, max_sessions=1) as server:
        one, other, two = Caller(server.url), Caller(server.url), Caller(server.url)
        async with one:
            await one.vanish()
        await closed(server)
        async with other:
            two.conversation = one.conversation
            with pytest.raises(CallError, match="taken"):
                await two.__aenter__()
        await closed(server)
        two = Caller(server.url)
        two.conversation = one.conversation
        async with two:
            assert two.resumed
