"""Markdown, HTML and emoji, taken out of text that comes one character at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.plain_text import LONGEST_LINK, LONGEST_ROW, PlainText


def plain(text: str) -> str:
    stream = PlainText()
    return "".join(stream.push(character) for character in text) + stream.finish()


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("plain words, and 5 > 3.", "plain words, and 5 > 3."),
        ("**bold** and *italic* and ***both***", "bold and italic and both"),
        ("__bold__ _italic_ but snake_case stays", "bold italic but snake_case stays"),
        ("~~gone~~ but ~5 stays", "gone but ~5 stays"),
        ("5*3 and a * b stay", "5*3 and a * b stay"),
        ("2**3, (3+4)*5, 2*(3+4), length*width", "2**3, (3+4)*5, 2*(3+4), length*width"),
        ("a*b*c or *a* * b*c", "a*b*c or a * b*c"),
        ("**N**ational **A**ir, **bold**ly, price* is 2*3", "National Air, boldly, price is 2*3"),
        ("see **this**(now)", "see this(now)"),
        ("call `run()` now", "call run() now"),
        ("the `**` and `<div>` and `a_b*c` and ``a`b``", "the ** and <div> and a_b*c and a`b"),
        ("`x != 5`, x != 6 and Stop!", "x ≠ 5, x ≠ 6 and Stop!"),
        ("an `unclosed and **bold** word", "an unclosed and bold word"),
        ("# Title\ntext", "Title\ntext"),
        ("###### Deep\n", "Deep\n"),
        ("#1 choice", "#1 choice"),
        ("- one\n- two", "one\ntwo"),
        ("* one\n+ two\n• three", "one\ntwo\nthree"),
        ("  - nested", "nested"),
        ("- [ ] open\n- [x] done", " open\n done"),
        ("1. first\n2. second", "1. first\n2. second"),
        ("> quoted\n>> twice", "quoted\ntwice"),
        ("above\n---\nbelow", "above\n\nbelow"),
        ("**Bold** at the start", "Bold at the start"),
        ("-5 degrees", "-5 degrees"),
        ("see [the docs](https://x.org/a_b) now", "see the docs now"),
        ("![a cat](cat.png)", "a cat"),
        ("a fact [1] and [^note] more", "a fact  and  more"),
        ("Dear [name]!", "Dear name!"),
        ("[**bold** link](u)", "bold link"),
        ("| Name | Age |\n|:---|---:|\n| **Bob** | 5 |\nend", "Name, Age\n\nBob, 5\nend"),
        ("before\n```python\nprint(1)\n```\nafter", "before\n\nafter"),
        ("```\nnever closed **x**", ""),
        ("one ```inline``` two", "one  two"),
        ("~~~\ncode\n~~~\nend", "\nend"),
        ("<b>bold</b> and <br/>new", "bold and \nnew"),
        ("<think>secret *plan*</think>Hello", "Hello"),
        ("<think>never closed", ""),
        ("a < b and <3", "a < b and <3"),
        ("a<b and c>d", "a<b and c>d"),
        ("press <Enter>, <your name> or <your-name>", "press <Enter>, <your name> or <your-name>"),
        ("List<String> and <Ctrl>+<C>", "List<String> and <Ctrl>+<C>"),
        ('<a href="x">link</a>, <hr/>, <i >so</i> and </s>', "link, , so and "),
        ("<response>Paris.</response>", "Paris."),
        ("<p>One</p># Two", "\nOne\nTwo"),
        ("mail <bob@x.org> or <https://x.org>", "mail bob@x.org or https://x.org"),
        ("Tom &amp; Jerry &lt;3 &nbsp;AT&T", "Tom & Jerry <3  AT&T"),
        ("escaped \\*star\\*", "escaped *star*"),
        ("nice 😀👍🏽 work ❤️!", "nice    work  !"),
        ("👨‍👩‍👧 family 🇫🇷", "    family   "),
        ("20 °C and 1️⃣", "20 °C and 1"),
        ("bell\a null\0 bom\ufeff zero\u200bwidth", "bell null bom zerowidth"),
        ("tab\tand\r\nlines\u2028end", "tab and\nlines\nend"),
    ],
)  # fmt: skip
def test_markup_is_taken_out(markup: str, expected: str) -> None:
    assert plain(markup) == expected


@pytest.mark.parametrize("opening", ["[", "[x](", "<b", "|", "**", "`", "#", "&", "![", "<think>", "```"])
def test_an_opening_that_is_never_closed_holds_back_only_a_little(opening: str) -> None:
    stream = PlainText()
    for character in opening + "word " * 1000:
        stream.push(character)
        assert len(stream._held) <= max(LONGEST_LINK, LONGEST_ROW) + len(opening)


def test_words_after_a_lone_bracket_come_out_at_the_end_of_the_line() -> None:
    stream = PlainText()
    out = "".join(stream.push(character) for character in "an [open bracket\n")
    assert out == "an open bracket\n"


@given(st.text(alphabet="ab1 *_`~#-+>|[]()<>/!&;\\\n=.", max_size=200))
def test_no_markup_can_make_it_fail_or_run_on(text: str) -> None:
    assert len(plain(text)) <= 2 * len(text) + 2


@given(st.lists(st.from_regex(r"[A-Za-z]{1,8}[.,]?", fullmatch=True), max_size=30).map(" ".join))
def test_plain_text_passes_unchanged(text: str) -> None:
    assert plain(text) == text
