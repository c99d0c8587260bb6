"""What words under a reply mean for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.barge_in import asks_for_silence, meaning
from local_voice.turn_words import TABLES


def rows(text: str) -> list[str]:
    return [row.strip() for row in text.replace("\n", "|").split("|") if row.strip()]


BACKCHANNELS = rows("""
    mm-hm | Mm-hmm. | Mhm. | Mmhmm. | Mmm. | Hmm. | Hm! | M-hm. | Uh-huh. | Uh huh | Uhhuh | Aha. | Ah.
    Oh. | Ooh. | Huh. | Um-hum. | Yeah. | Yeah, yeah. | yeah yeah yeah | Yes. | Yep. | Yup. | Ya. | Okay.
    Ok. | OK | O.K. | Okay, okay. | Right. | Right, right, right. | Alright. | All right. | Sure. | I see.
    I see, I see. | Got it. | Gotcha. | Of course. | Exactly. | True. | Wow. | Oh, wow. | Cool. | Nice.
    Great. | Interesting. | Really? | No way! | Oh, okay. | Oh, I see. | Yeah, right. | Okay, sure.
    Makes sense. | Fair enough. | That's right. | Go on. | Thank you. | Yeahhh | Oh, okay, I see.
""")

STOPS = rows("""
    Stop. | Stop! | Stop it. | stop stop stop | Okay, stop. | Please stop. | Um, stop.
    Hey, stop talking. | Wait. | Wait! | Wait, wait. | Wait a minute. | Wait, what about Paris? | Hold on.
    Hold on a second. | Hang on. | No no. | No, no, no. | No, no, I meant Berlin. | Shut up. | Be quiet.
    Okay, be quiet. | Quiet. | Silence. | Never mind. | Nevermind. | Forget it. | Halt. | Enough.
    That's enough. | Cancel. | Pause. | Can you stop? | Could you please stop | Just a moment.
    One moment. | Yeah, yeah, stop. | No, stop. | Stop the music. | Stoppp! | Okay wait. | Shh. | Excuse me
""")

CONTENTS = rows("""
    Yeah but what about Paris? | But. | Actually | What time is it? | No. | No, it isn't. | Paris?
    And the weather? | Why? | Right, so what do I do then? | Okay, next question.
    Yes, and the other one? | Tell me more. | I see the bus stop. | Sure, great, okay, whatever.
    Wow, really, no way, thanks. | Turn it off. | Hello? | In English please. | Louder. | What? | Who?
    Yeah I know that one already. | That's wrong. | Don't stop. | I can't wait. | Okay, thanks, what else?
    Ten. | Twelve. | You | Play music.
""")


@pytest.mark.parametrize("text", BACKCHANNELS)
def test_a_listener_says(text: str):
    assert meaning(text, "en", asked=False) == "backchannel"


@pytest.mark.parametrize("text", STOPS)
def test_stop_is_said_by(text: str):
    assert meaning(text, "en", asked=False) == meaning(text, "en", asked=True) == "stop"


@pytest.mark.parametrize("text", CONTENTS)
def test_somebody_who_wants_the_floor_says(text: str):
    assert meaning(text, "en", asked=False) == meaning(text, "en", asked=True) == "content"


@pytest.mark.parametrize(
    "text",
    rows("""
    Yes. | Yeah. | Yes, please. | Okay. | Ok, sure. | No. | No, thanks. | Mm-hm. | Uh-huh. | Right.
    Maybe. | Sure | Fine
"""),
)
def test_an_answer_to_a_question_is_content(text: str):
    assert meaning(text, "en", asked=True) == "content"


@pytest.mark.parametrize("text", rows("Wow. | Hmm. | Oh. | I see. | Interesting. | Really?"))
def test_what_answers_no_question_stays_a_backchannel_after_one(text: str):
    assert meaning(text, "en", asked=True) == "backchannel"


@pytest.mark.parametrize(
    "text", ["", "  ", "...", "[Music]", "(coughing)", "♪", "*sighs*", "Thanks for watching!", "-"]
)
def test_no_words_mean_nothing(text: str):
    assert meaning(text, "en", asked=False) == meaning(text, "en", asked=True) == "nothing"


@pytest.mark.parametrize(
    ("language", "backchannel", "stop", "content"),
    [
        ("de", "Ja, genau.", "Halt, warte mal.", "Ja, aber was ist mit Paris?"),
        ("de", "Ach so.", "Sei still.", "Nein."),
        ("fr", "D'accord.", "Attends.", "Oui, mais pourquoi ?"),
        ("es", "Ya veo.", "Espera un momento.", "¿Y mañana?"),
        ("it", "Ho capito.", "Aspetta!", "E domani?"),
        ("pt", "Entendi.", "Espera aí.", "E amanhã?"),
        ("nl", "Ja, precies.", "Wacht even.", "En morgen dan?"),
    ],
)
def test_other_languages(language: str, backchannel: str, stop: str, content: str):
    assert meaning(backchannel, language, asked=False) == "backchannel"
    assert meaning(stop, language, asked=False) == "stop"
    assert meaning(content, language, asked=False) == "content"


def test_in_an_unknown_language_all_words_are_content():
    assert meaning("Да", "ru", asked=False) == meaning("stop", "ru", asked=False) == "content"
    assert meaning("[музыка]", "ru", asked=False) == "nothing"


@pytest.mark.parametrize(
    "text",
    rows(
        "Stop. | Okay, be quiet. | Stop it, please. | No, no, stop. | Wait, wait. | Enough, thanks. | "
        "Stop, that is enough. | Stop that."
    ),
)
def test_only_silence_is_wanted(text: str):
    assert asks_for_silence(text, "en")


@pytest.mark.parametrize(
    "text",
    rows(
        "No no, Paris. | Wait, what? | Stop the music. | Never mind, what time is it? | Okay. | Yes | Paris"
    ),
)
def test_more_than_silence_is_wanted(text: str):
    assert not asks_for_silence(text, "en")


languages = st.sampled_from([*TABLES, "xx", ""])
phrases = st.lists(st.sampled_from(BACKCHANNELS + STOPS + CONTENTS), max_size=3).map(" ".join)


@given(st.text() | phrases, languages, st.booleans())
def test_every_text_means_something(text: str, language: str, asked: bool):
    found = meaning(text, language, asked=asked)
    assert found in ("nothing", "backchannel", "stop", "content")
    if asks_for_silence(text, language):
        assert found in ("stop", "nothing")


@given(phrases, st.booleans())
def test_case_and_punctuation_do_not_matter(text: str, asked: bool):
    bare = "".join(c for c in text.upper() if c not in ".,!?")
    assert meaning(bare, "en", asked=asked) == meaning(text, "en", asked=asked)
