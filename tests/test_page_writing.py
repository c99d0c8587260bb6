"""Who writes: no microphone until they ask for one, and no written word is lost."""

import asyncio

import numpy as np
import pytest
from browser import open_page
from playwright.async_api import expect
from test_page import Script, serving, until

from local_voice.events import Typed
from local_voice.stages import Caption, Status

doors = pytest.mark.doors
COUNT_MICROPHONES = """() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.microphones = 0;
    navigator.mediaDevices.getUserMedia = (what) => { window.microphones++; return open(what); };
}"""


@doors
async def test_who_begins_by_writing_is_heard_only_after_asking_for_it():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.wait_for_state("idle")
        await page.page.evaluate(COUNT_MICROPHONES)
        left, meter = page.page.locator("#mute"), page.page.locator(".meter[data-side=user]")
        await page.write("Hello there")
        await page.wait_for_state("writing")
        script.transport.notify(Caption("user", 1, "Hello there", final=True))
        await page.wait_for_caption("user", "Hello there")
        assert (await left.inner_text(), await meter.is_visible()) == ("Talk", False)
        await page.page.evaluate("document.activeElement.blur()")
        await page.page.keyboard.press("m")
        assert await page.state() == "writing", "there is nothing to mute"

        first = script.transport
        script.open.clear()
        await page.page.locator("#new").click()
        await asyncio.wait_for(script.open.wait(), 15.0)
        await page.wait_for_state("writing")
        assert script.transport is not first
        assert await page.captions() == []
        assert await page.page.evaluate("window.microphones") == 0

        second = script.transport
        script.transport.notify(Status("speaking"))
        await page.wait_for_state("speaking")
        await left.click()
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
        assert await page.state() == "speaking"
        script.transport.notify(Status("listening"))
        await page.wait_for_state("listening")
        assert script.transport is second, "the same call goes on"
        assert (await left.inner_text(), await meter.is_visible()) == ("Mute", True)
        await page.mute()
        assert await page.state() == "muted"
        assert page.console == []


@doors
async def test_what_was_written_and_not_heard_is_given_back():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        field = page.page.locator("#text")
        await page.talk()
        await page.write("One.")
        await page.write("Two. \u200b  And a half.")
        await page.write("Three.")
        await until(lambda: len(script.controls) == 3)
        # The first never gets a caption of its own, where the second comes before it is answered.
        script.transport.notify(Caption("user", 2, "Two. And a half.", final=True))
        await field.fill("Fo")
        await expect(field).to_have_value("Three. Fo", timeout=15_000)

        await field.fill("")
        lost = script.transport
        script.open.clear()
        # What the browser sends stops arriving, as where a laptop changes its network.
        for protocol in lost._peer.sctp.transport.transport._connection._protocols:
            protocol.datagram_received = lambda data, address: None
        await page.write("Remember the milk.")
        await page.write("And the bread.")
        assert await field.input_value() == ""
        await asyncio.wait_for(script.open.wait(), 20.0)
        await page.wait_for_state("listening")
        assert await field.input_value() == "Remember the milk. And the bread."
        assert script.controls[3:] == []
        assert page.console == []


@doors
async def test_what_was_written_faster_than_it_is_taken_is_given_back():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        for number in range(1, 7):
            await page.write(f"Number {number}")
            script.transport.notify(Caption("user", number, f"Number {number}", final=True))
        await page.write("Number 7")
        await page.page.get_by_role("alert").get_by_text("please write it again").wait_for()
        await expect(page.page.locator("#text")).to_have_value("Number 7", timeout=15_000)
        assert script.controls == [Typed(f"Number {number}") for number in range(1, 7)]
