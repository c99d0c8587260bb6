"""Verdicts of all conversations in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.conversation.caller import Recording
from benchmarks.conversation.judge import Verdicts
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.tapes import Ledger
from benchmarks.report import Report
from local_voice.settings import Settings

Result = tuple[Recording, Ledger, Verdicts]


def report(results: Sequence[Result], settings: Settings, *, real_llm: bool) -> Report:
    """The one table. Seconds unless the name says otherwise."""
    model = settings.llm.model if real_llm else "scripted (first token 0.1 s, 20 tokens/s)"
    made = Report(
        "conversation",
        {"llm": model, "stt": settings.stt.model, "voice": settings.tts.model, **settings.turn.model_dump()},
    )
    verdicts = [result[2] for result in results]
    _gaps(made, verdicts)
    _pauses(made, verdicts)
    _interruptions(made, verdicts)
    _distractors(made, verdicts)
    _drafts(made, results)
    late = [late for recording, _, _ in results for late in recording.late]
    seconds = sum(len(recording.assistant) for recording, _, _ in results) / RATE
    made.row(
        "conversation", n=len(results), share=f"{seconds:.0f} s of sound", **_spread(late), note="blocks late"
    )
    for verdict in verdicts:
        for scenario, label in verdict.unmet:
            made.row("moment never came", note=f"{scenario} ({label})")
    return made


def _spread(values: Iterable[float | None]) -> dict[str, float]:
    found = [value for value in values if value is not None]
    if not found:
        return {}
    return {
        "p50": float(np.percentile(found, 50)),
        "p95": float(np.percentile(found, 95)),
        "most": max(found),
    }


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _by_label(items: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.label, []).append(item)
    return found


def _gaps(made: Report, verdicts: Sequence[Verdicts]) -> None:
    gaps = [gap for verdict in verdicts for gap in verdict.gaps]
    for label, some in [*_by_label(gaps).items(), ("all", gaps)]:
        silent = [gap.scenario for gap in some if gap.seconds is None]
        made.row(
            f"gap: {label}",
            n=len(some),
            **_spread(gap.seconds for gap in some),
            note=_names("unanswered", silent),
        )


def _pauses(made: Report, verdicts: Sequence[Verdicts]) -> None:
    pauses = [pause for verdict in verdicts for pause in verdict.pauses]
    for label, some in [*_by_label(pauses).items(), ("all", pauses)]:
        cut = [f"{pause.scenario} {pause.seconds:.1f} s" for pause in some if pause.cut_off]
        early = sum(pause.before_resuming for pause in some)
        share = f"{_of(len(cut), len(some))}, {early} before resuming"
        made.row(f"pauses cut off: {label}", n=len(some), share=share, note=_names("", cut))
    stray = sum(len(verdict.stray) for verdict in verdicts)
    if stray:
        made.row("began into the caller's voice", n=stray)
    over = [over for verdict in verdicts for over in verdict.talk_overs]
    made.row("talk-over", n=len(over), **_spread(one.seconds for one in over))


def _interruptions(made: Report, verdicts: Sequence[Verdicts]) -> None:
    found = [one for verdict in verdicts for one in verdict.interruptions]
    made.row("duck", n=len(found), **_spread(one.duck for one in found))
    made.row("stop", n=len(found), **_spread(one.stop for one in found))
    for label, some in [*_by_label(found).items(), ("all", found)]:
        missed = [f"{one.scenario}: {one.why}" for one in some if not one.taken]
        made.row(
            f"interruptions taken: {label}",
            n=len(some),
            share=_of(len(some) - len(missed), len(some)),
            note=_names("", missed),
        )


def _distractors(made: Report, verdicts: Sequence[Verdicts]) -> None:
    found = [one for verdict in verdicts for one in verdict.distractors]
    for label, some in [*_by_label(found).items(), ("all", found)]:
        false = sum(one.outcome in ("cut", "answered") for one in some)
        counted = {
            name: sum(one.outcome == name for one in some) for name in dict.fromkeys(o.outcome for o in some)
        }
        note = ", ".join(f"{count} {name}" for name, count in counted.items())
        lost = max((one.lost for one in some), default=0)
        made.row(
            f"false interruptions: {label}",
            n=len(some),
            share=_of(false, len(some)),
            note=f"{note}; {lost} samples lost",
        )
    made.row("resume after the sound", n=len(found), **_spread(one.resume for one in found))


def _drafts(made: Report, results: Sequence[Result]) -> None:
    started = sum(ledger.count("Draft") for _, ledger, _ in results)
    withdrawn = sum(ledger.count("Withdraw") for _, ledger, _ in results)
    takes = [take for recording, _, _ in results for take in recording.takes]
    wasted = sum(ledger.wasted() for _, ledger, _ in results)
    whole = sum(take.tokens for take in takes)
    accepted = sum(ledger.count("Release") for _, ledger, _ in results)
    made.row(
        "drafts",
        n=started,
        share=f"{accepted} accepted, {withdrawn} withdrawn",
        note=f"{wasted} of {whole} tokens wasted",
    )
    made.row(
        "gained by drafting", n=accepted, **_spread(s for _, ledger, _ in results for s in ledger.gained())
    )


def _names(what: str, names: Sequence[str]) -> str:
    return f"{what} {'; '.join(names)}".strip() if names else ""
