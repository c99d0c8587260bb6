"""How soon and how fast the language model writes: first token cold and warm, tokens a second, abort.

    python -m benchmarks.bench_llm [MODEL] [--rounds 5] [--tokens 64] [--set llm.threads=0-1] [--json FILE]

MODEL: catalogue name or folder. `cold` prompts begin as no prompt before, `warm` ones with a system prompt
that the prefix cache holds. Seconds are from the call to the first text. `rate` is tokens a second of one
reply after its first token, `total` that of all replies at once. `abort` is the time to close a reply that
is being written, and `next` the first token of the reply asked for at once after it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report, percentiles
from local_voice.environment import go_offline
from local_voice.events import Message

go_offline()

from local_voice.engines.vllm_engine import VllmEngine  # noqa: E402
from local_voice.model_store import ModelStore  # noqa: E402
from local_voice.settings_sources import load  # noqa: E402

TOPICS = ("a lighthouse", "a slow train", "rain on a roof", "an old clock", "a lost dog", "the first snow")


@dataclass(frozen=True)
class Reply:
    first: float
    """Seconds to the first text."""
    rate: float
    """Tokens a second after it."""
    tokens: int


async def ask(engine: VllmEngine, system: str, number: int) -> Reply:
    """One reply to a question that was never asked before."""
    question = f"Number {number}: tell me a long story about {TOPICS[number % len(TOPICS)]}."
    began = time.perf_counter()
    first = None
    pieces = []
    async for piece in engine.generate([Message("system", system), Message("user", question)]):
        first = first or time.perf_counter()
        pieces.append(piece)
    assert first is not None
    tokens = engine.count_tokens("".join(pieces))
    return Reply(first - began, (tokens - 1) / (time.perf_counter() - first), tokens)


def columns(seconds: list[float]) -> dict[str, float]:
    found = percentiles(seconds)
    return {"p50": found["p50"], "p95": found["p95"]}


async def measure(engine: VllmEngine, report: Report, system: str, rounds: int) -> None:
    number = 0
    await engine.warm([Message("system", system)])
    for streams in (1, 2, 4):
        for temperature in ("cold", "warm"):
            replies: list[Reply] = []
            began = time.perf_counter()
            for _ in range(rounds):
                prompts = range(number, number + streams)
                number += streams
                opening = (
                    f"You are assistant {n}. {system}" if temperature == "cold" else system for n in prompts
                )
                replies += await asyncio.gather(*map(ask, [engine] * streams, opening, prompts))
            total = sum(reply.tokens for reply in replies) / (time.perf_counter() - began)
            first = columns([reply.first for reply in replies])
            rate = percentiles([reply.rate for reply in replies])["p50"]
            report.row(f"{streams} at once, {temperature}", **first, rate=rate, total=total)
    aborts, nexts = [], []
    for last in range(number, number + rounds):
        reply = engine.generate([Message("system", system), Message("user", f"Count to {last + 900}.")])
        await anext(reply)
        began = time.perf_counter()
        await reply.aclose()
        aborts.append(time.perf_counter() - began)
        nexts.append((await ask(engine, system, last)).first)
    report.row("abort", **columns(aborts))
    report.row("next", **columns(nexts))


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--set", action="append", default=[], metavar="llm.NAME=VALUE")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    flags = {"llm.max_tokens": str(chosen.tokens), **dict(pair.split("=", 1) for pair in chosen.set)}
    if chosen.model:
        flags["llm.model"] = chosen.model
    settings = load(None, flags).settings
    report = Report(
        "language model",
        {"profile": settings.profile, **settings.llm.model_dump(exclude={"api_key", "system_prompt"})},
    )
    began = time.perf_counter()
    async with VllmEngine(ModelStore().path(settings.llm.model), settings.llm, settings.profile) as engine:
        report.row("start", p50=time.perf_counter() - began)
        await measure(engine, report, settings.llm.system_prompt, chosen.rounds)
    report.finish(chosen.json)


if __name__ == "__main__":
    asyncio.run(main())
