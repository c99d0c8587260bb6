"""Where settings come from, which place wins, and what is said about the ones that can't be."""

from pathlib import Path

import pytest

from local_voice.settings import Settings
from local_voice.settings_sources import (
    LEAVES,
    PROFILE_DEFAULTS,
    Loaded,
    SettingsError,
    allowed,
    environment_name,
    load,
    unit,
    value,
)
from local_voice.toml_lines import key_lines


def read(
    text: str = "",
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, str] | None = None,
    detected: str = "cpu",
) -> Loaded:
    """Load with the given file, environment and flags and nothing else."""
    config = None
    if folder is not None:
        config = folder / "mine.toml"
        config.write_text(text)
    return load(config, flags or {}, detect=lambda: detected, variables=environment or {}, folders=())


def complaint(*args, **more) -> str:
    with pytest.raises(SettingsError) as error:
        read(*args, **more)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


def test_without_any_place_the_defaults_hold():
    loaded = read()
    assert loaded.settings == Settings()
    assert loaded.origins.pop("profile") == "detected"
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(LEAVES) - {"profile"}


def test_flags_beat_the_environment_which_beats_the_file_which_beats_the_profile(tmp_path):
    text = '[stt]\nmodel = "from-file"\nlanguage = "de"\ncompute_type = "int8"\n'
    loaded = read(
        text,
        folder=tmp_path,
        environment={"LOCAL_VOICE_STT__MODEL": "from-environment", "LOCAL_VOICE_STT__LANGUAGE": "fr"},
        flags={"stt.model": "from-flag"},
        detected="cuda",
    )
    stt = loaded.settings.stt
    assert (stt.model, stt.language, stt.compute_type, stt.device) == ("from-flag", "fr", "int8", "cuda")
    assert loaded.origins["stt.model"] == "flag --stt.model"
    assert loaded.origins["stt.language"] == "environment LOCAL_VOICE_STT__LANGUAGE"
    assert loaded.origins["stt.compute_type"] == f"file {tmp_path / 'mine.toml'} line 4"
    assert loaded.origins["stt.device"] == "cuda profile"
    assert loaded.origins["stt.threads"] == "default"


def test_a_profile_that_is_set_is_not_detected(tmp_path):
    def detect():
        raise AssertionError("asked although the flag says it")

    loaded = load(None, {"profile": "cuda"}, detect=detect, variables={}, folders=())
    assert loaded.settings.profile == "cuda"
    assert loaded.settings.llm.model == "qwen3-4b-instruct-2507"
    assert not loaded.settings.llm.eager
    assert loaded.origins["profile"] == "flag --profile"


@pytest.mark.parametrize("profile", sorted(PROFILE_DEFAULTS))
def test_the_defaults_of_a_profile_are_settings_that_make_sense(profile):
    loaded = read(detected=profile)
    for name, expected in PROFILE_DEFAULTS[profile].items():
        assert value(loaded.settings, name) == expected
        assert expected != value(Settings(), name), f"{name} repeats the default"


def test_the_settings_file_of_the_working_directory_comes_before_the_users_own(tmp_path):
    here, home = tmp_path / "here", tmp_path / "home"
    for folder, port in ((here, 1111), (home, 2222)):
        folder.mkdir()
        (folder / "local-voice.toml").write_text(f"server.port = {port}\n")

    def port(*folders: Path) -> int:
        loaded = load(None, {}, detect=lambda: "cpu", variables={}, folders=folders)
        return loaded.settings.server.port

    assert (port(here, home), port(home), port(tmp_path)) == (1111, 2222, 8765)


def test_text_from_flags_becomes_numbers_switches_and_lists():
    flags = {
        "turn.pause_seconds": "0.1",
        "server.port": "0",
        "llm.eager": "false",
        "server.ice_servers": "stun:a.example, turn:b.example",
        "llm.system_prompt": "",
        "stt.hotwords": "null",
        "tts.model": '["a"]',
    }
    settings = read(flags=flags).settings
    assert (settings.stt.hotwords, settings.tts.model) == ("null", '["a"]')
    assert settings.turn.pause_seconds == 0.1
    assert settings.server.port == 0
    assert settings.llm.eager is False
    assert settings.server.ice_servers == ("stun:a.example", "turn:b.example")
    assert settings.llm.system_prompt == ""


def test_variables_of_others_are_left_alone():
    loaded = read(environment={"LOCAL_VOICE_MODELS": "/weights", "LOCAL_VOICES": "7", "STT__MODEL": "x"})
    assert loaded.settings == Settings()


def test_an_unknown_key_is_named_with_file_line_and_what_was_meant(tmp_path):
    said = complaint("# mine\n[stt]\nmodle = 'x'\n", folder=tmp_path)
    assert said.startswith(f"file {tmp_path / 'mine.toml'} line 3: stt.modle is not a setting")
    assert "did you mean stt.model" in said


def test_a_key_in_the_wrong_section_is_found_in_the_right_one(tmp_path):
    said = complaint("[llm]\nconfident_seconds = 1\n", folder=tmp_path)
    assert "did you mean turn.confident_seconds?" in said


def test_an_unknown_section_without_a_likeness_points_to_the_list(tmp_path):
    said = complaint("[telephone]\nnumber = 1\n", folder=tmp_path)
    assert "line 2: telephone.number is not a setting; `local-voice settings` lists them all." in said


def test_a_single_underscore_in_a_variable_is_explained():
    said = complaint(environment={"LOCAL_VOICE_STT_MODEL": "x"})
    assert "LOCAL_VOICE_STT_MODEL is not a setting; did you mean LOCAL_VOICE_STT__MODEL" in said


def test_an_unknown_flag_is_explained():
    assert "--stt.modle is not a setting; did you mean --stt.model" in complaint(flags={"stt.modle": "x"})


@pytest.mark.parametrize(
    ("flag", "text", "takes"),
    [
        ("server.port", "eighty", "it takes a whole number of at least 0 and at most 65535 (TCP port)"),
        ("server.port", "70000", "at most 65535"),
        ("server.port", "1.5", "a whole number"),
        ("stt.device", "gpu", "it takes cpu or cuda"),
        ("profile", "rocm", "it takes cpu or cuda"),
        ("llm.eager", "perhaps", "it takes true or false"),
        ("vad.start_probability", "1.2", "a number of at least 0 and at most 1"),
        ("turn.pause_seconds", "-1", "a number of at least 0 (s)"),
        ("turn.longest_seconds", "inf", "a number of at least 0 (s)"),
        ("turn.pause_seconds", "nan", "a number of at least 0 (s)"),
        ("llm.max_tokens", "0", "a whole number above 0 (tokens)"),
        ("llm.threads", "0,x", "cores such as 0-3 or 0,2, or auto"),
    ],
)
def test_an_impossible_value_is_named_with_what_is_allowed(flag, text, takes):
    said = complaint(flags={flag: text})
    assert said.startswith(f"flag --{flag}: {flag} can't be '{text}'; it takes ")
    assert takes in said


def test_an_impossible_value_is_refused_even_where_a_later_place_replaces_it(tmp_path):
    said = complaint("[server]\nport = 70000\n", folder=tmp_path, flags={"server.port": "80"})
    assert said.startswith(f"file {tmp_path / 'mine.toml'} line 2: server.port can't be 70000")


def test_settings_made_by_themselves_do_not_look_around(monkeypatch):
    monkeypatch.setenv("LOCAL_VOICE_SERVER__PORT", "80")
    monkeypatch.setenv("SERVER__PORT", "80")
    assert Settings().server.port == 8765
    assert Settings.model_validate({"server": {"port": 1}}).server.port == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("server.port = true", "server.port can't be True"),
        ("turn.pause_seconds = false", "turn.pause_seconds can't be False; it takes a number"),
        ("turn.pause_seconds = nan", "turn.pause_seconds can't be nan; it takes a number"),
        ("server.ice_servers = ['a', 1]", "server.ice_servers can't be 1; it takes a list of texts"),
        ("STT.model = 'x'", "STT.model is not a setting; did you mean stt.model"),
        ("stt = 1", "stt is a section; write [stt]"),
        ("stt.model = {a = 1}", "stt.model can't be {'a': 1}; it takes text"),
        ("stt.model = ['a']", "stt.model can't be ['a']"),
        ("turn = [", "is not valid TOML"),
        ("stt.model = 'a'\nstt.model = 'b'", "is not valid TOML"),
    ],
)
def test_a_file_with_the_wrong_kind_of_value_is_refused(tmp_path, line, reason):
    assert reason in complaint(line, folder=tmp_path)


def test_an_empty_section_is_fine(tmp_path):
    assert read("[stt]\n[turn]\n", folder=tmp_path).settings == Settings()


def test_a_secret_is_never_repeated(tmp_path):
    assert "hunter2" not in complaint("llm.api_key = ['hunter2']", folder=tmp_path)


def test_a_settings_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"There is no settings file .*gone\.toml"):
        load(tmp_path / "gone.toml", {}, detect=lambda: "cpu", variables={}, folders=())
    with pytest.raises(SettingsError, match="can't be read"):
        load(tmp_path, {}, detect=lambda: "cpu", variables={}, folders=())
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="can't be read"):
        load(tmp_path / "binary.toml", {}, detect=lambda: "cpu", variables={}, folders=())


def test_a_limit_that_would_let_nobody_in_is_refused():
    assert "would let nobody in; 0 sets no limit" in complaint(flags={"server.requests_per_minute": "29"})
    for fine in ("0", "30"):
        read(flags={"server.requests_per_minute": fine})


def test_settings_that_contradict_one_another_are_named_with_both_origins(tmp_path):
    said = complaint("[turn]\nlikely_seconds = 3.0\n", folder=tmp_path)
    assert f"turn.likely_seconds is 3.0 (file {tmp_path / 'mine.toml'} line 2)" in said
    assert "turn.doubtful_seconds, which is 1.088 (default)" in said


def test_key_lines_are_found_in_every_way_of_writing_toml():
    text = '\n'.join(
        [
            'profile = "cpu"',  # 1
            "[stt] # hearing",  # 2
            'model = "x"',  # 3
            "[ turn ]",  # 4
            '"pause_seconds" = 1',  # 5
            "[llm]",  # 6
            'system_prompt = """',  # 7
            "[server]",  # 8: inside a text
            "port = 1",  # 9: inside a text
            '"""',  # 10
            "max_tokens = 5",  # 11
        ]
    )  # fmt: skip
    assert key_lines(text) == {
        "profile": 1,
        "stt": 2,
        "stt.model": 3,
        "turn": 4,
        "turn.pause_seconds": 5,
        "llm": 6,
        "llm.system_prompt": 7,
        "llm.max_tokens": 11,
    }
    assert key_lines("stt.model = 1\nturn = { pause_seconds = 2 }") == {"stt": 1, "stt.model": 1, "turn": 2}


def test_an_inline_tables_value_has_the_tables_line(tmp_path):
    loaded = read("\nturn = { pause_seconds = 0.1 }", folder=tmp_path)
    assert loaded.origins["turn.pause_seconds"].endswith("line 2")


def test_every_setting_says_what_it_is_what_it_takes_and_every_number_has_a_unit():
    for name, field in LEAVES.items():
        assert field.description, f"{name} has no string under it"
        assert allowed(name)
        if field.annotation in (int, float):
            assert unit(name), f"{name} has no unit"


def test_every_setting_can_be_set_from_the_environment():
    for name in LEAVES:
        shown = value(Settings(), name)
        text = ",".join(shown) if isinstance(shown, tuple) else str(shown)
        variable = environment_name(name)
        loaded = read(environment={variable: text})
        assert value(loaded.settings, name) == shown
        assert loaded.origins[name] == f"environment {variable}"
