"""What a running server says of itself: alive, ready, and whether it really answers a question.

    local-voice doctor --url https://voice.example:8765

Asked over HTTP, from outside, as whoever keeps watch would. It must not know how the server finds out.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from local_voice.access import is_local
from local_voice.doctor import Finding

SECONDS = 30.0
"""Longest wait for an answer; a turn on a slow CPU takes 5."""


def examine_server(url: str, token: str = "") -> list[Finding]:
    """What is right and wrong with the server at `url`. `token`: what opens its door, if it is locked."""
    base = url.rstrip("/")
    status, facts = _ask(f"{base}/healthz", token)
    if status != 200:
        why = facts.get("error") or f"HTTP {status}, so it is no local-voice server"
        return [Finding("server", "bad", f"{base} does not answer: {why}", "start `local-voice serve`")]
    found = [Finding("server", "ok", f"{base} answers")]
    if not facts.get("ready"):
        warming = facts.get("warming") or "its models"
        return [*found, Finding("models", "bad", f"still warming up: {warming}", "wait half a minute")]
    found.append(Finding("models", "ok", "loaded"))
    status, facts = _ask(f"{base}/canary", token)
    if status == 401:
        mend = "ask on the server's own machine, or set LOCAL_VOICE_SERVER__TOKEN"
        return [*found, Finding("canary turn", "warn", "the server needs its token for that", mend)]
    if status == 200 and facts.get("ok"):
        said = f"heard “{facts.get('heard')}” and answered in {facts.get('seconds')} s"
        return [*found, Finding("canary turn", "ok", said)]
    problem = str(facts.get("problem") or facts.get("error") or f"HTTP {status}")
    return [*found, Finding("canary turn", "bad", problem, "look into the server's log")]


def _ask(url: str, token: str) -> tuple[int, dict[str, object]]:
    """Status (0 where nobody answers) and facts."""
    if urlsplit(url).scheme not in ("http", "https"):
        return 0, {"error": "the address has to begin with http:// or https://"}
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    context = ssl.create_default_context()
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if is_local(urlsplit(url).hostname or ""):
        # On the way to ourselves a certificate that was made here vouches for nothing, and a proxy of the
        # environment would look for us on its own machine.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
            return answer.status, _facts(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _facts(error.read())
    except (OSError, ValueError, HTTPException) as error:
        return 0, {"error": str(getattr(error, "reason", error))}


def _facts(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"error": "it is no local-voice server"}
    return found if isinstance(found, dict) else {}
