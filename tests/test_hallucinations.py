"""What nobody said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.hallucinations import invented
from local_voice.turn_words import TABLES

NEVER_SAID = (
    ("", "en"),
    ("...", "en"),
    (". . .", "en"),
    ("[Music]", "en"),
    ("[BLANK_AUDIO]", "en"),
    ("(applause)", "en"),
    ("*laughs*", "en"),
    ("♪ La la la ♪", "en"),
    ("[Musik] [Applaus]", "de"),
    ("Thanks for watching!", "en"),
    ("Thank you for watching.", "en"),
    ("Thank you for watching, and I'll see you in the next video.", "en"),
    ("Please subscribe to my channel.", "en"),
    ("Subtitles by the Amara.org community", "en"),
    ("Untertitel der Amara.org-Community", "de"),
    ("Untertitelung des ZDF, 2020", "de"),
    ("Vielen Dank fürs Zuschauen!", "de"),
    ("Sous-titres réalisés para la communauté d'Amara.org", "fr"),
    ("Sous-titrage ST' 501", "fr"),
    ("Subtítulos realizados por la comunidad de Amara.org", "es"),
    ("¡Gracias por ver el video!", "es"),
    ("Sottotitoli creati dalla comunità Amara.org", "it"),
    ("Legendas pela comunidade Amara.org", "pt"),
    ("Ondertiteld door de Amara.org gemeenschap", "nl"),
    ("Субтитры: Amara.org", "ru"),
    ("Thanks for watching, will you?", "en"),
    ("Thanks for listening, see you next time.", "en"),
    ("you you you you you you you you you", "en"),
)


@pytest.mark.parametrize(("text", "language"), NEVER_SAID)
def test_is_invented_however_much_voice_there_was(text: str, language: str):
    assert invented(text, language, math.inf)
    assert invented(text, language, 0.0)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Thank you.", "en"),
        ("Thanks.", "en"),
        ("you", "en"),
        ("Bye.", "en"),
        ("Bye-bye.", "en"),
        ("Vielen Dank.", "de"),
        ("Merci.", "fr"),
        ("Gracias.", "es"),
        ("Grazie.", "it"),
        ("Obrigado.", "pt"),
        ("Dank u wel.", "nl"),
    ],
)
def test_is_invented_without_voice_and_said_with_it(text: str, language: str):
    assert invented(text, language, 0.1)
    assert not invented(text, language, 0.4)
    assert not invented(text, language, math.inf)


def test_a_sentence_needs_time_to_be_said():
    assert invented("I'm going to put the sauce on top of the sauce.", "en", 0.2)
    assert not invented("I'm going to put the sauce on top of the sauce.", "en", 2.0)
    assert invented("you you you you you you", "en", 0.1)
    assert not invented("no no no no no no", "en", 1.2)


@pytest.mark.parametrize(
    "text",
    [
        "Stop.",
        "Twelve.",
        "What time is it?",
        "How do I add subtitles by hand?",
        "Thank you, that's all.",
        "Thanks for listening, now what is the weather in Paris?",
        "See you next time! And how do I say that in French?",
        "Say thanks for watching in French.",
        "How do I subscribe?",
        "Who was Amara?",
        "Yeah yeah yeah.",
        "Thank you and good night",
        "Play (I Can't Get No) Satisfaction.",
    ],
)
def test_what_people_say_is_not_invented(text: str):
    assert not invented(text, "en", 0.25 * len(text.split()))


@given(st.text(), st.sampled_from([*TABLES, "xx", ""]), st.floats(0, 100))
def test_no_text_is_too_odd_and_more_voice_never_makes_it_less_believed(
    text: str, language: str, voiced: float
):
    if not invented(text, language, voiced):
        assert not invented(text, language, voiced + 1)
