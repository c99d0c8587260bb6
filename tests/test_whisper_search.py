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
        self.widths: list[int] = []
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

    def side_by_side(self, tokens: Sequence[int], parents: Sequence[int]) -> Scores:
        self.widths.append(len(tokens))
        self.texts = [[*self.texts[parent], token] for token, parent in zip(tokens, parents, strict=True)]
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


def plain_beam_search(network: Network) -> list[tuple[list[int], float]]:
    """What `beam_search` finds, every text walked through by itself: texts, and their log probabilities."""
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    finished: list[tuple[list[int], float]] = []
    while len(finished) < BEAMS:
        longer = []
        for tokens, log in beams:
            scores = permitted(network.row([*PROMPT, *tokens]), tokens, SPECIAL).astype(float)
            logs = scores - np.log(np.exp(scores[np.isfinite(scores)]).sum())
            longer += [([*tokens, token], log + logs[token]) for token in np.flatnonzero(np.isfinite(logs))]
        beams = []
        for tokens, log in sorted(longer, key=lambda text: -text[1]):
            if tokens[-1] == END:
                finished.append((tokens[:-1], log))
            elif len(beams) < BEAMS:
                beams.append((tokens, log))
            if len(beams) == BEAMS:
                break
    return sorted(finished, key=lambda text: -text[1] / max(len(text[0]), 1))


@pytest.mark.parametrize("wrong_draft", [False, True])
def test_beams_are_those_of_a_plain_search_whatever_was_read_before(wrong_draft: bool):
    for seed in range(12):
        draft = [TIMES, 5, 6, 7, 8] if wrong_draft else []
        said, network = decode(seed, draft, wordy=0.5)
        roomy = Decoded([*said.tokens, *[0] * 60], -99.0, said.no_speech)  # an unlikely text, but a long one
        found = beam_search(network, PROMPT, SPECIAL, roomy)[:-1]
        plain = plain_beam_search(network)
        assert [text.tokens for text in found] == [tokens for tokens, _ in plain]
        for text, (tokens, log) in zip(found, plain, strict=True):
            assert text.log_probability == pytest.approx(log / (len(tokens) + 1), abs=1e-4)


def test_greedys_text_is_among_them_and_the_likeliest_comes_first():
    better = 0
    for seed in range(20):
        said, network = decode(seed, wordy=1.0)
        found = beam_search(network, PROMPT, SPECIAL, said)
        assert said in found
        ranks = [text.log_probability * (len(text.tokens) + 1) / max(len(text.tokens), 1) for text in found]
        assert ranks == sorted(ranks, reverse=True)
        better += found[0] != said
    assert better >= 10


def test_beams_stop_where_no_text_is_over_soon():
    said, network = decode(1, cap=3, wordy=50.0)
    assert beam_search(network, PROMPT, SPECIAL, said) == [said]
    assert network.widths == [BEAMS] * (3 + 8 - 1)


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
    assert beam_search(network, PROMPT, SPECIAL, said)[0].tokens == [TIMES, 2, TIMES + 10]
