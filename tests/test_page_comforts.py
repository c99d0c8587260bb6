"""What makes the page a pleasure: times, writing, saving, coming back by itself, choices, small screens."""

import asyncio
import json
import re

import numpy as np
import pytest
from aioice.ice import get_host_addresses
from browser import open_page
from fakes import Entered, LevelVad, ScriptedLlm, ScriptedTurn, ToneTts, tone
from test_page import Script, serving, shot, until

from local_voice.audio import write_wav
from local_voice.events import ChooseMode, Message, Typed
from local_voice.sentences import SENTENCES
from local_voice.server import PAGE, Server
from local_voice.session import Engines, Session
from local_voice.settings import ServerSettings, Settings
from local_voice.stages import Caption, Manner, Mode, Notice, Recording, Speech, Status, Timing, Voices
from local_voice.transcript import Transcript

doors = pytest.mark.doors
RATE = 48_000
SECONDS = {"transcript": 0.21, "first_token": 0.36, "first_sound": 0.58, "decided": 0.3, "playback": 0.6}
EVIL = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>\u202e & &amp; ${1}"


class Quiet(LevelVad):
    """Speech is what is loud after a browser's noise suppression."""

    def probability(self, window) -> float:
        return 0.95 if np.abs(window).max() > 0.03 else 0.02


class SlowStt(Entered):
    """Recognises the words that the test says."""

    words = ""

    async def transcribe(self, samples, *, final: bool, draft: str = "") -> Transcript:
        await asyncio.sleep(0.05)
        return Transcript(self.words)


def voice(seconds: float) -> np.ndarray:
    """A buzz that swells like syllables: browsers take a steady tone for noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 12))
    return (0.25 * buzz * (0.7 + 0.3 * np.sin(2 * np.pi * 5 * time))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


@doors
async def test_a_conversation_of_three_turns_with_an_interruption(tmp_path):
    microphone = tmp_path / "microphone.wav"
    sound = (silence(1.0), voice(0.8), silence(3.2), voice(0.8), silence(2.4), voice(1.2), silence(20.0))
    write_wav(microphone, [np.concatenate(sound)], RATE)
    stt = SlowStt()
    story = "Once upon a time there was a king who had three sons and many horses. " * 4
    llm = ScriptedLlm("It is noon.", story, "They were brown.")
    apologies = {text: Speech(tone(text).samples, ()) for text in SENTENCES}
    engines = Engines(Quiet(), ScriptedTurn(), stt, llm, ToneTts(), apologies)
    sessions = []

    async def converse(transport) -> None:
        sessions.append(Session(engines, Settings(), transport))
        await sessions[-1].run()

    stt.words = "What time is it?"
    async with (
        Server(converse, lambda: "", ServerSettings(port=0)) as server,
        open_page(server.url, microphone=microphone) as page,
    ):
        await page.talk()
        await page.wait_for_caption("assistant", "It is noon.", turn=1)
        stt.words = "Tell me a story."
        await page.wait_for_caption("assistant", "Once upon", turn=2, final=False)
        stt.words = "What colour were the horses?"
        cut = await page.wait_for_caption("assistant", "Once upon", turn=2)
        await page.wait_for_caption("assistant", "They were brown.", turn=3)
        captions = await page.captions()
        assert cut.interrupted
        assert [(one.role, one.turn, one.interrupted) for one in captions] == [
            ("user", 1, False),
            ("assistant", 1, False),
            ("user", 2, False),
            ("assistant", 2, True),
            ("user", 3, False),
            ("assistant", 3, False),
        ]
        history = sessions[0].conversation.history
        assert [message.content for message in history] == [one.text for one in captions]
        assert len(cut.text.split()) < len(story.split())
        assert re.fullmatch(r"p50 \d\.\d\d s · p95 \d\.\d\d s · 3 answers", await page.pace())
        rows = await page.waterfall()
        assert [label for label, _ in rows][-1] == "In your ear"
        assert 0.2 < float(rows[-1][1]) < 3.0
        await shot(page, "three-turns", tmp_path)
        assert page.console == []


@doors
@pytest.mark.parametrize("remembers", [True, False])
async def test_a_dropped_peer_comes_back_by_itself_and_the_conversation_goes_on(remembers, tmp_path):
    script = Script()
    script.remembers = remembers
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        first = script.transport
        first.notify(Caption("user", 1, "Tell me a story.", final=True))
        first.notify(Caption("assistant", 1, "Once upon", final=False))
        await page.wait_for_caption("assistant", "Once upon", final=False)
        script.open.clear()
        if remembers:
            await first.close("the network between us is broken")
        else:
            await first._peer.close()  # without a word
        await page.wait_for_state("lost")
        await asyncio.wait_for(script.open.wait(), 5.0)
        await page.wait_for_state("listening")
        assert script.transport is not first
        assert script.transport.messages == ((Message("user", "Hello."),) if remembers else ())
        again = "Connected again" if remembers else "what was said before is forgotten"
        await page.page.locator("#captions").get_by_text(again).wait_for()
        assert await page.error() == ""
        assert [(one.text, one.interrupted) for one in await page.captions()] == [
            ("Tell me a story.", False),
            ("Once upon", True),
        ]
        script.transport.notify(Notice("The language model failed."))
        await page.page.get_by_role("alert").get_by_text("failed").wait_for()
        script.transport.notify(Caption("user", 1, "And then?", final=True))  # turns are counted anew
        await page.wait_for_caption("user", "And then?")
        assert len(await page.captions()) == 3
        assert await page.error() == ""
        await until(lambda: server.sessions == 1)
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
        assert page.console == []


@doors
async def test_a_server_that_is_started_again_is_waited_for():
    script, warming = Script(), "loading the voice"
    async with serving(script) as server:
        context = open_page(server.url)
        page = await context.__aenter__()
        await page.talk()
        script.transport.notify(Caption("user", 1, "Hello.", final=True))
        await page.wait_for_caption("user", "Hello.")
        port = server.port
    try:
        await page.wait_for_state("lost")
        async with Server(script, lambda: warming, ServerSettings(port=port)) as server:
            await page.page.get_by_text("Reconnecting: loading the voice").wait_for()
            warming = ""
            await page.wait_for_state("listening")
            await page.page.get_by_text("what was said before is forgotten").wait_for()
            assert await page.error() == ""
    finally:
        await context.__aexit__(None, None, None)


@doors
async def test_where_the_time_went_is_shown_at_a_click_and_the_whole_can_be_saved(tmp_path):
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.wait_for_state("idle")
        assert await page.page.locator("#save").is_disabled()
        await page.talk()
        notify = script.transport.notify
        notify(Caption("user", 1, "Who are you?", final=True))
        notify(Timing(1, SECONDS))
        await page.page.get_by_text("1 answer").wait_for()
        assert [one.role for one in await page.captions()] == ["user"]  # nothing has been heard yet
        notify(Caption("assistant", 1, "I am a", final=True, interrupted=True))
        await page.wait_for_caption("assistant", "I am a")
        rows = await page.waterfall()
        assert rows[:5] == [
            ["Words recognised", "0.21"],
            ["Sure that you had finished", "0.30"],
            ["First word of the answer", "0.36"],
            ["First sound of the answer", "0.58"],
            ["Sent", "0.60"],
        ]
        assert rows[5][0] == "In your ear"
        assert float(rows[5][1]) >= 0.6
        await shot(page, "waterfall", tmp_path)
        saved = {}
        for button in ("#save-text", "#save-trace"):
            await page.page.locator("#save").click()
            async with page.page.expect_download() as download:
                await page.page.locator(button).click()
            saved[button] = (await (await download.value).path()).read_text()
        assert saved["#save-text"] == "You: Who are you?\n\nAssistant: I am a —\n"
        lines = [json.loads(line) for line in saved["#save-trace"].splitlines()]
        assert {line["from"] for line in lines} == {"page", "server"}
        assert [line["message"] for line in lines if line["message"]["type"] == "timing"] == [
            {"type": "timing", "turn": 1, "seconds": SECONDS}
        ]
        await page.page.locator("#new").click()
        await page.wait_for_state("listening")
        assert await page.captions() == []
        assert await page.page.locator("#pace").is_hidden()
        assert script.transport.messages == ()
        assert page.console == []


@doors
async def test_writing_works_in_a_conversation_and_without_a_microphone(tmp_path):
    if get_host_addresses(True, True) in ([], ["127.0.0.1"], ["::1"]):
        pytest.skip(
            "without a microphone Chromium hides its addresses behind names that loopback can't look up"
        )
    script = Script()
    async with serving(script) as server, open_page(server.url, allow=False, width=390) as page:
        await page.page.locator("#talk:enabled").click()
        await page.wait_for_state("idle")
        assert "Or write your message below." in await page.error()
        await page.write("  What time is it?  ")
        await until(lambda: script.controls == [Typed("What time is it?")])
        script.transport.notify(Caption("user", 1, "What time is it?", final=True))
        await page.write("And where?")
        await until(lambda: script.controls[1:] == [Typed("And where?")])
        script.transport.notify(Caption("user", 2, "And where?", final=True))
        assert await page.error() == ""
        await until(lambda: len(script.received) > 50)
        assert np.abs(script.heard(1.0)).max() < 0.001
        assert await page.page.locator("#text").input_value() == ""
        await shot(page, "writing-phone", tmp_path)
        assert page.console == []


@doors
async def test_a_recording_is_shown_while_it_is_on():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        badge = page.page.locator("#recorded", has_text="Recorded")
        await page.talk()
        assert await badge.is_hidden()
        script.transport.notify(Recording(True))
        await badge.wait_for()
        script.transport.notify(Recording(False))
        await badge.wait_for(state="hidden")
        script.transport.notify(Recording(True))
        await badge.wait_for()
        await page.hang_up()
        await badge.wait_for(state="hidden")


@doors
async def test_nothing_that_is_said_is_ever_markup():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        notify = script.transport.notify
        notify(Caption("user", 1, EVIL[:20], final=False))
        notify(Caption("user", 1, EVIL, final=True))
        notify(Caption("assistant", 1, EVIL, final=False))
        notify(Caption("assistant", 1, EVIL, final=True, interrupted=True))
        notify(Timing(1, {EVIL: 1.0, "playback": 0.5}))
        notify(Notice(EVIL))
        notify(Status(EVIL[:30]))
        notify(Mode(EVIL))
        notify(Caption("<b>nobody", 1, EVIL, final=True))
        await page.page.get_by_role("alert").get_by_text("<img src=x", exact=False).wait_for()
        assert [one.text for one in await page.captions()] == [EVIL, EVIL]
        assert await page.page.locator("img, script:not([src])").count() == 0
        await page.write(EVIL)
        await until(lambda: script.controls != [])
        assert "<img src=x onerror" in script.controls[0].text
        assert await page.page.evaluate("window.pwned") is None
        assert page.console == []


@doors
async def test_choices_are_kept_in_the_browser_and_told_to_the_server():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        await page.page.locator("#settings").click()
        await page.page.locator("#mode").select_option("push_to_talk")
        await until(lambda: script.controls == [ChooseMode("push_to_talk")])
        options = await page.page.locator("#microphone option").all_inner_texts()
        assert len(options) > 1, "the fake microphones are listed"
        old = script.transport
        await page.page.locator("#microphone").select_option(index=1)
        await page.page.locator("#close").click()
        await asyncio.sleep(0.5)
        script.received.clear()
        await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
        assert script.transport is old, "the same call goes on with the other microphone"
        await page.page.reload()
        await page.talk()
        await until(lambda: script.controls[1:] == [ChooseMode("push_to_talk")])
        await page.page.locator("#settings").click()
        assert await page.page.locator("#mode").input_value() == "push_to_talk"
        assert await page.page.locator("#microphone").input_value() != ""
        assert page.console == []


@doors
async def test_voice_and_speed_are_chosen_kept_and_used_again(tmp_path):
    script, joe, amy = Script(), "piper-en_US-joe-medium", "piper-en_GB-amy-low"
    async with serving(script) as server, open_page(server.url) as page:
        speaks, speed, settings = (page.page.locator(f"#{id}") for id in ("speaks", "speed", "settings"))
        await page.talk()
        script.transport.notify(Voices((joe,), joe, None))
        await settings.click()
        assert await speaks.is_hidden(), "where there is one voice there is no choice"
        await speed.select_option("1.3")
        await until(lambda: script.controls == [Manner("", 1.3)])
        script.transport.notify(Voices((joe, amy, "own"), joe, 1.3))
        await speaks.wait_for()
        named = ["Joe, American English, medium", "Amy, British English, low", "own"]
        assert await speaks.locator("option").all_inner_texts() == named
        await speaks.focus()
        await page.page.keyboard.press("ArrowDown")
        await until(lambda: script.controls[1:] == [Manner(amy, 1.3)])
        script.transport.notify(Voices((joe, amy, "own"), amy, 1.3))
        await shot(page, "voice-and-speed", tmp_path)
        await page.page.reload()
        await page.talk()
        await asyncio.sleep(0.3)
        assert script.controls[2:] == [], "it waits to hear that there is a choice"
        script.transport.notify(Voices((joe, amy), joe, None))
        await until(lambda: script.controls[2:] == [Manner(amy, 1.3)])
        # A voice that can't be used: the server says so, and the page shows who speaks.
        script.transport.notify(Notice("The voice can't be used."))
        script.transport.notify(Voices((joe, amy), joe, None))
        await settings.click()
        await page.page.locator("#error", has_text="can't be used").wait_for(state="attached")
        assert await speaks.input_value() == ""
        assert await speed.input_value() == "1.3"
        await speed.select_option("")
        await until(lambda: script.controls[3:] == [Manner()])
        assert page.console == []


@doors
async def test_a_held_reply_is_shown_as_paused_until_its_interruption_has_words():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        await page.talk()
        notify = script.transport.notify
        shapes = {}
        for said, shown in (("speaking", "speaking"), ("hearing", "paused"), ("speaking", "speaking")):
            notify(Status(said))
            await page.wait_for_state(shown)
            shapes[shown] = await page.page.locator("#orb-icon").get_attribute("href")
        notify(Status("hearing"))
        await page.wait_for_state("paused")
        notify(Caption("user", 2, "Stop", final=False))
        await page.wait_for_state("hearing")
        shapes["hearing"] = await page.page.locator("#orb-icon").get_attribute("href")
        assert len(set(shapes.values())) == 3
        level = "getComputedStyle(document.querySelector('[data-side=user] i')).getPropertyValue('--level')"
        async with asyncio.timeout(5.0):
            while float(await page.page.evaluate(level)) < 0.3:  # noqa: ASYNC110 (it beeps each second)
                await asyncio.sleep(0.02)


@doors
async def test_everything_fits_a_phone_has_a_name_and_is_reached_by_keyboard(tmp_path):
    script = Script()
    async with serving(script) as server, open_page(server.url, width=320, height=568) as page:
        await page.talk()
        script.transport.notify(Mode("push_to_talk"))
        script.transport.notify(Caption("user", 1, "A" * 200, final=True))
        script.transport.notify(Timing(1, SECONDS))
        script.transport.notify(Caption("assistant", 1, "Well, " * 40, final=True, interrupted=True))
        await page.wait_for_caption("assistant", "Well")
        await page.waterfall()
        await shot(page, "small-phone", tmp_path)
        assert await page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = """() => [...document.querySelectorAll('button, input, select, summary')]
            .filter((e) => e.checkVisibility({ visibilityProperty: true }))
            .filter((e) => { const r = e.getBoundingClientRect();
                return e.tagName !== 'SUMMARY' && (r.height < 44 || r.left < 0 || r.right > innerWidth
                    || r.bottom > innerHeight + 1 || e.scrollWidth > e.clientWidth + 1); })
            .map((e) => e.id)"""
        assert await page.page.evaluate(small) == []
        nameless = """() => [...document.querySelectorAll('button, input, select')]
            .filter((e) => !(e.ariaLabel || e.innerText || e.labels?.length)).map((e) => e.id)"""
        assert await page.page.evaluate(nameless) == []
        reached = set()
        for _ in range(20):
            await page.page.keyboard.press("Tab")
            reached.add(await page.page.evaluate("document.activeElement.id"))
        assert {"talk", "mute", "hold", "text", "send", "settings", "new", "save", "scroll"} <= reached
        await page.page.evaluate("document.activeElement.blur()")
        await page.page.keyboard.press("m")
        await page.wait_for_state("muted")
        assert await page.page.locator("#mute").get_attribute("aria-pressed") == "true"
        await page.page.keyboard.press("/")
        await page.page.keyboard.type("m/")
        assert await page.page.locator("#text").input_value() == "m/"
        assert await page.state() == "muted"
        assert page.console == []


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css))


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1])
def test_text_stands_out_from_its_ground(theme):
    """WCAG 2.2 AA asks for 4.5 to 1."""
    found = colours((PAGE / "style.css").read_text().split("prefers-color-scheme: dark")[theme])
    pairs = [("ink", one) for one in ("ground", "raised", "user")]
    pairs += [("faint", one) for one in ("ground", "raised", "user")]
    pairs += [("on-accent", "accent"), ("trouble", "trouble-soft"), ("thought", "thought-soft")]
    pairs += [("trouble", "ground"), ("accent", "raised")]
    for text, ground in pairs:
        light, dark = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
