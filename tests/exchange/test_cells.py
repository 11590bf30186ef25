"""One cell → its value, or what to write instead."""

import math
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange.files import FORMATS, sheet_time
from truss_portal.exchange import cells
from truss_portal.exchange.table import Fault, Formula


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("1234.50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1,234,567.8", "1234567.8"),
        ("$1,234.50", "1234.50"),
        ("$ 12", "12"),
        ("1234.50 USD", "1234.50"),
        ("USD 1234.50", "1234.50"),
        ("US$12", "12"),
        (" 12.00\u00a0", "12.00"),
        (".50", "0.50"),
        ("12.", "12"),
        ("-5.00", "-5.00"),
        ("(5.00)", "-5.00"),
        ("-$5", "-5"),
        ('="12.30"', "12.30"),
        (1234, "1234"),
        (120.1, "120.1"),
        (0.1 + 0.2, "0.3"),
        (1.1 * 3, "3.3"),
        (99999999.99, "99999999.99"),
    ],
)
def test_amounts_that_are_read(cell: Any, amount: str) -> None:
    assert cells.as_amount(cell) == Decimal(amount)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1.234,50", "is unclear (“1.234,50”): write the cents after a point, such as 1234.50 or 1,234.50"),
        ("1234,50", "is unclear"),
        ("1,23", "is unclear"),
        ("1.234", "is unclear"),
        ("1,2345", "is unclear"),
        ("12,34.00", "is unclear"),
        ("1 234.50", "is unclear"),
        ("1e3", "is unclear"),
        ("a hundred", "is unclear (“a hundred”)"),
        ("١٢٣", "is unclear"),
        ("", "is empty. Write an amount like 1234.50"),
        (None, "is empty"),
        ("€120", "isn't in US dollars (€120). Truss has no other currency"),
        ("120 CAD", "isn't in US dollars"),
        ("9" * 40, "is far too large"),
        (1e300, "is far too large"),
        (33.333333, "has more than two decimals (33.333333). Round it in the spreadsheet"),
        (math.inf, "isn't an amount"),
        (math.nan, "isn't an amount"),
        (True, "isn't an amount"),
        (date(2026, 5, 1), "isn't an amount (2026-05-01)"),
        (Formula("=A1*2"), "is a formula (=A1*2). Replace it by its value"),
        (Fault("#REF!"), "has the spreadsheet's error #REF!"),
    ],
)
def test_amounts_that_are_refused_with_what_to_write(cell: Any, why: str) -> None:
    with pytest.raises(cells.CellError) as refused:
        cells.as_amount(cell)
    assert why in str(refused.value)


@settings(deadline=None)
@given(st.decimals(min_value=1, max_value=10**12, places=2))
def test_an_amount_survives_a_spreadsheet(amount: Decimal) -> None:
    """Excel keeps 15 digits, and writes up to 17 of a binary number."""
    assert cells.as_amount(float(amount)) == amount
    assert cells.as_amount(f"{amount:,}") == amount


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2026-05-15", date(2026, 5, 15)),
        ("2026/5/15", date(2026, 5, 15)),
        ("2026.05.15", date(2026, 5, 15)),
        ("2026-05-15T00:00:00", date(2026, 5, 15)),
        ("2026-05-15 00:00", date(2026, 5, 15)),
        ("05/15/2026", date(2026, 5, 15)),
        ("05/15/26", date(2026, 5, 15)),
        ("4/4/2026", date(2026, 4, 4)),
        ("May 15 2026", date(2026, 5, 15)),
        ("May 15, 2026", date(2026, 5, 15)),
        (sheet_time(2026, 5, 15), date(2026, 5, 15)),
        (date(2026, 5, 15), date(2026, 5, 15)),
        ("", None),
        (None, None),
    ],
)
def test_dates_that_are_read(cell: Any, day: date | None) -> None:
    assert cells.as_date(cell, FORMATS) == day


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("03/04/2026", "is ambiguous (“03/04/2026”): write 2026-03-04 or 2026-04-03"),
        ("3.4.2026", "is ambiguous"),
        ("10/11/12", "is ambiguous (“10/11/12”): write 2010-11-12 or 2012-10-11 or 2012-11-10"),
        ("15/05/2026", "isn't a date that is read here (“15/05/2026”). Write it like 2026-05-15"),
        ("2026-02-30", "isn't a date"),
        ("02/30/2026", "isn't a date"),
        ("3/4/126", "isn't a date"),
        ("126/4/3", "isn't a date"),
        ("tomorrow", "isn't a date that is read here (“tomorrow”)"),
        ("99999-01-01", "isn't a date"),
        (46157, "isn't a date (46157). Format the cell as a date, or write it like 2026-05-15"),
        (46157.5, "isn't a date"),
        (True, "isn't a date"),
        (time(12, 30), "isn't a date (12:30:00)"),
        (timedelta(days=1), "isn't a date"),
        (sheet_time(2026, 5, 15, 14), "has a time (2026-05-15 14:00:00). Write the date alone"),
        (Formula("=TODAY()"), "is a formula (=TODAY())"),
        (Fault("#VALUE!"), "error #VALUE!"),
    ],
)
def test_dates_that_are_refused_with_what_to_write(cell: Any, why: str) -> None:
    with pytest.raises(cells.CellError) as refused:
        cells.as_date(cell, FORMATS)
    assert why in str(refused.value)


def test_a_site_that_writes_days_first_reads_them_where_they_are_clear() -> None:
    assert cells.as_date("15/05/2026", ["%d/%m/%Y"]) == date(2026, 5, 15)
    with pytest.raises(cells.CellError, match="ambiguous"):
        cells.as_date("03/04/2026", ["%d/%m/%Y"])


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("  INV-1\t", "INV-1"),
        (1001, "1001"),
        (1001.0, "1001"),
        (12.5, "12.5"),
        ("a\r\nb\rc", "a\nb\nc"),
        ('="00042"', "00042"),
        ("'=SUM(A1)", "=SUM(A1)"),
        ("''=x", "'=x"),
        ("'tis", "'tis"),
        (True, "yes"),
    ],
)
def test_texts_that_are_read(cell: Any, text: str) -> None:
    assert cells.as_text(cell) == text


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (12345678901234567, "is a number of more than 15 digits (12345678901234567), which a spreadsheet rounds"),
        (1.2345678901234568e19, "is a number of more than 15 digits"),
        (math.nan, "more than 15 digits"),
        (sheet_time(2026, 1, 2), "is a date or a time (2026-01-02) where a text is wanted. Format the column as text"),
        (Formula("=HYPERLINK(…)" + "x" * 100), "…"),
    ],
)
def test_texts_that_are_refused_with_what_to_do(cell: Any, why: str) -> None:
    with pytest.raises(cells.CellError) as refused:
        cells.as_text(cell)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "digits"),
    [
        ("(555) 555-0100", "5555550100"),
        ("+1 555.555.0100", "15555550100"),
        ("'+1-555-555-0100", "15555550100"),
        (5555550100, "5555550100"),
        ("555-0100 ext. 7", "555-0100 ext. 7"),
        ("", ""),
    ],
)
def test_phones(cell: Any, digits: str) -> None:
    assert cells.as_phone(cell) == digits


@pytest.mark.parametrize("cell", ["yes", "Y", "TRUE", 1, "x", True, " Sí "])
def test_yes(cell: Any) -> None:
    assert cells.as_flag(cell) is True


@pytest.mark.parametrize("cell", ["no", "N", "false", 0, "", None, False, "-"])
def test_no(cell: Any) -> None:
    assert cells.as_flag(cell) is False


def test_neither_yes_nor_no() -> None:
    with pytest.raises(cells.CellError, match="must be yes or no, not “perhaps”"):
        cells.as_flag("perhaps")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", " =1", "'=1", "\uff1d1", "  '@x"])
def test_a_guarded_text_starts_no_formula_and_is_undone(text: str) -> None:
    assert cells.guarded(text) == f"'{text}"
    assert cells.unguarded(cells.guarded(text)) == text


@settings(deadline=None)
@given(st.text(), st.booleans())
def test_guarding_is_undone_whatever_the_text(text: str, as_formula: bool) -> None:
    assert cells.unguarded(cells.guarded(text, as_formula=as_formula)) == text


def test_what_cannot_be_a_uid_is_none() -> None:
    assert cells.as_uid("nonsense") is None
    assert str(cells.as_uid("4c6a1a86-0c3f-4f7c-9c53-0a4f4b1c2d3e")) == "4c6a1a86-0c3f-4f7c-9c53-0a4f4b1c2d3e"
