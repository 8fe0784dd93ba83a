"""Where the entries of a figure's legend stand, and how high the figure is with them."""

from collections.abc import Iterator
from dataclasses import dataclass

from hpo.plots.figure import Bars, Figure, Points

LINE = 20  # pixels from one line of the legend to the next
# pixels that letters are wide, in a font that is rather wide
WIDE, LETTER, SLIM = 8.6, 7.0, 4.0
_LEFT, _SAMPLE, _GAP = 12.0, 26, 14


@dataclass(frozen=True)
class Entry:
    """An entry: what it is of, where it begins, in pixels, and in which line, from 0."""

    layer: Points | Bars
    left: float
    line: int


def legend(figure: Figure) -> Iterator[Entry]:
    """The entries from left to right, in as many lines as they need."""
    at, line = _LEFT, 0
    for layer in figure.names:
        needed = _SAMPLE + wide(layer.name) + _GAP
        if at + needed > figure.width and at > _LEFT:
            at, line = _LEFT, line + 1
        yield Entry(layer, at, line)
        at += needed


def lines(figure: Figure) -> int:
    """How many lines its legend has; 0 without one."""
    return max((entry.line + 1 for entry in legend(figure)), default=0)


def height(figure: Figure) -> int:
    """Of its picture, in pixels: a long legend makes it higher, and leaves the plot as it is."""
    return figure.height + LINE * max(0, lines(figure) - 1)


def wide(text: str) -> float:
    """Pixels that a text takes, about."""
    return sum(WIDE if c.isupper() or c in "mwMW%@" else SLIM if c in "iljt.,:;|' " else LETTER for c in text)
