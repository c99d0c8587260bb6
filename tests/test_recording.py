"""The file transport, driven by the real session on scripted engines, in virtual time."""

import asyncio

import numpy as np
import pytest
import soundfile
from fakes import LevelVad, ScriptedLlm, ScriptedStt, ScriptedTurn, ToneTts, of_kind, tone
from virtual_time import run

from local_voice.audio import AudioChunk
from local_voice.events import Message
from local_voice.sentences import APOLOGIES
from local_voice.session import Engines, Session
from local_voice.settings import Settings
from local_voice.stages import Caption, StageError, Status
from local_voice.transports.recording import CHUNK, RATE, Recording


def loud(seconds: float, rate: int = 16_000) -> AudioChunk:
    """What the scripted voice activity detector takes for speech."""
    samples = 0.5 * np.sin(2 * np.pi * 400 / rate * np.arange(round(seconds * rate)))
    return AudioChunk(samples.astype(np.float32), rate, 0)


def quiet(seconds: float) -> AudioChunk:
    return AudioChunk(np.zeros(round(seconds * 16_000), np.float32), 16_000, 0)


class SlowLlm(ScriptedLlm):
    """Takes its time before every delta."""

    def __init__(self, seconds: float, *replies: str) -> None:
        super().__init__(*replies)
        self.seconds = seconds

    async def generate(self, messages):
        async for delta in super().generate(messages):
            await asyncio.sleep(self.seconds)
            yield delta


class Finished:
    """A conversation over a recording that has come to its end."""

    def __init__(self, inputs: list[AudioChunk], stt: ScriptedStt, llm: ScriptedLlm, options: dict) -> None:
        self.shown: list[tuple[object, int]] = []
        self.recording = Recording(inputs, show=lambda *shown: self.shown.append(shown), **options)
        self.stt = stt
        self.llm = llm
        self.seconds = 0.0
        """How long it took on the loop's clock."""

    async def converse(self) -> None:
        apologies = {text: tone(text) for text in APOLOGIES.values()}
        engines = Engines(LevelVad(), ScriptedTurn(), self.stt, self.llm, ToneTts(), apologies)
        session = Session(engines, Settings(), self.recording, clock=lambda: 0.0)
        async with self.recording:
            await session.run()
        self.history = session.conversation.history
        self.seconds = asyncio.get_running_loop().time()

    @property
    def states(self) -> list[str]:
        return [status.state for status in of_kind(Status, [item for item, _ in self.shown])]


def converse(inputs: list[AudioChunk], stt: ScriptedStt, llm: ScriptedLlm, **options) -> Finished:
    options.setdefault("paced", False)
    finished = Finished(inputs, stt, llm, options)
    run(finished.converse())
    return finished


def sounding(samples: np.ndarray) -> tuple[float, float]:
    """Seconds at which the sound begins and ends."""
    at = np.flatnonzero(np.abs(samples) > 0.1)
    return at[0] / RATE, at[-1] / RATE


def test_a_question_is_answered_on_one_clock_with_its_reply():
    done = converse([loud(1.0)], ScriptedStt("What time is it?"), ScriptedLlm("It is noon."))
    assert done.history == [Message("user", "What time is it?"), Message("assistant", "It is noon.")]
    said, heard = sounding(done.recording.said), sounding(done.recording.heard)
    assert said == pytest.approx((0.0, 1.0), abs=0.03)
    # The turn ends 0.256 s after its last voiced window; three words of 0.1 s are played.
    assert 1.2 < heard[0] < 1.35
    assert heard[1] - heard[0] == pytest.approx(0.3, abs=0.02)
    assert abs(len(done.recording.said) - len(done.recording.heard)) <= RATE // 50
    assert done.states == ["listening", "hearing", "thinking", "speaking", "listening"]


def test_a_slow_engine_takes_no_time_on_the_clock_of_an_unpaced_recording():
    reply = "The first sentence is here. |And |a second one."
    fast = converse([loud(1.0)], ScriptedStt("Is it so?"), ScriptedLlm(reply))
    slow = converse([loud(1.0)], ScriptedStt("Is it so?"), SlowLlm(0.4, reply))
    assert slow.seconds > fast.seconds + 0.9
    fast_heard, slow_heard = sounding(fast.recording.heard), sounding(slow.recording.heard)
    assert slow_heard == pytest.approx(fast_heard, abs=0.05)
    assert slow.history == fast.history


def test_a_paced_recording_takes_the_time_it_lasts_and_waits_for_nobody():
    reply = "The first sentence is here. |And |a second one."
    done = converse([loud(1.0)], ScriptedStt("Go on."), SlowLlm(0.8, reply), paced=True)
    duration = len(done.recording.heard) / RATE
    assert done.seconds == pytest.approx(duration, abs=0.03)
    holes = np.abs(done.recording.heard)[round(sounding(done.recording.heard)[0] * RATE) :]
    first = np.flatnonzero(holes > 0.1)
    assert np.diff(first).max() / RATE > 0.2, "a reply that is written slowly has a hole"


def test_an_unpaced_recording_of_a_long_question_is_over_at_once():
    done = converse([loud(60.0)], ScriptedStt("Long."), ScriptedLlm("Yes."))
    assert done.seconds < 1.0
    assert done.history[-1] == Message("assistant", "Yes.")


def test_silence_ends_without_a_reply():
    done = converse([quiet(2.0)], ScriptedStt(), ScriptedLlm(), tail_seconds=4.0)
    assert done.history == []
    assert len(done.recording.said) / RATE == pytest.approx(6.0, abs=0.05)
    assert not done.recording.heard.any()


def test_a_noise_without_words_ends_without_a_reply():
    done = converse([loud(0.5)], ScriptedStt(""), ScriptedLlm())
    assert done.history == []
    assert done.states[-1] == "listening"


def test_a_failing_engine_is_answered_with_an_apology_and_the_recording_ends():
    done = converse([loud(1.0)], ScriptedStt(StageError("stt", "broken")), ScriptedLlm())
    assert done.history[-1].content == APOLOGIES["stt"]


def test_the_next_question_begins_a_gap_after_the_reply():
    stt = ScriptedStt("I am Ann.", "Who am I?")
    done = converse(
        [loud(1.0), loud(0.5)], stt, ScriptedLlm("Hello Ann.", "Your name is Ann."), gap_seconds=0.6
    )
    assert [message.content for message in done.history] == [
        "I am Ann.",
        "Hello Ann.",
        "Who am I?",
        "Your name is Ann.",
    ]
    heard, said = np.abs(done.recording.heard) > 0.1, np.abs(done.recording.said) > 0.1
    second = np.flatnonzero(said[round(1.1 * RATE) :])[0] + round(1.1 * RATE)
    first_reply = np.flatnonzero(heard[:second])[-1]
    assert (second - first_reply) / RATE == pytest.approx(0.6, abs=0.06)


def test_the_listener_is_told_to_which_question_a_caption_belongs():
    stt = ScriptedStt("One.", "Two.")
    done = converse([loud(1.0), loud(1.0)], stt, ScriptedLlm("Reply one.", "Reply two."))
    finals = [(c.text, number) for c, number in done.shown if isinstance(c, Caption) and c.final]
    assert finals == [("One.", 0), ("Reply one.", 0), ("Two.", 1), ("Reply two.", 1)]


def test_an_interrupting_question_cuts_the_reply_at_the_heard_word():
    reply = " ".join(f"word{n}" for n in range(40)) + "."
    stt = ScriptedStt("Tell me all.", "Tell me less.")
    done = converse([loud(1.0), loud(0.6)], stt, ScriptedLlm(reply, "Stopped."), interrupt_after=1.0)
    cut = done.history[1]
    assert cut.interrupted
    # 1.0 s until the interruption, 0.192 s until it is paused, in words of 0.1 s.
    assert 11 <= len(cut.content.split()) <= 13
    assert done.history[-1] == Message("assistant", "Stopped.")


def test_questions_of_any_rate_are_handed_out_at_16_khz_in_whole_chunks():
    recording = Recording([loud(0.51, rate=44_100)], paced=False, tail_seconds=0.1)

    async def take() -> list[AudioChunk]:
        async with recording:
            return [chunk async for chunk in recording.incoming()]

    chunks = run(take())
    assert {len(chunk.samples) for chunk in chunks} == {CHUNK}
    assert {chunk.sample_rate for chunk in chunks} == {16_000}
    assert [chunk.start for chunk in chunks] == [CHUNK * n for n in range(len(chunks))]
    assert sounding(recording.said)[1] == pytest.approx(0.51, abs=0.01)


def test_an_unpaced_recording_never_stops_its_clock_for_good():
    recording = Recording([quiet(0.1)], paced=False)

    async def take() -> float:
        async with recording:
            sound = recording.incoming()
            await anext(sound)
            recording.notify(Status("thinking"))  # and nothing ever comes of it
            for _ in range(10):
                await anext(sound)
            await sound.aclose()
        return asyncio.get_running_loop().time()

    assert run(take()) == pytest.approx(5.0, abs=0.01)


def test_the_saved_file_has_the_questions_left_and_the_replies_right(tmp_path):
    done = converse([loud(1.0)], ScriptedStt("Hm?"), ScriptedLlm("It is noon."))
    done.recording.save(tmp_path / "both.wav")
    frames, rate = soundfile.read(tmp_path / "both.wav")
    assert rate == RATE
    assert frames.shape[1] == 2
    assert sounding(frames[:, 0]) == sounding(done.recording.said)
    assert sounding(frames[:, 1]) == sounding(done.recording.heard)
