"""On which line of a TOML document each key stands, so that an error can say where to look.

tomllib keeps no positions. This room knows how keys are written; it must not know what they mean.
"""

from __future__ import annotations

import re

KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
HEADER = re.compile(r"^\s*\[\[?([^\]]+)\]")


def key_lines(text: str) -> dict[str, int]:
    """Line number of every section and key of a valid document, from 1, by dotted name.

    Lines inside multi-line strings are skipped, and so are keys inside an inline table.
    """
    found: dict[str, int] = {}
    section, closing = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := HEADER.match(line):
            section = _plain_key(header[1])
            found.setdefault(section, number)
        elif key := KEY.match(line):
            parts = f"{section}.{_plain_key(key[1])}".strip(".").split(".")
            for length in range(1, len(parts) + 1):
                found.setdefault(".".join(parts[:length]), number)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2:
                closing = quotes
    return found


def _plain_key(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
