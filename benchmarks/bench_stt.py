"""How soon, how fast and how well Whisper hears, beside faster-whisper's own `transcribe`.

    python -m benchmarks.bench_stt [--model NAME ...] [--questions 40] [--announcements 60] [--rounds 10]
                                   [--no-peers]

`N s window`: the two halves of a pass and the whole of it in each window length, on human speech that fills
the window but for 1 s. `live`: human speech played in real time through Silero and the endpointing, with
partial transcripts meanwhile: `final` is from the end of the last voiced 32 ms to the text, `partial every`
the time between two partial texts, `partial age` how old the newest sound in one is when its text is there;
`ahead` the pauses whose final pass began where the voice faded, `in vain` the passes that began so elsewhere.

Then final passes on whole clips: people as recorded, in pink noise, and in a telephone's band; one person's
announcements; questions rendered by flite; sounds without a word. `wer`: word errors after Whisper's
normaliser. `looped`: texts that repeat themselves or have more than twice the words said. `invented`: texts
for sounds without a word. `second window`: passes that were done again in a longer window, and the seconds
that this took. `faster-whisper` is the same model in its own 30 s window, greedy and with its defaults (5
beams).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from benchmarks import report as reports
from benchmarks.report import Report, Share, Times
from benchmarks.sounds import Spoken, announcements, noises, people, questions, worse
from benchmarks.words import word_errors
from local_voice.audio import SPEECH_RATE, Rechunker, Samples, Tape, level, silence
from local_voice.endpointing import Endpointer, SpeechPaused, SpeechStarted
from local_voice.engines.silero_vad import WINDOW, SileroVad
from local_voice.engines.whisper import Whisper
from local_voice.hearing import Hearing, Pass
from local_voice.model_store import ModelStore
from local_voice.settings import Settings, SttSettings
from local_voice.whisper_windows import LONGEST_PIECE_SECONDS, MARGIN_SECONDS, WINDOW_SECONDS, without_loop

Hear = Callable[[Samples], Awaitable[str]]
PEERS: dict[str, dict[str, Any]] = {
    "faster-whisper greedy": {"beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False},
    "faster-whisper": {},
}


class Watched(Whisper):
    """Notes the seconds of each pass, so that second ones can be counted."""

    def __init__(self, model_dir: Path, settings: SttSettings) -> None:
        super().__init__(model_dir, settings)
        self.passes: list[float] = []

    async def _pass(self, samples: Samples, window: int, final: bool, draft: str = "") -> Any:
        began = time.perf_counter()
        try:
            return await super()._pass(samples, window, final, draft)
        finally:
            self.passes.append(time.perf_counter() - began)


def measure_windows(report: Report, label: str, whisper: Whisper, speech: list[Spoken], rounds: int) -> None:
    """The halves of a pass in each window, called as the worker calls them."""
    line = np.concatenate([samples for samples, _ in speech])
    line = np.tile(line, 1 + int(LONGEST_PIECE_SECONDS * SPEECH_RATE / len(line)))
    for window in WINDOW_SECONDS:
        seconds = min(window - MARGIN_SECONDS, LONGEST_PIECE_SECONDS)
        sound = line[: round(seconds * SPEECH_RATE)]
        encode, decode = [], []
        for _ in range(rounds):
            began = time.perf_counter()
            encoded = whisper._encode(sound, window)
            middle = time.perf_counter()
            whisper._decode(encoded, seconds)
            encode.append(middle - began)
            decode.append(time.perf_counter() - middle)
        both = [sum(halves) for halves in zip(encode, decode, strict=True)]
        factor = Share([(whole, seconds) for whole in both], unit="s/s")
        report.row(
            f"{label}, {window} s window",
            encode=Times(encode),
            decode=Times(decode),
            whole_pass=Times(both),
            real_time_factor=factor,
        )


@dataclass
class Live:
    """What was seen while clips were played in real time."""

    finals: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    ahead: list[tuple[float, float]] = field(default_factory=list)
    """For each pause whether its pass had begun ahead, and 1."""
    begun: int = 0
    """Passes begun ahead, also in vain."""


async def listen(whisper: Whisper, vad: SileroVad, settings: Settings, samples: Samples, seen: Live) -> None:
    """Play one clip and transcribe as a session does. The last pause's final is the one that counts."""
    loop, turn, step = asyncio.get_running_loop(), settings.turn, WINDOW / SPEECH_RATE
    sound = np.concatenate((silence(0.5, SPEECH_RATE), samples, silence(1.0, SPEECH_RATE)))
    judge, ears, tape = Endpointer(settings.vad, turn), vad.stream(), Tape(60.0, SPEECH_RATE)
    hearing = Hearing(whisper, tape, settings.stt.deadline_seconds)
    began, start, asked, texts = loop.time(), 0.0, 0.0, []
    partial = final = asyncio.create_task(asyncio.sleep(0))

    async def transcribe(now: float, last_voice: float | None, ahead: Pass | None = None) -> float:
        await hearing.words(start, now, final=last_voice is not None, ahead=ahead)
        done = loop.time() - began
        if last_voice is not None:
            return done - last_voice
        seen.ages.append(done - now)
        texts.append(done)
        return 0.0

    async with asyncio.TaskGroup() as tasks:
        for number, window in enumerate(Rechunker(WINDOW).push(sound), 1):
            now = number * step
            await asyncio.sleep(began + now - loop.time())
            tape.push(window)
            heard = ears.probability(window)
            fact = judge.process(heard, step, now, turn.start_seconds, level=level(window))
            if isinstance(fact, SpeechStarted):
                start, asked = max(0.0, fact.start - turn.pre_roll_seconds), now
            elif isinstance(fact, SpeechPaused):
                partial.cancel()
                final.cancel()
                ahead = hearing.take_ahead(start, now)
                seen.ahead.append((float(ahead is not None), 1.0))
                final = asyncio.create_task(transcribe(now, fact.end, ahead))
            elif judge.speaking and now - asked >= turn.partial_seconds and partial.done() and final.done():
                asked, partial = now, asyncio.create_task(transcribe(now, None))
            before = hearing._ahead
            if judge.fading:
                hearing.look_ahead(start, tasks)
                seen.begun += before is None and hearing._ahead is not None
            else:
                hearing.give_up()
    if (after := await final) is None:
        print(f"no pause was found in a clip of {len(samples) / SPEECH_RATE:.1f} s: it is not among `final`")
    else:
        seen.finals.append(after)
    seen.gaps += np.diff(texts).tolist()


def looped(text: str, said: str) -> bool:
    """The text runs round in circles, or says far more than was said."""
    words = text.lower().split()
    numbers = [sorted(set(words)).index(word) for word in words]
    return len(without_loop(numbers)) < len(words) or len(words) > 2 * len(said.split()) + 2


async def hear_speech(
    report: Report, label: str, hear: Hear, speech: list[Spoken], whisper: Watched | None
) -> None:
    """A row of final passes on clips. `whisper`: ours, whose second passes are counted."""
    seconds, again, cost, errors, loops = [], [], [], [], []
    for samples, said in speech:
        if whisper is not None:
            whisper.passes.clear()
        began = time.perf_counter()
        text = await hear(samples)
        seconds.append((time.perf_counter() - began, len(samples) / SPEECH_RATE))
        if whisper is not None:
            again.append((float(len(whisper.passes) > 1), 1.0))
            cost += [sum(whisper.passes[1:])] if len(whisper.passes) > 1 else []
        errors.append(word_errors(said, text))
        loops.append((float(looped(text, said)), 1.0))
    report.row(
        f"{label} ({len(speech)})",
        whole_pass=Times([spent for spent, _ in seconds]),
        real_time_factor=Share(seconds, unit="s/s"),
        wer=Share(errors),
        looped=Share(loops),
        **({} if whisper is None else {"second_window": Share(again), "its_cost": Times(cost)}),
    )


async def compare(report: Report, model: str, chosen: Any, settings: Settings) -> None:
    """All rows of one model."""
    folder, store = ModelStore().path(model), ModelStore()
    label = Path(model).name
    speech, empty = (people()[4:6], noises()[:5]) if chosen.quick else (people(), noises())
    sets = {f"people, {how}": clips for how, clips in worse(speech).items()}
    if read := announcements(2 if chosen.quick else chosen.announcements):
        sets["announcements"] = read
    sets["questions"] = questions(2 if chosen.quick else chosen.questions)

    async def hear_all(name: str, hear: Hear, whisper: Watched | None) -> None:
        for what, clips in sets.items():
            await hear_speech(report, f"{label}, {name}: {what}", hear, clips, whisper)
        texts = [await hear(sound) for sound in empty]
        invented = Share([(float(bool(text.strip())), 1.0) for text in texts])
        report.row(f"{label}, {name}: no words", invented=invented)

    async with SileroVad(store.path(settings.vad.model)) as vad, Watched(folder, settings.stt) as whisper:
        measure_windows(report, label, whisper, speech, 1 if chosen.quick else chosen.rounds)
        seen = Live()
        for samples, _ in speech:
            await listen(whisper, vad, settings, samples, seen)
        report.row(
            f"{label}, live ({len(speech)})",
            final=Times(seen.finals),
            partial_every=Times(seen.gaps),
            partial_age=Times(seen.ages),
            ahead=Share(seen.ahead, better="more"),
            in_vain=Share([(seen.begun - sum(found for found, _ in seen.ahead), float(seen.begun))]),
        )

        async def ours(samples: Samples) -> str:
            return (await whisper.transcribe(samples, final=True)).text

        await hear_all("ours", ours, whisper)
    if not chosen.peers:
        return
    stt = settings.stt
    other = WhisperModel(
        str(folder), device=stt.device, compute_type=stt.compute_type, cpu_threads=stt.threads
    )
    for name, how in PEERS.items():

        async def theirs(samples: Samples, how: dict[str, Any] = how) -> str:
            segments, _ = other.transcribe(samples, language="en", **how)
            return " ".join(segment.text.strip() for segment in segments)

        await theirs(speech[0][0])
        await hear_all(name, theirs, None)


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="2 clips, 2 questions, 1 round")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="default: that of the settings and, on a CPU, whisper-tiny.en",
    )
    parser.add_argument(
        "--questions", type=int, default=40, help="rendered questions, 100 differ (default: 40)"
    )
    parser.add_argument("--announcements", type=int, default=60, help="of 167, evenly from all (default: 60)")
    parser.add_argument("--rounds", type=int, default=10, help="passes in each window (default: 10)")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave faster-whisper out")
    chosen = parser.parse_args()
    settings = reports.settings(chosen)
    small = ["whisper-tiny.en"] if settings.profile == "cpu" else []
    models = chosen.model or list(dict.fromkeys([*small, settings.stt.model]))
    report = Report("bench_stt: Whisper hears", settings.stt.model_dump(exclude={"model"}), models)
    for model in models:
        asyncio.run(compare(report, model, chosen, settings))
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
