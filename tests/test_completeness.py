"""Which words wait for more, which answer a question, which are numbers being read out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.completeness import (
    answers_it,
    clause_is_open,
    digits_running,
    expected_answer,
    last_word_holds,
    list_is_open,
    looks_complete,
)
from local_voice.turn_words import TABLES


def listed(text: str) -> list[str]:
    return [cell.strip() for line in text.splitlines() for cell in line.split("|") if cell.strip()]


COMPLETE = listed("""
    What time is it? | Where is it from? | Where are you from? | What are you looking for?
    Who is he with? | What is it about? | What is this song about? | What's the book about?
    What is it made of? | What is the table made of? | Who are you talking to? | Where do you come from?
    Which team does he play for? | What is it used for? | So what are you waiting for?
    And who is she with? | What is she famous for? | Where is this cheese from? | Yes I am. | Yes, I do.
    No, I don't. | Yes it is. | Yes, we can. | No, it isn't. | I think it is. | Of course I can. | I am.
    I did. | They are. | It was. | I don't know what it is. | Tell me who he was.
    Can you tell me where the station is? | Do you know how old she is? | I wonder what the time is.
    Tell me what you can. | I don't know if I can. | That's all I need. | That's what I want.
    Is that what you want? | Everything I have. | I think so. | I hope so. | I don't think so.
    Is that so? | Turn the lights on. | Switch it on. | Turn on the light. | Put it on. | Please come in.
    I want to log in. | What's going on? | Hold on. | Come on. | Turn the volume up. | Turn it off.
    Wake me up. | Play it again. | Me too. | I'd love to. | I don't want to. | Yes, I'd love to.
    No, I don't have to. | I used to. | What does it look like? | What is it like? | What would you like?
    Do whatever you like. | I like that. | What's that? | I don't know about that. | Do you like it?
    Is it his? | It's hers. | Yes. | No. | No thanks. | Twelve. | Hello. | Okay. | Sure. | Why? | Why not?
    What? | Which one? | How much is it? | How are you? | What do you do? | What should I do?
    How do you do? | I don't know what to do. | What do you have? | How many do you have?
    What do you want to be? | Set a timer for ten minutes. | What's the weather like in Paris tomorrow?
    Play some jazz. | Add milk, eggs and bread to my list. | What is the capital of France?
    Remind me to call mom at five. | How far is the moon? | Who wrote Hamlet? | Tell me a joke.
    Never mind. | Thank you very much. | That is very well. | Everything is going well.
    I want tea as well. | I want one. | Call it off. | I'll think about it. | I can do that.
    You know that. | Uh-uh. | Is anyone there? | There you are. | Here I am. | So am I. | Neither do I.
    How old is he? | Good morning. | The first one. | What is five plus five? | Who is that?
    What does that mean? | Yes, please. | I said that. | How does it work? | My name is Anna.
    I want to go home.
""")

UNFINISHED = listed("""
    I want to book a flight to | I need to book a flight to. | What is the capital of
    What is the capital of. | What's the weather in | What is the weather like in | What is the price for
    How do I get to | How far is it from | Where is the restaurant with | When is the flight to
    Who is the president of | What time is it in | Who wrote the book about | What do you know about
    What do you think of | What do you think about | What can you tell me about | Can you tell me about
    What do you mean by | What kind of | What kind of. | My name is | My name is. | My number is
    The problem is | The thing is | The thing is that | Tell him that | The weather in Paris is | What is
    Where are | Who was | What color is | How much is | How can | Why did | What time is
    Tell me what time is | When does | The | I saw the | Give me a | Play the | Can you | Could you please
    Could you | Give me | Show me | I want | I need | I'd like | I would like | I would like to
    I want to | I want to. | I have to | I was going to | And | And then | But | But I | I think because
    Because | I like tea and | I like tea and. | I like tea or | If | So if | I don't know whether
    Tell my | It's in my | Call your | I was thinking about | I live in | My birthday is on
    The meeting is at | I need it by | It belongs to | Set a timer for | Remind me to | Send it to
    Turn off the lights in | I'm | I'll | I've | It's | We're | And it's | Um | Uh. | So um | I want, uh
    I want some, um | Well, er | I was like | It was like | It sounds like | Something like
    I went to the shop... | I went to the shop - | I went to the shop, | I went to the shop — | Well...
    What about | How about | Let me see | Let me think | Is there | Are there | One of | A lot of
    It is very | I can | I have | He is | You are | If you would | Five plus | Ten divided by
    The man whose | Do you want tea or | Is it true that it is | I don't think he would | So | Well | Hey
""")


@pytest.mark.parametrize("text", COMPLETE)
def test_complete(text: str):
    assert last_word_holds(text, "en") == ""


@pytest.mark.parametrize("text", UNFINISHED)
def test_unfinished(text: str):
    assert last_word_holds(text, "en")


OTHERS = {
    "de": (
        """
        Wie spät ist es? | Ich weiß nicht, wo er ist. | Mach das Licht an. | Schalte das Licht ein.
        Ja, das ist gut. | Ruf mich an. | Hör auf. | Ja. | Nein danke. | Woher kommst du?
        Kannst du mir sagen, wo der Bahnhof ist? | Ich lade dich ein. | Stell den Wecker auf sieben Uhr.
        Das kann ich. | Was ist das?
    """,
        """
        Ich möchte einen Flug nach Berlin und | Wie ist das Wetter in | Gib mir das Buch von
        Mein Name ist | Ich glaube, dass | Spiel etwas von | Ich brauche ein | Kannst du mir | Ähm
        Das ist der | Wo ist | Weil
    """,
    ),
    "fr": (
        """
        Quelle heure est-il ? | Je ne sais pas où il est. | Oui. | Non merci. | C'est ça.
        Qu'est-ce que c'est ? | Comment vas-tu ? | Allume la lumière. | Il fait beau.
        Je voudrais un café. | D'accord.
    """,
        """
        Je voudrais un | Quel temps fait-il à | Je m'appelle Anne et | Donne-moi le | C'est | Je pense que
        Euh | Peux-tu | Le livre de | Il y a | Mon | Parce que
    """,
    ),
    "es": (
        """
        ¿Dónde está? | ¿Qué hora es? | ¿Quién es? | Sí, quiero. | Enciende la luz. | No lo sé.
        Está bien. | No puedo. | Quiero un café. | Gracias. | Pon música.
    """,
        """
    Quiero ir a | ¿Cuál es la capital de | Me gusta el | Creo que | Y | Porque | Mi | Eh
    Pon una alarma para
""",
    ),
    "it": (
        """
    Dov'è? | Che ore sono? | Chi è? | Sì, certo. | Accendi la luce. | Non lo so. | Va bene.
    Vorrei un caffè. | Grazie.
""",
        """
    Vorrei andare a | Qual è la capitale della | Mi piace il | Penso che | E | Perché la | Il mio | Ehm
    Dammi
""",
    ),
    "pt": (
        """
    Onde está? | Que horas são? | Quem é? | Sim, claro. | Acende a luz. | Não sei. | Está bem.
    Quero um café. | Obrigado.
""",
        """
    Quero ir para | Qual é a capital do | Eu gosto de | Acho que | E | Porque | O meu | Hum | Me dá uma
""",
    ),
    "nl": (
        """
        Hoe laat is het? | Ik weet niet waar hij is. | Zet het licht aan. | Hou op. | Ja. | Nee, dank je.
        Wat is dat? | Waar kom je vandaan? | Kom binnen. | Doe de deur open.
    """,
        """
    Ik wil graag een | Wat is de hoofdstad van | Mijn naam is | Ik denk omdat | En | Speel iets van | Eh
    Kun je
""",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"), [(code, text) for code, (done, _) in OTHERS.items() for text in listed(done)]
)
def test_complete_in_other_languages(language: str, text: str):
    assert last_word_holds(text, language) == ""


@pytest.mark.parametrize(
    ("language", "text"), [(code, text) for code, (_, open_) in OTHERS.items() for text in listed(open_)]
)
def test_unfinished_in_other_languages(language: str, text: str):
    assert last_word_holds(text, language)


def test_the_reason_names_the_word():
    assert last_word_holds("I saw the", "en") == 'ends in an article, "the"'
    assert last_word_holds("My name is.", "en") == '"is" wants more'
    assert last_word_holds("Could you", "en") == '"could you" wants more'
    assert last_word_holds("I went to...", "en") == "trails off"
    assert last_word_holds("So", "en") == '"so" only begins a sentence'


def test_nothing_is_held_without_words_or_in_an_unknown_language():
    for text, language in (("", "en"), ("...", "en"), ("the", "xx"), ("the...", ""), ("Я иду в", "ru")):
        assert last_word_holds(text, language) == ""
        assert not looks_complete(text, language)


QUESTIONS = {
    "yes_no": """
        Would you like to hear more?
        Is that right?
        Sure. Do you want me to set a timer?
        Shall I play it?
        The museum opens at nine. Should I book a ticket?
        If you're ready, shall we start?
        You want ten minutes, right?
        It is raining, isn't it?
        Anything else?
        Ready?
        Great! Does that help?
        Do you have your account number ready?
        Do you want me to call that number?
        Are you still there?
        Did you mean Paris, Texas?
        Can you hear me?
        Would you like me to spell it?
        Do you want it or not?
        Okay, and is it urgent?
    """,
    "digits": """
        What is your phone number?
        Could you give me your phone number?
        Can I have your PIN, please?
        What's the code?
        Please tell me your date of birth.
        Which date would you like?
        What is your zip code?
        I need your account number.
        When were you born?
        Please enter your passcode.
    """,
    "spelling": """
        Could you spell that for me?
        How do you spell your name?
        Please spell your last name.
        What is your email address?
        What is your address?
        Which street do you live on?
    """,
    "list": """
        What ingredients do you have?
        Which items should I add?
        What are the names of the guests?
        What should I put on your shopping list?
        What do you need from the store?
    """,
    "open": """
        How can I help you today?
        What would you like to know?
        Do you want tea or coffee?
        Can you tell me more about it?
        Could you describe the problem?
        Who are you looking for?
        What is your name?
        Tell me about your day.
    """,
    "none": """
        The capital of France is Paris.
        It is ten past nine.
        Hello there.
        You asked what time it is. It is nine. I hope that helps. Have a nice day.

        ...
    """,
}


@pytest.mark.parametrize(
    ("kind", "question"),
    [(kind, text) for kind, asked in QUESTIONS.items() for text in asked.split("\n")[1:-1]],
)
def test_what_a_question_wants_to_hear(kind: str, question: str):
    assert expected_answer(question.strip(), "en") == kind


@pytest.mark.parametrize(
    ("language", "question", "kind"),
    [
        ("de", "Möchtest du mehr hören?", "yes_no"),
        ("de", "Wie ist deine Telefonnummer?", "digits"),
        ("de", "Wie kann ich dir helfen?", "open"),
        ("de", "Kannst du mir deinen Namen buchstabieren?", "spelling"),
        ("fr", "Est-ce que tu veux continuer ?", "yes_no"),
        ("fr", "Quel est votre numéro de téléphone ?", "digits"),
        ("fr", "Comment puis-je vous aider ?", "open"),
        ("es", "¿Quieres saber más?", "yes_no"),
        ("es", "¿Cuál es tu número de teléfono?", "digits"),
        ("it", "Vuoi sapere di più?", "yes_no"),
        ("it", "Qual è il tuo numero di telefono?", "digits"),
        ("pt", "Você quer saber mais?", "yes_no"),
        ("pt", "Qual é o seu número de telefone?", "digits"),
        ("nl", "Wil je meer weten?", "yes_no"),
        ("nl", "Wat is je telefoonnummer?", "digits"),
        ("ru", "Вы готовы?", "open"),
        ("ru", "Да.", "none"),
    ],
)
def test_what_a_question_wants_to_hear_in_other_languages(language: str, question: str, kind: str):
    assert expected_answer(question, language) == kind


@pytest.mark.parametrize(
    "text",
    listed("""
    Yes. | Yeah, sure. | No thanks. | No, thank you. | Yes please. | Sure, go ahead. | Okay. | Uh, yes.
    Um, no. | Not really. | I don't think so. | Of course. | Yes, I do. | No, I'm not. | Mm-hm.
    Absolutely. | Please do. | Maybe later. | I don't know. | Yes, yes. | No no. | Right.
"""),
)
def test_plain_answers_to_a_yes_no_question(text: str):
    assert answers_it(text, "yes_no", "en")


@pytest.mark.parametrize(
    "text",
    ["Yes, but", "Please.", "No, I want the", "Well", "Um", "", "Paris", "Yes and tell me the time"],
)
def test_what_does_not_plainly_answer_a_yes_no_question(text: str):
    assert not answers_it(text, "yes_no", "en")


@pytest.mark.parametrize(
    ("text", "kind", "answers"),
    [
        ("It's four one five", "digits", True),
        ("12", "digits", True),
        ("Let me look", "digits", False),
        ("B R O W N", "spelling", True),
        ("me@example.com", "spelling", True),
        ("Brown", "spelling", False),
        ("Milk and eggs", "list", True),
        ("Milk and", "list", False),
        ("Um", "open", False),
        ("The red one", "open", True),
        ("Yes", "none", False),
    ],
)
def test_answers_of_other_kinds(text: str, kind, answers: bool):
    assert answers_it(text, kind, "en") is answers


@pytest.mark.parametrize(
    "text",
    listed("""
    4 1 | four one five | My number is 415 555 | It's 415-555 | 415-555-0132 | It's oh seven | B-R-O
    B R O W N | double five three | the code is nine nine | 4155550132 | eins zwei drei | zéro six
    4, 1, 5 | A B
"""),
)
def test_digits_and_letters_that_are_read_out(text: str):
    assert digits_running(text)


@pytest.mark.parametrize(
    "text",
    listed("""
    Set a timer for 25 minutes | Wake me at 7 | Wake me at 10:30 | in 2024 | What is 5 plus 5?
    twenty two | It costs $5.99 | Plan B | I am | I got a B | 3.14159 | from 9 to 5 | nineteen eighty four
    one | x | What about the USA? | Channel 5 | 1984 | yes no | I saw a | four of them
"""),
)
def test_other_numbers_and_letters(text: str):
    assert not digits_running(text)


@pytest.mark.parametrize("text", [text for text in COMPLETE if text[-1] in ".?!"])
def test_whole_sentences_look_complete(text: str):
    alone = len(text.split()) == 1 and text not in ("Yes.", "No.", "Okay.", "Sure.")
    assert looks_complete(text, "en") is not alone


@pytest.mark.parametrize("text", [*UNFINISHED, "Four one five.", "What is the", "turn on the light"])
def test_fragments_do_not_look_complete(text: str):
    assert not looks_complete(text, "en")


anything = st.text() | st.sampled_from(COMPLETE + UNFINISHED)
languages = st.sampled_from([*TABLES, "xx", "", "en-GB"])
KINDS = ("yes_no", "digits", "spelling", "list", "open", "none")


@given(anything, languages)
def test_no_text_is_too_odd(text: str, language: str):
    assert isinstance(last_word_holds(text, language), str)
    assert expected_answer(text, language) in KINDS
    assert digits_running(text) in (True, False)
    for kind in KINDS:
        assert answers_it(text, kind, language) in (True, False)
    if looks_complete(text, language):
        assert last_word_holds(text, language) == ""


@given(st.sampled_from(COMPLETE + UNFINISHED))
def test_case_does_not_matter(text: str):
    assert last_word_holds(text.upper(), "en") == last_word_holds(text, "en")
    assert looks_complete(text.upper(), "en") == looks_complete(text, "en")


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("If it rains tomorrow.", True),
        ("After the meeting on Monday", True),
        ("So when I get home tonight.", True),
        ("Before you answer that.", True),
        ("If it rains tomorrow, take the bus.", False),
        ("When is the next train?", False),
        ("When does it leave", False),
        ("After the meeting?", False),
        ("Because I said that I would come and then I could not after all", False),
        ("What if it rains?", False),
        ("Play some music.", False),
        ("", False),
    ],
)
def test_a_clause_that_waits_for_its_main_one_is_open(text, opens):
    assert bool(clause_is_open(text, "en")) is opens
    assert clause_is_open(text, "xx") == ""


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("Pack my shoes, my coat.", True),
        ("Pack my shoes. My coat.", True),
        ("I need milk, eggs, butter.", True),
        ("I need some milk, two loaves of bread.", True),
        ("Pack my shoes, my coat and the blue umbrella.", False),
        ("I need milk, eggs, and butter.", False),
        ("Yes, please.", False),
        ("Hello, Anna.", False),
        ("Well, I think that this is the one.", False),
        ("My number is 4, 1, 5.", False),
        ("Would you like tea, coffee?", False),
        ("Play some music.", False),
        ("", False),
    ],
)
def test_a_list_without_its_and_is_open(text, opens):
    assert bool(list_is_open(text, "en")) is opens
