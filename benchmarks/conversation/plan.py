"""Who calls, and what each caller goes through: the short form and the full one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.conversation import room, voices
from benchmarks.conversation.lines import ANSWERS, BACKCHANNELS, GOING_ON, PAUSES, QUESTIONS
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.scenarios import (
    LENGTHS,
    backchannel,
    before_first_sound,
    distracted,
    dropout,
    echo,
    going_on,
    interruption,
    noise,
    pause,
    paused,
    plain,
    short_answer,
    television,
    told,
    two_in_a_row,
)
from benchmarks.conversation.script import (
    Action,
    BeforeReplyEnds,
    Call,
    IntoReply,
    Quiet,
    Scenario,
    line,
    natural,
)

SLT, RMS, AWB = "flite:slt", "flite:rms", "flite:awb"
ESPEAK, ESPEAK_GB, FESTIVAL = "espeak:en-us", "espeak:en-gb+f3", "festival:ked_diphone"
SYNTHESISERS = (SLT, RMS, ESPEAK, FESTIVAL, AWB, ESPEAK_GB)


def quick() -> list[Call]:
    """About 80 s: what a broken policy would stumble over. Needs flite alone."""
    rng = np.random.default_rng(7)
    return [
        Call(
            "quick",
            (
                plain(0, SLT),
                pause(5, SLT),
                pause(9, SLT),
                interruption(1, SLT, IntoReply(2.0), "middle"),
                backchannel(1, SLT, 2.0),
                short_answer(1, SLT),
                going_on(0, SLT, 0.2),
                distracted(3, SLT, noise(room.coughs(rng), IntoReply(2.0), "cough")),
                interruption(2, SLT, IntoReply(0.9), "early"),
            ),
        ),
        Call("quick, echo", (echo(4, RMS), plain(5, RMS)), echo_db=-20.0),
    ]


def full() -> list[Call]:
    """About 12 minutes. Every synthetic caller gets its share of every class; then people, then echo."""
    calls = [
        Call(voice.replace(":", " "), tuple(_dealt(number, voice)))
        for number, voice in enumerate(SYNTHESISERS)
    ]
    calls[1] = Call(calls[1].name + ", fan", calls[1].scenarios, fan_db=-40.0)
    return [*calls, reader(), telephone(), *echoes()]


def _dealt(number: int, voice: str) -> Iterator[Scenario]:
    """What the synthetic caller `number` goes through."""
    count = len(SYNTHESISERS)
    rng = np.random.default_rng(number)
    for index in range(number, len(PAUSES), count):
        yield pause(index, voice)
    for index in range(number, len(ANSWERS), count):
        yield short_answer(index, voice)
    for index in range(number, len(GOING_ON), count):
        yield going_on(index, voice, 0.1 * (index + 1))
    for index in range(number, len(BACKCHANNELS), count):
        yield backchannel(index, voice, 1.5 + 0.4 * index)
    early = number % 2 == 1
    yield interruption(number, voice, IntoReply(0.8 if early else 2.6), "early" if early else "middle")
    extra: tuple[tuple[Scenario, ...], ...] = (
        (
            interruption(4, voice, BeforeReplyEnds(0.4), "last half second"),
            distracted(5, voice, noise(room.coughs(rng), IntoReply(2.0), "cough")),
        ),
        (
            two_in_a_row(2, voice),
            distracted(0, voice, noise(room.claps(rng), IntoReply(1.6), "clap")),
        ),
        (
            before_first_sound(6, voice, 0.9),
            distracted(3, voice, noise(television(3.0), IntoReply(1.2), "television")),
        ),
        (
            interruption(0, voice, BeforeReplyEnds(0.3), "last half second"),
            distracted(4, voice, noise(room.fan(3.0, rng, -35.0), IntoReply(1.5), "fan")),
            dropout(2, voice, 0.9),
        ),
        (
            two_in_a_row(5, voice),
            before_first_sound(8, voice, 0.6),
            distracted(1, voice, noise(room.coughs(rng), IntoReply(3.1), "cough")),
        ),
        (
            before_first_sound(9, voice, 1.2),
            distracted(2, voice, noise(room.claps(rng, 3), IntoReply(2.2), "clap")),
            distracted(1, voice, noise(television(2.5), IntoReply(2.0), "television")),
            dropout(5, voice, 1.3),
        ),
    )
    yield from extra[number]


def offline() -> list[list[Action]]:
    """More of what is said in turn, for thresholds alone: every sentence in two more voices, plain questions,
    which open most scenarios of the calls, in one."""
    stretches: list[list[Action]] = []
    for shift in (2, 4):
        for number in range(len(PAUSES)):
            voice = SYNTHESISERS[(number + shift) % len(SYNTHESISERS)]
            stretches.append(list(pause(number, voice, longer=shift // 2).actions))
        for number in range(len(ANSWERS)):
            voice = SYNTHESISERS[(number + shift) % len(SYNTHESISERS)]
            stretches.append(list(short_answer(number, voice).actions))
    for number in range(len(QUESTIONS)):
        voice = SYNTHESISERS[(number + 2) % len(SYNTHESISERS)]
        stretches.append(list(plain(number, voice).actions))
    return stretches


def reader() -> Call:
    """The reader of the LibriVox sentences, and the speaker of the cards."""
    consider, how = voices.cut(voices.sentence("0870"), 3.54)
    hearted, selfish = voices.cut(voices.sentence("0890"), 2.02)
    woman, he = voices.cut(voices.sentence("0920"), 2.46)
    made, amiable = voices.cut(voices.sentence("0930"), 1.60)
    spades, rest = voices.cut(voices.command("cards/005.wav"), 1.17)
    clubs, hearts = voices.cut(rest, 2.19 - 1.17)
    long = natural(voices.sentence("0870"), voices.sentence("0890"), voices.sentence("0920"), pause=0.2)
    return Call(
        "reader",
        (
            told("reader, comma", "comma", paused((woman, he), (LENGTHS[2],))),
            told("reader, made amiable", "hesitation", paused((made, amiable), (LENGTHS[1],))),
            told("reader, consider how", "hesitation", paused((consider, how), (LENGTHS[3],))),
            told("reader, cold-hearted", "hesitation", paused((hearted, selfish), (LENGTHS[0],))),
            told("cards", "list", paused((spades, clubs, hearts), (LENGTHS[1], LENGTHS[2]))),
            told("reader, long", "long turn", long),
        ),
    )


def telephone() -> Call:
    """A person over a mobile telephone: 8 kHz, GSM."""
    prompt = voices.prompt
    number, area = voices.cut(prompt("privacy-prompt"), 1.64)
    trying, connect = voices.cut(prompt("pls-hold-while-try"), 1.49)
    check, dial = voices.cut(prompt("check-number-dial-again"), 1.26)
    digits = [_spelled("415"), _spelled("555"), _spelled("0132")]

    days = [prompt(f"digits/day-{day}") for day in (1, 3, 5)]
    answer = Action("turn", line(prompt("vm-no")), Quiet(0.5), "short answer", "Then not.")
    twelve = Action("turn", line(prompt("digits/12")), Quiet(0.5), "short answer", "Twelve minutes it is.")
    cut_in = Action("interruption", line(prompt("one-moment-please")), IntoReply(1.8), "middle", hushes=True)
    again = line(prompt("please-try-again"))
    return Call(
        "telephone",
        (
            told("telephone, try again", "question", again, "Shall I read it out to you?"),
            Scenario("telephone, no", (answer,)),
            told("telephone, comma", "comma", paused((number, area), (LENGTHS[0],)), "How many?"),
            Scenario("telephone, twelve", (twelve,)),
            told("telephone, hesitation", "hesitation", paused((trying, connect), (LENGTHS[2],))),
            told(
                "telephone, and dial",
                "hesitation",
                paused((check, dial), (LENGTHS[1],)),
                "What is its number?",
            ),
            told("telephone, digits", "digits", paused(digits, (LENGTHS[1], LENGTHS[2]))),
            told("telephone, list", "list", paused(days, (LENGTHS[1], LENGTHS[0]))),
            Scenario("telephone, cut in", (_asked_long(), cut_in)),
            told("telephone, long", "long turn", natural(prompt("demo-abouttotry"))),
            told("telephone, very long", "long turn", natural(prompt("demo-congrats"))),
        ),
    )


def _asked_long() -> Action:
    """The question of a middle interruption, in the caller's own voice."""
    text = "The office is in the old town, beside the bakery. It opens at eight and closes at six."
    return Action("turn", line(voices.prompt("conf-getconfno")), Quiet(), "question", text)


def _spelled(digits: str) -> np.ndarray:
    """Digits read out, 60 ms apart."""
    gap = np.zeros(round(0.06 * RATE), np.float32)
    parts = []
    for digit in digits:
        spoken = line(voices.prompt(f"digits/{digit}"))
        parts += [spoken.samples, gap]
    return np.concatenate(parts[:-1])


def echoes() -> list[Call]:
    """A loudspeaker beside the microphone: with the transport's canceller, and a softer one without."""
    return [
        Call(
            "echo -10 dB, cancelled",
            (echo(0, RMS), interruption(3, RMS, IntoReply(2.2), "middle"), plain(7, RMS)),
            echo_db=-10.0,
            echo_seconds=0.12,
        ),
        Call("echo -20 dB, cancelled", (echo(1, AWB), plain(8, AWB)), echo_db=-20.0, echo_seconds=0.06),
        Call(
            "echo -20 dB, not cancelled",
            (echo(2, SLT), plain(9, SLT)),
            echo_db=-20.0,
            echo_cancelled=False,
        ),
    ]
