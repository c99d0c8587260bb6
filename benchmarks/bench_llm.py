"""How soon and how fast the language model writes: first token, tokens a second, and how soon it stops.

    python -m benchmarks.bench_llm [--model NAME ...] [--bf16] [--requests 16] [--tokens 32] [--words 40]

The same spoken question of `--words` words is asked with another number each time, so that no question is
known before. `cold`: the prompt begins as none before, so that all of it has to be computed. `warm`: the
system prompt is in the prefix cache. `partials`: the growing question was sent ahead too, as one-token
requests, at a quarter, a half, three quarters and all but its last two words, as partial transcripts would
be. `N at once` sends N requests together. `first token` is from the call to the first text, `each` tokens a
second of one reply after its first token, `together` of all N from the call to the last token. Where words
that a reply takes up from its question are guessed (`llm.prompt_lookup`), both are more than for other
questions: this one's replies repeat much of it.

`abort to idle` closes N replies after their first text, and is the time until the engine's core has dropped
them and answers a question about its state; `next` is the first token of a request sent at that moment.

`--bf16` also measures a W8A8 model as bfloat16: the same weights widened into a temporary folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import report as reports
from benchmarks.report import Report, Share, Times
from local_voice.environment import go_offline
from local_voice.events import Message

go_offline()

from local_voice.engines.vllm_engine import VllmEngine  # noqa: E402
from local_voice.model_store import ModelStore  # noqa: E402
from local_voice.settings import Settings  # noqa: E402

STORY = (
    "tell me a story about a lighthouse on a small island where an old keeper counted the ships that passed "
    "in the night and wrote their names into a book until one evening a ship came that had no name at all "
    "and then tell me who was on board and why she had come so far from home and what the keeper did"
)
SENT_AHEAD = (0.25, 0.5, 0.75)
numbers = count(1)


@dataclass(frozen=True)
class Reply:
    first: float
    """Seconds to the first text."""
    last: float
    """Seconds to the end."""
    tokens: int


@dataclass(frozen=True)
class Shape:
    """What is asked."""

    requests: int
    words: int
    streams: tuple[int, ...]


def question(system: str, words: int, *, cold: bool) -> list[Message]:
    """A prompt that was never asked before."""
    number = next(numbers)
    said = f"Number {number}: {STORY}".split()
    return [
        Message("system", f"You are assistant {number}. {system}" if cold else system),
        Message("user", " ".join((said * (1 + words // len(said)))[:words])),
    ]


async def ask(engine: VllmEngine, messages: list[Message]) -> Reply:
    """One reply to its end."""
    began = time.perf_counter()
    first = 0.0
    pieces = []
    async for piece in engine.generate(messages):
        first = first or time.perf_counter() - began
        pieces.append(piece)
    return Reply(first, time.perf_counter() - began, engine.count_tokens("".join(pieces)))


async def send_ahead(engine: VllmEngine, messages: list[Message]) -> None:
    """The question as it grows, as one-token requests."""
    words = messages[1].content.split()
    for length in [*(round(part * len(words)) for part in SENT_AHEAD), len(words) - 2]:
        await engine.warm([messages[0], Message("user", " ".join(words[:length]))])


async def measure(engine: VllmEngine, report: Report, label: str, system: str, shape: Shape) -> None:
    """All rows of one model."""
    await engine.warm([Message("system", system), Message("user", "Hello.")])
    for streams in shape.streams:
        for kind in ("cold", "warm", "partials"):
            replies: list[Reply] = []
            together = []
            for _ in range(-(-shape.requests // streams)):
                prompts = [question(system, shape.words, cold=kind == "cold") for _ in range(streams)]
                if kind == "partials":
                    for prompt in prompts:
                        await send_ahead(engine, prompt)
                began = time.perf_counter()
                batch = await asyncio.gather(*(ask(engine, prompt) for prompt in prompts))
                together.append((sum(reply.tokens for reply in batch), time.perf_counter() - began))
                replies += batch
            rates = [(one.tokens - 1) / (one.last - one.first) for one in replies if one.tokens > 3]
            report.row(
                f"{label}, {streams} at once, {kind}",
                first_token=Times([reply.first for reply in replies]),
                each=Times(rates, unit="tokens/s", better="more"),
                together=Share(together, unit="tokens/s", better="more"),
            )
    for streams in shape.streams:
        await abort(engine, report, f"{label}, {streams} at once", system, streams, shape)


async def abort(
    engine: VllmEngine, report: Report, label: str, system: str, streams: int, shape: Shape
) -> None:
    """Close replies at work, and see how soon the engine has nothing to do."""
    idle, following = [], []
    for _ in range(max(5, shape.requests // 2) if shape.requests > 2 else 1):
        prompts = [question(system, shape.words, cold=False) for _ in range(streams)]
        replies = [engine.generate(prompt) for prompt in prompts]
        await asyncio.gather(*(anext(reply) for reply in replies))
        began = time.perf_counter()
        await asyncio.gather(*(reply.aclose() for reply in replies))
        core = engine._engine
        assert core is not None
        # The core takes messages in order, between two steps: this is answered when the aborts are done.
        await core.is_sleeping()
        idle.append(time.perf_counter() - began)
        reply = engine.generate(question(system, shape.words, cold=False))
        began = time.perf_counter()
        await anext(reply)
        following.append(time.perf_counter() - began)
        await reply.aclose()
    report.row(label, abort_to_idle=Times(idle), next=Times(following))


@contextlib.contextmanager
def widened(folder: Path) -> Iterator[Path]:
    """A W8A8 model as bfloat16, for as long as it is needed. Raises `ValueError` for any other model."""
    import torch
    from safetensors.torch import load_file, save_file

    config = json.loads((folder / "config.json").read_text())
    if config.pop("quantization_config", {}).get("quant_method") != "compressed-tensors":
        raise ValueError(f"{folder} is not a W8A8 model: --bf16 has nothing to widen")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / f"{folder.name}-bf16"
        shutil.copytree(
            folder, copy, ignore=shutil.ignore_patterns("*.safetensors", "lock.json", "stamp.json")
        )
        tensors = load_file(folder / "model.safetensors")
        for scale in [name for name in tensors if name.endswith("_scale")]:
            weight = scale.removesuffix("_scale")
            tensors[weight] = (tensors[weight].float() * tensors.pop(scale)).to(torch.bfloat16)
        save_file(tensors, copy / "model.safetensors", {"format": "pt"})
        (copy / "config.json").write_text(json.dumps(config))
        yield copy


async def compare(report: Report, label: str, folder: Path, settings: Settings, shape: Shape) -> None:
    """Start an engine, measure, stop it."""
    began = time.perf_counter()
    async with VllmEngine(folder, settings.llm, settings.profile) as engine:
        report.row(label, start=Times([time.perf_counter() - began]))
        await measure(engine, report, label, settings.llm.system_prompt, shape)


def main() -> None:
    """Command line."""
    parser = reports.parser(__doc__, quick="2 requests, 1 and 2 at once, 8 tokens")
    parser.add_argument("--model", action="append", metavar="NAME", help="default: that of the settings")
    parser.add_argument("--bf16", action="store_true", help="also as bfloat16")
    parser.add_argument("--requests", type=int, default=16, help="in each row (default: 16)")
    parser.add_argument("--tokens", type=int, default=32, help="longest reply (default: 32)")
    parser.add_argument("--words", type=int, default=40, help="in the question (default: 40)")
    chosen = parser.parse_args()
    shape = Shape(chosen.requests, chosen.words, (1, 2, 4, 8))
    if chosen.quick:
        chosen.tokens, shape = 8, Shape(2, 12, (1, 2))
    chosen.set.append(f"llm.max_tokens={chosen.tokens}")
    settings = reports.settings(chosen)
    models = chosen.model or [settings.llm.model]
    about = settings.llm.model_dump(exclude={"api_key", "system_prompt", "url", "remote_model", "model"})
    about |= {"profile": settings.profile, "question_words": shape.words}
    report = Report("bench_llm: vLLM thinks", about, models)
    for model in models:
        folder = ModelStore().path(model)
        asyncio.run(compare(report, folder.name, folder, settings, shape))
        if chosen.bf16:
            with widened(folder) as copy:
                asyncio.run(compare(report, copy.name, copy, settings, shape))
    report.finish(chosen.json, chosen.plot)


if __name__ == "__main__":
    main()
