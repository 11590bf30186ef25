"""Tells the story in plain words, and keeps count of what was proved."""

import textwrap
from typing import Final

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

WIDTH: Final = 100


class Narrator:
    def __init__(self, out: OutputWrapper, style: Style) -> None:
        self._out, self._style = out, style
        self._steps = 0
        self.proved = 0
        self.failed: list[str] = []

    def step(self, title: str) -> None:
        self._steps += 1
        self._out.write("")
        self._out.write(self._style.MIGRATE_HEADING(f"{self._steps}. {title}"))

    def tell(self, text: str) -> None:
        self._out.write(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))

    def proof(self, claim: str, holds: bool, found: object = "") -> None:
        """`claim` says what must be so; `found` what was found, shown when it isn't."""
        if holds:
            self.proved += 1
            self._out.write(self._style.SUCCESS(self._bullet("✓", claim)))
        else:
            self.failed.append(claim)
            self._out.write(self._style.ERROR(self._bullet("✗", f"{claim} NOT SO. Found: {found}")))

    def look(self, *places: tuple[str, str]) -> None:
        """Where to see it: (what, address) each."""
        for what, url in places:
            self._out.write(f"   → {what}: {url}")

    def summary(self) -> None:
        self._out.write("")
        total = self.proved + len(self.failed)
        if not self.failed:
            self._out.write(self._style.SUCCESS(f"All {total} claims were proved."))
            return
        self._out.write(self._style.ERROR(f"{len(self.failed)} of {total} claims were not proved:"))
        for claim in self.failed:
            self._out.write(self._style.ERROR(self._bullet("✗", claim)))

    def _bullet(self, mark: str, text: str) -> str:
        return textwrap.fill(text, WIDTH, initial_indent=f"   {mark} ", subsequent_indent="     ")
