"""Takes markdown, HTML and emoji out of text that is still being written.

The language model is asked for plain speech and forgets it. Characters go in one at a time, so the
tokens' borders can't matter; plain text comes out as soon as it is certain. Links keep their text, tables
become lines of cells, code blocks vanish. This room must not know where clauses end or how words sound.
"""

from __future__ import annotations

import html
import re
import unicodedata

LONGEST_LINK = 400
"""Characters: an opening bracket whose partner is further away is taken as written."""
LONGEST_ROW = 1000
"""Characters: a table row longer than this is taken as written."""

_HIDDEN_TAGS = {"think", "thinking", "script", "style"}
_LINE_TAGS = {"br", "p", "div", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6"}
_KEPT_SYMBOLS = set("°©®™№℃℉")
_TAG_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*)")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});")
_ENTITY_SO_FAR = re.compile(r"&#?\w{0,10}")
_CITATION = re.compile(r"\^?\d{1,3}|\^.*|[ xX]?")


def plain_character(character: str) -> str:
    """What is left of a character in text meant for a voice: itself, a space, a line break, or nothing."""
    if character == "\n":
        return "\n"
    category = unicodedata.category(character)
    if character == "\t" or category == "Zs" or (category == "So" and character not in _KEPT_SYMBOLS):
        return " "
    if category in ("Zl", "Zp"):
        return "\n"
    variation, skin_tone = "\ufe00" <= character <= "\ufe0f", "\U0001f3fb" <= character <= "\U0001f3ff"
    return "" if category[0] == "C" or category == "Me" or variation or skin_tone else character


class PlainText:
    """A stream of characters without its markup."""

    def __init__(self) -> None:
        self._held = ""
        """Characters whose meaning depends on what comes next. Bounded by the LONGEST_ limits."""
        self._previous = "\n"
        """The last plain character that was handed out."""
        self._line_start = True
        self._fence = ""
        """The marks that will close the code block we are in."""
        self._hidden = ""
        """The tag that will end the hidden passage we are in."""

    def push(self, character: str) -> str:
        """Plain text that is certain now."""
        self._held += character
        return self._drain(ended=False)

    def finish(self) -> str:
        """The stream is over: what was held back, as plain as it can be."""
        return self._drain(ended=True)

    def _drain(self, *, ended: bool) -> str:
        out = ""
        while self._held:
            piece = self._step(self._held, ended)
            if piece is None:
                break
            out += piece
            if piece:
                self._previous = piece[-1]
        return out

    def _use(self, count: int, piece: str = "", *, again: str = "") -> str:
        """Consume `count` held characters; `again` is read once more in their place."""
        self._held = again + self._held[count:]
        return piece

    def _step(self, held: str, ended: bool) -> str | None:
        """Consume some of `held` and return its plain text; None when more must be seen first."""
        if self._fence:
            return self._inside(self._fence, held, ended)
        if self._hidden:
            return self._inside(self._hidden, held, ended)
        if self._line_start:
            return self._open_line(held, ended)
        first = held[0]
        if first == "\n":
            self._line_start = True
            return self._use(1, "\n")
        if first in "*_`~":
            return self._emphasis(held, ended)
        if first == "[":
            return self._link(held, ended)
        if first == "<":
            return self._tag(held, ended)
        if first == "&":
            return self._entity(held, ended)
        if first in "!\\" and (first == "\\" or not self._previous.isalnum()):
            return self._escape_or_image(held, ended)
        return self._use(1, plain_character(first))

    def _inside(self, closing: str, held: str, ended: bool) -> str | None:
        """Skip up to and with `closing`; keep only as much as could be its beginning."""
        at = held.lower().find(closing)
        if at >= 0:
            self._fence = self._hidden = ""
            return self._use(at + len(closing))
        self._use(len(held) if ended else max(0, len(held) - len(closing)))
        return "" if ended else None

    def _open_line(self, held: str, ended: bool) -> str | None:
        first = held[0]
        if first in " \t":
            return self._use(1)
        if first == "|":
            return self._table_row(held, ended)
        if first == ">":
            return self._use(1)
        if first not in "#-*+•=_`~":
            self._line_start = False
            return ""
        run = len(held) - len(held.lstrip(first))
        if run == len(held) and not ended:
            return None if run < LONGEST_ROW else self._use(run)
        following = held[run : run + 1]
        if first in "-*_=" and run >= 3 and following in ("\n", ""):
            return self._use(run)
        if (first == "#" and run <= 6 and following in (" ", "\t")) or (
            first in "-*+•" and run == 1 and following in (" ", "\t")
        ):
            return self._use(run + 1)
        self._line_start = False
        return ""

    def _table_row(self, held: str, ended: bool) -> str | None:
        end = held.find("\n")
        if end < 0 and not ended and len(held) < LONGEST_ROW:
            return None
        row = held if end < 0 else held[:end]
        self._line_start = not set(row) - set(" |:-\t")
        cells = (cell.strip() for cell in row.split("|"))
        return self._use(len(row), again=", ".join(cell for cell in cells if cell.strip(" :-")))

    def _emphasis(self, held: str, ended: bool) -> str | None:
        mark = held[0]
        run = len(held) - len(held.lstrip(mark))
        if run == len(held) and not ended and run < LONGEST_ROW:
            return None
        if mark in "`~" and run >= 3:
            self._fence = mark * 3
            return self._use(run)
        before, after = self._previous, held[run : run + 1]
        product = (mark == "*" and (before + after).isdecimal()) or (before + after).isspace()
        within_word = mark == "_" and before.isalnum() and after.isalnum()
        about = mark == "~" and not before.isalnum()
        return self._use(run, mark if run == 1 and (product or within_word or about) else "")

    def _link(self, held: str, ended: bool) -> str | None:
        end = held.find("]")
        gone = ended or len(held) > LONGEST_LINK or "\n" in held
        if end < 0:
            return self._use(1) if gone else None
        if len(held) == end + 1 and not ended:
            return None
        text = held[1:end]
        if held[end + 1 : end + 2] == "(":
            close = held.find(")", end)
            if close < 0 and not gone:
                return None
            return self._use((close if close >= 0 else end) + 1, again=text)
        return self._use(end + 1, again="" if _CITATION.fullmatch(text) else text)

    def _tag(self, held: str, ended: bool) -> str | None:
        if len(held) == 1 and not ended:
            return None
        end = held.find(">")
        if not (held[1:2].isalpha() or held[1:2] in ("/", "!")):
            return self._use(1, "<")
        if end < 0:
            return self._use(1, "<") if ended or len(held) > LONGEST_LINK or "\n" in held else None
        inner = held[1:end]
        if "://" in inner.split(" ")[0] or "@" in inner.split(" ")[0]:
            return self._use(end + 1, again=inner)
        name = _TAG_NAME.match(inner)
        if name and name[1].lower() in _HIDDEN_TAGS and not inner.startswith("/"):
            self._hidden = f"</{name[1].lower()}>"
        return self._use(end + 1, again="\n" if name and name[1].lower() in _LINE_TAGS else "")

    def _entity(self, held: str, ended: bool) -> str | None:
        if found := _ENTITY.match(held):
            text = html.unescape(found[0])
            return self._use(found.end(), again=text) if len(text) < len(found[0]) else self._use(1, "&")
        return None if _ENTITY_SO_FAR.fullmatch(held) and not ended else self._use(1, "&")

    def _escape_or_image(self, held: str, ended: bool) -> str | None:
        if len(held) == 1 and not ended:
            return None
        following = held[1:2]
        if held[0] == "!":
            return self._use(1, "" if following == "[" else "!")
        if following and not following.isalnum() and not following.isspace():
            return self._use(2, plain_character(following))
        return self._use(1, " ")
