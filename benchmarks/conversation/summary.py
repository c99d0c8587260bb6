"""Verdicts of all conversations in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.conversation.alignment import Playback
from benchmarks.conversation.caller import Recording
from benchmarks.conversation.heard_words import TOLERANCE, HeardWords
from benchmarks.conversation.judge import Gap, Verdicts
from benchmarks.conversation.loudness import FRAME_SECONDS, RATE
from benchmarks.conversation.sweep import OPERATING, Point
from benchmarks.conversation.tapes import FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND, Ledger
from benchmarks.report import Report, Share, Times
from local_voice.settings import Settings

BUDGET = 0.05
"""Pauses that may be cut off."""
CONFIDENT = ("question", "short answer")
"""Classes that are complete and sound so: what the target for confident turns is about."""
LEAST_MEANT = 0.3
"""Seconds of the shortest pause the target is about; a shorter one is over before a reply can begin."""


@dataclass
class Result:
    """One conversation: recorded, judged, counted."""

    recording: Recording
    ledger: Ledger
    verdicts: Verdicts
    heard: list[HeardWords] = field(default_factory=list)


def begun(settings: Settings, *, real_llm: bool) -> Report:
    """The one table, without rows yet: to be made before the first call."""
    scripted = f"scripted: first token after {FIRST_TOKEN_SECONDS} s, {TOKENS_PER_SECOND:.0f} tokens/s"
    models = [settings.vad.model, settings.turn.model, settings.stt.model, settings.tts.model]
    about = {"language model": settings.llm.model if real_llm else scripted, **settings.turn.model_dump()}
    return Report("conversation", about, [*models, *([settings.llm.model] if real_llm else [])])


def fill(made: Report, results: Sequence[Result], points: Sequence[Point], confident: float) -> None:
    """Add all rows. `confident`: Smart Turn's probability from which it is sure."""
    verdicts = [result.verdicts for result in results]
    _gaps(made, verdicts)
    _decisions(made, results, confident)
    _pauses(made, results)
    _interruptions(made, verdicts)
    _distractors(made, verdicts)
    _replies(made, verdicts)
    _heard(made, results)
    _drafts(made, results)
    _reality(made, results)
    _swept(made, points)


def _gaps(made: Report, verdicts: Sequence[Verdicts]) -> None:
    gaps = [gap for verdict in verdicts for gap in verdict.gaps]
    for label, some in _labelled(gaps):
        silent = [gap.scenario for gap in some if gap.seconds is None]
        made.row(
            f"gap: {label}", n=len(some), time=_times(gap.seconds for gap in some), note=_unanswered(silent)
        )
    made.row("turns without a reply", n=len(gaps), share=_share(gap.seconds is None for gap in gaps))


def _decisions(made: Report, results: Sequence[Result], confident: float) -> None:
    """From the last voiced sample to the release, by the session's own clock, which is the recording's."""
    confidently: list[float] = []
    complete: list[float] = []
    for result in results:
        for gap in result.verdicts.gaps:
            decided = _decided(gap, result.ledger)
            if decided is None:
                continue
            if _completion(gap, result.ledger) >= confident:
                confidently.append(decided)
            if gap.label in CONFIDENT:
                complete.append(decided)
    made.row("decision: Smart Turn confident", n=len(confidently), time=Times(confidently))
    made.row(f"decision: {' and '.join(CONFIDENT)}", n=len(complete), time=Times(complete))


def _decided(gap: Gap, ledger: Ledger) -> float | None:
    if gap.seconds is None:
        return None
    times = [d.now for d in ledger.decisions if d.name == "Release"]
    return next((now - gap.end for now in times if gap.end <= now <= gap.end + gap.seconds + 0.05), None)


def _completion(gap: Gap, ledger: Ledger) -> float:
    """Smart Turn's probability at the end of what was said; 0 if it was not asked."""
    return next((p for now, p in ledger.completions if gap.end <= now <= gap.end + 1.0), 0.0)


def _pauses(made: Report, results: Sequence[Result]) -> None:
    verdicts = [result.verdicts for result in results]
    pauses = [pause for verdict in verdicts for pause in verdict.pauses]
    meant = [pause for pause in pauses if pause.seconds >= LEAST_MEANT - FRAME_SECONDS / 2]
    least = f"{LEAST_MEANT} s and longer"
    unlisted = [pause for pause in meant if pause.label != "list"]
    groups = [*_labelled(pauses), (least, meant), (f"{least}, without lists", unlisted)]
    for label, some in groups:
        cut = [f"{pause.scenario}, {pause.seconds:.1f} s" for pause in some if pause.cut_off]
        made.row(
            f"pauses cut off: {label}",
            n=len(some),
            share=_share(p.cut_off for p in some),
            note="; ".join(cut),
        )
    early = _share(pause.before_resuming for pause in pauses)
    made.row("audible before the caller went on", n=len(pauses), share=early)
    stray = [f"{verdict.call}, {at:.0f} s" for verdict in verdicts for at in verdict.stray]
    turns = [
        any(said.first_voice <= at < said.last_voice for at in result.verdicts.stray)
        for result in results
        for said in result.recording.spoken
        if said.action.kind != "distractor"
    ]
    made.row("began into the caller's voice", n=len(turns), share=_share(turns), note="; ".join(stray))
    over = [over for verdict in verdicts for over in verdict.talk_overs]
    made.row("talk-over after a wrong release", n=len(over), time=_times(one.seconds for one in over))


def _interruptions(made: Report, verdicts: Sequence[Verdicts]) -> None:
    found = [one for verdict in verdicts for one in verdict.interruptions]
    made.row("duck", n=len(found), time=_times(one.duck for one in found))
    made.row("stop", n=len(found), time=_times(one.stop for one in found))
    for label, some in _labelled(found):
        missed = [f"{one.scenario}: {one.why}" for one in some if not one.taken]
        taken = _share((one.taken for one in some), better="more")
        wavered = [f"{one.scenario}: wavered" for one in some if one.taken and one.wavered]
        note = "; ".join(missed + wavered)
        made.row(f"interruptions taken: {label}", n=len(some), share=taken, note=note)


def _distractors(made: Report, verdicts: Sequence[Verdicts]) -> None:
    found = [one for verdict in verdicts for one in verdict.distractors]
    for label, some in _labelled(found):
        false = _share(one.outcome in ("cut", "answered") for one in some)
        counted = {
            name: sum(o.outcome == name for o in some) for name in dict.fromkeys(o.outcome for o in some)
        }
        note = ", ".join(f"{count} {name}" for name, count in counted.items())
        made.row(f"false interruptions: {label}", n=len(some), share=false, note=note)
    resumed = [one for one in found if one.outcome == "resumed"]
    made.row("resume after the sound", n=len(resumed), time=_times(one.resume for one in resumed))
    most = max((one.lost for one in resumed), default=0)
    lost = _share(one.lost > 0 for one in resumed)
    made.row("resumes that lost samples", n=len(resumed), share=lost, note=f"{most} at most" if most else "")


def _replies(made: Report, verdicts: Sequence[Verdicts]) -> None:
    found = [(verdict.call, reply) for verdict in verdicts for reply in verdict.replies]
    for label, judged in (
        ("replies cut though nobody spoke", [(call, one, one.cut) for call, one in found]),
        ("replies to nothing", [(call, one, one.to_nothing) for call, one in found]),
    ):
        known = [(call, one, wrong) for call, one, wrong in judged if wrong is not None]
        note = "; ".join(f"{call}, {one.start:.0f} s" for call, one, wrong in known if wrong)
        made.row(label, n=len(known), share=_share(wrong for _, _, wrong in known), note=note)


def _heard(made: Report, results: Sequence[Result]) -> None:
    found = [one for result in results for one in result.heard]
    off = [f"{one.error:+d} ({one.call}, {one.start:.0f} s)" for one in found if abs(one.error) > TOLERANCE]
    wrong = _share(abs(one.error) > TOLERANCE for one in found)
    made.row("history off by more than a word", n=len(found), share=wrong, note="; ".join(off))
    # The word in which it was cut was played in part and may be missing; one more was not played at all.
    unplayed = [f"{one.error:+d} ({one.call}, {one.start:.0f} s)" for one in found if one.error > 0]
    made.row(
        "history with words that were not played",
        n=len(found),
        share=_share(one.error > 0 for one in found),
        note="; ".join(unplayed),
    )


def _drafts(made: Report, results: Sequence[Result]) -> None:
    """Call by call: a sum over the whole run would be a single sample, of which nothing can be judged."""
    ledgers = [result.ledger for result in results]
    drafts = [(ledger.count("Release"), ledger.count("Draft")) for ledger in ledgers]
    withdrawn = sum(ledger.count("Withdraw") for ledger in ledgers)
    accepted = _sums(drafts, better="more")
    made.row(
        "drafts accepted", n=sum(whole for _, whole in drafts), share=accepted, note=f"{withdrawn} withdrawn"
    )
    tokens = [(r.ledger.wasted(), sum(take.tokens for take in r.recording.takes)) for r in results]
    made.row("tokens of drafts never released", n=sum(whole for _, whole in tokens), share=_sums(tokens))
    gained = [seconds for ledger in ledgers for seconds in ledger.gained()]
    made.row("gained by drafting", n=len(gained), time=Times(gained, better="more"))


def _reality(made: Report, results: Sequence[Result]) -> None:
    """How far the run itself can be believed."""
    replies = [
        _stalls(playback, result.verdicts)
        for result in results
        for playback in result.verdicts.playbacks
        if playback.take is not None
    ]
    stalls = [seconds for found in replies for seconds in found]
    made.row("stalls within replies", n=len(stalls), time=Times(stalls))
    made.row("replies that stalled", n=len(replies), share=_share(bool(found) for found in replies))
    late = [late for result in results for late in result.recording.late]
    # Every 20 ms of a quarter of an hour: the percentiles of each tenth block tell as much.
    sound = sum(len(result.recording.assistant) for result in results) / RATE
    made.row("blocks late", n=len(late), time=Times(sorted(late)[::10]), note=f"{sound:.0f} s of sound")
    unmet = [f"{scenario} ({label})" for result in results for scenario, label in result.verdicts.unmet]
    actions = sum(len(result.recording.spoken) + len(result.recording.unmet) for result in results)
    missed = [True] * len(unmet) + [False] * (actions - len(unmet))
    made.row("moments that never came", n=actions, share=_share(missed), note="; ".join(unmet))


def _stalls(playback: Playback, verdicts: Verdicts) -> list[float]:
    """Seconds of each silence within a reply that nothing the caller did explains."""
    sounds: list[Any] = [*verdicts.distractors, *verdicts.interruptions, *verdicts.talk_overs]
    return [
        hole.end - hole.start
        for hole in playback.holes
        if not any(near.start - 0.1 <= hole.start <= near.start + 2 for near in sounds)
    ]


def _swept(made: Report, points: Sequence[Point]) -> None:
    """Offline: our own point, the fewest cut-offs our policy can reach at all, and for each policy the
    quickest point within the budget."""
    for policy in dict.fromkeys(point.policy for point in points):
        some = [point for point in points if point.policy == policy]
        own = [point for point in some if point.setting == OPERATING]
        for point in own:
            _threshold(made, f"{policy}, {OPERATING}", point)
        if own:
            _threshold(made, f"{policy}, fewest cut off", min(some, key=lambda p: (p.cut_off, p.delay)))
        safe = [point for point in some if point.cut_off <= BUDGET]
        if safe:
            label = f"{policy}, quickest with at most {BUDGET:.0%} cut off"
            _threshold(made, label, min(safe, key=lambda point: point.delay))


def _threshold(made: Report, label: str, point: Point) -> None:
    """The setting stands beside the label: another best one next time must not look like a lost row."""
    made.row(
        f"thresholds: {label}",
        mean_delay=round(point.delay, 3),
        wait=Times(point.waits),
        cut_off=_share(point.cut),
        setting=point.setting,
    )


# ---- shapes -----------------------------------------------------------------------------------------------


def _labelled(items: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """By class, and all together."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.label, []).append(item)
    return [*found.items(), ("all", list(items))]


def _times(values: Iterable[float | None]) -> Times:
    return Times([value for value in values if value is not None])


def _share(flags: Iterable[bool], *, better: Any = "less") -> Share:
    return Share([(float(flag), 1.0) for flag in flags], better=better)


def _sums(pairs: Iterable[tuple[float, float]], *, better: Any = "less") -> Share:
    """(part, whole) of each call; one without a whole tells nothing."""
    return Share([(part, whole) for part, whole in pairs if whole], better=better)


def _unanswered(names: Sequence[str]) -> str:
    return f"unanswered: {'; '.join(names)}" if names else ""
