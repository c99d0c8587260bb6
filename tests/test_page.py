"""The page in headless Chromium, against a server whose conversation is a script."""

import asyncio
import os
import re
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from aioice.ice import get_host_addresses
from browser import open_page

from local_voice.audio import write_wav
from local_voice.events import Message, PushToTalk, StopSpeaking, Typed
from local_voice.server import FILES, PAGE, Server
from local_voice.settings import ServerSettings
from local_voice.stages import Caption, Control, Mode, Notice, Status

doors = pytest.mark.doors
TOKEN = "0123456789abcdef0123"
RATE = 48_000
SHOTS = os.environ.get("SCREENSHOTS")


def tone(frequency: float, seconds: float) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


class Script:
    """A conversation whose lines the test says; keeps what it hears."""

    def __init__(self) -> None:
        self.transport = None
        self.received: list[np.ndarray] = []
        self.open = asyncio.Event()
        self.controls: list[Control] = []
        self.remembers = True

    async def __call__(self, transport) -> None:
        self.transport = transport
        transport.on_control = self.controls.append
        self.received.clear()
        self.open.set()
        transport.notify(Status("listening"))
        try:
            async for chunk in transport.incoming():
                self.received.append(chunk.samples)
        finally:
            if self.remembers:
                transport.remember([*transport.messages, Message("user", "Hello.")])

    def say(self, samples: np.ndarray) -> None:
        playout = self.transport.playout
        playout.open(1, 1)
        playout.write(1, 1, samples)
        playout.finish(1, 1)
        playout.release(1, 1)

    def heard(self, seconds: float) -> np.ndarray:
        """What was heard in the last seconds."""
        return np.concatenate([np.zeros(1, np.float32), *self.received[-round(seconds * 50) :]])


def serving(script, warming=lambda: "", **settings) -> Server:
    return Server(script, warming, ServerSettings(**{"port": 0, **settings}))


async def until(true, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def shot(page, name: str, folder: Path) -> None:
    """Keep a screenshot where SCREENSHOTS says, so that it can be looked at."""
    path = await page.screenshot(Path(SHOTS or folder) / f"{name}.png")
    assert path.stat().st_size > 5_000


@doors
async def test_a_conversation_is_shown_and_heard_and_the_console_stays_clean(tmp_path):
    microphone = tmp_path / "question.wav"
    write_wav(microphone, [np.concatenate([tone(440.0, 2.0), np.zeros(RATE, np.float32)])], RATE)
    script = Script()
    async with serving(script) as server, open_page(server.url, microphone=microphone) as page:
        await page.talk()
        await until(lambda: np.abs(script.heard(0.5)).max() > 0.05)
        notify = script.transport.notify
        notify(Status("hearing"))
        notify(Caption("user", 1, "What is the", final=False))
        caption = await page.wait_for_caption("user", "what is the", final=False)
        assert not caption.final
        assert await page.state() == "hearing"
        notify(Caption("user", 1, "What is the capital of France?", final=True))
        notify(Status("thinking"))
        await page.wait_for_state("thinking")
        await page.listen()
        script.say(tone(660.0, 1.0))
        notify(Status("speaking"))
        notify(Caption("assistant", 1, "The capital of <b>France</b>", final=False))
        notify(Caption("assistant", 1, "The capital of <b>France</b> is", final=True, interrupted=True))
        await page.wait_for_state("speaking")
        await page.wait_for_caption("assistant", "<b>france</b> is")
        await asyncio.sleep(0.8)
        assert await page.loudest() > 0.2
        assert [(c.role, c.turn, c.final, c.interrupted) for c in await page.captions()] == [
            ("user", 1, True, False),
            ("assistant", 1, True, True),
        ]
        assert "interrupted" in await page.page.locator("#captions").inner_text()
        assert await page.page.locator("#captions b").count() == 0
        assert 0.02 < script.transport.playout.delay_seconds < 0.5
        await shot(page, "conversation", tmp_path)
        await page.hang_up()
        await page.wait_for_state("idle")
        await until(lambda: server.sessions == 0)
        assert page.console == []
        assert all(url.startswith(server.url) for url in page.requests)


@doors
async def test_the_page_loads_while_the_models_warm_up_and_talks_once_they_are(tmp_path):
    warming = "loading the voice"
    async with (
        serving(Script(), lambda: warming) as server,
        open_page(server.url, width=360, dark=True) as page,
    ):
        await page.wait_for_state("warming")
        await page.page.get_by_text("Warming up: loading the voice").wait_for()
        assert await page.page.locator("#talk").is_disabled()
        await shot(page, "warming-dark-phone", tmp_path)
        warming = ""
        await page.wait_for_state("idle")
        await page.talk()
        assert page.console == []


@doors
async def test_mute_silences_the_microphone_and_says_so():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
        await page.mute()
        assert await page.state() == "muted"
        assert await page.page.locator("#mute").inner_text() == "Unmute"
        await asyncio.sleep(0.3)
        script.received.clear()
        await asyncio.sleep(1.5)
        assert len(script.received) > 50
        assert np.abs(script.heard(1.5)).max() < 0.001
        await page.mute()
        await page.wait_for_state("listening")
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)


@doors
async def test_a_state_of_a_newer_server_is_shown_by_its_name(tmp_path):
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        for state, shown in (
            ("looking_it_up", "Looking it up"),
            ("constructor", "Constructor"),
            ("x" * 500, "X" + "x" * 39),
            ("listening", "Listening"),
        ):
            script.transport.notify(Status(state))
            await page.page.locator("#state-text").get_by_text(shown, exact=True).wait_for(timeout=3_000)
        script.transport.notify(Status("looking_it_up"))
        await page.wait_for_state("looking_it_up")
        await page.mute()
        assert await page.state() == "looking_it_up"
        await shot(page, "unknown-state", tmp_path)
        assert page.console == []


@doors
async def test_interrupt_by_button_and_by_escape():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        button = page.page.locator("#interrupt")
        assert await button.is_disabled()
        await page.talk()
        await page.page.keyboard.press("Escape")
        assert await button.is_disabled()
        script.transport.notify(Status("speaking"))
        await button.click()
        await until(lambda: script.controls == [StopSpeaking()])
        await page.page.keyboard.press("Escape")
        await until(lambda: script.controls == [StopSpeaking(), StopSpeaking()])
        script.transport.notify(Status("listening"))
        await page.wait_for_state("listening")
        assert await button.is_disabled()
        assert page.console == []


@doors
async def test_without_push_to_talk_the_page_has_no_talk_key():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        script.transport.notify(Mode("half_duplex"))
        assert await page.page.locator("#hold").is_hidden()
        await page.page.keyboard.press("Space")
        await asyncio.sleep(0.3)
        assert script.controls == []
        assert await page.state() == "listening"  # and it did not press the button either


@doors
async def test_push_to_talk_by_space_and_by_holding_the_button(tmp_path):
    script = Script()
    down, up = PushToTalk(down=True), PushToTalk(down=False)
    async with serving(script) as server, open_page(server.url, width=360) as page:
        await page.talk()
        script.transport.notify(Mode("push_to_talk"))
        hold, keyboard, mouse = page.page.locator("#hold"), page.page.keyboard, page.page.mouse
        await hold.wait_for()
        # The focus is on no button, since Talk was clicked; holding repeats the key.
        for _ in range(4):
            await keyboard.down("Space")
        await until(lambda: script.controls == [down])
        assert await hold.inner_text() == "Listening to you"
        await shot(page, "push-to-talk-phone", tmp_path)
        await keyboard.up("Space")
        await until(lambda: script.controls == [down, up])
        await hold.hover()
        await mouse.down()
        await until(lambda: script.controls[2:] == [down])
        await mouse.move(5, 5)
        await mouse.up()
        await until(lambda: script.controls[2:] == [down, up])
        await hold.focus()
        await keyboard.press("Space", delay=100)
        await until(lambda: script.controls[4:] == [down, up])
        # A key that is held while the window goes away is let go.
        await keyboard.down("Space")
        await until(lambda: script.controls[6:] == [down])
        await page.page.evaluate("window.dispatchEvent(new Event('blur'))")
        await until(lambda: script.controls[6:] == [down, up])
        await keyboard.up("Space")
        # A button that has the keyboard's focus is pressed by Space, as everywhere.
        await page.page.locator("#mute").focus()
        await keyboard.press("Space")
        assert await page.state() == "muted"
        assert script.controls[8:] == []
        assert page.console == []


@doors
async def test_the_page_says_whether_the_browser_cancels_echo():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        await until(lambda: not script.transport.echo)
        assert script.transport._echo_path is None
        await page.hang_up()
        await page.page.evaluate(
            """() => {
                const settings = MediaStreamTrack.prototype.getSettings;
                MediaStreamTrack.prototype.getSettings = function () {
                    return { ...settings.call(this), echoCancellation: false };
                };
            }"""
        )
        await until(lambda: server.sessions == 0)
        await page.talk()
        await until(lambda: script.transport._far_end.source == "reported")
        assert script.transport.echo
        assert script.transport._echo_path is not None
        assert page.console == []


@doors
async def test_a_browser_without_synchronization_sources_still_gives_its_estimate():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.page.evaluate("() => { delete RTCRtpReceiver.prototype.getSynchronizationSources; }")
        await page.talk()
        await until(lambda: script.transport._far_end.source == "estimated")
        script.transport.notify(Status("speaking"))
        script.say(tone(660.0, 1.0))
        await asyncio.sleep(1.5)
        assert script.transport._far_end.source == "estimated"
        assert 0.02 < script.transport.playout.delay_seconds < 0.5
        assert page.console == []


@doors
async def test_a_refused_microphone_is_said_and_no_call_is_made(tmp_path):
    async with serving(Script()) as server, open_page(server.url, allow=False) as page:
        await page.page.locator("#talk:enabled").click()
        await page.wait_for_state("idle")
        assert "The microphone was refused" in await page.error()
        assert f"{server.url}offer" not in page.requests
        await shot(page, "refused", tmp_path)


@doors
async def test_a_browser_without_webrtc_is_told_so():
    async with serving(Script()) as server, open_page(server.url) as page:
        await page.page.evaluate("delete window.RTCPeerConnection")
        await page.page.locator("#talk:enabled").click()
        await page.wait_for_state("idle")
        assert "has no WebRTC" in await page.error()


@doors
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NotFoundError", "No microphone was found"),
        ("OverconstrainedError", "No microphone was found"),
        ("NotReadableError", "another program may be using it"),
        ("AbortError", "t be used: broken"),
    ],
)
async def test_other_trouble_with_the_microphone_is_said(name, says):
    async with serving(Script()) as server, open_page(server.url) as page:
        fail = "async () => { throw new DOMException('broken', name); }"
        await page.page.evaluate(f"name => {{ navigator.mediaDevices.getUserMedia = {fail}; }}", name)
        await page.page.locator("#talk:enabled").click()
        await page.wait_for_state("idle")
        assert says in await page.error()


@doors
async def test_an_insecure_address_is_explained():
    async with serving(Script(), host="0.0.0.0", insecure=True, token=TOKEN) as server:
        address = [one for one in get_host_addresses(True, False) if one != "127.0.0.1"]
        if not address:
            pytest.skip("this machine has only loopback, which browsers trust")
        async with open_page(f"http://{address[0]}:{server.port}/#token={TOKEN}") as page:
            await page.page.locator("#talk:enabled").click()
            await page.wait_for_state("idle")
            assert f"ssh -L {server.port}:localhost:{server.port} {address[0]}" in await page.error()


@doors
async def test_the_token_in_the_link_opens_the_page_and_leaves_the_address_bar():
    async with serving(Script(), token=TOKEN) as server, open_page(f"{server.url}#token={TOKEN}") as page:
        await page.talk()
        assert await page.page.evaluate("location.href") == server.url
        assert await page.page.evaluate("document.cookie") == "", "scripts can't read it"
        await page.hang_up()
        await page.page.reload()
        await page.talk()
        assert page.console == []
        assert not any(TOKEN in url for url in page.requests)


@doors
@pytest.mark.parametrize(
    ("link", "says"),
    [("", "open the link that was shown"), (f"#token={'x' * 20}", "did not take this link")],
)
async def test_a_page_without_the_right_token_says_so_until_the_right_link_is_pasted_there(link, says):
    async with serving(Script(), token=TOKEN) as server, open_page(server.url + link) as page:
        await page.wait_for_state("locked")
        assert says in await page.error()
        assert await page.page.locator("#talk").is_disabled()
        assert server.sessions == 0
        await page.page.goto(f"{server.url}#token={TOKEN}")
        await page.wait_for_state("idle")
        assert await page.error() == ""
        assert await page.page.evaluate("location.href") == server.url


@doors
async def test_a_page_whose_cookie_is_over_gets_another_one_and_calls():
    async with serving(Script(), token=TOKEN) as server, open_page(f"{server.url}#token={TOKEN}") as page:
        await page.wait_for_state("idle")
        await page.page.context.clear_cookies()
        await page.talk()
        assert server.sessions == 1


@doors
async def test_a_full_server_is_said_and_the_page_gets_in_by_itself(tmp_path):
    script = Script()
    async with serving(script, max_sessions=1) as server, open_page(server.url) as first:
        await first.talk()
        async with open_page(server.url) as second:
            await second.page.locator("#talk:enabled").click()
            await second.wait_for_state("busy")
            assert "All conversations are taken" in await second.error()
            assert re.search(r"trying again in [1-5] s", await second.page.locator("#state").inner_text())
            await shot(second, "busy", tmp_path)
            await second.page.locator("#talk", has_text="Stop waiting").click()
            await second.wait_for_state("idle")
            await second.page.locator("#talk:enabled").click()
            await second.wait_for_state("busy")
            await first.hang_up()
            await second.wait_for_state("listening")
            assert await second.error() == ""
            assert second.console == []


@doors
async def test_messages_that_are_written_while_one_waits_are_all_said_or_given_back():
    script = Script()
    async with (
        serving(script, max_sessions=1) as server,
        open_page(server.url) as first,
        open_page(server.url) as second,
    ):
        await first.talk()
        await second.page.locator("#talk:enabled").click()
        await second.wait_for_state("busy")
        await second.write("One.")
        await second.write("Two.")
        await second.page.locator("#talk", has_text="Stop waiting").click()
        await second.wait_for_state("idle")
        assert await second.page.locator("#text").input_value() == "One. Two."
        await second.page.locator("#text").fill("")
        await second.page.locator("#talk:enabled").click()
        await second.wait_for_state("busy")
        await second.write("Three.")
        await second.write("Four.")
        await first.hang_up()
        await second.wait_for_state("listening")
        await until(lambda: len(script.controls) >= 2)
        assert script.controls == [Typed("Three."), Typed("Four.")]
        assert second.console == []


@doors
async def test_a_server_that_takes_the_connection_and_says_nothing_is_said_to_be_away():
    async with serving(Script()) as server, open_page(server.url) as page:
        await page.page.route("**/healthz", lambda route: None)
        await page.page.reload()
        await page.wait_for_state("unreachable")


@doors
async def test_blocked_sound_is_said_until_it_is_heard():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        refuse = "() => Promise.reject(new DOMException('', 'NotAllowedError'))"
        await page.page.evaluate(f"() => {{ HTMLMediaElement.prototype.play = {refuse}; }}")
        await page.talk()
        script.transport.notify(Caption("user", 1, "Hello?", final=True))
        await page.page.get_by_text("Hello?", exact=True).wait_for()
        assert "blocks sound" in await page.error()


@doors
async def test_a_microphone_that_opens_after_hanging_up_is_closed_again():
    async with serving(Script()) as server, open_page(server.url) as page:
        await page.talk()
        await page.page.evaluate(
            """() => {
                const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
                navigator.mediaDevices.getUserMedia = async (what) => {
                    await new Promise((go) => (window.allow = go));
                    return (window.late = await open(what));
                };
            }"""
        )
        await page.page.locator("#settings").click()
        await page.page.locator("#microphone").select_option(index=1)
        await page.page.locator("#close").click()
        await page.hang_up()
        await page.page.evaluate("window.allow()")
        ended = "window.late?.getTracks().every((one) => one.readyState === 'ended')"
        # Not `wait_for_function`: when it has to look twice the page's policy forbids it.
        async with asyncio.timeout(5.0):
            while not await page.page.evaluate(ended):  # noqa: ASYNC110  (nobody tells us)
                await asyncio.sleep(0.05)


@doors
async def test_a_notice_is_shown():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        script.transport.notify(Notice("The language model failed."))
        await page.page.get_by_role("alert").filter(has_text="The language model failed.").wait_for()
        assert await page.state() == "listening"


@doors
async def test_a_stopping_server_is_said_as_a_lost_connection(tmp_path):
    script = Script()
    server = serving(script)
    async with server:
        context = open_page(server.url)
        page = await context.__aenter__()
        await page.talk()
    try:
        await page.wait_for_state("lost")
        assert await page.error() == "The assistant hung up: the server is stopping. Trying to bring it back."
        await shot(page, "lost", tmp_path)
    finally:
        await context.__aexit__(None, None, None)


@doors
async def test_a_reloaded_page_frees_its_conversation_at_once():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        assert server.sessions == 1
        await page.page.reload()
        await until(lambda: server.sessions == 0, 1.5)
        await page.talk()
        assert server.sessions == 1


@doors
async def test_a_killed_browser_is_noticed_within_five_seconds():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        for child in psutil.Process().children(recursive=True):
            if "chrom" in child.name():
                child.send_signal(signal.SIGKILL)
        await until(lambda: server.sessions == 0, 5.0)


def test_the_page_asks_for_nothing_outside():
    for name, _ in FILES.values():
        text = (PAGE / name).read_text("utf-8")
        assert not re.search(r"https?://(?!localhost|www\.w3\.org/2000/svg)", text), name
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text
