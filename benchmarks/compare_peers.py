"""Ours and its peers: who answers how soon, asked the same by the same caller on the same models.

    python -m benchmarks.compare_peers [--turns 20] [--only NAME ...] [--add-to FILE] [--out FOLDER]

One after the other each system is started, called over its own WebRTC endpoint by `webrtc_client.py`, asked
the same spoken questions (flite's and espeak-ng's voices) and stopped. `voice_to_voice`: from the caller's
last voiced sample to the first audible sample of the reply, both on the caller's clock, without the caller's
own jitter buffer. A call begins with 5 s of silence, a question comes 2 s after the last reply's end, and the
first turn of each of the two calls is reported apart. `no_reply`: nothing audible within 90 s. `too_early`:
something was audible before the question was over; such a turn has no time. Nor has one for which ours
`apologised`; what peers say is not looked at. `busy_before`: cores at work in the 5 s before the system was
started, for somebody else: where they differ, so did the machine.

The same for all: Whisper's and Piper's files, arithmetic and threads (as many, and Piper's don't spin), Smart
Turn's file on one thread, of which Pipecat brings a copy of its own (in 1.14.0 the same), the language model
in vLLM with the same arguments, its prompt and temperature; and what `--set` says. vLLM's own server, warm,
serves the peers, without what we changed inside vLLM; ours runs it in its own process (`local-voice`) and, in
a row of its own, on that server too. The peers' other settings are those that their documentation advises and
their generators write. What differs is told in the column `differs`. Peers are installed into virtual
environments in the cache folder, at the first run, from the files in `benchmarks/peers/`; one that can't be
installed or started is named with its own words, and left out. `--add-to` keeps the rows that FILE has of
systems not measured now, if it was the same machine, the same models and the same questions: the comparison
may be taken in parts.
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
from benchmarks.bench_turn import ASKED, VOICES, speak
from benchmarks.peers.environments import PeerError
from benchmarks.peers.systems import SYSTEMS, MakeCaller, Setup
from benchmarks.report import Report, Share, Times
from benchmarks.sounds import QUESTIONS
from benchmarks.webrtc_client import AUDIBLE, RATE, Caller
from local_voice.audio import AudioChunk, read_wav, write_wav
from local_voice.settings import Settings

SETTLE_SECONDS = 5.0
QUIET_SECONDS = 2.0
REPLY_SECONDS = 90.0
"""As in bench_turn: some replies are long."""
CALLS = 2
BETWEEN_CALLS_SECONDS = 3.0
"""speech-to-speech needs a moment until it takes the next one."""


@dataclass(frozen=True)
class Turn:
    """One question."""

    answer: Answer
    first: bool
    """Of its call."""


async def converse(caller: Caller, questions: Sequence[AudioChunk]) -> list[Turn]:
    """One call."""
    turns: list[Turn] = []
    await asyncio.sleep(SETTLE_SECONDS)
    for question in questions:
        _, answer = await ask(caller, question, seconds=REPLY_SECONDS, quiet=QUIET_SECONDS)
        turns.append(Turn(answer, not turns))
        print(f"  {turns[-1]}", flush=True)
    return turns


async def measure(make: MakeCaller, questions: Sequence[AudioChunk], out: Path | None) -> list[Turn]:
    """All calls of one system."""
    turns: list[Turn] = []
    for number in range(CALLS):
        await asyncio.sleep(BETWEEN_CALLS_SECONDS)
        async with make() as caller:
            turns += await converse(caller, questions[number::CALLS])
            if out is not None:
                write_wav(out / f"call-{number + 1}.wav", caller.recording(), RATE)
    return turns


def rendered(count: int) -> list[AudioChunk]:
    """`count` spoken questions and one more for each call, at one loudness: peers have a threshold for it.

    The first 50 differ.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count + CALLS):
            path = Path(folder) / "question.wav"
            speak(QUESTIONS[number % ASKED], VOICES[(number + number // ASKED) % len(VOICES)], path)
            sound = read_wav(path)
            loud = np.sqrt(np.mean(np.square(sound.samples[np.abs(sound.samples) > AUDIBLE])))
            samples = np.clip(sound.samples * (0.12 / loud), -0.99, 0.99).astype(np.float32)
            found.append(AudioChunk(samples, sound.sample_rate, 0))
    return found


def row(turns: Sequence[Turn]) -> dict[str, Any]:
    """What is told of one system."""
    return {
        "voice_to_voice": times([turn.answer for turn in turns if not turn.first]),
        "first_turn": times([turn.answer for turn in turns if turn.first]),
        **outcomes([turn.answer for turn in turns]),
    }


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


def compare(
    settings: Settings, chosen: Any, questions: Sequence[AudioChunk], rows: dict[str, dict[str, Any]]
) -> None:
    """Measure the chosen systems into `rows`."""
    for name in chosen.only or SYSTEMS:
        system = SYSTEMS[name]
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            out = None if chosen.out is None else chosen.out / name.replace(" ", "-")
            logs = out or Path(temporary)
            logs.mkdir(parents=True, exist_ok=True)
            versions = f"this one {reports.commit()}".strip()
            try:
                if system.environment is not None:
                    system.environment.install()
                    told = system.environment.versions()
                    versions = ", ".join(f"{package} {number}" for package, number in told.items())
                busy = round(reports.busy_cores(reports.BUSY_SECONDS), 2)
                with system.open(Setup(settings, reports.flags_of(chosen), logs)) as make:
                    turns = asyncio.run(measure(make, questions, out))
            except PeerError as error:
                rows[name] = {"not_measured": str(error)}
                continue
        about = {"busy_before": busy, "versions": versions, "differs": system.differs}
        rows[name] = {**row(turns), **about}


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="2 turns and the first of each call")
    parser.add_argument("--turns", type=int, default=20, help="beside the first of each call (default: 20)")
    parser.add_argument("--only", action="append", choices=SYSTEMS, help="may be repeated")
    parser.add_argument("--add-to", type=Path, metavar="FILE", help="keep what it has of other systems")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep recordings and logs here")
    chosen = parser.parse_args()
    settings = reports.settings(chosen)
    turns = 2 if chosen.quick else chosen.turns
    about = {
        "turns": turns,
        "calls": CALLS,
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
    compare(settings, chosen, rendered(turns), rows)
    base = rows.get("local-voice", {}).get("voice_to_voice")
    for name in [name for name in SYSTEMS if name in rows]:
        values = rows[name]
        time = values.get("voice_to_voice")
        if base and base.samples and time and time.samples:
            slower = float(np.median(time.samples) / np.median(base.samples))
            values["slower"] = f"{slower:.1f} x"
        report.row(name, **values)
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
