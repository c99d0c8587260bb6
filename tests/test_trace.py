import json

import pytest
from fakes import ScriptedLlm, ScriptedStt, conversation

from local_voice.events import Typed
from local_voice.settings import LlmSettings, RecordingSettings, ServerSettings, Settings, TurnSettings
from local_voice.trace import TraceError, TraceWriter, Veil, hide_words, replay


async def traced(path, settings: Settings) -> None:
    stt, llm = ScriptedStt("Hello.", "Stop."), ScriptedLlm("A long story. |!|more", "Fine.")
    with TraceWriter(path, settings) as trace:
        async with conversation(stt, llm, settings=settings, trace=trace) as (user, _):
            await user.ask()
            for _ in range(30):
                await user.listen(0.02)
                await user.hear(".")
            await user.hear("#" * 20 + "." * 12)
            await user.listen(1.0)


async def test_a_replayed_trace_gives_the_same_commands(tmp_path):
    path = tmp_path / "trace.jsonl"
    await traced(path, Settings(llm=LlmSettings(api_key="very secret")))
    assert replay(path) == []
    assert "very secret" not in path.read_text()


async def test_a_changed_judgement_is_reported(tmp_path):
    path = tmp_path / "trace.jsonl"
    await traced(path, Settings())
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    header["settings"]["turn"] = TurnSettings(confident_seconds=0.9).model_dump()
    path.write_text("\n".join([json.dumps(header), *lines[1:]]))
    differences = replay(path)
    assert differences
    assert "Release" in differences[0]


@pytest.mark.parametrize(
    "content", ["", "nonsense", '{"settings": {}}\n{"now": 1}', '{"settings": {"x": 1}}']
)
def test_what_is_no_trace_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.jsonl"
    path.write_text(content)
    with pytest.raises(TraceError, match=r"broken\.jsonl"):
        replay(path)


async def test_hidden_words_leave_the_decisions_as_they_were(tmp_path):
    path, hidden = tmp_path / "trace.jsonl", tmp_path / "hidden.jsonl"
    await traced(path, Settings(llm=LlmSettings(system_prompt="You are Hal."), turn=TurnSettings()))
    assert hide_words(path, hidden) == []
    assert replay(hidden) == []
    text = hidden.read_text()
    assert "story" not in text
    assert "Hal" not in text
    assert "Stop" in text  # a word that the judgement looks for
    assert len(text.splitlines()) == len(path.read_text().splitlines())
    assert path.stat().st_mode & 0o077 == 0, "what was said is nobody else's to read"


def test_hidden_words_leave_no_name_of_a_host_or_a_person_in_the_settings(tmp_path):
    path, hidden = tmp_path / "trace.jsonl", tmp_path / "hidden.jsonl"
    server = ServerSettings(allowed_hosts=("voice.secret.example",))
    with TraceWriter(path, Settings(server=server, recording=RecordingSettings(folder="/home/secret"))):
        pass
    hide_words(path, hidden)
    assert "secret" in path.read_text()
    assert "secret" not in hidden.read_text()


@pytest.mark.parametrize(
    ("language", "said", "shown"),
    [
        ("en", "My PIN is four seven, Zero nine.", "one one, One one."),
        ("en", "Oh, double five", "Oh, double one"),
        ("de", "vier sieben", "one one"),
    ],
)
def test_a_number_that_is_spelled_out_is_hidden_too(language, said, shown):
    assert Veil(language)(said).endswith(shown)


def test_a_line_separator_in_what_was_said_does_not_break_the_trace(tmp_path):
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, Settings()) as writer:
        writer.write(0.0, Typed(" "), [])
        writer.write(1.0, Typed("\u2028\x85"), [])
    assert replay(path) == []


def test_the_same_word_is_always_hidden_by_the_same_one():
    veil = Veil("en")
    assert veil("Anna, call Anna.") == veil("Anna, call Anna.")
    first, _, second = veil("Anna, call anna.").split()
    assert first[:-1] == second[:-1].capitalize()
    assert veil("I want to go to the 1984 show.").startswith("I ")
    assert veil("room 25b") == veil("room 36c")
