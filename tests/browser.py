"""Headless Chromium on the page, with a WAV file as its microphone.

async with open_page(server.url, microphone=wav) as page:
    await page.talk()
    await page.wait_for_caption("assistant", "Paris")
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from aioice.ice import get_host_addresses
from playwright.async_api import Error, Page, async_playwright

RECORDER = Path(__file__).parent / "recorder.js"

FLAGS = (
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--no-first-run",
    "--no-pings",
    "--metrics-recording-only",
)

LISTEN = """
() => {
  const voice = document.getElementById("voice");
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(voice.srcObject).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  window.loudest = 0;
  window.sounds = [];
  window.listening = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const level = Math.max(...samples.map(Math.abs));
    window.loudest = Math.max(window.loudest, level);
    if (level > 0.02) window.sounds.push(performance.now() / 1000);
  }, 20);
}
"""
"""Measures in the page what its loudspeaker gets: `window.loudest`, and when there was sound."""

RECORD = """
async () => {
  const context = new AudioContext({ sampleRate: 48000 });
  await context.audioWorklet.addModule("/recorder.js");
  const recorder = new AudioWorkletNode(context, "recorder");
  const source = context.createMediaStreamSource(document.getElementById("voice").srcObject);
  source.connect(recorder).connect(context.destination);
  const blocks = [];
  const offsets = {};
  // A block is rendered a moment before we see that it was: the least difference is the nearest. For each
  // half second, because on a busy machine the rendering falls behind.
  const seen = (time) => {
    const late = (performance.timeOrigin + performance.now()) / 1000 - time;
    const part = Math.floor(2 * time) / 2;
    offsets[part] = Math.min(offsets[part] ?? Infinity, late);
  };
  recorder.port.onmessage = ({ data }) => {
    seen((data[0] + 128) / 48000);
    blocks.push(data);
  };
  setInterval(() => seen(context.currentTime), 3);
  window.recording = () => {
    const first = blocks[0][0];
    const samples = new Float32Array(blocks.at(-1)[0] - first + 128);
    for (const [frame, block] of blocks) if (block) samples.set(block, frame - first);
    const bytes = new Uint8Array(samples.buffer);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    const late = Object.entries(offsets).map(([part, offset]) => [Number(part), offset]);
    return [first / 48000, late.sort((one, other) => one[0] - other[0]), btoa(text)];
  };
}
"""
"""Keeps all that the page plays: `window.recording()` gives when it began on the page's clock of sound, how
far that was behind the clock of `time.time` from then and then on, and the samples."""


@dataclass(frozen=True, slots=True)
class Played:
    """What the page has rendered, at 48 kHz."""

    samples: np.ndarray
    first: float
    """Of the samples, in seconds on the page's clock of sound."""
    behind: list[tuple[float, float]]
    """From so many seconds on that clock, what to add for the one of `time.time`."""

    def index(self, at: float) -> int:
        """The sample that was rendered at `at`, on the clock of `time.time`.

        The rendering falls behind and never catches up, so what is seen later bounds it as well.
        """
        starts, seen = zip(*self.behind, strict=True)
        least = np.minimum.accumulate(seen[::-1])[::-1]
        known = [late for start, late in zip(starts, least, strict=True) if start + late <= at]
        return round((at - (known[-1] if known else least[0]) - self.first) * 48_000)


@dataclass(frozen=True, slots=True)
class ShownCaption:
    """A caption as the page shows it."""

    role: str
    turn: int
    text: str
    final: bool
    interrupted: bool


class TalkPage:
    """The page as a user sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        """Errors and warnings of the browser's console, and exceptions of the page's script."""
        self.requests: list[str] = []
        """URLs the page asked for."""
        page.on("console", lambda m: self.console.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    async def talk(self, *, seconds: float = 15.0) -> None:
        """Press Talk once it may be pressed, and wait until the conversation is open."""
        await self.page.locator("#talk:enabled", has_text="Talk").click(timeout=seconds * 1000)
        await self.wait_for_state("listening", "hearing", "thinking", "speaking", "muted", seconds=seconds)

    async def hang_up(self) -> None:
        """Press Hang up."""
        await self.page.locator("#talk", has_text="Hang up").click()

    async def mute(self) -> None:
        """Press Mute, or Unmute."""
        await self.page.locator("#mute").click()

    async def state(self) -> str:
        """What the body says: idle, connecting, listening, hearing, thinking, speaking, paused, muted ..."""
        return await self.page.locator("body").get_attribute("data-state") or ""

    async def wait_for_state(self, *states: str, seconds: float = 10.0) -> str:
        """Wait until the page is in one of the states. Raises `TimeoutError` with what it shows."""
        async with self._deadline(f"state {' or '.join(states)}", seconds):
            while (state := await self.state()) not in states:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return state

    async def captions(self) -> list[ShownCaption]:
        """All captions from top to bottom."""
        rows = await self.page.locator("#captions li").evaluate_all(
            "lines => lines.filter(l => l.dataset.turn)"
            ".map(l => ({...l.dataset, text: l.querySelector('.words').textContent}))"
        )
        return [
            ShownCaption(
                role=row["role"],
                turn=int(row["turn"]),
                text=row["text"],
                final=row["final"] == "true",
                interrupted=row["interrupted"] == "true",
            )
            for row in rows
        ]

    async def wait_for_caption(
        self, role: str, text: str = "", *, turn: int | None = None, final: bool = True, seconds: float = 20.0
    ) -> ShownCaption:
        """Wait for a caption of a role that contains `text` (in any case). Raises `TimeoutError`."""
        async with self._deadline(f"a caption of the {role} with {text!r}", seconds):
            while True:
                for caption in await self.captions():
                    right = caption.role == role and text.lower() in caption.text.lower()
                    if right and turn in (None, caption.turn) and caption.final >= final:
                        return caption
                await asyncio.sleep(0.05)

    async def error(self) -> str:
        """The sentence about what went wrong; empty when all is well."""
        return await self.page.locator("#error").text_content() or ""

    async def write(self, text: str) -> None:
        """Send a written message."""
        await self.page.locator("#text").fill(text)
        await self.page.keyboard.press("Enter")

    async def pace(self) -> str:
        """The line about how long all answers took."""
        return await self.page.locator("#pace").text_content() or ""

    async def waterfall(self) -> list[list[str]]:
        """Open where the time of the newest answer went: label and seconds of each row."""
        await self.page.locator(".waterfall summary").last.click()
        rows = self.page.locator(".waterfall[open]").last.locator("tr")
        return await rows.evaluate_all(
            "rows => rows.map(r => [r.querySelector('th').innerText, r.querySelector('.seconds').innerText])"
        )

    async def listen(self) -> None:
        """Begin to measure what the loudspeaker gets; see `loudest` and `sounds`."""
        await self.page.evaluate(LISTEN)

    async def loudest(self) -> float:
        """Largest amplitude since `listen`, or since the last call of this."""
        return float(
            await self.page.evaluate("() => { const l = window.loudest; window.loudest = 0; return l; }")
        )

    async def record(self) -> None:
        """Begin to keep what the page plays; its server has to serve `RECORDER` as /recorder.js."""
        await self.page.evaluate(RECORD)

    async def recording(self) -> Played:
        """All that was rendered since `record`."""
        first, behind, samples = await self.page.evaluate("window.recording()")
        behind = [(float(start), float(offset)) for start, offset in behind]
        return Played(np.frombuffer(base64.b64decode(samples), np.float32), float(first), behind)

    async def screenshot(self, path: Path) -> Path:
        """Write a PNG of the window."""
        await self.page.screenshot(path=path)
        return path

    @asynccontextmanager
    async def _deadline(self, wanted: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            shown = await self.page.locator("body").inner_text()
            what = f"no {wanted} in {seconds} s; the page shows {shown!r}; console {self.console}"
            raise TimeoutError(what) from error


@asynccontextmanager
async def open_page(
    url: str,
    *,
    microphone: Path | None = None,
    loop: bool = False,
    allow: bool = True,
    width: int = 900,
    height: int = 800,
    dark: bool = False,
    flags: tuple[str, ...] = (),
) -> AsyncIterator[TalkPage]:
    """A fresh browser on `url`.

    `microphone`: WAV (16-bit PCM) played from the moment the microphone is opened, once unless `loop`;
    without it the browser beeps each second. `allow`: whether the user grants the microphone. On a machine
    that has nothing but loopback, the browser is told to use that.
    """
    chromium = shutil.which("chromium")
    assert chromium, "these tests need Chromium: apt-get install chromium"
    given = [*FLAGS, *flags]
    if get_host_addresses(use_ipv4=True, use_ipv6=True) in ([], ["127.0.0.1"]):
        given.append("--allow-loopback-in-peer-connection")
    given.append("--use-fake-ui-for-media-stream" if allow else "--deny-permission-prompts")
    if microphone is not None:
        given.append(f"--use-file-for-fake-audio-capture={microphone}{'' if loop else '%noloop'}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=given)
        try:
            page = await browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
            shown = TalkPage(page)
            await page.goto(url)
            yield shown
        finally:
            with suppress(Error):  # a test may have killed it
                await browser.close()
