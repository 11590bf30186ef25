"""CSV as spreadsheets write it: any of their encodings, delimiters and line ends."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from django.utils.translation import gettext as _

from .columns import IMPORTED_BY_KEY, READ_ONLY_BY_KEY, key_of
from .table import Line, Table, UnreadableFileError, table_of

DELIMITERS: Final = (",", ";", "\t")
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE: Final = 2000
_WORD: Final = re.compile(r"[^\W\d_]+")


def read_csv(data: bytes) -> Table:
    """Raises UnreadableFileError."""
    text, notes = _decode(data)
    if "\0" in text:
        raise UnreadableFileError(
            _("This isn't a text file. Save it in your spreadsheet program as .xlsx, or as “CSV UTF-8”.")
        )
    text, first, delimiter = _delimiter(text)
    table = table_of(_lines(text, delimiter, first), notes)
    table.delimited = True
    return table


def _decode(data: bytes) -> tuple[str, list[str]]:
    try:
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return data.decode(encoding), []
        if encoding := _unmarked_utf16(data):
            return data.decode(encoding), []
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            _("The file's text is damaged near byte %(place)d. Save it again as “CSV UTF-8”.") % {"place": error.start}
        ) from error
    try:
        return data.decode(), []
    except UnicodeDecodeError:
        return _as_windows(data)


def _unmarked_utf16(data: bytes) -> str:
    """Text of Western letters in UTF-16 has a zero in every second byte."""
    sample = data[:_SAMPLE]
    half = len(sample) // 2
    if half and sample[1::2].count(0) > half * 3 // 4:
        return "utf-16-le"
    if half and sample[::2].count(0) > half * 3 // 4:
        return "utf-16-be"
    return ""


def _as_windows(data: bytes) -> tuple[str, list[str]]:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            _("The file's letters are in no encoding that is read here (byte %(place)d). Save it as “CSV UTF-8”.")
            % {"place": error.start}
        ) from error
    shown = next((word for word in _WORD.findall(text) if not word.isascii()), "")
    note = _(
        "The file isn't UTF-8, so it was read as Windows-1252. Look at a word with an accent, such as “%(word)s”: if "
        "it looks wrong, save the file as “CSV UTF-8” and upload that."
    )
    return text, [note % {"word": shown[:40]}]


def _delimiter(text: str) -> tuple[str, int, str]:
    """The text, the number of its first line, and what stands between its cells.

    Excel's own "sep=;" in the first line is obeyed; else the delimiter that makes the most of the headings known wins.
    """
    start, _end, rest = text.partition("\n")
    said = start.strip().strip('"').lower()
    if said.startswith("sep=") and len(said) == len("sep=;"):
        return rest, 2, said[-1]
    if said == "sep=":
        return rest, 2, "\t"
    sample = text.lstrip()[:10_000]
    return text, 1, max(DELIMITERS, key=lambda delimiter: _known(sample, delimiter))


def _known(sample: str, delimiter: str) -> tuple[int, int]:
    try:
        headings = next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return 0, 0
    keys = [key_of(heading) for heading in headings]
    return sum(key in IMPORTED_BY_KEY or key in READ_ONLY_BY_KEY for key in keys), len(keys)


def _lines(text: str, delimiter: str, first: int) -> Iterator[Line]:
    # Strict: without it one forgotten quotation mark swallows all that follows, silently.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins, row = 0, first - 1
    while True:
        row += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The other cause, a cell of more than 131,072 characters, is the same mistake.
            raise UnreadableFileError(
                _("Line %(line)d can't be read: a quotation mark is opened and not closed as it should be. A text with "
                  "quotation marks in it is written \"so \"\"quoted\"\"\".")
                % {"line": begins + first}
            ) from error  # fmt: skip
        yield Line(begins + first, row, cells)
        begins = reader.line_num
