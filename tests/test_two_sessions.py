"""Two conversations at once on the same engines: neither hears or remembers anything of the other."""

import asyncio

import numpy as np
from fakes import RATE, WINDOW, Entered, HandTransport, LevelVad, ScriptedTurn, of_kind, settle, tone

from local_voice.audio import AudioChunk
from local_voice.sentences import SENTENCES
from local_voice.session import Engines, Session
from local_voice.settings import Settings
from local_voice.stages import Caption, Speech
from local_voice.transcript import Transcript, Word

VOICES = {"alpha": 0.5, "beta": 0.25}
"""Who speaks is told by how loud they are; the assistant answers everybody as loudly."""


class Recogniser(Entered):
    """Says whose sound it was given, and how often that one has spoken."""

    def __init__(self) -> None:
        self.turns = dict.fromkeys(VOICES, 0)

    async def transcribe(self, samples, *, final: bool, draft: str = "") -> Transcript:
        await asyncio.sleep(0)
        levels = {float(level) for level in np.unique(np.abs(samples)) if level > 0.1}
        (speaker,) = [name for name, level in VOICES.items() if levels == {level}]
        return Transcript(f"I am {speaker}, and this is what I say.")


class Parrot(Entered):
    """Answers with who has spoken so far, as its prompt tells."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def generate(self, messages):
        text = " ".join(message.content for message in messages if message.role != "system")
        self.prompts.append(text)
        for word in [name for name in VOICES if name in text]:
            await asyncio.sleep(0)
            yield f"Hello {word}. "

    async def warm(self, messages) -> None:
        pass

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class Voice(Entered):
    """As loud as the one it speaks to."""

    sample_rate = RATE

    async def synthesize(self, clause):
        await asyncio.sleep(0)
        names = [name for name in VOICES if name in clause.written]
        level = VOICES[names[0]] if names else 0.9
        words = clause.written.split()
        times = tuple(Word(word, i * 0.1, (i + 1) * 0.1) for i, word in enumerate(words))
        yield Speech(np.full(round(len(words) * 0.1 * RATE), level, np.float32), times)


async def speak(transport: HandTransport, level: float, windows: int, silence: int) -> None:
    for number in range(windows + silence):
        samples = np.full(WINDOW, level if number < windows else 0.0, np.float32)
        transport._chunks.put_nowait(AudioChunk(samples, RATE, 0))
        await settle()


async def test_two_sessions_share_engines_and_neither_history_nor_sound():
    llm = Parrot()
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    engines = Engines(LevelVad(), ScriptedTurn(), Recogniser(), llm, Voice(), apologies)
    transports = {name: HandTransport() for name in VOICES}
    sessions = {name: Session(engines, Settings(), transport) for name, transport in transports.items()}
    running = [asyncio.create_task(session.run()) for session in sessions.values()]
    await settle()
    heard: dict[str, list[np.ndarray]] = {name: [] for name in VOICES}
    for _ in range(3):
        # Both speak at the same time, window by window, and both listen at the same time.
        async with asyncio.TaskGroup() as group:
            for name, transport in transports.items():
                group.create_task(speak(transport, VOICES[name], 20, 17))

        async def listen(name: str) -> None:
            heard[name].append(await transports[name].listen(0.6))

        async with asyncio.TaskGroup() as group:
            for name in VOICES:
                group.create_task(listen(name))
        for transport in transports.values():
            await transport.hear("." * 20)
    for transport in transports.values():
        transport.leave()
    await asyncio.gather(*running)

    for name, other in (("alpha", "beta"), ("beta", "alpha")):
        history = sessions[name].conversation.history
        said = " ".join(message.content for message in history)
        assert [message.role for message in history] == ["user", "assistant"] * 3
        assert name in said
        assert other not in said
        shown = " ".join(caption.text for caption in of_kind(Caption, transports[name].notifications))
        assert other not in shown
        sound = np.concatenate(heard[name])
        loud = np.abs(sound)[np.abs(sound) > 0.01]
        assert np.median(loud) == VOICES[name], "its own voice"
        assert loud.max() <= VOICES[name], "and nothing of the other's on top of it"
    assert all(("alpha" in prompt) != ("beta" in prompt) for prompt in llm.prompts)
