"""Ours and its peers: who answers how soon, asked the same by the same caller on the same models.

    python -m benchmarks.compare_peers [--turns 10] [--rounds 2] [--only NAME ...] [--add-to FILE]
                                       [--out FOLDER]

One after the other each system is started, called over its own WebRTC endpoint by `webrtc_client.py`, asked
spoken questions (flite's and espeak-ng's voices) and stopped; then the next round begins with the first of
them, since a host may be slower in one hour than in the next. In a round all are asked the same, in the next
other questions, or the same in other voices; a system's rounds are counted together. A turn takes 10 s and a
start 70 s on two cores: two rounds of 10 turns with all four 25 minutes.

`voice_to_voice`: from the caller's last voiced sample to the first audible sample of the reply, both on the
caller's clock, without the caller's own jitter buffer. A call begins with 5 s of silence, a question comes
2 s after the last reply's end, and the first turn after each start is reported apart. `no_reply`: nothing
audible within 90 s. `too_early`: something was audible before the question was over; such a turn has no time.
Nor has one for which ours `apologised`; what peers say is not looked at. `wer`: word errors, after Whisper's
normaliser, in what was heard of all these questions: ours from its captions, a peer's from its log.
`busy_before`: cores at work in the 2 s before each of its starts, for somebody else: where they differ, so
did the machine. `slower`: its p50 over ours, so how many times as fast ours is; from 5 turns on with the 95 %
interval of a percentile bootstrap over the turns, which knows of their chance and not of the hour's.

The same for all: Whisper's and Piper's files, arithmetic and threads (as many, and Piper's don't spin), Smart
Turn's file on one thread, of which Pipecat brings a copy of its own (in 1.14.0 the same), the language model
in vLLM with the same arguments, its prompt and temperature; and what `--set` says. vLLM's own server, warm,
serves the peers, without what we changed inside vLLM; ours runs it in its own process (`local-voice`) and, in
a row of its own, on that server too. The peers' other settings are those that their documentation advises and
their generators write. What differs, such as how Whisper decodes, is told in the column `differs`. Peers are
installed into virtual environments in the cache folder, at the first run, from the files in
`benchmarks/peers/`; one that can't be installed or started, in any round, is named with its own words, and
left out. `--add-to` keeps the rows that FILE has of systems not measured now, if it was the same machine, the
same models and the same questions: the comparison may be taken in parts, which then are of different hours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report as reports
from benchmarks.answers import Answer, ask, outcomes, times
from benchmarks.bench_turn import speak, spoken
from benchmarks.peers.environments import PeerError
from benchmarks.peers.systems import SYSTEMS, MakeCaller, Setup, System
from benchmarks.report import Report, Share, Times
from benchmarks.webrtc_client import AUDIBLE, RATE, Caller
from benchmarks.words import word_errors
from local_voice.audio import AudioChunk, read_wav, write_wav
from local_voice.settings import Settings

SETTLE_SECONDS = 5.0
QUIET_SECONDS = 2.0
REPLY_SECONDS = 90.0
"""As in bench_turn: some replies are long."""
FEWEST = 5
"""Of fewer turns an interval means nothing."""
DRAWN = 10_000


@dataclass(frozen=True)
class Question:
    """What is asked."""

    words: str
    sound: AudioChunk


@dataclass(frozen=True)
class Turn:
    """One question that was asked."""

    answer: Answer
    first: bool
    """After the start."""
    said: str
    heard: str
    """Of what was said; nothing where the system doesn't tell."""


async def converse(caller: Caller, questions: Sequence[Question], system: System, log: Path) -> list[Turn]:
    """One call."""
    turns: list[Turn] = []
    await asyncio.sleep(SETTLE_SECONDS)
    for question in questions:
        seen, written = len(caller.events), len(held_by(log))
        _, answer = await ask(caller, question.sound, seconds=REPLY_SECONDS, quiet=QUIET_SECONDS)
        lines = held_by(log)[written:].decode(errors="replace")
        heard = system.heard(caller.events[seen:], lines).strip()
        turns.append(Turn(answer, not turns, question.words, heard))
        print(f"  {turns[-1]}", flush=True)
    return turns


def held_by(log: Path) -> bytes:
    """All that was written by now: 100 kB at the end of a call."""
    return log.read_bytes()


def rendered(count: int) -> list[Question]:
    """`count` spoken questions, at one loudness: peers have a threshold for it. The first 50 differ."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path, (words, voice) = Path(folder) / "question.wav", spoken(number)
            speak(words, voice, path)
            sound = read_wav(path)
            loud = np.sqrt(np.mean(np.square(sound.samples[np.abs(sound.samples) > AUDIBLE])))
            samples = np.clip(sound.samples * (0.12 / loud), -0.99, 0.99).astype(np.float32)
            found.append(Question(words, AudioChunk(samples, sound.sample_rate, 0)))
    return found


def row(turns: Sequence[Turn]) -> dict[str, Any]:
    """What is told of one system."""
    told = any(turn.heard for turn in turns)
    return {
        "voice_to_voice": times([turn.answer for turn in turns if not turn.first]),
        "first_turn": times([turn.answer for turn in turns if turn.first]),
        **outcomes([turn.answer for turn in turns]),
        "wer": Share([word_errors(turn.said, turn.heard) for turn in turns]) if told else "it tells no words",
    }


def slower(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """Their median over ours, with its 95 % interval."""
    ratio = f"{np.median(theirs) / np.median(ours):.1f} x"
    if min(len(theirs), len(ours)) < FEWEST:
        return ratio
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(samples, (DRAWN, len(samples))), axis=1) for samples in (theirs, ours)]
    low, high = np.percentile(medians[0] / medians[1], (2.5, 97.5))
    return f"{ratio} ({low:.1f} to {high:.1f})"


def kept(content: dict[str, Any], report: Report) -> dict[str, dict[str, Any]]:
    """The rows of an older result. Raises `ValueError` where it is not of the same machine and questions."""
    now = report.content()
    for fact in ("machine", "models", "configuration"):
        if content[fact] != now[fact]:
            raise ValueError(f"its {fact} is {content[fact]}, now it is {now[fact]}")
    found: dict[str, dict[str, Any]] = {}
    for line in content["rows"]:
        values = {key: value for key, value in line.items() if key not in ("what", "slower")}
        found[line["what"]] = {key: measured(value) for key, value in values.items()}
    return found


def measured(value: Any) -> Any:
    """A value of a JSON file as it was."""
    if not isinstance(value, dict):
        return value
    pairs = value["unit"] == "%"
    return Share([tuple(pair) for pair in value["samples"]]) if pairs else Times(value["samples"])


def talk(name: str, setup: Setup, questions: Sequence[Question], keep: bool) -> list[Turn]:
    """One system, from its start to its end. Raises `PeerError`. `keep`: the call's sound, in its logs."""
    system = SYSTEMS[name]

    async def call(make: MakeCaller) -> list[Turn]:
        async with make() as caller:
            turns = await converse(caller, questions, system, setup.logs / system.log)
            if keep:
                write_wav(setup.logs / "call.wav", caller.recording(), RATE)
            return turns

    with system.open(setup) as make:
        return asyncio.run(call(make))


def compare(
    settings: Settings, chosen: Any, rounds: Sequence[Sequence[Question]], rows: dict[str, dict[str, Any]]
) -> None:
    """Measure the chosen systems into `rows`, in turns: the questions of a round, then those of the next."""
    names = list(chosen.only or SYSTEMS)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    busy: dict[str, list[float]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for number, questions in enumerate(rounds, 1):
        for name in [name for name in names if name not in failed]:
            print(f"{name}, round {number}", flush=True)
            with tempfile.TemporaryDirectory() as temporary:
                logs = Path(temporary)
                if chosen.out is not None:
                    logs = chosen.out / name.replace(" ", "-") / f"round-{number}"
                    logs.mkdir(parents=True, exist_ok=True)
                setup = Setup(settings, reports.flags_of(chosen), logs)
                try:
                    if (environment := SYSTEMS[name].environment) is not None:
                        environment.install()
                    busy[name].append(round(reports.busy_cores(reports.BUSY_SECONDS), 2))
                    turns[name] += talk(name, setup, questions, chosen.out is not None)
                except PeerError as error:
                    failed[name] = str(error)
    for name in names:
        if name in failed:
            rows[name] = {"not_measured": failed[name]}
            continue
        about = {"busy_before": busy[name], "versions": versions(name), "differs": SYSTEMS[name].differs}
        rows[name] = {**row(turns[name]), **about}


def versions(name: str) -> str:
    """Of a system's packages."""
    environment = SYSTEMS[name].environment
    if environment is None:
        return f"this one {reports.commit()}".strip()
    return ", ".join(f"{package} {number}" for package, number in environment.versions().items())


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="one round of 2 turns, in 7 minutes")
    parser.add_argument(
        "--turns", type=int, default=10, help="of each in each round, beside the first (default: 10)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="each starts all anew (default: 2)")
    parser.add_argument("--only", action="append", choices=SYSTEMS, help="may be repeated")
    parser.add_argument("--add-to", type=Path, metavar="FILE", help="keep what it has of other systems")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep recordings and logs here")
    chosen = parser.parse_args()
    settings = reports.settings(chosen)
    turns, rounds = (2, 1) if chosen.quick else (chosen.turns, chosen.rounds)
    about = {
        "turns": turns,
        "rounds": rounds,
        "stt": f"{settings.stt.compute_type}, {settings.stt.threads} threads",
        "temperature": settings.llm.temperature,
        "max_tokens": settings.llm.max_tokens,
        "system_prompt": settings.llm.system_prompt,
        **dict(pair.split("=", 1) for pair in chosen.set),
    }
    models = [settings.stt.model, settings.llm.model, settings.tts.model, settings.turn.model]
    report = Report("compare_peers: voice to voice, ours and others", about, models)
    rows: dict[str, dict[str, Any]] = {}
    if chosen.add_to is not None and chosen.add_to.is_file():
        try:
            rows = kept(json.loads(chosen.add_to.read_text()), report)
        except ValueError as error:
            sys.exit(f"{chosen.add_to} can't be added to: {error}")
    questions = rendered(rounds * (turns + 1))
    parts = [questions[first : first + turns + 1] for first in range(0, len(questions), turns + 1)]
    compare(settings, chosen, parts, rows)
    base = rows.get("local-voice", {}).get("voice_to_voice")
    for name in [name for name in SYSTEMS if name in rows]:
        values = rows[name]
        time = values.get("voice_to_voice")
        if base and base.samples and time and time.samples and time is not base:
            values["slower"] = slower(time.samples, base.samples)
        report.row(name, **values)
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
