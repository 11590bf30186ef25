"""Our mark in the private memo."""

from hypothesis import given
from hypothesis import strategies as st

from truss_portal import memo

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=memo.MAX_LENGTH)


@given(text)
def test_what_people_wrote_comes_back_and_fits(written: str) -> None:
    mark = memo.new_mark()
    there = memo.join(written, mark)
    assert len(there) <= memo.TRUSS_MAX
    assert mark in memo.marks(there)
    assert memo.without(there, mark).rstrip(" \t") == written.rstrip(" \t")


@given(text, text)
def test_the_mark_is_found_wherever_people_have_moved_it(before: str, after: str) -> None:
    mark = memo.new_mark()
    assert mark in memo.marks(f"{before}[TP-{mark}]{after}")


def test_no_memo_has_no_mark() -> None:
    assert memo.marks(None) == memo.marks("") == memo.marks("[TP-short]") == []
    assert memo.without("Job 88 [TP-0123456789]", "AAAAAAAAAA") == "Job 88 [TP-0123456789]"


def test_marks_differ() -> None:
    assert len({memo.new_mark() for _ in range(1000)}) == 1000
