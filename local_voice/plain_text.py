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
_TAGS = _HIDDEN_TAGS | _LINE_TAGS | {
    "a", "abbr", "article", "aside", "b", "big", "blockquote", "body", "button", "caption", "center",
    "cite", "code", "dd", "del", "details", "dfn", "dl", "dt", "em", "figure", "font", "footer", "form",
    "head", "header", "hr", "html", "i", "img", "input", "ins", "kbd", "label", "link", "main", "mark",
    "math", "meta", "nav", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "sub",
    "summary", "sup", "svg", "table", "tbody", "td", "tfoot", "th", "thead", "time", "title", "tt", "u",
    "var", "video",
    # for a voice, and what models wrap around a reply
    "audio", "break", "emphasis", "phoneme", "prosody", "say-as", "speak", "voice", "answer", "assistant",
    "final", "message", "output", "reply", "response", "result", "speech", "text", "tool_call",
}  # fmt: skip
"""Others are meant to be read: "press <Enter>", "<your-name>", "List<String>"."""
_TAG = re.compile(r"/?([a-zA-Z][\w-]*)\s*(?:/|\s[\w:-]+\s*=.*)?", re.DOTALL)
_TAG_NAME = re.compile(r"<([a-zA-Z][\w-]*)\s")
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
        self._emphasized: set[str] = set()
        """The marks of emphasis that are open on this line."""

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
            self._emphasized.clear()
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
        if mark == "`":
            return self._code(held, run, ended)
        before, after = self._previous, held[run : run + 1]
        if mark == "*":
            return self._use(run, held[:run] if self._is_operator(held[:run], before, after) else "")
        within_word = mark == "_" and before.isalnum() and after.isalnum()
        about = mark == "~" and not before.isalnum()
        alone = (before + after).isspace()
        return self._use(run, mark if run == 1 and (within_word or about or alone) else "")

    def _is_operator(self, stars: str, before: str, after: str) -> bool:
        """Between factors without a space, or alone: "2**3", "length*width", "2*(3+4)", "5 * 3"."""
        if stars == "*" and ((before + after).isspace() or (before + after).isdecimal()):
            return True
        if stars in self._emphasized:
            self._emphasized.remove(stars)
            return False
        if not (before.isalnum() or before == ")"):
            self._emphasized.add(stars)
            return False
        return len(stars) <= 2 and (after.isalnum() or (after == "(" and not before.isalpha()))

    def _code(self, held: str, run: int, ended: bool) -> str | None:
        """What stands between backticks is handed out as it is."""
        end = held.find("`" * run, run)
        if end < 0:
            return self._use(run) if ended or len(held) > LONGEST_LINK or "\n" in held else None
        # An exclamation mark would end the clause.
        code = held[run:end].replace("!=", "≠")
        return self._use(end + run, "".join(map(plain_character, code)))

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
        unknown = (name := _TAG_NAME.match(held)) and name[1].lower() not in _TAGS
        if unknown or not (held[1:2].isalpha() or held[1:2] in ("/", "!")):
            return self._use(1, "<")
        if end < 0:
            return self._use(1, "<") if ended or len(held) > LONGEST_LINK or "\n" in held else None
        inner = held[1:end]
        if "://" in inner.split(" ")[0] or "@" in inner.split(" ")[0]:
            return self._use(end + 1, again=inner)
        if inner[0] == "!":
            return self._use(end + 1)
        tag = _TAG.fullmatch(inner)
        if tag is None or (tag[1].lower() not in _TAGS and inner[0] != "/"):
            return self._use(1, "<")
        if tag[1].lower() in _HIDDEN_TAGS and inner[0] != "/":
            self._hidden = f"</{tag[1].lower()}>"
        return self._use(end + 1, again="\n" if tag[1].lower() in _LINE_TAGS else "")

    def _entity(self, held: str, ended: bool) -> str | None:
        if found := _ENTITY.match(held):
            text = html.unescape(found[0])
            return self._use(found.end(), again=text) if len(text) < len(found[0]) else self._use(1, "&")
        return None if _ENTITY_SO_FAR.fullmatch(held) and not ended else self._use(1, "&")

    def _escape_or_image(self, held: str, ended: bool) -> str | None:
        if len(held) == 1 and not ended:
            return None
        following = held[1:2]
        if held[0] == "!" and following == "=":
            return self._use(2, "≠")  # an exclamation mark would end the clause
        if held[0] == "!":
            return self._use(1, "" if following == "[" else "!")
        if following and not following.isalnum() and not following.isspace():
            return self._use(2, plain_character(following))
        return self._use(1, " ")
