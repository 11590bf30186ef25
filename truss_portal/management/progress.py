"""Progress: bars on a terminal, silence in cron."""

from types import TracebackType
from typing import Any, Self

from django.core.management.base import OutputWrapper
from tqdm import tqdm


class ProgressBars:
    """A bar for each step of a run, on standard error; nothing where that isn't a terminal."""

    TITLES = {"list": "Listing", "look": "Looking closer", "send": "Sending", "keys": "Asking for keys"}

    def __init__(self, stderr: OutputWrapper, *, wanted: bool, unit: str = "invoice") -> None:
        """`unit` is what is counted, in the singular."""
        self._unit = unit
        self._wanted = wanted and stderr.isatty()
        self._stderr = stderr
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, step: str, done: int, total: int | None) -> None:
        if not self._wanted:
            return
        bar = self._bars.get(step)
        if bar is None:
            bar = self._bars[step] = tqdm(
                desc=self.TITLES.get(step, step), unit=self._unit, file=self._stderr, total=total
            )
        bar.total = total
        bar.update(done - bar.n)
