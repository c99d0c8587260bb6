"""A conversation on disk: two channels to listen to, and what was said, decided and judged, to read."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.conversation.alignment import Playback
from benchmarks.conversation.caller import Spoken
from benchmarks.conversation.loudness import RATE
from benchmarks.conversation.summary import Result
from local_voice.audio import write_wav

KINDS = ("gaps", "pauses", "talk_overs", "interruptions", "distractors", "replies")


def keep(result: Result, out: Path) -> None:
    """Write `CALL.wav`, the caller left and the assistant right, and `CALL.json`."""
    recording, ledger, verdicts = result.recording, result.ledger, result.verdicts
    write_wav(out / f"{recording.call}.wav", [recording.caller, recording.assistant], RATE)
    content = {
        "said": [_said(spoken) for spoken in recording.spoken],
        "decisions": [asdict(decision) for decision in ledger.decisions],
        "smart turn": ledger.completions,
        "transcripts": ledger.transcripts,
        "replies": [_reply(playback) for playback in verdicts.playbacks],
        "history": [asdict(message) for message in recording.history],
        "heard": [asdict(one) for one in result.heard],
        "verdicts": {kind: [_flat(item) for item in getattr(verdicts, kind)] for kind in KINDS},
    }
    (out / f"{recording.call}.json").write_text(json.dumps(content, indent=1) + "\n")


def _said(spoken: Spoken) -> dict[str, Any]:
    action = spoken.action
    about = {"scenario": spoken.scenario, "kind": action.kind, "label": action.label}
    return {**about, "words": action.sound.words, "voiced": spoken.voiced}


def _reply(playback: Playback) -> dict[str, Any]:
    text = playback.take.text if playback.take is not None else None
    holes = [asdict(hole) for hole in playback.holes]
    extent = {"from": playback.start, "to": playback.end, "completed": playback.completed}
    return {"text": text, **extent, "holes": holes}


def _flat(verdict: Any) -> dict[str, Any]:
    """Without the sound of the reply."""
    found = {field.name: getattr(verdict, field.name) for field in fields(verdict)}
    return {name: value for name, value in found.items() if not isinstance(value, Playback)}
