"""What the page says over the data channel, read strictly: typed, bounded, and nothing else gets through.

A message comes from outside, perhaps from no page of ours. Whatever is not exactly one of these is ignored,
as a newer page may say what this server does not know. This room knows no aiortc and obeys nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TypeAlias, get_args

from local_voice.events import ChooseMode, PushToTalk, StopSpeaking, TurnMode, Typed
from local_voice.stages import Control, Manner

LONGEST = 8_192
"""Characters of a message: a written one in JSON, where a letter may take six."""
LONGEST_TEXT = 1_000
"""Characters of what a user may write at once, about 250 tokens."""
LONGEST_DELAY = 1.0
"""Seconds; a larger estimate is taken for this one."""
LONGEST_LATENCY = 0.5
"""Seconds that an output device may claim; Bluetooth has up to 0.3."""
MODES = get_args(TurnMode)
SLOWEST_RATE, FASTEST_RATE = 4_000, 768_000
"""Hz of a microphone that may be believed."""
LONGEST_VOICE = 100
"""Characters of a voice's name."""
SLOWEST, FASTEST = 0.5, 2.0
"""Speaking rates that may be chosen: those that the setting may have."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What the client's microphone really is; its first message."""

    echo_cancellation: bool
    """The client takes the assistant's voice out of its sound itself."""
    sample_rate: int | None
    """Hz; None when the client doesn't know, as with the two below."""
    noise_suppression: bool | None
    auto_gain_control: bool | None


@dataclass(frozen=True, slots=True)
class Ping:
    """The client is there."""

    delay: float | None
    """Its estimate of the time from our sending to its user's ear, in seconds; None when it has none."""


@dataclass(frozen=True, slots=True)
class Played:
    """How far the client has played the voice."""

    timestamp: int
    """RTP timestamp of the packet whose sound was last handed to its output, 0 to 2**32 - 1."""
    latency: float | None
    """Seconds from there to the ear; None when it doesn't know."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The client hangs up."""


ClientMessage: TypeAlias = Hello | Ping | Played | Bye | Control


def parse(text: str | bytes) -> ClientMessage | None:
    """The message, or None for anything that is not one."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    match fields.get("type"):
        case "hello":
            return _hello(fields)
        case "ping":
            return Ping(_seconds(fields.get("delay"), LONGEST_DELAY))
        case "played":
            return _played(fields)
        case "talk" if isinstance(fields.get("down"), bool):
            return PushToTalk(fields["down"])
        case "interrupt":
            return StopSpeaking()
        case "say":
            return _typed(fields)
        case "mode" if fields.get("name") in MODES:
            return ChooseMode(fields["name"])
        case "manner":
            return _manner(fields)
        case "bye":
            return Bye()
    return None


def _hello(fields: dict[str, object]) -> Hello | None:
    cancels = fields.get("echo_cancellation")
    if not isinstance(cancels, bool):
        return None
    return Hello(
        cancels,
        _whole(fields.get("sample_rate"), SLOWEST_RATE, FASTEST_RATE),
        _flag(fields.get("noise_suppression")),
        _flag(fields.get("auto_gain_control")),
    )


def _played(fields: dict[str, object]) -> Played | None:
    timestamp = _whole(fields.get("timestamp"), 0, 2**32 - 1)
    if timestamp is None:
        return None
    return Played(timestamp, _seconds(fields.get("latency"), LONGEST_LATENCY))


def _typed(fields: dict[str, object]) -> Typed | None:
    text = fields.get("text")
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
        return None
    # Half a surrogate pair could be neither tokenized nor written down.
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = " ".join(text.split())
    return Typed(text) if text else None


def _manner(fields: dict[str, object]) -> Manner | None:
    voice, speed = fields.get("voice") or "", fields.get("speed")
    if not isinstance(voice, str) or len(voice) > LONGEST_VOICE or not voice.isprintable():
        return None
    if speed is None:
        return Manner(voice)
    # Not clipped, as a delay is: a speed that nobody could have chosen was not meant for us.
    if not isinstance(speed, int | float) or isinstance(speed, bool) or not SLOWEST <= speed <= FASTEST:
        return None
    return Manner(voice, float(speed))


def _whole(value: object, least: int, most: int) -> int | None:
    right = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    return value if right and isinstance(value, int) else None


def _seconds(value: object, most: float) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < math.inf:
        return None
    return float(min(max(value, 0.0), most))


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
