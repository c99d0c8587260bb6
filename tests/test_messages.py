"""Messages from outside: the page's own are understood, everything else is ignored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.events import ChooseMode, PushToTalk, StopSpeaking, Typed
from local_voice.settings import TtsSettings
from local_voice.stages import Manner
from local_voice.transports.messages import (
    FASTEST,
    LONGEST,
    LONGEST_DELAY,
    LONGEST_LATENCY,
    LONGEST_TEXT,
    LONGEST_VOICE,
    MODES,
    SLOWEST,
    Bye,
    Hello,
    Ping,
    Played,
    parse,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"type": "ping"}', Ping(None)),
        ('{"type": "ping", "delay": 0.2}', Ping(0.2)),
        ('{"type": "ping", "delay": 99}', Ping(LONGEST_DELAY)),
        ('{"type": "ping", "delay": -1}', Ping(0.0)),
        ('{"type": "ping", "delay": %s}' % ("9" * 400), Ping(LONGEST_DELAY)),
        ('{"type": "ping", "delay": NaN}', Ping(None)),
        ('{"type": "ping", "delay": true}', Ping(None)),
        ('{"type": "played", "timestamp": 0}', Played(0, None)),
        ('{"type": "played", "timestamp": 4294967295, "latency": 0.03}', Played(2**32 - 1, 0.03)),
        ('{"type": "played", "timestamp": 1, "latency": 1e300}', Played(1, LONGEST_LATENCY)),
        ('{"type": "played", "timestamp": 1, "latency": "0.1"}', Played(1, None)),
        ('{"type": "talk", "down": true}', PushToTalk(down=True)),
        ('{"type": "talk", "down": false}', PushToTalk(down=False)),
        ('{"type": "interrupt"}', StopSpeaking()),
        ('{"type": "interrupt", "from": "a newer page"}', StopSpeaking()),
        ('{"type": "say", "text": "Was ist los? 👍"}', Typed("Was ist los? 👍")),
        (json.dumps({"type": "say", "text": " <b>two</b>\n\u202elines\ud800 "}), Typed("<b>two</b> lines")),
        ('{"type": "mode", "name": "half_duplex"}', ChooseMode("half_duplex")),
        ('{"type": "manner"}', Manner()),
        ('{"type": "manner", "voice": null, "speed": null}', Manner()),
        ('{"type": "manner", "voice": "piper-en_US-joe-medium"}', Manner("piper-en_US-joe-medium")),
        ('{"type": "manner", "voice": "", "speed": 2}', Manner("", 2.0)),
        ('{"type": "manner", "speed": 0.5}', Manner("", 0.5)),
        ('{"type": "bye"}', Bye()),
        ('{"type": "hello", "echo_cancellation": true}', Hello(True, None, None, None)),
        (
            '{"type": "hello", "echo_cancellation": false, "sample_rate": 48000, "noise_suppression": true, '
            '"auto_gain_control": 1}',
            Hello(False, 48_000, True, None),
        ),
        ('{"type": "hello", "echo_cancellation": true, "sample_rate": 1e9}', Hello(True, None, None, None)),
    ],
)
def test_what_the_page_says_is_understood(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "[1, 2]",
        "{",
        '"ping"',
        "null",
        "[" * 1000,
        b'{"type": "bye"}',
        '{"type": ["ping"]}',
        '{"type": "unheard of"}',
        '{"type": "played"}',
        '{"type": "played", "timestamp": -1}',
        '{"type": "played", "timestamp": 4294967296}',
        '{"type": "played", "timestamp": 1.5}',
        '{"type": "played", "timestamp": true}',
        '{"type": "talk"}',
        '{"type": "talk", "down": 1}',
        '{"type": "talk", "down": "true"}',
        '{"type": "say"}',
        '{"type": "say", "text": ""}',
        '{"type": "say", "text": " \\n"}',
        '{"type": "say", "text": ["x"]}',
        '{"type": "say", "text": "' + "x" * (LONGEST_TEXT + 1) + '"}',
        '{"type": "mode"}',
        '{"type": "mode", "name": "telepathy"}',
        '{"type": "mode", "name": ["half_duplex"]}',
        '{"type": "manner", "speed": 0.49}',
        '{"type": "manner", "speed": 2.01}',
        '{"type": "manner", "speed": 0}',
        '{"type": "manner", "speed": NaN}',
        '{"type": "manner", "speed": 1e999}',
        '{"type": "manner", "speed": "1.2"}',
        '{"type": "manner", "speed": true}',
        '{"type": "manner", "voice": ["joe"]}',
        '{"type": "manner", "voice": "a\\nb"}',
        '{"type": "manner", "voice": "' + "x" * (LONGEST_VOICE + 1) + '"}',
        '{"type": "hello"}',
        '{"type": "hello", "echo_cancellation": "all"}',
        '{"type": "ping", "padding": "' + "x" * LONGEST + '"}',
    ],
)
def test_anything_else_is_ignored(text):
    assert parse(text) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
kinds = (
    st.sampled_from(["hello", "ping", "played", "talk", "interrupt", "say", "mode", "manner", "bye"]) | values
)


@given(
    kinds,
    st.dictionaries(
        st.sampled_from(["delay", "timestamp", "latency", "down", "text", "name", "voice", "speed"]), values
    ),
)
def test_no_message_breaks_the_reader_or_gets_through_unbounded(kind, fields):
    message = parse(json.dumps({"type": kind, **fields}))
    match message:
        case Ping(float(delay)):
            assert 0.0 <= delay <= LONGEST_DELAY
        case Played(timestamp, latency):
            assert 0 <= timestamp < 2**32
            assert latency is None or 0.0 <= latency <= LONGEST_LATENCY
        case PushToTalk(down):
            assert isinstance(down, bool)
        case Typed(text):
            assert 0 < len(text) <= LONGEST_TEXT
            assert text.isprintable()
        case ChooseMode(name):
            assert name in MODES
        case Manner(voice, speed):
            assert len(voice) <= LONGEST_VOICE
            assert voice == "" or voice.isprintable()
            assert speed is None or SLOWEST <= speed <= FASTEST


@given(st.text() | st.binary())
def test_any_text_is_survived(text):
    parse(text)


@pytest.mark.parametrize("speed", [SLOWEST, FASTEST])
def test_a_user_may_choose_what_the_settings_may(speed):
    assert TtsSettings(speed=speed).speed == speed
    with pytest.raises(ValueError, match="speed"):
        TtsSettings(speed=speed * (1.01 if speed > 1 else 0.99))
