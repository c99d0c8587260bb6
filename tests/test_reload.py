"""Settings that change while the server runs, and SIGHUP that says so."""

import asyncio
import logging
import os
import signal

import pytest

from local_voice import serving, signals
from local_voice.reload import LIVE, SETTLED, merged
from local_voice.server import Server
from local_voice.settings import LlmSettings, ServerSettings, Settings, SttSettings, TurnSettings
from local_voice.settings_sources import SettingsError
from local_voice.transports.ice import check_ice


def test_what_a_conversation_asks_for_changes_and_what_was_loaded_stays():
    old = Settings()
    new = Settings(
        turn=TurnSettings(confident_seconds=0.3, wake_phrase="computer"),
        llm=LlmSettings(system_prompt="Be brief.", temperature=1.0),
        stt=SttSettings(model="whisper-tiny.en"),
        server=ServerSettings(max_sessions=9, port=1),
    )
    found, changed, waiting = merged(old, new)
    assert sorted(changed) == ["llm.system_prompt", "server.max_sessions", "turn.confident_seconds"]
    assert sorted(waiting) == ["llm.temperature", "server.port", "stt.model", "turn.wake_phrase"]
    assert (found.turn.confident_seconds, found.turn.wake_phrase) == (0.3, "")
    assert (found.server.max_sessions, found.server.port) == (9, old.server.port)
    assert (found.llm.system_prompt, found.llm.temperature) == ("Be brief.", old.llm.temperature)
    assert merged(old, Settings()) == (old, [], [])
    assert merged(old, Settings(profile="cuda"))[2] == ["profile"]


def test_a_turn_server_comes_with_its_secret_and_a_new_secret_counts_at_once():
    old = Settings()
    turn = ServerSettings(ice_servers=("turn:turn.example:3478",), turn_secret="s3cret", relay_only=True)
    found, changed, waiting = merged(old, Settings(server=turn))
    assert sorted(changed) == ["server.ice_servers", "server.relay_only", "server.turn_secret"]
    assert waiting == []
    check_ice(found.server)
    rotated = Settings(server=turn.model_copy(update={"turn_secret": "another"}))
    assert merged(found, rotated)[0].server.turn_secret == "another"


def test_all_that_is_called_live_or_settled_is_a_setting():
    settings = Settings()
    for group, fields in LIVE.items():
        assert (fields or frozenset()) <= set(type(getattr(settings, group)).model_fields), group
    for name in SETTLED:
        group, _, field = name.partition(".")
        assert field in type(getattr(settings, group)).model_fields


class Loaded:
    """An assistant that has settings, and finds a voice."""

    def __init__(self) -> None:
        self.settings = Settings()

    def find_voices(self) -> tuple[str, ...]:
        return ("amy",)


def test_a_file_that_is_broken_changes_nothing_and_is_said(caplog):
    def load() -> Settings:
        raise SettingsError("local-voice.toml, line 3: no")

    assistant = Loaded()
    server = Server(None, lambda: "", assistant.settings.server)
    serving._reload(load, assistant, server)
    assert assistant.settings == Settings()
    assert "stay as they are: local-voice.toml, line 3" in caplog.text


def test_new_settings_count_for_the_assistant_and_the_door(caplog):
    caplog.set_level(logging.INFO)
    assistant = Loaded()
    server = Server(None, lambda: "", assistant.settings.server)
    new = Settings(server=ServerSettings(max_sessions=9, tls="self-signed"))
    serving._reload(lambda: new, assistant, server)
    assert assistant.settings.server.max_sessions == 9
    server._admission.check(8)
    assert b"local_voice_sessions_limit 9.0" in server.metrics.text()
    assert "changed: server.max_sessions" in caplog.text
    assert "need a restart: server.tls" in caplog.text
    assert "can be chosen now: amy" in caplog.text


def test_ice_servers_that_are_none_change_nothing_and_are_said(caplog):
    assistant = Loaded()
    server = Server(None, lambda: "", assistant.settings.server)
    new = Settings(server=ServerSettings(ice_servers=("stn:stun.example:1",), max_sessions=9))
    serving._reload(lambda: new, assistant, server)
    assert assistant.settings == Settings()
    assert "stay as they are" in caplog.text


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_hang_up_reloads_a_service_and_stops_a_program_in_a_closed_terminal(monkeypatch, terminal):
    monkeypatch.setattr(signals, "has_terminal", lambda: terminal)
    told = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: told.append("stopped"))
    try:
        with signals.reloading(lambda: told.append("reloaded")):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGHUP)
        assert told == ["stopped" if terminal else "reloaded", "stopped"]
    finally:
        signal.signal(signal.SIGHUP, before)
