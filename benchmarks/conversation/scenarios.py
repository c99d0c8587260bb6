"""The scenarios, each made for one voice. Every class of the report has its place here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.conversation import voices
from benchmarks.conversation.lines import (
    ANSWERS,
    ASKS_FOR_DIGITS,
    BACKCHANNELS,
    GOING_ON,
    INTERRUPTIONS,
    LONG,
    PAUSES,
    QUESTIONS,
)
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.script import (
    Action,
    AfterOwn,
    IntoReply,
    Kind,
    Quiet,
    Scenario,
    Sound,
    Trigger,
    line,
)
from local_voice.audio import Samples

LENGTHS = (0.3, 0.6, 1.0, 1.6)
"""Seconds of the pauses within a sentence."""
DROPOUT_SECONDS = 0.2
TELEVISION_DB = -15.0
"""Of somebody else's speech, relative to the caller's."""


def ask(text: str, reply: str, voice: str, *, label: str = "question") -> Action:
    """A complete sentence, said when it is the caller's turn."""
    return Action("turn", line(voices.say(text, voice), words=text), Quiet(), label, reply)


def say(text: str, voice: str, when: Trigger, kind: Kind, label: str, reply: str = "") -> Action:
    """Words that come at a moment of their own. An interruption without a reply wants silence."""
    spoken = voices.say("[[m'm: h'm:]]", "espeak:en-us") if text == "Mm-hm." else voices.say(text, voice)
    hushes = kind == "interruption" and not reply
    return Action(kind, line(spoken, words=text), when, label, reply, hushes=hushes)


def paused(parts: Iterable[Samples], lengths: Iterable[float], words: str = "") -> Sound:
    """Stretches with pauses of these lengths between them."""
    stretches = list(parts)
    between = list(lengths)[: len(stretches) - 1]
    mixed: list[Samples | float] = [stretches[0]]
    for pause, stretch in zip(between, stretches[1:], strict=True):
        mixed += [pause, stretch]
    return line(*mixed, words=words)


def noise(sound: Samples, when: Trigger, label: str) -> Action:
    """Something in the room that says nothing."""
    return Action("distractor", Sound(sound, ((0.0, len(sound) / RATE),)), when, label)


# ---- one scenario each ------------------------------------------------------------------------------------


def plain(number: int, voice: str) -> Scenario:
    text, reply = QUESTIONS[number % len(QUESTIONS)]
    return Scenario(f"question {number}", (ask(text, reply, voice),))


def short_answer(number: int, voice: str) -> Scenario:
    text, asking, answer, reply = ANSWERS[number % len(ANSWERS)]
    asked = ask(text, asking, voice)
    return Scenario(
        f"short answer {number}", (asked, say(answer, voice, Quiet(0.5), "turn", "short answer", reply))
    )


def pause(number: int, voice: str, *, longer: int = 0) -> Scenario:
    """`longer`: steps by which its pauses differ from those of the same sentence elsewhere."""
    kind, parts = PAUSES[number % len(PAUSES)]
    lengths = [LENGTHS[(number + step + longer) % len(LENGTHS)] for step in range(3)]
    sound = paused((voices.say(part, voice) for part in parts), lengths, " ".join(parts))
    turn = Action("turn", sound, Quiet(0.5), kind, "All right.")
    asked = (ask(*ASKS_FOR_DIGITS, voice),) if kind == "digits" else ()
    return Scenario(f"{kind} {number}", (*asked, turn))


def told(name: str, label: str, sound: Sound, reply: str = "All right.") -> Scenario:
    """Something that is said when it is the caller's turn."""
    return Scenario(name, (Action("turn", sound, Quiet(0.5), label, reply),))


def dropout(number: int, voice: str, at: float) -> Scenario:
    """The line is dead for 0.2 s, even of noise, within a word or between two."""
    text, reply = QUESTIONS[number % len(QUESTIONS)]
    whole = line(voices.say(text, voice), words=text)
    gone = (at, at + DROPOUT_SECONDS)
    samples = whole.samples.copy()
    samples[round(gone[0] * RATE) : round(gone[1] * RATE)] = 0
    [(first, last)] = whole.voiced
    sound = Sound(samples, ((first, gone[0]), (gone[1], last)), text, gone)
    return told(f"dropout {number}", "dropout", sound, reply)


def going_on(number: int, voice: str, after: float) -> Scenario:
    first, rest, reply = GOING_ON[number % len(GOING_ON)]
    return Scenario(
        f"going on after {after:.1f} s",
        (
            ask(first, "That sounds like a good idea to me.", voice),
            say(rest, voice, IntoReply(after), "going on", "going on", reply),
        ),
    )


def interruption(number: int, voice: str, when: Trigger, label: str) -> Scenario:
    words, reply = INTERRUPTIONS[number % len(INTERRUPTIONS)]
    asked = ask(*LONG[number % len(LONG)], voice)
    return Scenario(
        f"interruption {number}, {label}", (asked, say(words, voice, when, "interruption", label, reply))
    )


def two_in_a_row(number: int, voice: str) -> Scenario:
    first, _ = INTERRUPTIONS[number % len(INTERRUPTIONS)]
    second, reply = INTERRUPTIONS[(number + 3) % len(INTERRUPTIONS)]
    _, other = LONG[(number + 1) % len(LONG)]
    return Scenario(
        f"two interruptions {number}",
        (
            ask(*LONG[number % len(LONG)], voice),
            say(first, voice, IntoReply(1.7), "interruption", "two in a row", other),
            say(second, voice, IntoReply(1.2), "interruption", "two in a row", reply),
        ),
    )


def before_first_sound(number: int, voice: str, after: float) -> Scenario:
    """The model takes its time, and the caller does not wait for it."""
    text, reply = QUESTIONS[number % len(QUESTIONS)]
    words, other = INTERRUPTIONS[(number + 1) % len(INTERRUPTIONS)]
    asked = Action("turn", line(voices.say(text, voice)), Quiet(), "question", reply, first_token_seconds=1.6)
    return Scenario(
        f"before the first sound {number}",
        (asked, say(words, voice, AfterOwn(after), "interruption", "before first sound", other)),
    )


def distracted(number: int, voice: str, sound: Action) -> Scenario:
    return Scenario(f"{sound.label} {number}", (ask(*LONG[number % len(LONG)], voice), sound))


def backchannel(number: int, voice: str, at: float) -> Scenario:
    text = BACKCHANNELS[number % len(BACKCHANNELS)]
    return distracted(number, voice, say(text, voice, IntoReply(at), "distractor", "backchannel"))


def echo(number: int, voice: str) -> Scenario:
    """Nothing happens but that the assistant hears itself."""
    still = Sound(np.zeros(round(0.1 * RATE), np.float32), ((0.0, 0.1),))
    return distracted(number, voice, Action("distractor", still, IntoReply(0.5), "echo"))


def television(seconds: float) -> Samples:
    """Somebody else talks, softer than the caller."""
    sound = np.concatenate([voices.sentence("0870"), voices.sentence("0930")])
    return sound[: round(seconds * RATE)] * np.float32(10 ** (TELEVISION_DB / 20))
