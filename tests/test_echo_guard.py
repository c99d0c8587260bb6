"""The assistant's own words, told from the user's.

The echoes are what whisper-base made of pieces of Piper's voice at -10 and -20 dB.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.echo_guard import is_echo, without_echo
from local_voice.turn_words import TABLES

PARIS = (
    "The capital of France is Paris. It lies on the river Seine and has about two million inhabitants, "
    "and many people visit the Eiffel Tower every year."
)
RAINBOW = (
    "Sure. A rainbow appears when sunlight is bent and reflected inside drops of water, "
    "which splits it into its colours."
)
EGG = (
    "To boil an egg, put it into boiling water for seven minutes, then cool it under the tap "
    "and peel it carefully."
)
MEETING = (
    "The meeting is on Tuesday at half past ten in the big conference room, and Anna will bring the slides."
)
MOON = "The moon is about three hundred and eighty four thousand kilometers away from the earth."
TRAIN = (
    "You could take the train at nine, which arrives shortly before noon, or the bus, which is cheaper "
    "but slower."
)
TIMER = "I have set a timer for fifteen minutes. Would you like me to remind you five minutes before it ends?"

ECHOES = {
    PARIS: """
        The capital of France is Paris. | capital of France | of friends is Paris it lies
        the river sane and has a bout | it lies on the river | million inhabitants
        visit the eye full tower | The capital of Fr | while Francis Paris. It lies on the river St.
        Paris | In the habitants and many | He put it lies on the river saying and | many people visit the
    """,
    RAINBOW: """
        A rainbow appears when sunlight is bent | So when some might has been and...
        I put it inside drops of water. | reflected inside | which splits it into its colors
        I descend in reflected inside draft of water. With a flip.
    """,
    EGG: """
        for 7 minutes. Then cool it up. | into boiling water
        are for seven minutes. Think we'll let under the tap. | and peel it carefully
        while for 7 minutes, and cool it under the tap.
    """,
    MEETING: """
        AFPAS 10 in the big conference room. | who's there at half past ten in the big cup.
        Ten in the big conference room, an animal will bring it. | Anna will bring the slides
        King of Antiso had half past coming in the big conference room.
        I'll put them in the big conference room, and the enemy will bring the flags.
    """,
    MOON: """
        It is about 384,000 kilometers away from the city. | The moon is about 384,000 kilometers
        and 84,000 kilometers. | 384,000 kilometers away from the Earth
    """,
    TRAIN: """
        which arrived shortly before noon | take the train at 9
        The clone at 9. The device shortly before | and where the bus which is | cheaper but slower
    """,
    TIMER: """
        I have set a timer for 15 minutes. | would you like me to remind you | Would you like me to
        before it ends?
    """,
}

INTERRUPTIONS = {
    PARIS: """
        Paris? Are you sure? | Paris? | Is it Paris? | And how many people live in Lyon? | Stop
        No, not Paris. | What about the Eiffel Tower? | Two million people?
        How high is the Eiffel Tower? | yes | okay | Tell me about the Seine.
        I mean the capital of Germany. | What is the capital of Spain? | Wait, wait.
        I have been to Paris twice. | That's wrong. | no no the other one | And Berlin? | in which year
        Why? | How many people live there? | it | Let's talk about something else. | What river?
        Louder please. | Is the tower open today? | Can you book me a ticket?
        and how many people visit the tower?
    """,
    RAINBOW: """
        And why is the sky blue? | Which colours? | What are the colours? | I know that.
        Thanks, that's enough. | How does the water split it? | Is there always sunlight?
        no I meant the band Rainbow | Cool. | Really?
    """,
    EGG: """
        How long? | Seven minutes? | What about hard boiled eggs? | I want to fry it. | for 10 minutes
        Hold on. | I have no tap. | seven | Can I use cold water? | Should I add salt to the water?
    """,
    MEETING: """
        On which day? | Which room? | Can we move it to Wednesday? | Is Tom coming? | Cancel it.
        Tuesday? | Who is Anna? | I can't come on Tuesday. | Move it to half past eleven.
    """,
    MOON: """
        How far is the sun? | And in miles? | 1800 | How long does it take to get to the moon? | That far?
        When did people land on the moon?
    """,
    TRAIN: """
        I'll take the bus. | When does the bus arrive? | How much is the train? | the bus please | At ten.
        Is there a later train? | No bus. | How about flying?
    """,
    TIMER: """
        Yes. | Yes, please. | No thanks. | No, for twenty minutes. | Ten minutes. | Cancel the timer.
        Make it 20. | Five minutes is fine. | How much time is left? | Stop the timer.
    """,
}


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    cells = [
        (said, cell.strip()) for said, rows in table.items() for cell in rows.replace("\n", "|").split("|")
    ]
    return [(said, cell) for said, cell in cells if cell]


@pytest.mark.parametrize(("said", "heard"), cases(ECHOES))
def test_an_echo(said: str, heard: str):
    assert is_echo(heard, said, "en")


@pytest.mark.parametrize(("said", "heard"), cases(INTERRUPTIONS))
def test_an_interruption(said: str, heard: str):
    assert not is_echo(heard, said, "en")


@pytest.mark.parametrize(
    ("heard", "users"),
    [
        ("The capital of France is Paris. Really?", "Really?"),
        ("The capital of France is Paris, it lies stop", "stop"),
        ("It lies on the river wait what about London?", "wait what about London?"),
        ("of friends is Paris it lies no tell me about Berlin", "no tell me about Berlin"),
        ("has about 2 million inhabitants. How many in Berlin?", "How many in Berlin?"),
        ("The capital of France", ""),
        ("Paris? Are you sure?", "Paris? Are you sure?"),
        ("is Paris", "is Paris"),
        ("What is the capital of Spain?", "What is the capital of Spain?"),
        ("Stop.", "Stop."),
        ("", ""),
    ],
)
def test_the_users_words_after_an_echo(heard: str, users: str):
    assert without_echo(heard, PARIS, "en") == users


def test_an_echo_is_heard_in_a_language_without_tables():
    said = "Столица Франции называется Париж"
    assert is_echo("столица Франции", said, "ru")
    assert not is_echo("погода в Берлине", said, "ru")


def test_nothing_is_no_echo_and_nothing_has_none():
    assert not is_echo("", PARIS, "en")
    assert not is_echo("...", PARIS, "en")
    assert not is_echo("The capital of France is Paris", "", "en")
    assert without_echo("The capital of France", "") == "The capital of France"


said = st.text() | st.sampled_from(list(ECHOES))
heard = st.text() | st.sampled_from([heard for _, heard in [*cases(ECHOES), *cases(INTERRUPTIONS)]])


@given(heard, said, st.sampled_from([*TABLES, "xx", ""]))
def test_what_is_left_is_the_end_of_what_was_heard(heard: str, said: str, language: str):
    rest = without_echo(heard, said, language)
    assert " ".join(heard.split()).endswith(" ".join(rest.split()))
    assert is_echo(heard, said, language) in (True, False)


@given(st.sampled_from([*cases(ECHOES), *cases(INTERRUPTIONS)]))
def test_case_and_commas_do_not_matter(case: tuple[str, str]):
    said, heard = case
    assert is_echo(heard.upper().replace(",", ""), said, "en") == is_echo(heard.replace(",", ""), said, "en")
