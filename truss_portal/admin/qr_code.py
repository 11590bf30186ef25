"""QR codes of addresses: drawn here, as part of the page or as a file. Nobody is asked to draw them."""

import io
from typing import Final

import segno
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

# A code that is printed on paper gets creased and stained: a quarter of it may be lost.
PRINTED: Final = "q"
ON_SCREEN: Final = "m"
# Black on white in dark mode, too, and with the white edge that the standard asks for: many readers need both.
_COLORS: Final = {"dark": "#000", "light": "#fff", "border": 4}


def drawn(url: str, *, says: object, error: str = ON_SCREEN) -> SafeString:
    """The code as part of a page, without a style or a script; `says` is what a screen reader calls it."""
    svg = segno.make_qr(url, error=error).svg_inline(omitsize=True, svgclass=None, lineclass=None, **_COLORS)
    # segno writes nothing but numbers into it.
    return format_html('<span class="truss-qr" role="img" aria-label="{}">{}</span>', says, mark_safe(svg))  # noqa: S308


def as_file(url: str, kind: str) -> bytes:
    """The code as "svg" or "png", large enough for print."""
    out = io.BytesIO()
    segno.make_qr(url, error=PRINTED).save(out, kind=kind, scale=12, **_COLORS)
    return out.getvalue()
