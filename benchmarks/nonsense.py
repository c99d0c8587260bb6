"""Nonsense for everything that comes from outside: what Hypothesis is to make of offers, messages of the data
channel, HTTP and sound files. Mostly the real thing with a few things wrong, since pure noise stops at the
first check. `fuzz.py` throws it.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import soundfile
from hypothesis import strategies as st

from local_voice.transports.messages import LONGEST, LONGEST_TEXT

_ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-1",
            "65536",
            "4294967296",
            "99999999999999999999",
            "1e9",
            "NaN",
            "\0",
            "\t",
            "%s%n",
        ),
        *("127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "fe80::1%lo", "a.local", "x" * 3000),
        *("audio", "video", "application", "udp", "tcp", "host", "relay", "sendrecv", "inactive", "sha-256"),
        *("opus/48000/2", "opus/0/2", "opus/48000/9", "PCMU/8000", "actpass", "active", "passive", "*", "ü"),
    ]
)
_CANDIDATE = st.builds(
    "a=candidate:{} {} {} {} {} {} typ {}".format,
    *(st.integers(-1, 2**33) | st.just("x"), st.integers(0, 3)),
    *(st.sampled_from(["udp", "UDP", "tcp", "x"]), st.integers(-1, 2**33)),
    st.sampled_from(["127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "a.local", "nowhere", "0.0.0.0", "[::1]"]),
    *(st.integers(-1, 70_000), st.sampled_from(["host", "srflx", "prflx", "relay", "x"])),
)
_CHANGE = st.tuples(
    st.sampled_from(["drop", "double", "swap", "word", "insert", "candidate", "cut"]),
    *(st.integers(0, 2**16), st.integers(0, 2**16)),
    *(_ODD | st.text(max_size=20), _CANDIDATE),
)


def _changed(lines: list[str], change: tuple[str, int, int, str, str]) -> list[str]:
    """An offer's lines with one thing wrong."""
    kind, first, second, odd, candidate = change
    if not lines:
        return lines
    at, other = first % len(lines), second % len(lines)
    match kind:
        case "drop":
            return [*lines[:at], *lines[at + 1 :]]
        case "double":
            return [*lines[:at], lines[at], *lines[at:]]
        case "swap":
            changed = list(lines)
            changed[at], changed[other] = changed[other], changed[at]
            return changed
        case "word":
            words = lines[at].replace(":", ": ").replace("=", "= ").split(" ")
            words[second % len(words)] = odd
            return [*lines[:at], " ".join(words).replace(": ", ":").replace("= ", "="), *lines[at + 1 :]]
        case "insert":
            return [*lines[:at], odd, *lines[at:]]
        case "candidate":
            return [*lines[:at], candidate, *lines[at:]]
    return lines[:at]


def offers(real: str) -> st.SearchStrategy[Any]:
    """Bodies of a call: mostly a real offer with up to six things wrong, sometimes any JSON at all."""
    lines = real.splitlines()

    def broken(changes: list[tuple[str, int, int, str, str]]) -> str:
        found = lines
        for change in changes:
            found = _changed(found, change)
        return "\r\n".join(found) + "\r\n"

    sdp = st.lists(_CHANGE, max_size=6).map(broken) | st.text(max_size=200).map(lambda text: f"v=0\r\n{text}")
    plain = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
    whole = st.fixed_dictionaries({"sdp": sdp, "type": st.just("offer")})
    return st.one_of(whole, whole, whole, st.fixed_dictionaries({"sdp": plain, "type": plain}), plain)


_FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["hello", "ping", "played", "talk", "interrupt", "say", "mode", "bye", "x"])},
    optional={
        name: st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=LONGEST_TEXT + 1)
        | st.sampled_from(["full_duplex", "push_to_talk", "\ud800", "<b>x</b>", "\x1b[2J"])
        | st.lists(st.integers(), max_size=3)
        for name in (
            "delay",
            "timestamp",
            "latency",
            "down",
            "text",
            "name",
            "echo_cancellation",
            "sample_rate",
        )
    },
)
MESSAGES: st.SearchStrategy[str | bytes] = (
    _FIELDS.map(json.dumps)
    | st.text(max_size=200)
    | st.binary(max_size=200)
    | st.integers(1, 3000).map(lambda depth: "[" * depth)
    | st.just("x" * (LONGEST + 1))
)
"""What a client may say on the data channel."""

_HEADER = st.tuples(
    st.sampled_from(
        [
            *(
                "Host",
                "Origin",
                "Content-Type",
                "Content-Length",
                "Transfer-Encoding",
                "Cookie",
                "Connection",
            ),
            *("Authorization", "X-Forwarded-For", "Expect", "Upgrade", "Content-Encoding", "X-Conversation"),
            *("Range", "If-None-Match", "Sec-Fetch-Site"),
        ]
    ),
    st.sampled_from(
        [
            *(
                "localhost",
                "evil.example",
                "http://localhost",
                "null",
                "application/json",
                "0",
                "5",
                "-1",
                "1e3",
            ),
            *(
                "chunked",
                "gzip",
                "close",
                "100-continue",
                "websocket",
                "Bearer x",
                "Bearer \xff",
                "::1",
                "[",
                "%",
            ),
            *("local-voice-0=1.2", "bytes=0-", "x" * 9000, "\x1b[2J", ""),
        ]
    )
    | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30),
)
_REQUEST = st.builds(
    lambda method, path, version, headers, body: (
        (
            f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in headers)
            + "\r\n"
        ).encode("latin-1", "replace")
        + body
    ),
    st.sampled_from(["GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PRI", "get"]),
    st.sampled_from(
        ["/", "/offer", "/token", "/healthz", "/readyz", "/metrics", "/client.js", "*", "//", "/%"]
    )
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map(lambda path: f"/{path}"),
    st.sampled_from(["1.1", "1.1", "1.1", "1.1", "1.0", "x"]),
    st.lists(_HEADER, max_size=5),
    st.sampled_from(
        [b"", b"{}", b'{"token": "x"}', b'{"sdp": "v=0", "type": "offer"}', b"5\r\n{\r\n", b"\xff"]
    )
    | st.binary(max_size=50),
)
REQUESTS: st.SearchStrategy[bytes] = st.one_of(
    _REQUEST,
    _REQUEST,
    st.tuples(_REQUEST, _REQUEST).map(b"".join),
    st.binary(min_size=1, max_size=300),
)
"""Bytes on a fresh connection."""


def _sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file, np.sin(np.arange(400) / 5).astype(np.float32), 16_000, format="WAV", subtype="PCM_16"
    )
    return file.getvalue()


SOUND_FILES: st.SearchStrategy[bytes] = (
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=8).map(
        lambda changes: bytes(dict(changes).get(place, byte) for place, byte in enumerate(_sound()))
    )
    | st.integers(0, 843).map(lambda length: _sound()[:length])
    | st.binary(max_size=100)
)
"""WAV files with a few bytes wrong, above all in the header, cut files, and no WAV at all."""
