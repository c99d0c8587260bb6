"""The caller of the conversation benchmark says what its script holds, when the script says so."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from virtual_time import run

from benchmarks.conversation.caller import CHUNK, Caller
from benchmarks.conversation.loudness import RATE, VOICED_DB, extents
from benchmarks.conversation.room import EchoPath
from benchmarks.conversation.script import (
    Action,
    AfterOwn,
    BeforeReplyEnds,
    Call,
    IntoReply,
    Quiet,
    Scenario,
    Sound,
    line,
    natural,
)
from benchmarks.conversation.tapes import ScriptedLlm, Take, Tapes
from benchmarks.conversation.voices import cut, levelled


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.07 * noise).astype(np.float32)


def tail(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def test_a_pause_lasts_exactly_from_the_last_voiced_frame_to_the_first():
    before = np.concatenate((tail(0.1), voice(0.5), tail(0.2)))
    after = np.concatenate((tail(0.02), voice(0.4, 1), tail(0.3)))
    sound = line(before, 0.6, after)
    assert sound.pauses == (pytest.approx((0.53, 1.13), abs=0.006),)
    heard = extents(sound.samples, VOICED_DB)
    assert heard == [pytest.approx(part, abs=0.006) for part in sound.voiced]


def test_a_stretch_without_voice_is_refused():
    with pytest.raises(ValueError, match="without any voice"):
        line(tail(0.5))


def test_a_long_recording_keeps_the_pauses_of_its_speaker_and_no_shorter_gaps():
    recording = np.concatenate(
        (voice(1.0), tail(0.1), voice(1.0), tail(0.4), voice(0.5), tail(0.03), voice(0.01))
    )
    sound = natural(recording)
    assert [end - start for start, end in sound.pauses] == [pytest.approx(0.4, abs=0.011)]


def test_a_recording_is_cut_at_its_softest_place():
    recording = np.concatenate((voice(1.0), tail(0.06), voice(1.0)))
    first, second = cut(recording, 1.1)
    assert len(first) / RATE == pytest.approx(1.03, abs=0.016)
    assert len(first) + len(second) == len(recording)


def test_everybody_speaks_at_one_level():
    soft = np.concatenate((tail(1.0), 0.01 * voice(1.0), tail(1.0)))
    power = np.mean(np.square(levelled(soft)[RATE : 2 * RATE]))
    assert 10 * np.log10(power) == pytest.approx(-23, abs=0.5)


def test_an_echo_comes_back_later_and_softer_by_what_was_asked():
    path = EchoPath(-20.0, 0.1, CHUNK, np.random.default_rng(0))
    played = voice(1.0)
    echo = np.concatenate([path.hear(played[at : at + CHUNK]) for at in range(0, len(played), CHUNK)])
    assert np.abs(echo[: round(0.1 * RATE)]).max() < 1e-6
    softer = np.mean(np.square(echo[RATE // 4 :])) / np.mean(np.square(played))
    assert 10 * np.log10(softer) == pytest.approx(-20, abs=1.0)


def uttered(seconds: float) -> Sound:
    return Sound(voice(seconds), ((0.0, seconds),))


class Answering:
    """Takes the caller's sound and lets a reply of two seconds be heard a while after each turn."""

    def __init__(self, caller: Caller, tapes: Tapes) -> None:
        self.chunks: list[np.ndarray] = []
        self._caller = caller
        self._tapes = tapes
        self._turn = 0

    async def run(self) -> None:
        silent = 0
        async for chunk in self._caller.incoming():
            self.chunks.append(chunk.samples)
            loud = float(np.abs(chunk.samples).max()) > 0.05
            silent = 0 if loud else silent + 1
            answered = self._turn >= len(self._caller.spoken)
            if silent == 15 and not answered and not self._caller.playout.speaking:
                self.reply(2.0)

    def reply(self, seconds: float) -> None:
        self._turn += 1
        take = Take("", (self._turn, 0), 0.0, "reply", written=True)
        take._pieces = [voice(seconds, self._turn)]
        self._tapes.takes.append(take)
        playout = self._caller.playout
        playout.open(self._turn, 0)
        playout.write(self._turn, 0, take._pieces[0])
        playout.finish(self._turn, 0)
        playout.release(self._turn, 0)


def called(*actions: Action, echo_db: float | None = None, cancelled: bool = False):
    """The recording of a call, and the chunks that the assistant was handed."""
    tapes = Tapes()
    call = Call("call", (Scenario("scenario", actions),), echo_db=echo_db, echo_cancelled=cancelled)
    caller = Caller(call, tapes, ScriptedLlm())
    answering = Answering(caller, tapes)

    async def main() -> None:
        async with asyncio.timeout(60), caller:
            await answering.run()

    run(main())
    return caller.recording([]), answering.chunks


def onset(recording, after: float) -> float:
    return next(a for a, _ in extents(recording.assistant, -50.0, join=0.3) if a >= after)


def test_a_caller_speaks_into_a_reply_after_so_many_seconds_of_it():
    recording, _ = called(
        Action("turn", uttered(1.0)), Action("interruption", uttered(0.5), IntoReply(0.8), "middle")
    )
    first, second = recording.spoken
    assert second.start - onset(recording, first.last_voice) == pytest.approx(0.8, abs=0.045)


def test_a_caller_speaks_so_many_seconds_before_the_end_of_a_reply():
    recording, _ = called(
        Action("turn", uttered(1.0)), Action("interruption", uttered(0.2), BeforeReplyEnds(0.4), "last")
    )
    first, second = recording.spoken
    assert onset(recording, first.last_voice) + 2.0 - second.start == pytest.approx(0.4, abs=0.045)


def test_a_caller_goes_on_after_so_much_of_its_own_silence():
    recording, _ = called(Action("turn", uttered(1.0)), Action("interruption", uttered(0.5), AfterOwn(0.2)))
    first, second = recording.spoken
    assert second.start - first.last_voice == pytest.approx(0.2, abs=0.045)


def test_a_caller_waits_until_the_assistant_has_finished():
    recording, _ = called(Action("turn", uttered(1.0)), Action("turn", uttered(0.5), Quiet(0.5)))
    first, second = recording.spoken
    assert second.start - onset(recording, first.last_voice) == pytest.approx(2.5, abs=0.045)


def test_a_moment_that_never_comes_is_told():
    recording, _ = called(
        Action("turn", uttered(1.0)), Action("interruption", uttered(0.2), IntoReply(5.0), "too late")
    )
    assert len(recording.spoken) == 1
    assert recording.unmet == [("scenario", "too late")]


def test_both_channels_are_of_one_length_and_silence_holds_a_room():
    recording, chunks = called(Action("turn", uttered(0.5)))
    assert len(recording.caller) == len(recording.assistant) == sum(map(len, chunks))
    assert 0 < np.abs(recording.caller[: RATE // 4]).max() < 0.01


def test_the_assistant_hears_its_echo_and_the_recording_does_not():
    recording, chunks = called(Action("turn", uttered(0.5)), echo_db=-10.0)
    began = onset(recording, 0.0)
    within = slice(round((began + 0.3) * RATE), round((began + 1.5) * RATE))
    handed = np.concatenate(chunks)
    assert np.std(handed[within]) > 5 * np.std(recording.caller[within])


def test_a_canceller_takes_most_of_the_echo_out():
    loud = called(Action("turn", uttered(0.5)), echo_db=-10.0)
    quiet = called(Action("turn", uttered(0.5)), echo_db=-10.0, cancelled=True)
    began = onset(loud[0], 0.0)
    within = slice(round((began + 1.0) * RATE), round((began + 1.9) * RATE))
    assert np.std(np.concatenate(quiet[1])[within]) < 0.3 * np.std(np.concatenate(loud[1])[within])


def test_a_dead_line_carries_not_even_the_room():
    sound = Sound(tail(0.6), ((0.0, 0.6),), dead=(0.2, 0.4))
    recording, _ = called(Action("turn", sound))
    start = round(recording.spoken[0].start * RATE)
    assert not recording.caller[start + RATE // 5 : start + RATE // 5 * 2].any()
    assert recording.caller[start : start + RATE // 5].any()
