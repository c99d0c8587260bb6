"""Connect, talk, disconnect, a thousand times: memory, threads, tasks and file descriptors have to stay flat.

    python -m benchmarks.connects [--cycles 1000] [--seconds 480] [--together 4] [--json FILE] [--plot FILE]

The server is the real program on scripts instead of models (`scripted_server.py`), the callers are a process
of their own. Each says a sound and waits for the reply; then two of four hang up with a goodbye while it
speaks, one closes the connection without a word, and one vanishes: the server has to find that out by
itself. Exit code 1 where a call got no reply, fewer cycles were done than asked for, or something grew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

import numpy as np

from benchmarks.answers import answer
from benchmarks.bench_concurrency import served
from benchmarks.light_caller import LightCaller, Question, encode
from benchmarks.report import Times, flags_of, of_server, parser
from benchmarks.scripted_server import ENGINES
from benchmarks.watched import HELD, MOST_GROWTH, UNITS, Watch, draw
from benchmarks.webrtc_client import RATE, CallError

REPLY_SECONDS = 10.0
CLOSE_SECONDS = 5.0
LOOK_SECONDS = 2.0
WAYS = ("goodbye", "goodbye", "close", "vanish")
ENOUGH = ["--server.requests_per_minute", "0", "--server.max_sessions", "64"]


def hum() -> Question:
    """A sound of 0.4 s."""
    at = np.arange(round(0.4 * RATE)) / RATE
    return encode((0.3 * np.sin(2 * np.pi * 200 * at)).astype(np.float32))


async def cycle(url: str, sound: Question, way: str) -> tuple[float, float]:
    """Seconds to connect, and to the reply. Raises `TimeoutError`, `CallError`."""
    began = time.monotonic()
    caller = LightCaller(url)
    await caller.__aenter__()
    try:
        connected = time.monotonic() - began
        asked = asyncio.get_running_loop().time()
        said = await caller.tape.say(sound)
        await caller.wait_until(lambda: caller.first_sound(said) is not None, REPLY_SECONDS)
        found = answer(caller, asked, said)
        if found.seconds is None:
            raise TimeoutError("too early a reply" if found.early else "no reply")
    finally:
        if way == "goodbye":
            await caller.__aexit__()
        elif way == "close":
            await caller.vanish()
        else:
            await gone_dark(caller)
    return connected, found.seconds


async def gone_dark(caller: LightCaller) -> None:
    """Not a packet more, nor an answer: as a phone whose battery is empty."""
    for transceiver in caller._peer.getTransceivers():
        ice = transceiver.receiver.transport.transport
        for protocol in list(ice._connection._protocols):
            with suppress(Exception):
                protocol.transport.abort()
    with suppress(TimeoutError):  # its own closing waits for an answer that can't come
        async with asyncio.timeout(CLOSE_SECONDS):
            await caller.vanish()


async def calls(url: str, cycles: int, together: int) -> None:
    """The callers' process: prints a line of JSON for each cycle."""
    sound = hum()
    waiting = iter(range(cycles))

    async def one_after_the_other() -> None:
        for number in waiting:
            told: dict[str, object] = {}
            try:
                told["connect"], told["reply"] = await cycle(url, sound, WAYS[number % len(WAYS)])
            except (TimeoutError, CallError, OSError) as error:
                told["failed"] = f"{type(error).__name__}: {error}"
            print(json.dumps(told), flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(together):
            group.create_task(one_after_the_other())


async def measure(
    url: str, server: int, cycles: int, seconds: float, together: int
) -> tuple[Watch, list[dict[str, object]]]:
    """Look on while others call."""
    watch = Watch(url, server)
    told: list[dict[str, object]] = []
    command = [sys.executable, "-m", "benchmarks.connects", "--call", url]
    callers = await asyncio.create_subprocess_exec(
        *command, "--cycles", str(cycles), "--together", str(together), stdout=asyncio.subprocess.PIPE
    )
    watching = asyncio.create_task(watch.watch(LOOK_SECONDS))
    assert callers.stdout is not None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for line in callers.stdout:
                    told.append(json.loads(line))
                    watch.done = len(told)
    finally:
        with suppress(ProcessLookupError):
            callers.kill()
        await callers.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    await watch.quiet()
    return watch, told


def main() -> int:
    """Command line."""
    made = parser(__doc__, quick="12 cycles")
    made.add_argument("--cycles", type=int, default=1000, help="calls in all (default: 1000)")
    made.add_argument("--seconds", type=float, default=3600.0, help="at most this long")
    made.add_argument("--together", type=int, default=4, help="callers at once")
    made.add_argument("--call", metavar="URL", help="be the callers' process")
    args = made.parse_args()
    if args.call:
        asyncio.run(calls(args.call, args.cycles, args.together))
        return 0
    cycles = 12 if args.quick else args.cycles
    flags = [*ENOUGH, *flags_of(args)]
    about = {"cycles": cycles, "together": args.together, "engines": "scripted"}
    report = of_server("connects: connect, talk, disconnect", about, flags, ENGINES)
    with served(flags, scripted=",".join(ENGINES)) as (url, server):
        watch, told = asyncio.run(measure(url, server, cycles, args.seconds, args.together))
    failed = [str(one["failed"]) for one in told if "failed" in one]
    if len(told) < cycles:
        failed.append(f"only {len(told)} of {cycles} cycles were done")
    for name in ("connect", "reply"):
        report.row(name, took=Times([float(str(one[name])) for one in told if name in one]))
    first = next((look for look in watch.looks if look.done >= 0.2 * watch.done), watch.looks[0])
    grown = {name: watch.slope(name) for name in HELD}
    for name in HELD:
        row = (watch.looks[0], first, watch.looks[-1])
        before, warm, after = (f"{getattr(look, name):g} {UNITS[name]}".strip() for look in row)
        report.row(
            name, at_the_start=before, after_a_fifth=warm, at_the_end=after, per_1000=f"{grown[name]:+.2f}"
        )
    report.row("calls", cycles=str(watch.done), failed=str(len(failed)), why=failed[-1] if failed else "")
    report.finish(args.json)
    if args.json is not None:
        whole = json.loads(args.json.read_text())
        args.json.write_text(json.dumps({**whole, "looks": watch.content()}, indent=1) + "\n")
    if args.plot is not None:
        draw(watch, f"{watch.done} times connect, talk, disconnect", "cycles", args.plot)
    too_much = {} if args.quick else {name: grown[name] for name in HELD if grown[name] > MOST_GROWTH[name]}
    return 1 if failed or too_much else 0


if __name__ == "__main__":
    sys.exit(main())
