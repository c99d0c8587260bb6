"""The talk key and the choice of how turns are taken, through everything that happens to a conversation."""

import asyncio

import pytest
from browser import open_page
from test_page import Script, serving, until

from local_voice.events import ChooseMode, PushToTalk
from local_voice.stages import Mode

doors = pytest.mark.doors
DOWN, UP = PushToTalk(down=True), PushToTalk(down=False)
LONG_PRESS = """button => !button.dispatchEvent(
    new MouseEvent("contextmenu", { bubbles: true, cancelable: true, button: 0 }))"""


@doors
async def test_the_talk_key_is_held_as_long_as_the_finger_is_down():
    script = Script()
    async with serving(script) as server, open_page(server.url, width=390) as page:
        hold, mouse, keyboard = page.page.locator("#hold"), page.page.mouse, page.page.keyboard
        await page.talk()
        script.transport.notify(Mode("push_to_talk"))
        await hold.hover()
        await mouse.down(button="right")
        await mouse.up(button="right")
        await mouse.down()
        await until(lambda: script.controls == [DOWN])
        assert await hold.evaluate(LONG_PRESS), "Android's menu would take the touch"

        for press, let_go in (
            (lambda: asyncio.sleep(0), mouse.up),
            (lambda: keyboard.down("Space"), lambda: keyboard.up("Space")),
        ):
            await press()
            await until(lambda: script.controls[-1] == DOWN)
            script.controls.clear()
            script.open.clear()
            await script.transport._peer.close()
            await page.wait_for_state("lost")
            await asyncio.wait_for(script.open.wait(), 15.0)
            script.transport.notify(Mode("push_to_talk"))
            await until(lambda: script.controls == [DOWN])
            assert await hold.inner_text() == "Listening to you"
            await let_go()
            await until(lambda: script.controls == [DOWN, UP])
            assert await hold.inner_text() == "Hold to talk"
        assert page.console == []


@doors
async def test_the_server_s_own_way_of_taking_turns_can_be_chosen_again():
    script = Script()
    async with serving(script) as server, open_page(server.url) as page:
        mode, hold = page.page.locator("#mode"), page.page.locator("#hold")
        await page.talk()
        script.transport.notify(Mode("half_duplex"))
        await page.page.locator("#settings").click()
        for choice, name in (("push_to_talk", "push_to_talk"), ("", "half_duplex")):
            await mode.select_option(choice)
            await until(lambda: script.controls[-1:] == [ChooseMode(name)])  # noqa: B023
            script.transport.notify(Mode(name))
            await hold.wait_for(state="visible" if choice else "hidden")
        assert page.console == []
