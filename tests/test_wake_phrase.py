"""Which turns begin with the wake phrase, in text and spoken by other voices through the real Whisper."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.audio import SPEECH_RATE, Resampler, Samples, read_wav
from local_voice.engines.whisper import Whisper
from local_voice.settings import SttSettings
from local_voice.wake_phrase import after_wake_phrase, hint


def rows(text: str) -> list[str]:
    return [row.strip() for row in text.replace("\n", "|").split("|") if row.strip()]


CALLS = {
    "computer": """
        Computer, what time is it? | computer what time is it | COMPUTER! What time is it?
        Computer. Lights on. | Computor, play some jazz. | Compewter, stop.
        Come pewter, what time is it? | Comput, lights on | Hey computer, lights on
        Um, computer, lights on | Okay, computer, stop. | Um, okay, hey computer: go
        Computer, computer, lights on | Computer. Computer. Lights on | Computer, is it raining?
        Computer is it raining? | Computer can you hear me | Computer will it rain tomorrow
        Kompyuter, stop | Well, computer, tell me a joke. | So computer, who wrote Hamlet?
        Compooter, how are you?
    """,
    "hey jarvis": """
        Hey Jarvis, what time is it? | hey jarvis what time is it | Hey, Jarvis, play some jazz.
        Hey Jervis, what time is it? | Hey Jarvis. Stop. | Hi Jarvis, set a timer for 10 minutes.
        Hey Jar Miss, stop! | Hey, Jar Miss, how are you today? | They Jarvis, tell me a joke.
        Hey Jaravis, play some jazz. | Hey Jarvis! | Okay, hey Jarvis, lights on | Hey Gervis, stop.
        A Jarvis, what time is it? | Um, hey Jarvis, is it raining?
    """,
    "okay nova": """
        Okay Nova, play some jazz. | Ok Nova, is it raining? | okay nova stop | Okay, Nova. Stop.
        Ok, Nova set a timer for 10 minutes. | Ok, no va, tell me a joke. | OK Nover, who wrote Hamlet?
        Um, okay Nova, how are you? | Okay Nova! | Okei Nova, lights on | Okay Nova, okay Nova, lights on
        Hey, okay Nova, lights on | O.K. Nova, stop. | Okay nova what time is it
    """,
}

OTHERS = rows("""
    I bought a computer yesterday. | Commuter traffic is bad. | The computer is broken.
    My computer does not start. | Computers are everywhere. | Computing is my favourite subject.
    Compute the sum of these numbers. | Commuters were angry this morning. | A computer is a machine.
    The commuter train is late. | Confused people ask questions. | Come to the party tonight.
    Can Peter come over? | Complete the form please. | Competition is good for prices. | Come here, Peter.
    Is your computer on? | Our computers need an update. | Personal computers changed the world.
    What is a computer? | How does a computer work? | Who invented the computer?
    The commuter bus stops here. | Compare the two prices. | Compost is good for the garden.
    He's nervous about the exam. | Harvest begins in September. | They harvest grapes in autumn.
    Travis lives in Ohio. | His service was excellent. | Hey, Marvin, how are you?
    Hey, Travis, come here. | Hey, just a minute. | Hey, what are you doing? | Hey, that is mine.
    Hey, John, dinner is ready. | Jarvis was a character in a film. | The jar is on the table.
    Java is a programming language. | A nervous man came in. | Hey, guys, welcome back.
    Say, what was his name? | He just left the house. | Charles is my brother. | Harris won the race.
    James is late again. | They serve breakfast until ten. | Hey Jude is a song. | Okay, now turn it off.
    Okay, no problem. | Okay, never mind then. | Okay, no, I do not want that. | Okay, not today.
    Okay, now I understand. | Okay, nobody came. | Okay, another one. | Okay, know what, forget it.
    Nova Scotia is in Canada. | Novak won the match. | A supernova is a dying star.
    Casanova was an Italian. | November is cold. | Never say never. | Okay, over there.
    Okay, more of that. | Okay, Noah, let us go. | Okay, Norah, sit down. | Okay, November fifth then.
    Okay, I will do it. | I have a new car. | What time is it in Tokyo?
    Turn on the lights in the kitchen. | The weather is nice today. | Could you pass me the salt?
    We went to the cinema last night. | She plays the piano very well. | The train leaves at nine.
    I do not like this song. | What shall we cook tonight? | My brother lives in Berlin.
    The children are asleep. | Did you see the game? | It has been raining all day.
    There is a spider on the wall. | Where did I put my keys? | The phone is ringing.
    He asked me about the meeting. | You should try the new restaurant. | The dog wants to go out.
    Please close the door. | I think we need more milk. | The film starts in ten minutes.
    Her flight was delayed again. | Nobody told me about that. | Let us have dinner at seven.
    How was your day? | That book is really good. | My car needs new tyres.
    They moved to London last year. | It is on the computer. | Can you hear me now?
    The news is on at eight. | Good evening, ladies and gentlemen. | Put the computer on the desk.
""")


def calls() -> list[tuple[str, str]]:
    return [(phrase, call) for phrase, listed in CALLS.items() for call in rows(listed)]


def test_there_are_enough_examples():
    assert len(calls()) >= 40
    assert len(OTHERS) >= 100


@pytest.mark.parametrize(("phrase", "text"), calls())
def test_a_call(phrase: str, text: str):
    assert after_wake_phrase(text, phrase) is not None


@pytest.mark.parametrize("phrase", CALLS)
@pytest.mark.parametrize("text", OTHERS)
def test_no_call(phrase: str, text: str):
    assert after_wake_phrase(text, phrase) is None


@pytest.mark.parametrize(
    ("text", "phrase", "rest"),
    [
        ("Computer, what time is it?", "computer", "what time is it?"),
        ("Um, hey computer: what time is it?", "computer", "what time is it?"),
        ("Computer, computer, lights on", "computer", "lights on"),
        ("Hey, computor, what's 2 plus 2?", "hey computer", "what's 2 plus 2?"),
        ("A computer, what time is it?", "hey computer", "what time is it?"),
        ("Hey computer", "hey computer", ""),
        ("Computer!", "computer", ""),
        ("Computer... ", "Computer", ""),
        ('Computer, "Hamlet" please', "computer", '"Hamlet" please'),
        ("Computer -5 degrees", "computer", "5 degrees"),
        ("", "computer", None),
        ("...", "computer", None),
        ("I bought a computer yesterday", "hey computer", None),
        ("The computer is on", "hey computer", None),
    ],
)
def test_what_follows_the_phrase(text: str, phrase: str, rest: str | None):
    assert after_wake_phrase(text, phrase) == rest


@given(st.text(), st.sampled_from(list(CALLS)))
def test_no_text_is_too_odd_and_no_phrase_is_left_over(text: str, phrase: str):
    rest = after_wake_phrase(text, phrase)
    assert rest is None or after_wake_phrase(rest, phrase) is None
    said = after_wake_phrase(f"{phrase}, {text}", phrase)
    assert said is not None
    assert said == "" or said in " ".join(text.split())


@given(st.sampled_from(calls()))
def test_case_does_not_matter(call: tuple[str, str]):
    phrase, text = call
    rest = after_wake_phrase(text, phrase)
    assert rest is not None
    assert after_wake_phrase(text.upper(), phrase.title()) == rest.upper()


# ---- spoken by other voices, written by the real Whisper ------------------------------------------------

VOICES = ("flite:slt", "flite:awb", "espeak:en-us", "espeak:en-gb-scotland")
REQUESTS = ("what time is it?", "turn on the lights.", "set a timer for ten minutes.")
ALIKE = (
    "The computer is broken.",
    "My computer does not start.",
    "Confused people ask questions.",
    "Come to the party tonight.",
    "He's nervous about the exam.",
    "Travis lives in Ohio.",
    "Hey, what are you doing?",
    "James is late again.",
    "Okay, never mind then.",
    "Okay, no problem.",
    "November is cold.",
    "What time is it in Tokyo?",
)


@pytest.fixture(scope="module")
def speak_as(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Samples]:
    path = tmp_path_factory.mktemp("spoken") / "sentence.wav"

    def render(voice: str, text: str) -> Samples:
        program, name = voice.split(":")
        flite = ["flite", "-voice", name, "-t", text, "-o", str(path)]
        espeak = ["espeak-ng", "-v", name, "-s", "150", "-w", str(path), text]
        subprocess.run(flite if program == "flite" else espeak, check=True)
        sound = read_wav(path)
        return Resampler(sound.sample_rate, SPEECH_RATE).process(sound.samples, last=True)

    return render


@pytest.mark.models
@pytest.mark.parametrize("phrase", [phrase.title() for phrase in CALLS])
async def test_calls_are_heard_and_other_sentences_are_not(
    phrase: str, speak_as: Callable[[str, str], Samples], model_path: Callable[[str], Path]
):
    settings = SttSettings(model="whisper-base", language="en", hotwords=hint(phrase))
    async with Whisper(model_path("whisper-base"), settings) as whisper:

        async def heard(voice: str, text: str) -> str | None:
            transcript = await whisper.transcribe(speak_as(voice, text), final=True)
            return after_wake_phrase(transcript.text, phrase)

        said = [await heard(voice, f"{phrase}, {request}") for voice in VOICES for request in REQUESTS]
        others = [await heard(VOICES[number % 4], text) for number, text in enumerate(ALIKE)]
    assert sum(rest is None for rest in said) <= 1
    assert sum(rest is not None for rest in others) <= 1
