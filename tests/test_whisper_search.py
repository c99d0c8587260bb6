"""Which token comes next: Whisper's rules, and what a draft may not change."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_voice.whisper_search import (
    BEAMS,
    Decoded,
    Scores,
    SpecialTokens,
    beam_search,
    greedy,
    permitted,
)

WORDS, END, START, NO_SPEECH, TIMES = 20, 20, 21, 22, 24
SIZE = TIMES + 100
SPECIAL = SpecialTokens(end=END, no_speech=NO_SPEECH, first_timestamp=TIMES, suppressed=(3, START))


class Network:
    """Scores that depend on everything read before, the same for the same text; notes what it is asked."""

    def __init__(self, seed: int, wordy: float = 4.0) -> None:
        self.seed = seed
        self.wordy = wordy
        self.text: list[int] = []
        self.texts: list[list[int]] = []
        """Those read side by side."""
        self.reads: list[int] = []

    def __call__(self, tokens: Sequence[int], at: int) -> Scores:
        assert at <= len(self.text)
        self.reads.append(len(tokens))
        del self.text[at:]
        rows = []
        for token in tokens:
            self.text.append(token)
            rows.append(self.row(self.text))
        self.texts = [self.text]
        return np.array(rows)

    def side_by_side(self, tokens: Sequence[int], texts: Sequence[int]) -> Scores:
        self.texts = [[*self.texts[text], token] for token, text in zip(tokens, texts, strict=True)]
        return np.array([self.row(text) for text in self.texts])

    def row(self, text: list[int]) -> Scores:
        row = np.random.default_rng([self.seed, *text]).normal(size=SIZE).astype(np.float32)
        row[:WORDS] += self.wordy
        return row


def decode(
    seed: int, draft: Sequence[int] = (), cap: int = 40, wordy: float = 4.0
) -> tuple[Decoded, Network]:
    network = Network(seed, wordy)
    return greedy(network, [START, 8, 9, 7], SPECIAL, cap, draft), network


def likely(**more: float) -> Scores:
    """Logits: everything equal but for what is named, such as w5 or t3."""
    row = np.zeros(SIZE, np.float32)
    for name, value in more.items():
        row[int(name[1:]) + (TIMES if name[0] == "t" else 0)] = value
    return row


def allowed(tokens: Sequence[int], row: Scores) -> set[int]:
    return set(np.flatnonzero(np.isfinite(permitted(row, tokens, SPECIAL))))


def test_a_text_begins_with_a_time_within_the_first_second():
    assert allowed([], likely()) == set(range(TIMES, TIMES + 51))


def test_behind_the_first_time_comes_a_word_but_none_that_is_suppressed():
    assert allowed([TIMES], likely()) == set(range(TIMES)) - {3, START, TIMES - 1}


def test_a_phrase_that_is_over_is_followed_by_another_or_by_the_end():
    follows = allowed([TIMES, 5, TIMES + 40], likely(t50=9.0))
    assert follows == set(range(TIMES + 40, SIZE))
    over = allowed([TIMES, 5, TIMES + 40], likely(w20=30.0))
    assert END in over
    assert not over & {*range(WORDS), TIMES + 39}


def test_a_time_that_never_goes_back():
    assert not allowed([TIMES, 5, TIMES + 40, TIMES + 40, 6], likely(t10=5.0)) & set(range(TIMES, TIMES + 40))


def test_all_times_together_outweigh_any_one_word():
    # 100 times of e^2 each are more than one word of e^6, and less than one of e^7.
    times = {f"t{number}": 2.0 for number in range(100)}
    assert allowed([TIMES, 5], likely(w7=6.0, **times)) == set(range(TIMES, SIZE))
    assert 7 in allowed([TIMES, 5], likely(w7=7.0, **times))


def test_the_caller_s_scores_are_left_as_they_are():
    row = likely(w5=1.0)
    permitted(row, [TIMES], SPECIAL)
    assert np.isfinite(row).all()


def test_a_text_ends_with_the_end_token_or_with_the_cap():
    ended = [decode(seed, wordy=0.0)[0] for seed in range(30)]
    assert all(END not in heard.tokens for heard in ended)
    assert min(len(heard.tokens) for heard in ended) < 40
    assert len(decode(1, cap=3, wordy=50.0)[0].tokens) == 3


def test_nothing_is_read_that_no_token_is_taken_from():
    heard, network = decode(1, cap=3, wordy=50.0)
    assert network.reads == [4, 1, 1]
    assert len(heard.tokens) == 3


def test_the_probabilities_are_those_of_what_was_permitted():
    def only(tokens: Sequence[int], at: int) -> Scores:
        row = np.full((len(tokens), SIZE), -1e9, np.float32)
        row[-1, [TIMES, NO_SPEECH] if not at else END] = 0.0
        return row

    heard = greedy(only, [START], SPECIAL, 9)
    assert heard.tokens == [TIMES]
    assert heard.log_probability == pytest.approx(0.0)
    assert heard.no_speech == pytest.approx(0.5)


def test_a_draft_that_is_right_is_read_at_once():
    plain, slow = decode(5)
    heard, quick = decode(5, draft=plain.tokens[:-2])
    assert heard == plain
    assert sum(quick.reads) == sum(slow.reads)
    assert len(quick.reads) <= 4 < len(slow.reads)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 12), st.integers(1, 25))
def test_a_draft_never_changes_what_is_said(seed: int, other: int, wrong: int, cap: int):
    plain, _ = decode(seed, cap=cap)
    draft = list(plain.tokens)
    rng = random.Random(other)
    for _ in range(wrong):
        draft.insert(rng.randrange(len(draft) + 1), rng.randrange(SIZE))
    assert decode(seed, draft=draft, cap=cap)[0] == plain


PROMPT = [START, 8, 9, 7]


def log_probability(network: Network, tokens: Sequence[int]) -> float:
    """Mean natural log of the tokens' probabilities and the end's, each text walked through by itself."""
    logs = []
    for place, token in enumerate([*tokens, END]):
        scores = permitted(network.row([*PROMPT, *tokens[:place]]), tokens[:place], SPECIAL).astype(float)
        logs.append(scores[token] - np.log(np.exp(scores[np.isfinite(scores)]).sum()))
    return float(np.mean(logs))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(3, 25))
def test_beams_find_a_text_that_is_no_less_likely_and_know_how_likely_it_is(seed: int, cap: int):
    said, network = decode(seed, cap=cap, wordy=1.0)
    found = beam_search(network, PROMPT, SPECIAL, cap, said)
    assert found.log_probability >= said.log_probability
    assert found.no_speech == said.no_speech
    assert len(found.tokens) <= cap
    if found != said:
        assert found.log_probability == pytest.approx(log_probability(network, found.tokens), abs=1e-4)


def test_beams_often_find_what_the_likeliest_token_each_time_misses():
    better = 0
    for seed in range(20):
        said, network = decode(seed, wordy=1.0)
        better += beam_search(network, PROMPT, SPECIAL, 40, said).log_probability > said.log_probability
    assert better >= 10


def test_a_bad_beginning_with_a_good_end_is_found():
    class Trap(Network):
        """Word 1 is likelier than 2; what follows 1 is anything, what follows 2 is certain."""

        def row(self, text: list[int]) -> Scores:
            follows = text[len(PROMPT) :]
            likes: dict[int, float] = {TIMES: 30.0}
            if follows == [TIMES]:
                likes = {1: 20.2, 2: 20.0}
            elif follows == [TIMES, 1]:
                likes = dict.fromkeys(range(4, 20), 10.0)
            elif follows[-1:] and follows[-1] < WORDS:
                likes = {TIMES + 10: 30.0}
            elif len(follows) > 1:
                likes = {END: 30.0}
            row = np.zeros(SIZE, np.float32)
            row[list(likes)] = list(likes.values())
            return row

    network = Trap(0)
    said = greedy(network, PROMPT, SPECIAL, 9)
    assert said.tokens[:2] == [TIMES, 1]
    assert beam_search(network, PROMPT, SPECIAL, 9, said).tokens == [TIMES, 2, TIMES + 10]


def test_no_more_texts_are_read_side_by_side_than_there_are_beams():
    said, network = decode(3, wordy=1.0)
    widest = 0
    plain = network.side_by_side

    def noted(tokens: Sequence[int], texts: Sequence[int]) -> Scores:
        nonlocal widest
        widest = max(widest, len(tokens))
        return plain(tokens, texts)

    network.side_by_side = noted  # type: ignore[method-assign]
    beam_search(network, PROMPT, SPECIAL, 40, said)
    assert widest == BEAMS
