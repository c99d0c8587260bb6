"""Text from outside, made harmless where it is shown: a log, a terminal.

A name in an offer, a header or a model's reply may hold characters that a terminal obeys (colours, a cleared
screen, a changed title), that begin a forged line of a log, or that turn the order of letters round. This
room shows such characters by their numbers; it must not know where the text came from.
"""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls: ESC, CSI, line feed, backspace
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the order of letters
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # half a character, which can't be encoded
    "\ufeff\ufff9-\ufffb"
    "]"
)


def printable(text: str, *, keep: str = "") -> str:
    """`text` with each character that is obeyed instead of shown as `\\u001b`, except those in `keep`.

    The spelling is JSON's too: a JSON text stays one, with the same meaning.
    """
    return _OBEYED.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)
