"""A table as a value, and the cells that it is made of."""

import math
from dataclasses import dataclass
from typing import TypeGuard

from hpo.render import duration, score

UNKNOWN = math.nan  # what is not known is sorted by it: behind all numbers, whichever way they are sorted


@dataclass(frozen=True)
class Cell:
    """A text, and what it is sorted by; None sorts by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        key: names it in the page. caption: what is in it.
        columns: headings; those of numbers begin with ">".
        rows: of as many cells.
        folded: it is long, and opened by who wants it.
    """

    key: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False

    @property
    def headings(self) -> list[tuple[str, bool]]:
        """Each with whether it is of numbers."""
        return [(name.removeprefix(">"), name.startswith(">")) for name in self.columns]


def cells(*texts: str) -> tuple[Cell, ...]:
    """Texts."""
    return tuple(Cell(text) for text in texts)


def known(value: float | None) -> TypeGuard[float]:
    """Whether it is a number."""
    return value is not None and math.isfinite(value)


def score_cell(value: float | None) -> Cell:
    """A score with four decimals."""
    return Cell(score(value), value) if known(value) else Cell(score(None), UNKNOWN)


def count_cell(value: float | None) -> Cell:
    """A whole number."""
    return Cell(f"{value:,.0f}", value) if known(value) else Cell("-", UNKNOWN)


def seconds_cell(value: float) -> Cell:
    """A span of time; NaN is not known."""
    return Cell(duration(value), value) if known(value) else Cell("-", UNKNOWN)
