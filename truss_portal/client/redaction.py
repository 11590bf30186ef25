"""Secrets taken out of text that is kept, shown or logged."""

import html
import json
import re
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "[hidden]"

_NAMES: Final = (
    r"(?:access_?token|refresh_?token|id_?token|client_?secret|authorization|password|api_?key|(?:secret|private)_?key"
    r"|secret|token)"
)
# JSON, also where the text ends inside the value.
_IN_JSON = re.compile(rf'("{_NAMES}"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.IGNORECASE | re.DOTALL)
_IN_FORM = re.compile(rf"(\b{_NAMES}=)[^&\s\"'<>]+", re.IGNORECASE)
_IN_HEADER = re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{16,}", re.IGNORECASE)

_LONGEST_ESCAPE: Final = 12


class Secrets:
    """Texts that nobody may read. They have no repr, so that a report of local variables doesn't show them."""

    __slots__ = ("_pattern", "longest")

    def __init__(self, *texts: str) -> None:
        known = sorted(filter(None, texts), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_however_escaped, known))) if known else None
        self.longest = max(map(len, known), default=0) * _LONGEST_ESCAPE
        """No written form of them has more characters."""

    def hide(self, text: str) -> str:
        """`text` without them, however they were escaped, and without the values of fields that hold secrets."""
        if self._pattern:
            text = self._pattern.sub(HIDDEN, text)
        text = _IN_JSON.sub(rf'\g<1>"{HIDDEN}"', text)
        text = _IN_FORM.sub(rf"\g<1>{HIDDEN}", text)
        return _IN_HEADER.sub(rf"\g<1>{HIDDEN}", text)

    def occur_in(self, text: str) -> bool:
        return bool(self._pattern and self._pattern.search(text))

    def __repr__(self) -> str:
        return "<Secrets>"


def _however_escaped(secret: str) -> str:
    """A pattern for the secret as it is and as JSON, a query string or HTML may write it, once or twice over."""
    return "".join(
        character if character.isalnum() and character.isascii() else _escaped(character) for character in secret
    )


def _escaped(character: str) -> str:
    in_url = re.escape(quote(character, safe="")).replace("%", "%(?:25)?")
    in_json = re.escape(json.dumps(character)[1:-1]).replace(r"\\", r"\\+")
    forms = {
        rf"\\*{re.escape(character)}",
        in_json,
        rf"\\+u{ord(character):04x}",
        in_url,
        re.escape(html.escape(character)),
        rf"&#(?:x0*{ord(character):x}|0*{ord(character)});",
        r"\+" if character == " " else in_url,
    }
    return rf"(?i:{'|'.join(sorted(forms, key=len, reverse=True))})"
