"""Who has the floor, and what is known about it: the user's open turn, the assistant's reply."""

from __future__ import annotations

from dataclasses import dataclass, field

from local_voice.events import Stage, VoiceActivity


@dataclass(slots=True)
class UserTurn:
    """The user has the floor, or may be taking it."""

    start: float
    segment_start: float
    """Where the part of the turn begins whose transcript is not fixed yet."""
    next_partial: float = 0.0
    fixed: list[str] = field(default_factory=list)
    pause_end: float = 0.0
    """Where the voice was last heard before the pause."""
    transcript: str | None = None
    """Of the open segment up to the pause; None until the final pass has answered."""
    partial: str = ""
    """Of the open segment while the user speaks."""
    completion: float | None = None
    asked: bool = False
    """Smart Turn has been asked in this pause."""
    ended: str | None = None
    """Why the silence is judged long enough; None while it is not."""
    drafted: str | None = None
    """The words that the prepared reply answers."""
    warmed_words: int = 0
    """Words of the open segment that the language model was asked to read ahead."""
    failed: Stage | None = None
    cut_off: bool = False
    """It has been answered before it was over."""
    typed: bool = False
    """Its words were written, and not recognised in any sound."""
    addressed: bool = False
    """Words of it have been answered or were written: it is meant for the assistant."""
    certain: int = 0
    """So many of `fixed` have been answered or were written."""
    interrupts: bool = False
    """It began by silencing the assistant."""
    under: tuple[int, int] = (0, 0)
    """Turn and revision of the reply that was sounding when the open segment began; (0, 0): none was."""
    voiced_seconds: float = 0.0
    """Voice in the open segment."""
    _level_sum: float = 0.0
    _under_reply: tuple[float, float] = (0.0, 0.0)
    """`voiced_seconds` and `_level_sum` where the reply under which the segment began was over."""

    @property
    def text(self) -> str:
        return " ".join(part for part in (*self.fixed, self.transcript) if part)

    @property
    def punctuated(self) -> str:
        """The same with a comma where the user paused for long and Whisper wrote no mark: it hears each part
        for itself, and "eight of spades" and "the four of clubs" are a list only together."""
        parts = [part for part in (*self.fixed, self.transcript) if part]
        marked = [part if part[-1] in ".,;:!?" else f"{part}," for part in parts]
        return " ".join((*marked[:-1], *parts[-1:]))

    @property
    def level(self) -> float:
        """Mean loudness of the open segment's voice, dB, from where no reply sounded if there is any of it;
        0 without voice."""
        seconds, total = self._under_reply
        if self.voiced_seconds > seconds:
            return (self._level_sum - total) / (self.voiced_seconds - seconds)
        return self._level_sum / self.voiced_seconds if self.voiced_seconds else 0.0

    def hear(self, window: VoiceActivity) -> None:
        """Count a window of voice."""
        self.voiced_seconds += window.seconds
        self._level_sum += window.level * window.seconds

    def reply_ended(self) -> None:
        """The reply under which the turn began is over: what is heard now can't be its echo."""
        self._under_reply = (self.voiced_seconds, self._level_sum)

    def fix_segment(self, start: float) -> None:
        """Keep the open segment's words and begin another one."""
        if self.transcript:
            self.fixed.append(self.transcript)
        self.segment_start, self.warmed_words = start, 0
        if self.typed:
            self.addressed, self.certain = True, len(self.fixed)
        self.typed = False
        self.under = (0, 0)
        self.voiced_seconds = self._level_sum = 0.0
        self._under_reply = (0.0, 0.0)

    def go_on(self) -> None:
        """The user speaks again: everything known about the pause is void."""
        self.transcript = self.completion = self.ended = self.failed = self.drafted = None
        self.asked = False
        self.partial = ""

    def continued(self, start: float) -> UserTurn:
        """The turn as it is if the sound at `start` belongs to it, for a turn that has been answered."""
        start = max(self.pause_end, start)
        turn = UserTurn(self.start, start, fixed=[*self.fixed], pause_end=self.pause_end, cut_off=True)
        if self.transcript:
            turn.fixed.append(self.transcript)
        turn.addressed, turn.certain = True, len(turn.fixed)
        return turn

    def certain_words(self) -> list[str]:
        """What may not be lost where something else takes the turn's place."""
        words = " ".join((*self.fixed[: self.certain], *([self.transcript or ""] if self.typed else ())))
        return [words] if words else []

    def stands_alone(self) -> None:
        """It is no continuation of the turn that was answered."""
        self.fixed.clear()
        self.cut_off = self.addressed = False
        self.certain = 0


@dataclass(slots=True)
class Reply:
    """The assistant has the floor."""

    turn: int
    revision: int
    user: UserTurn | None
    """The turn it answers, to be reopened if the user goes on at once; None where there is none."""
    started: float | None = None
    """When its sound began."""
    says: str = ""
    """The ready-made sentence it consists of."""
    question: str = ""
    """What it answers, if that enters the history only with the first heard word of it."""
    broke_off: bool = False
    """An engine failed after the release; an apology follows what there is."""
    cut: bool = False
    """It is being silenced; its end is on its way here."""
    dismissed: int = 0
    """Sounds under it that were no interruptions."""

    @property
    def key(self) -> tuple[int, int]:
        return self.turn, self.revision


def plain(text: str) -> str:
    """Words without case and punctuation, to compare two transcripts."""
    words = ("".join(letter for letter in word if letter.isalnum()) for word in text.lower().split())
    return " ".join(word for word in words if word)
