"""Secrets taken out of text that is kept, shown or logged."""

import html
import json
import re
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "[hidden]"

_NAMES: Final = r"(?:access_token|refresh_token|id_token|client_secret|authorization|password|api_key|secret|token)"
# JSON, also where the text ends inside the value.
_IN_JSON = re.compile(rf'("{_NAMES}"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.IGNORECASE | re.DOTALL)
_IN_FORM = re.compile(rf"(\b{_NAMES}=)[^&\s\"'<>]+", re.IGNORECASE)
_IN_HEADER = re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{16,}", re.IGNORECASE)


class Secrets:
    """Texts that nobody may read. There is no repr of them, so that a report of local variables doesn't show them."""

    __slots__ = ("_forms", "longest")

    def __init__(self, *texts: str) -> None:
        forms = {form for text in texts if text for form in _written_forms(text)}
        self._forms = sorted(forms, key=len, reverse=True)
        self.longest = len(self._forms[0]) if forms else 0

    def hide(self, text: str) -> str:
        """`text` without them, however they were escaped, and without the values of fields that hold secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        text = _IN_JSON.sub(rf'\g<1>"{HIDDEN}"', text)
        text = _IN_FORM.sub(rf"\g<1>{HIDDEN}", text)
        return _IN_HEADER.sub(rf"\g<1>{HIDDEN}", text)

    def __repr__(self) -> str:
        return "<Secrets>"


def _written_forms(secret: str) -> set[str]:
    in_json = json.dumps(secret)[1:-1]
    in_url = quote(secret, safe="")
    return {
        secret,
        in_json,
        in_json.replace("/", r"\/"),
        in_url,
        in_url.lower(),
        quote_plus(secret),
        quote(secret),
        html.escape(secret),
    }
