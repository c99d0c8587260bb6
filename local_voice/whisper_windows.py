"""What surrounds a Whisper decode: how much sound to look at, how much text to allow, whether to believe it.

Whisper was trained on 30 s windows and pays for all 30 s however short the sound is. Here the window has the
utterance's own length; the rules that keep this safe live in this room. It must not know how a model runs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from local_voice.audio import SPEECH_RATE, Samples

WINDOW_SECONDS = (6, 8, 10, 12, 15, 20, 30)
"""The window lengths in use, few so that each can be warmed up. 6 s is the shortest that hears nearly
as well as 30 s: of 1,252 words in 167 announcements read by a person 4.6 % were wrong with 5 s for what is
shorter, 4.3 % with 6 s, 4.0 % with 8 s, 3.9 % with 30 s for all; of 750 in rendered questions 6.9, 6.7, 5.6
and 6.5 % (whisper-base, greedy). At 3 s it loops: 18.4 % on 30 utterances."""
FULL_WINDOW = WINDOW_SECONDS[-1]
MARGIN_SECONDS = 1.0
"""Silence after the speech: without any, 13.4 % of words were wrong instead of 4.1 % (whisper-base)."""
TIMESTAMP_SECONDS = 0.02
"""Between two of Whisper's timestamps (openai/whisper, `tokenizer.py`)."""
SHORTEST_PHRASE_SECONDS = 0.3
"""A phrase that begins so shortly before the sound's end was not said; base's began up to 0.2 s before it."""
LONGEST_PIECE_SECONDS = 28.0
"""Longer sound is cut at its quietest points and decoded piece by piece."""

_QUIET_FRAME = SPEECH_RATE // 50
_QUIET_SPAN = 15
"""Frames of 20 ms: a cut wants 0.3 s of quiet, longer than the stop inside a word."""
_SILENT_RMS = 10 ** (-70 / 20)
"""Quieter than any room through any microphone: digital silence with its rounding noise."""

SAME_WORDS = 3
"""Words that two passes must agree on for neither to have invented them."""
UNSURE = -0.6
"""Mean natural log of the tokens' probabilities below which a text is searched again with beams."""
LONGEST_SEARCHED = 40
"""Tokens, 8 to 10 s of speech: 0.3 s of beams."""

Doubt: TypeAlias = Literal["silence", "runaway"]
"""Why a text is not believed: invented out of silence, or a loop."""


def window_seconds(speech_seconds: float) -> int:
    """The window for a piece of sound of this length: at least 6 s, and 1 s longer than the sound.

    Never 1.6 s (models with 80 mel bands) nor 2.56 s (128 bands): an encoder output of as many steps as
    there are bands is taken for a spectrogram by CTranslate2 and encoded once more, without an error.
    """
    needed = speech_seconds + MARGIN_SECONDS
    return next((window for window in WINDOW_SECONDS if window >= needed), FULL_WINDOW)


def second_chances(window: int, doubted: Doubt) -> tuple[int, ...]:
    """Windows in which a doubted text is decoded again, in this order; none after the full window.

    A loop belongs to one length: 3 s more undid 3 of 3 loops of base and 20 of 22 of tiny.en (100 questions
    each in five voices), in a quarter of the time that the full window takes; that one undid all. Words
    that may be invented are judged in the full window alone, where silence is best known.
    """
    if window == FULL_WINDOW:
        return ()
    longer = window_seconds(window + 3.0 - MARGIN_SECONDS)
    return (FULL_WINDOW,) if doubted == "silence" or longer == FULL_WINDOW else (longer, FULL_WINDOW)


def token_cap(speech_seconds: float) -> int:
    """Most tokens, timestamps among them, that this much speech can hold: a bound for endless loops.

    Fast English is about 5 a second; a phrase has two timestamps.
    """
    return min(math.ceil(7 * speech_seconds) + 12, 220)


def is_silent(samples: Samples) -> bool:
    """No 20 ms of the sound are above -70 dBFS, or it is shorter than that, or it holds NaN."""
    levels = _levels(samples)
    return len(levels) == 0 or not float(levels.max()) > _SILENT_RMS


def split_at_quiet(samples: Samples) -> Iterator[Samples]:
    """The sound in order, in pieces of at most 28 s that meet at the quietest moments.

    Every piece but the last is at least 14 s long. Short sound stays in one piece. Looking for a cut takes
    about 3 ms, so the pieces of a long recording are handed out one by one.
    """
    longest = round(LONGEST_PIECE_SECONDS * SPEECH_RATE)
    while len(samples) > longest:
        levels = _levels(samples[longest // 2 : longest])
        smooth = np.convolve(levels, np.ones(_QUIET_SPAN), mode="valid")
        quietest = int(np.argmin(smooth)) + _QUIET_SPAN // 2
        cut = longest // 2 + quietest * _QUIET_FRAME + _QUIET_FRAME // 2
        yield samples[:cut]
        samples = samples[cut:]
    yield samples


def _levels(samples: Samples) -> Samples:
    """Root mean square of each 20 ms, shape `(n // 320,)`."""
    frames = samples[: len(samples) - len(samples) % _QUIET_FRAME].reshape(-1, _QUIET_FRAME)
    return np.asarray(np.sqrt(np.mean(np.square(frames), axis=1)), np.float32)


def without_loop(tokens: Sequence[int]) -> list[int]:
    """The tokens up to the end of the first round of a loop; all of them when there is none.

    A loop is a run of equal phrases that covers at least 12 tokens in 4 rounds, or 3 rounds of 4 tokens and
    more. People do say a thing twice ("how do I, how do I"), and "five, five, five, five" is 8 tokens.
    """
    text = list(tokens)
    for start in range(len(text)):
        for size in range(1, (len(text) - start) // 3 + 1):
            phrase = text[start : start + size]
            rounds = 1
            while text[start + rounds * size : start + (rounds + 1) * size] == phrase:
                rounds += 1
            if (rounds >= 4 and rounds * size >= 12) or (rounds >= 3 and size >= 4):
                return text[: start + size]
    return text


def within(tokens: Sequence[int], first_timestamp: int, speech_seconds: float) -> list[int]:
    """The tokens without the phrases that begin where the sound is over; all of them when none does.

    Two timestamps in a row are the end of one phrase and the start of the next. A loop of whole phrases runs
    on into the silence that fills the window: so did 8 of 8 of base and 36 of 44 of tiny.en (312 pauses in
    questions of six voices and human speech). Of all 312 texts one differs for each model from what a longer
    window heard. Only for a text that is doubted: the times in a short window are rough.
    """
    over = first_timestamp + (speech_seconds - SHORTEST_PHRASE_SECONDS) / TIMESTAMP_SECONDS
    for number, (end, start) in enumerate(pairwise(tokens)):
        if end >= first_timestamp and start >= over:
            return list(tokens[: number + 1])
    return list(tokens)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one decode of one piece of sound says, and how sure Whisper was."""

    text: str
    """Loops already cut."""
    tokens: int
    """Tokens in `text`."""
    log_probability: float
    """Mean natural log of the tokens' probabilities."""
    no_speech: float
    """Probability that the window holds no speech, 0 to 1."""
    runaway: bool = False
    """The text looped or was cut by the token cap."""


_BLOCKED = frozenset(
    {
        "you",
        "thank you",
        "thank you very much",
        "thanks for watching",
        "thank you for watching",
        "bye",
        "please subscribe",
        "subtitles by the amaraorg community",
        "i'll see you next time",
    }
)
"""What Whisper likes to write when it hears nothing (Barański et al. 2025, arXiv 2501.11378)."""


def doubt(hypothesis: Hypothesis) -> Doubt | None:
    """Why the text should not be believed: invented out of silence, or a loop. None when it may be.

    The bounds were found on 37 spoken phrases and 44 noises (hiss, hum, clicks, breath, thumps) in windows of
    5 and 30 s with tiny.en and base: noise had `no_speech` of 0.53 and more. Of the speech only two phrases
    reached 0.5: one was sure of its words, the other is saved by its second chance in the 30 s window.
    Whisper's own rule (0.6, and less than -1 in log probability) lets "you" and "Thank you." through.
    """
    words = _bare_words(hypothesis.text)
    unsure = hypothesis.log_probability
    if not words:
        return "silence"
    if hypothesis.no_speech > 0.5 and (hypothesis.tokens <= 3 or unsure < -0.8):
        return "silence"
    if " ".join(words) in _BLOCKED and (hypothesis.no_speech > 0.4 or unsure < -1.2):
        return "silence"
    if hypothesis.runaway or _ends_twice(words) or compression_ratio(hypothesis.text) > 2.4:
        return "silence" if hypothesis.no_speech > 0.4 else "runaway"
    return None


def heard_before(hypothesis: Hypothesis, draft: str) -> bool:
    """Whether the text begins with the first three words that an earlier pass was believed to have heard.

    Noise is mostly doubted in every pass; a voice that one takes for noise was mostly heard by those before
    it. Of 141 noises, most of them made to resemble voices, 12 instead of 10 got words by this; of a
    conversation's sounds only those count in which Silero hears a voice (`hallucinations.py`).
    """
    words, before = _bare_words(hypothesis.text), _bare_words(draft)
    return len(before) >= SAME_WORDS and words[:SAME_WORDS] == before[:SAME_WORDS]


def _ends_twice(words: Sequence[str]) -> bool:
    """All of it is one phrase said twice, or it ends in five words and more said twice."""
    half = len(words) // 2
    sizes = [size for size in range(2, half + 1) if size >= 5 or 2 * size == len(words)]
    return any(words[-2 * size : -size] == words[-size:] for size in sizes)


def _bare_words(text: str) -> list[str]:
    """Words in lower case without punctuation."""
    bare = ("".join(c for c in word.lower() if c.isalnum() or c == "'") for word in text.split())
    return [word for word in bare if word]


def deserves_second_chance(hypothesis: Hypothesis) -> bool:
    """Whether a doubted text is worth the 30 s window: not when there is hardly a chance of speech."""
    return hypothesis.no_speech <= 0.7


def deserves_beams(hypothesis: Hypothesis) -> bool:
    """Whether a text that is believed is so unsure that a beam search is worth its time.

    Below this bound of whisper-base's (int8, packed) lie 11 % of 167 announcements read by a person, 6 % of
    100 rendered questions and 38 % of 48 clips of people, most of them in noise; the bound was chosen on
    these. Each token costs a step of 6 to 8 ms, so long texts stay as they are.
    """
    return hypothesis.log_probability < UNSURE and hypothesis.tokens <= LONGEST_SEARCHED


def compression_ratio(text: str) -> float:
    """Bytes of the text over its bytes when deflated; above 2.4 it repeats itself (Whisper's own measure)."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw))
