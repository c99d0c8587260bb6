# ruff: noqa: RUF001
"""Where the reply is cut into clauses while it is being written."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_voice.speakable import LONGEST_CLAUSE, NOTHING_TO_SAY, Clause, ClauseCutter


def cut(text: str) -> list[Clause]:
    cutter = ClauseCutter()
    return cutter.push(text) + cutter.finish()


def written(text: str) -> list[str]:
    return [clause.written for clause in cut(text)]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        # sentence ends, and what only looks like one
        ("It is $29. Next one.", ["It is $29.", "Next one."]),
        ("It is $29.50. Next one.", ["It is $29.50.", "Next one."]),
        ("Pi is 3.14159 or so.", ["Pi is 3.14159 or so."]),
        ("Ask Dr. Smith and Mrs. Jones. They know.", ["Ask Dr. Smith and Mrs. Jones.", "They know."]),
        ("The U.S. Army left the U.S. The end.", ["The U.S. Army left the U.S.", "The end."]),
        ("At 5 p.m. He came at 6 a.m. sharp.", ["At 5 p.m.", "He came at 6 a.m. sharp."]),
        ("Take fruit, e.g. apples, i.e. food. Good.", ["Take fruit,", "e.g. apples, i.e. food.", "Good."]),
        ("Apples, pears, etc. are good. Pie too, etc. It is.",
         ["Apples,", "pears, etc. are good.", "Pie too, etc.", "It is."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", "Yes."]),
        ("It lies on St. James St. It is big.", ["It lies on St. James St.", "It is big."]),
        ("See No. 5 first. I said no. Then go.", ["See No. 5 first.", "I said no.", "Then go."]),
        ("On Jan. 5 we met.", ["On Jan. 5 we met."]),
        ("Use v2.0 or Node.js. Fine.", ["Use v2.0 or Node.js.", "Fine."]),
        ("Go to https://x.org/a.b?c=1,2;d now. Ok?", ["Go to https://x.org/a.b?c=1,2;d now.", "Ok?"]),
        ("Mail bob.smith@x.org today. Bye.", ["Mail bob.smith@x.org today.", "Bye."]),
        ("Really?! Yes!! Go.", ["Really?", "Yes!", "Go."]),
        ("Well... I think so. Ok.", ["Well...", "I think so.", "Ok."]),
        ('He said "Hi there!" and left. Bye.', ['He said "Hi there!"', "and left.", "Bye."]),
        ("(Is it so?) Yes.", ["(Is it so?)", "Yes."]),
        ("1. Open it. 2. Close it.", ["1. Open it.", "2. Close it."]),
        ("First line\nsecond line", ["First line", "second line"]),
        # the first clause is short, later ones are not
        ("Well, yes, of course, that is right, my friend, you see.",
         ["Well,", "yes, of course,", "that is right, my friend, you see."]),
        ("Sure! The capital of France, my friend, is Paris.",
         ["Sure!", "The capital of France,", "my friend, is Paris."]),
        ("The answer is three: one, two, three, and then four and five, or six.",
         ["The answer is three:", "one, two, three, and then four and five, or six."]),
        ("I would take the red one because it is nice.",
         ["I would take the red one", "because it is nice."]),
        ("Fine. One two three four five six seven eight nine ten, eleven.",
         ["Fine.", "One two three four five six seven eight nine ten,", "eleven."]),
        ("There were 1,234,567 people.", ["There were 1,234,567 people."]),
        ("We met on May 6, 2024 at noon.", ["We met on May 6, 2024", "at noon."]),
        ("There are seven days in a week. There are twelve months in a year.",
         ["There are seven days", "in a week.", "There are twelve months in a year."]),
        ("Boiling an egg for at least ten minutes.", ["Boiling an egg", "for at least ten minutes."]),
        ("They may live in or with it.", ["They may live", "in or with it."]),
        ("The author of that book is Ann.", ["The author of that book", "is Ann."]),
        ("I think that you are going to like it.", ["I think that you are going", "to like it."]),
        ("It has a nice and warm feeling.", ["It has a nice and warm feeling."]),
        ("They sell apples with pears and plums and nuts.",
         ["They sell apples", "with pears and plums and nuts."]),
        ("No, it will not rain.", ["No,", "it will not rain."]),
        ("3, 2, 1, go!", ["3, 2, 1,", "go!"]),
        ("The ratio there was 10:30 then.", ["The ratio there was 10:30 then."]),
        ("one two three—four five", ["one two three—", "four five"]),
        # markup
        ("**Bold** and _soft_ words: see [docs](http://x.y), ok?\n- one\n- two",
         ["Bold and soft words:", "see docs, ok?", "one", "two"]),
        ("# Title\n```\ncode. more.\n```\nDone 👍!", ["Title", "Done!"]),
        ("assistant: Hello there.", ["Hello there."]),
    ],
)  # fmt: skip
def test_where_it_is_cut(text: str, clauses: list[str]) -> None:
    assert written(text) == clauses


def test_a_clause_says_whether_it_ends_a_sentence_and_its_last_mark_agrees() -> None:
    first, second, third = cut("The answer is three: one, two. Is it?")
    assert (first.ends_sentence, first.spoken) == (False, "The answer is three,")
    assert (second.ends_sentence, second.spoken) == (True, "one, two.")
    assert (third.ends_sentence, third.spoken) == (True, "Is it?")


def test_a_plain_comma_cuts_the_first_clause_without_waiting_for_the_next_token() -> None:
    cutter = ClauseCutter()
    assert cutter.push("The capital of France") == []
    assert [clause.written for clause in cutter.push(",")] == ["The capital of France,"]


def test_a_full_stop_waits_for_what_follows() -> None:
    cutter = ClauseCutter()
    assert cutter.push("It costs $29.") == []
    assert cutter.push(" ") == []
    assert [clause.written for clause in cutter.push("So")] == ["It costs $29."]


def test_a_first_sentence_can_be_spoken_ahead_while_its_full_stop_is_unsure() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Paris is the capital of France.") == []
    likely = cutter.likely()
    assert [likely] == cutter.push(" It") == cut("Paris is the capital of France.")
    assert cutter.push(" is big.") == []
    assert cutter.likely() is None  # there is sound in hand


def test_a_first_breath_can_be_spoken_ahead_while_the_word_after_it_may_go_on() -> None:
    cutter = ClauseCutter()
    assert cutter.push("The capital of France") == []
    assert cutter.likely() is None
    assert cutter.push(" is") == []
    likely = cutter.likely()
    assert likely is not None
    assert likely.spoken == "The capital of France,"
    assert [likely] == cutter.push(" Paris")
    cutter = ClauseCutter()
    cutter.push("The capital of France is")
    assert cutter.likely() == likely
    assert cutter.push("olated") == []
    assert cutter.likely() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is",
        "It is 5.",
        "The sum is",
        "The capital of which",
        "We met at 5 p.m. With",
        "I met Dr.",
        "At 5 p.m.",
        "Use Node.js.",
        "Ok...",
        "Is it?",
    ],
)
def test_nothing_is_spoken_ahead_where_the_clause_may_well_go_on(text: str) -> None:
    cutter = ClauseCutter()
    cutter.push(text)
    assert cutter.likely() is None


def test_the_end_of_the_reply_ends_the_last_sentence() -> None:
    cutter = ClauseCutter()
    assert cutter.push("It is 5.") == []
    assert [clause.written for clause in cutter.finish()] == ["It is 5."]


@pytest.mark.parametrize("text", ["```\ncode", "😀", "<think>hm", "---", "日本語です。"])
def test_a_reply_with_nothing_to_say_is_not_silence(text: str) -> None:
    assert written(text) == [NOTHING_TO_SAY]


@pytest.mark.parametrize("text", ["", "  \n\n "])
def test_an_empty_reply_has_no_clauses(text: str) -> None:
    assert cut(text) == []


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("I love you. " * 20, ["I love you."] * 3),
        ("It is so. Is it not? " * 20, ["It is so.", "Is it not?"] * 3 + ["It is so."]),
        ("and then we go " * 20, ["and then we go and then we go", "and then we go"]),
        ("no " * 50, ["no"]),
        ("No. " * 20, ["No."] * 5),
    ],
)
def test_a_model_that_repeats_itself_is_cut_off(text: str, clauses: list[str]) -> None:
    cutter = ClauseCutter()
    assert [clause.written for clause in cutter.push(text) + cutter.finish()] == clauses
    assert cutter.cut_off
    assert cutter.push("More to say.") + cutter.finish() == []


@pytest.mark.parametrize(
    "song",
    [
        "Happy birthday to you.\nHappy birthday to you.\nHappy birthday dear Ann.\nHappy birthday to you.\n",
        "We wish you a merry Christmas.\n" * 3 + "And a happy New Year.\n",
    ],
)
def test_a_refrain_is_not_a_loop(song: str) -> None:
    assert written(song) == song.splitlines()


def test_a_long_stretch_without_a_break_is_cut_at_a_space() -> None:
    text = " ".join(f"word{i}" for i in range(200))
    clauses = written(text)
    assert " ".join(clauses) == text
    assert max(map(len, clauses)) < LONGEST_CLAUSE + 10


def test_a_long_stretch_without_a_space_is_still_cut() -> None:
    assert [len(clause) for clause in written("x" * 1200)] == [500, 500, 200]


MESSY = st.lists(
    st.sampled_from(
        ["Hello", " there", ",", ".", "!", "?", " ", "\n", "**", "`", "```", "Dr", "U.S", " $5.99", " 3", "—",
         ": ", "[x](", "http://a.b", ")", "<b>", "<think>", "</think>", "&amp;", "| a |", "# ", "- ", "1. ",
         "😀", '"', "because", " The", "...", "e.g", "_", "日本", "。", "\0", "é", "’"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(text=MESSY, data=st.data())
@settings(deadline=None)
def test_the_borders_of_tokens_do_not_matter(text: str, data: st.DataObject) -> None:
    borders = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    pieces = [text[a:b] for a, b in zip([0, *borders], [*borders, len(text)], strict=True)]
    cutter = ClauseCutter()
    clauses = [clause for piece in pieces for clause in cutter.push(piece)] + cutter.finish()
    assert clauses == cut(text)


@given(text=st.text(max_size=300))
@settings(deadline=None)
def test_any_text_gives_clauses_that_can_be_spoken(text: str) -> None:
    for clause in cut(text):
        assert clause.words
        assert clause.spoken[-1] in ".,?!"
        assert not re.search(r"[\x00-\x1f*`|]", clause.spoken)


WORDS = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.sampled_from(["", "", "", *",.!?;:"])),
    max_size=80,
    unique_by=lambda pair: pair[0],
)


@given(pairs=WORDS)
@settings(deadline=None)
def test_every_word_of_plain_text_is_written_once_and_in_order(pairs: list[tuple[str, str]]) -> None:
    text = " ".join(word + mark for word, mark in pairs)
    assert re.findall("[a-z]+", " ".join(written(text))) == [word for word, _ in pairs]
