"""Why some of many were left out: as few lines as there are reasons."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .wording import number

EXAMPLES: Final = 5
LeftOut = tuple[int, str, str]
"""A row by primary key, its name, and the reason, for people."""


@dataclass(frozen=True, slots=True)
class Group:
    reason: str
    count: int
    examples: list[tuple[int, str]]
    """The first of them, by primary key and name."""

    @property
    def more(self) -> int:
        return self.count - len(self.examples)

    @property
    def count_shown(self) -> str:
        return number(self.count)

    @property
    def more_shown(self) -> str:
        return number(self.more)


def grouped(left_out: Iterable[LeftOut], examples: int = EXAMPLES) -> list[Group]:
    """Those with one reason together, the most frequent reason first."""
    alike: dict[str, list[LeftOut]] = {}
    for pk, name, reason in left_out:
        alike.setdefault(_without(name, reason), []).append((pk, name, reason))
    groups = [
        Group(
            reason=rows[0][2] if len({reason for _pk, _name, reason in rows}) == 1 else general,
            count=len(rows),
            examples=[(pk, name) for pk, name, _reason in rows[:examples]],
        )
        for general, rows in alike.items()
    ]
    return sorted(groups, key=lambda group: -group.count)


def _without(name: str, reason: str) -> str:
    """The reason with "…" where it names the one that it is about."""
    at = reason.find(name)
    if not name or at < 0 or reason[at - 1 : at].isalnum() or reason[at + len(name) :][:1].isalnum():
        return reason
    return f"{reason[:at]}…{reason[at + len(name) :]}"
