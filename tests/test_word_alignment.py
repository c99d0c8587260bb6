# ruff: noqa: RUF001
"""Words found again in the phonemes of their clause. Phonemes as espeak-ng gives them for en-us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.word_alignment import word_ends


@pytest.mark.parametrize(
    ("clause", "words", "endings"),
    [
        # what each word's share of the clause looks like, cut at the ends that were found
        ("aɪ lˈɪv hˈɪɹ.", ["ˈaɪ", "lˈɪv", "hˈɪɹ."], ["aɪ", " lˈɪv", " hˈɪɹ."]),
        ("mˈɪdəl ʌvðə sˈɪɾi,", ["mˈɪdəl", "ˈʌv", "ðˈə", "sˈɪɾi"], ["mˈɪdəl", " ʌv", "ðə", " sˈɪɾi,"]),
        ("fɚɹə wˈaɪl", ["fˈɔːɹ", "ˈeɪ", "wˈaɪl"], ["fɚɹ", "ə", " wˈaɪl"]),
        ("kˈɔsts fˈaɪv dˈɑːlɚz naʊ", ["kˈɔsts", "fˈaɪv dˈɑːlɚz", "nˈaʊ"],
         ["kˈɔsts", " fˈaɪv dˈɑːlɚz", " naʊ"]),
        ("jˈɛs", ["jˈɛs"], ["jˈɛs"]),
    ],
)  # fmt: skip
def test_words_end_where_their_last_phoneme_does(clause: str, words: list[str], endings: list[str]) -> None:
    ends = word_ends(list(clause), [list(word) for word in words])
    assert [clause[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)] == endings


def test_no_words_have_no_ends() -> None:
    assert word_ends(list("ˈaɪ"), []) == []


@given(
    clause=st.text(alphabet="aɪˈː ,", max_size=40),
    words=st.lists(st.text(alphabet="aɪˈː ,", max_size=10), max_size=10),
)
def test_ends_never_fall_and_stay_inside_the_clause(clause: str, words: list[str]) -> None:
    ends = word_ends(list(clause), [list(word) for word in words])
    assert len(ends) == len(words)
    assert ends == sorted(ends)
    assert all(0 <= end <= len(clause) for end in ends)
