"""What went well and what did not, from the recorded sound of both sides alone.

It is told when the caller's voice was where (the script knows) and hears the assistant's channel. It must not
know what the assistant believed. All times are seconds of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from benchmarks.conversation.alignment import Playback, playbacks
from benchmarks.conversation.caller import Recording, Spoken
from benchmarks.conversation.loudness import AUDIBLE_DB, RATE, extents
from benchmarks.conversation.script import AfterOwn

BURST_SECONDS = 0.3
"""Silence that divides one utterance of the assistant from the next; its own pauses are 0.22 s."""
DUCKED = 0.5
"""Loudness from which a reply counts as ducked: -6 dB, half way to the 12 dB that are asked for."""
MISSED_SECONDS = 1.5
"""An interruption after which anything of the reply is heard for longer was missed."""


@dataclass(frozen=True)
class Gap:
    """The end of something the caller said, and the answer."""

    scenario: str
    label: str
    end: float
    """The caller's last voiced sample."""
    seconds: float | None
    """From there to the first audible sample of the reply; None: none came."""


@dataclass(frozen=True)
class MidPause:
    """A pause within something the caller said."""

    scenario: str
    label: str
    start: float
    seconds: float
    cut_off: bool
    """The assistant began to speak in it, or in the voice that followed it."""
    before_resuming: bool
    """...while the caller was still silent."""


@dataclass(frozen=True)
class TalkOver:
    """The caller went on after the assistant had begun, or was about to."""

    scenario: str
    label: str
    start: float
    """Where the caller's voice and the assistant's first met."""
    seconds: float
    """How long both spoke: all that was played of that reply from there to the caller's last voice."""


@dataclass(frozen=True)
class Interruption:
    """The caller spoke in order to be let speak."""

    scenario: str
    label: str
    start: float
    duck: float | None
    """Seconds to a reply half as loud, or to its stop if it never was; None as for `stop`."""
    stop: float | None
    """Seconds to silence, if only at its end; None where that came at once, or its own pause hides it."""
    taken: bool
    why: str = ""
    """What was wrong."""
    wavered: bool = False
    """The reply fell silent, went on, and stopped again."""
    playback: Playback | None = None
    """The reply that was interrupted."""


@dataclass(frozen=True)
class Distractor:
    """A sound that is no interruption, during a reply."""

    scenario: str
    label: str
    start: float
    outcome: Literal["untouched", "ducked", "resumed", "cut", "answered"]
    """`cut`: the reply was never heard to its end. `answered`: as if it had been a turn."""
    lost: int
    """Samples of the reply that were never heard."""
    resume: float | None
    """Seconds from the end of the sound to the reply's going on; None where it was not paused."""
    paused: float
    """Seconds of silence in the reply."""


@dataclass(frozen=True)
class Reply:
    """What the assistant said, and whether there was a reason to begin and to end.

    None where that is judged elsewhere: the caller spoke, or a distractor was heard.
    """

    scenario: str
    start: float
    cut: bool | None
    """It was not heard to its end, though nobody spoke."""
    to_nothing: bool | None
    """Nothing had been said since the reply before it was over."""


@dataclass
class Verdicts:
    """All of one recording."""

    call: str
    gaps: list[Gap] = field(default_factory=list)
    pauses: list[MidPause] = field(default_factory=list)
    talk_overs: list[TalkOver] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    distractors: list[Distractor] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    playbacks: list[Playback] = field(default_factory=list)
    unmet: list[tuple[str, str]] = field(default_factory=list)
    stray: list[float] = field(default_factory=list)
    """Where the assistant began to speak into the caller's voice although there was no pause."""


def judge(recording: Recording) -> Verdicts:
    """All verdicts on one recording."""
    return _Judge(recording).verdicts


class _Judge:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._audible = extents(recording.assistant, AUDIBLE_DB, join=BURST_SECONDS)
        self._playbacks = playbacks(recording.assistant, recording.takes)
        self._replies = whole(self._playbacks)
        self._end = len(recording.assistant) / RATE
        self._disturbed: list[Playback] = []
        """Replies that a distractor may have cut or caused."""
        self.verdicts = Verdicts(recording.call, playbacks=self._playbacks, unmet=[*recording.unmet])
        spoken = recording.spoken
        for number, said in enumerate(spoken):
            following = spoken[number + 1] if number + 1 < len(spoken) else None
            if said.action.kind == "distractor":
                self._distractor(said, following)
                continue
            self._mid_pauses(said)
            if not said.action.hushes:
                self._gap(said, following)
            if said.action.kind == "going on":
                self._going_on(said)
            elif said.action.kind == "interruption":
                self._interruption(said, following)
        self._reasons()

    # ---- the caller's turn ----------------------------------------------------------------------------

    def _mid_pauses(self, said: Spoken) -> None:
        """Whether the assistant began to speak before the caller was done."""
        begun = [p for p in self._playbacks if said.first_voice < p.start < said.last_voice]
        voiced = said.voiced
        for (_, pause), (resumed, end) in pairwise(voiced):
            inside = [p for p in begun if pause <= p.start < end]
            before = any(p.start < resumed for p in inside)
            verdict = MidPause(said.scenario, said.action.label, pause, resumed - pause, bool(inside), before)
            self.verdicts.pauses.append(verdict)
            if inside:
                self._talk_over(said, max(inside[0].start, resumed), inside[0])
        self.verdicts.stray += [p.start for p in begun if p.start < voiced[0][1]]

    def _talk_over(self, said: Spoken, met: float, playback: Playback | None) -> None:
        """The assistant and the caller both speak from `met` on, and perhaps again after a pause."""
        parts = [] if playback is None else next(reply for reply in self._replies if playback in reply)
        seconds = 0.0
        for start, end in (stretch for part in parts for stretch in part.sounding):
            start, end = max(start, met), min(end, said.last_voice)
            seconds += self._last_audible(start, end) - start if start < end else 0.0
        self.verdicts.talk_overs.append(TalkOver(said.scenario, said.action.label, met, seconds))

    def _going_on(self, said: Spoken) -> None:
        first, last = said.first_voice, said.last_voice
        met = next((p for p in self._playbacks if p.end > first and p.start < last), None)
        self._talk_over(said, first, met)

    def _gap(self, said: Spoken, following: Spoken | None) -> None:
        """From the last voiced sample to the answer, unless the caller went on before there could be one."""
        end = said.last_voice
        if following is not None and isinstance(following.action.when, AfterOwn):
            return
        if any(a < end < b for a, b in self._audible):
            return  # they speak at the same time: counted elsewhere
        limit = following.first_voice if following is not None else self._end
        replies = (p for p in self._playbacks if p.take is not None)  # an apology is no answer
        onset = next((p.start for p in replies if end <= p.start < limit), None)
        seconds = None if onset is None else onset - end
        self.verdicts.gaps.append(Gap(said.scenario, said.action.label, end, seconds))

    # ---- the assistant's turn -------------------------------------------------------------------------

    def _interruption(self, said: Spoken, following: Spoken | None) -> None:
        start, label = said.first_voice, said.action.label
        playback = self._playing(start)
        answered = self._answer(said, following) != said.action.hushes
        unmet = "answered" if said.action.hushes else "not answered"
        if playback is None:
            # Before its first sound: the reply to what was said before must not be heard any more.
            old = [p for p in self._playbacks if start < p.start < said.last_voice]
            why = "the reply came all the same" if old else "" if answered else unmet
            verdict = Interruption(said.scenario, label, start, None, None, not why, why)
            self.verdicts.interruptions.append(verdict)
            return
        ducked = next((at for at, gain in playback.gains if at >= start and gain < DUCKED), None)
        over = playback.end < start + 0.3 and playback.completed
        last = self._last_audible(start, self._pause_or_end(playback, start))
        stop = None if over or self._hidden(playback, last) else max(0.0, last - start)
        wavered = any(hole.start >= start - 0.05 for hole in playback.holes)
        why = ""
        if playback.end - start > MISSED_SECONDS and not over:
            why = "the reply went on" if wavered else "spoken over"
        elif not answered:
            why = unmet
        duck = stop if ducked is None or stop is None else ducked - start
        self.verdicts.interruptions.append(
            Interruption(said.scenario, label, start, duck, stop, not why, why, wavered, playback)
        )

    def _distractor(self, said: Spoken, following: Spoken | None) -> None:
        start, end = said.first_voice, said.last_voice
        playback = self._playing(start, cut_before=BURST_SECONDS)  # its own pause may hide that it was cut
        if playback is None:  # there was nothing to interrupt
            self.verdicts.unmet.append((said.scenario, said.action.label))
            return
        limit = following.first_voice if following is not None else self._end
        holes = [hole for hole in playback.holes if hole.end > start]
        softest = min((gain for at, gain in playback.gains if start <= at < end + 1.0), default=1.0)
        answers = [p for p in self._playbacks if playback.end + BURST_SECONDS < p.start < limit]
        self._disturbed += [playback, *answers]
        outcome: Literal["untouched", "ducked", "resumed", "cut", "answered"] = "untouched"
        if not playback.completed:
            outcome = "cut"
        elif answers:
            outcome = "answered"
        elif holes:
            outcome = "resumed"
        elif softest < DUCKED:
            outcome = "ducked"
        self.verdicts.distractors.append(
            Distractor(
                said.scenario,
                said.action.label,
                start,
                outcome,
                sum(hole.lost for hole in holes),
                max(0.0, holes[-1].end - end) if holes and outcome == "resumed" else None,
                sum(hole.end - hole.start for hole in holes),
            )
        )

    def _reasons(self) -> None:
        """Whether each reply answers something, and ended because it was over or somebody spoke."""
        turns = [said for said in self._recording.spoken if said.action.kind != "distractor"]
        before: list[Playback] | None = None
        for reply in self._replies:
            if reply[0].take is None:
                continue
            start, end = reply[0].start, reply[-1].end
            said = next((said for said in reversed(turns) if said.first_voice <= start), None)
            disturbed = any(part in self._disturbed for part in reply)
            # A pause of its own may hide that it was cut by what begins just after it.
            spoken = any(one.first_voice < end + BURST_SECONDS and start < one.last_voice for one in turns)
            cut = None if disturbed or spoken else not _completed(reply)
            to_nothing: bool | None = said is None
            if disturbed or (said is not None and start < said.last_voice):
                to_nothing = None
            elif said is not None and before is not None and before[0].start >= said.last_voice:
                to_nothing = _completed(before)  # of one that was cut this is the second attempt
            scenario = said.scenario if said is not None else ""
            self.verdicts.replies.append(Reply(scenario, start, cut, to_nothing))
            before = reply

    # ---- what is heard when ---------------------------------------------------------------------------

    def _playing(self, at: float, *, cut_before: float = 0.0) -> Playback | None:
        """The reply that is being heard at `at`, or was cut at most so many seconds before."""
        for playback in self._playbacks:
            until = playback.end if playback.completed else playback.end + cut_before
            if playback.take is not None and playback.start <= at <= until:
                return playback
        return None

    def _answer(self, said: Spoken, following: Spoken | None) -> bool:
        """A reply came after `said`, before the caller's next words."""
        limit = following.first_voice if following is not None else self._end
        return any(said.last_voice < p.start < limit and p.take is not None for p in self._playbacks)

    @staticmethod
    def _pause_or_end(playback: Playback, start: float) -> float:
        """Where the reply falls silent for the first time after `start`."""
        return next((hole.start for hole in playback.holes if hole.start >= start), playback.end)

    @staticmethod
    def _hidden(playback: Playback, last: float) -> bool:
        """The reply itself would have been silent just after `last`, the last heard, and gone on later."""
        assert playback.take is not None
        if playback.completed and last > playback.end - 0.02:
            return False
        shown = playback.sample(last)
        ahead = playback.take.sound[shown : shown + round(0.02 * RATE)]
        return not extents(ahead, AUDIBLE_DB)

    def _last_audible(self, start: float, end: float) -> float:
        """The end of the last audible 5 ms between two times; `start` if there are none."""
        first = round(start * RATE)
        found = extents(self._recording.assistant[first : round(end * RATE)], AUDIBLE_DB)
        return start + (found[-1][1] if found else 0.0)


def whole(parts: list[Playback]) -> list[list[Playback]]:
    """Each reply with all it was heard in: one that went on too softly to be recognised is found again."""
    found: dict[int, list[Playback]] = {}
    for part in parts:
        found.setdefault(id(part.take) if part.take is not None else id(part), []).append(part)
    return list(found.values())


def _completed(reply: list[Playback]) -> bool:
    return any(part.completed for part in reply)
