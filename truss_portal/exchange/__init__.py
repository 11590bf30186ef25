"""Invoices in and out as files: read a table, plan what it would write, write what was planned, export.

    table = read_file("invoices.xlsx", data)        # bytes → lines of cells. Pure
    reading = read_lines(table)                     # cells → what each line wants, and what is wrong with it. Pure
    plan = Planner(company, …).plan(reading.wanted) # against what is known: new, changed, skipped, wrong. Pure
    Writer(company, …).write(previewed)             # the same plan again, under locks; only what is as it was previewed

Nothing here touches the network. A line becomes what `actions.draft` would make of it.
"""

from .columns import EXPORTED, IMPORTED, READ_ONLY, Column
from .exporting import CSV_TYPE, XLSX_MAX, XLSX_TYPE, as_csv, as_xlsx
from .keeping import (
    NotKeptError,
    NotWritten,
    Preview,
    Previewed,
    Result,
    forget,
    keep_preview,
    keep_result,
    kept_preview,
    kept_result,
)
from .known import load_known
from .lines import Problem, Reading, Wanted, read_lines
from .plan import Change, Kind, Outcome, Planner
from .sheets import guarded, rows_as_csv, rows_as_xlsx
from .table import LINES_MAX, SIZE_MAX, Table, UnreadableFileError, read_file, too_big
from .template import template_csv, template_xlsx
from .writing import Left, Writer, Written

__all__ = [
    "CSV_TYPE",
    "EXPORTED",
    "IMPORTED",
    "LINES_MAX",
    "READ_ONLY",
    "SIZE_MAX",
    "XLSX_MAX",
    "XLSX_TYPE",
    "Change",
    "Column",
    "Kind",
    "Left",
    "NotKeptError",
    "NotWritten",
    "Outcome",
    "Planner",
    "Preview",
    "Previewed",
    "Problem",
    "Reading",
    "Result",
    "Table",
    "UnreadableFileError",
    "Wanted",
    "Writer",
    "Written",
    "as_csv",
    "as_xlsx",
    "forget",
    "guarded",
    "keep_preview",
    "keep_result",
    "kept_preview",
    "kept_result",
    "load_known",
    "read_file",
    "read_lines",
    "rows_as_csv",
    "rows_as_xlsx",
    "template_csv",
    "template_xlsx",
    "too_big",
]
