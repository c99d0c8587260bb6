"""One reply on its way from the model to the playout."""

import asyncio

import pytest
from fakes import ToneTts, settle, tone

from local_voice.events import Message
from local_voice.playout import Playout
from local_voice.reply import PlayoutWriter, prepare_reply
from local_voice.stages import StageError


class Typist:
    """A model that writes these pieces, each after the one before has been allowed."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.allowed = asyncio.Semaphore(0)

    async def generate(self, messages):
        for piece in self.pieces:
            await self.allowed.acquire()
            yield piece


async def write(model: Typist, count: int) -> None:
    """Let it write so many pieces, and all follow from each."""
    for _ in range(count):
        model.allowed.release()
        await settle()


def start(model: Typist, tts: ToneTts) -> tuple[asyncio.Task[None], list[str], list[str]]:
    marks: list[str] = []
    clauses: list[str] = []
    writer = PlayoutWriter(Playout(tts.sample_rate), 1, 0, tts.sample_rate)
    work = prepare_reply(
        [Message("user", "?")],
        model,
        tts,
        writer,
        marks.append,
        lambda clause: clauses.append(clause.written),
    )
    return asyncio.create_task(work), marks, clauses


async def test_a_sentence_is_spoken_while_the_token_after_its_full_stop_is_awaited():
    model, tts = Typist("All is", " well.", " So", " it is."), ToneTts()
    task, marks, clauses = start(model, tts)
    model.allowed.release()
    model.allowed.release()
    await settle()
    assert tts.clauses == ["All is well."]
    assert (clauses, "first_sound" in marks) == ([], False)  # nobody hears it before it is sure
    model.allowed.release()
    await settle()
    assert (clauses, "first_sound" in marks) == (["All is well."], True)
    model.allowed.release()
    await task
    assert tts.clauses == clauses == ["All is well.", "So it is."]


async def test_what_was_spoken_ahead_in_vain_is_not_heard():
    model, tts = Typist("See docs.", "python today."), ToneTts()
    task, _, clauses = start(model, tts)
    await write(model, len(model.pieces))
    await task
    assert tts.clauses == ["See docs.", "See docs.python today."]
    assert clauses == ["See docs.python today."]


async def test_a_wrong_guess_that_can_not_be_spoken_is_nobodys_trouble():
    class Choosy(ToneTts):
        async def synthesize(self, clause):
            if clause.written == "See docs.":
                raise StageError("tts", "not that")
            async for piece in super().synthesize(clause):
                yield piece

    model, tts = Typist("See docs.", "python today."), Choosy()
    task, marks, clauses = start(model, tts)
    await write(model, len(model.pieces))
    await task
    assert clauses == tts.clauses == ["See docs.python today."]
    assert "first_sound" in marks


async def test_a_guess_that_was_right_and_can_not_be_spoken_fails_the_reply():
    class Mute(ToneTts):
        async def synthesize(self, clause):
            raise StageError("tts", "not that")
            yield

    model = Typist("All is", " well.", " So")
    task, _, _ = start(model, Mute())
    await write(model, len(model.pieces))
    with pytest.raises(ExceptionGroup) as failure:
        await task
    assert failure.group_contains(StageError, match="not that")


async def test_a_wrong_guess_does_not_keep_the_right_one_from_being_spoken_ahead():
    model, tts = Typist("My favourite city today", " can", "not be named.", " So"), ToneTts()
    task, marks, clauses = start(model, tts)
    await write(model, 3)
    assert tts.clauses == ["My favourite city today", "My favourite city today cannot be named."]
    assert (clauses, "first_sound" in marks) == ([], False)
    model.allowed.release()
    await task
    assert clauses[0] == "My favourite city today cannot be named."
    assert tts.clauses.count(clauses[0]) == 1


class GermanTts(ToneTts):
    """Keeps what it is to say."""

    language = "de"

    async def synthesize(self, clause):
        self.clauses.append(clause.spoken)
        yield tone(clause.written)


async def test_numbers_are_left_to_a_voice_of_another_language():
    model, tts = Typist("25 % mehr, um 14:30 Uhr."), GermanTts()
    model.allowed.release()
    work, _, _ = start(model, tts)
    await work
    assert " ".join(tts.clauses) == "25 % mehr, um 14:30 Uhr."
