"""Upload, look, confirm: the import's pages as people go through them."""

import re
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.admin.pages import text_of, url
from tests.exchange.files import csv_of


def upload(client: Client, data: bytes, name: str = "march.csv", **more: Any) -> Any:
    """The page that comes of uploading: the preview, or the form with what is wrong."""
    return client.post(url("paymentintent_import"), {"file": SimpleUploadedFile(name, data)} | more, follow=True)


def previewed(client: Client, *lines: dict[str, Any]) -> Any:
    return upload(client, csv_of(*lines))


def confirm(client: Client, preview: Any) -> Any:
    """Press the button of that preview."""
    [token] = re.findall(r'name="file" value="([^"]+)"', preview.content.decode())
    return client.post(url("paymentintent_import_confirm"), {"file": token}, follow=True)


def imported(client: Client, *lines: dict[str, Any]) -> Any:
    return confirm(client, previewed(client, *lines))


def rows(page: Any) -> list[str]:
    """The lines of a preview or of a result, as people read them."""
    body = page.content.decode()
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", body.partition('class="truss-lines"')[2], flags=re.DOTALL)
    return [_plain(row) for row in found if "<td" in row]


def _plain(fragment: str) -> str:
    class Page:
        content = fragment.encode()

    return text_of(Page)


def sums(page: Any) -> dict[str, tuple[str, str]]:
    """Of a preview: lines and amount of each kind."""
    return {str(each["word"]): (each["count"], each["total"]) for each in page.context["sums"]}
