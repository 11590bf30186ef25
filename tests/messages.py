"""The texts that people read: found in the code, and the translations kept in step with them.

    python -m tests.messages      # bring every translation up to date with the code, compile it, tell what is missing

It needs no GNU gettext. Which rooms are translated, and which aren't, is said in docs/howto/translate.md.
"""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import polib
from babel.messages.extract import extract
from django.utils.translation.template import templatize

HERE: Final = Path(__file__).resolve().parent.parent
KEYWORDS: Final = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
PLACEHOLDER: Final = re.compile(r"%\(\w+\)[a-z]|%[a-z]|%%|\{\w*\}")


class Text(NamedTuple):
    """What is looked up in a translation."""

    context: str | None
    text: str
    plural: str | None


class Room(NamedTuple):
    """An app with translations of its own: its folder, and the folders in it that it doesn't speak for."""

    folder: Path
    without: tuple[str, ...]

    @property
    def catalogs(self) -> list[Path]:
        return sorted(self.folder.glob("locale/*/LC_MESSAGES/django.po"))

    def files(self) -> Iterator[Path]:
        left_out = {self.folder / name for name in self.without}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".py", ".html", ".txt"} and not left_out & {*path.parents}:
                yield path


ROOMS: Final = [
    Room(HERE / "truss_portal", without=("locale", "migrations", "sandbox", "trustist", "testing")),
    Room(HERE / "truss_portal" / "trustist", without=("locale", "migrations", "sandbox")),
]


def texts_of(room: Room) -> dict[Text, None]:
    """In the order in which they stand in the code, each once."""
    found: dict[Text, None] = {}
    for path in room.files():
        for text in texts_in(path):
            found.setdefault(text)
    return found


def texts_in(path: Path) -> Iterator[Text]:
    source = path.read_text()
    if path.suffix != ".py":
        # What Django gives to xgettext: calls such as gettext('…'), among X where there is nothing to translate.
        # In parentheses, because templates aren't indented as Python is.
        source = f"({templatize(source)})"
    for _line, messages, _comments, context in extract("python", BytesIO(source.encode()), keywords=KEYWORDS):
        text, plural = messages if isinstance(messages, tuple) else (messages, None)
        if text:
            yield Text(context, text, plural)


def key(entry: polib.POEntry) -> Text:
    return Text(entry.msgctxt, entry.msgid, entry.msgid_plural or None)


def is_done(entry: polib.POEntry) -> bool:
    texts = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
    return all(texts) and not entry.fuzzy


def brought_up_to_date(room: Room, catalog: polib.POFile) -> polib.POFile:
    """The same translations, for the texts of today; those that are new are empty."""
    known = {key(entry): entry for entry in catalog}
    renewed = polib.POFile(wrapwidth=0)
    renewed.header, renewed.metadata = catalog.header, catalog.metadata
    forms = range(int(catalog.metadata["Plural-Forms"].split("nplurals=")[1].split(";")[0]))
    for text in texts_of(room):
        entry = known.get(text)
        if entry is None:
            entry = polib.POEntry(msgctxt=text.context, msgid=text.text, msgid_plural=text.plural or "")
            if text.plural:
                entry.msgstr_plural = dict.fromkeys(forms, "")
            if re.search(r"%\(\w+\)[a-z]|%[sd]", text.text):
                entry.flags = ["python-format"]
        renewed.append(entry)
    return renewed


def main() -> int:
    missing = 0
    for room in ROOMS:
        for path in room.catalogs:
            catalog = brought_up_to_date(room, polib.pofile(str(path), wrapwidth=0))
            catalog.save(str(path))
            catalog.save_as_mofile(str(path.with_suffix(".mo")))
            missing += (left := sum(not is_done(entry) for entry in catalog))
            print(f"{path.relative_to(HERE)}: {len(catalog)} texts, {left} of them untranslated")  # noqa: T201
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
