"""The client in a page of another site: with a pass it talks, without one and from elsewhere it does not."""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from browser import open_page
from test_page import TOKEN, Script, serving, until

from local_voice.access import Lock
from local_voice.stages import Caption

doors = pytest.mark.doors
SITE = "https://intranet.example"
PAGE = Path(__file__).parent / "embedding.html"


async def passed(url: str, token: str = TOKEN) -> str:
    """What a site's own server does: exchange the token for a pass, which it hands to its pages."""
    async with aiohttp.ClientSession() as http, http.post(f"{url}token", json={"token": token}) as response:
        assert response.status == 204
        (morsel,) = response.cookies.values()
        return morsel.value


@doors
async def test_the_client_talks_from_a_page_of_another_site():
    script = Script()
    async with (
        other_site() as (site, server_of),
        serving(script, token=TOKEN, allowed_origins=(site,)) as server,
    ):
        server_of[site] = server.url
        async with open_page(site) as page:
            await page.page.locator("#talk").click()
            await page.page.locator("#state").get_by_text("listening").wait_for()
            script.transport.notify(Caption("assistant", 1, "Good <b>day</b>", final=True))
            await page.page.locator("#said li").get_by_text("Good <b>day</b>").wait_for()
            await until(lambda: np.abs(script.heard(2.0)).max() > 0.02)
            await page.page.locator("#talk").click()
            await until(lambda: server.sessions == 0)
            assert page.console == []
            assert not any(TOKEN in url for url in page.requests)


@asynccontextmanager
async def other_site():
    """A site with one page that embeds the client, and a pass for whoever may see that page."""
    server_of: dict[str, str] = {}

    async def page(request: web.Request) -> web.Response:
        text = PAGE.read_text().replace("SERVER", server_of[site].rstrip("/"))
        return web.Response(text=text, content_type="text/html")

    async def give_pass(request: web.Request) -> web.Response:
        return web.Response(text=await passed(server_of[site]))

    async def nothing(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/pass", give_pass), web.get("/favicon.ico", nothing)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site = f"http://localhost:{runner.addresses[0][1]}"
    try:
        yield site, server_of
    finally:
        await runner.cleanup()


async def ask(method: str, url: str, **headers: str) -> tuple[int, dict[str, str]]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=given) as response:
        return response.status, dict(response.headers)


async def test_only_a_configured_site_may_read_and_send():
    async with serving(Script(), token=TOKEN, allowed_origins=(SITE,)) as server:
        for origin, allowed in (
            (SITE, True),
            ("https://evil.example", False),
            ("null", False),
            (f"{SITE}:444", False),
        ):
            status, headers = await ask(
                "OPTIONS", f"{server.url}offer", Origin=origin, Access_Control_Request_Method="POST"
            )
            assert (status == 204) == allowed, origin
            assert ("Access-Control-Allow-Origin" in headers) == allowed
            assert "Access-Control-Allow-Credentials" not in headers
            _, headers = await ask("GET", f"{server.url}client.js", Origin=origin)
            assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
            assert headers["Vary"] == "Origin"
            status, _ = await ask(
                "POST",
                f"{server.url}offer",
                Origin=origin,
                Sec_Fetch_Site="cross-site",
                Content_Type="application/json",
            )
            assert status == (401 if allowed else 403)


async def test_a_pass_opens_for_a_while_and_a_made_up_one_does_not():
    async with serving(Script(), token=TOKEN, allowed_origins=(SITE,)) as server:
        given = await passed(server.url)
        assert TOKEN not in given
        good = {"Authorization": f"Bearer {given}", "Origin": SITE, "Content-Type": "application/json"}
        for change, status in ((given, 400), (given[:-1] + "0", 401), (Lock("x" * 20).cookie(0.0), 401)):
            headers = {**good, "Authorization": f"Bearer {change}"}
            if change == given[:-1] + "0" and given.endswith("0"):
                continue
            async with (
                aiohttp.ClientSession() as http,
                http.post(f"{server.url}offer", headers=headers, data="{}") as response,
            ):
                assert response.status == status


async def test_with_other_sites_a_token_is_always_needed():
    async with serving(Script(), allowed_origins=(SITE,)) as server:
        assert "#token=" in server.invitation
        status, _ = await ask("POST", f"{server.url}offer", Content_Type="application/json")
        assert status == 401


def test_the_example_of_the_documentation_is_the_page_that_is_tested():
    told = (Path(__file__).parent.parent / "docs" / "embedding.md").read_text()
    (example,) = re.findall(r"```html\n(.*?)```", told, re.DOTALL)
    tested = PAGE.read_text().replace("SERVER", "https://voice.example")
    assert example == tested
