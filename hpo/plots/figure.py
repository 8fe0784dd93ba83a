"""A figure as a value: axes and what lies between them. `picture` draws it, `interactive` describes it for plotly.

Positions are numbers; on an axis with categories the first one is 0, the second 1. NaN is a gap. Colours are names:
what they look like by day and by night is the page's business. No figure tells things apart by colour alone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

COLORS = ("blue", "orange", "green", "red", "purple", "teal", "pink", "brown", "grey")
SHADES = ("shade0", "shade1", "shade2", "shade3", "shade4")  # from the worst to the best
Mark = Literal["circle", "square", "cross", "bar"]
WIDTH, NARROW = 720, 400  # of pictures, in pixels


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: what is on it, with its unit.
        log: its scale is logarithmic.
        categories: names of the positions 0, 1, ...; empty for numbers.
        low, high: where it ends; None means at the data.
        downwards: the first category is at the top.
        hidden: no line, no ticks.
    """

    title: str = ""
    log: bool = False
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    downwards: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Points:
    """Points, perhaps joined by lines.

    Attributes:
        x, y: positions, equally many.
        name: in the legend; empty for none.
        mark: None draws lines only.
        line: joins neighbours; "step" goes sideways first. None draws marks only.
        low, high: ends of an interval around each point, along the axis `along`; empty for none.
        size: of marks, and `width` of lines, in pixels.
        hover: a text for each point; `trials`: or the number of a trial, whose text the page knows.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    name: str = ""
    color: str = "blue"
    mark: Mark | None = "circle"
    line: Literal["straight", "step"] | None = None
    dashed: bool = False
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    along: Literal["x", "y"] = "y"
    size: float = 6.0
    width: float = 2.0
    faint: bool = False
    hover: tuple[str, ...] = ()
    trials: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bars:
    """Bars that lie: at position `at` of the vertical axis, from `start` to `end` of the horizontal one.

    Attributes:
        texts: at the end of each bar; empty for none. hover, trials: as of `Points`.
        striped: drawn with a pattern, to be told apart without its colour.
    """

    at: tuple[float, ...]
    start: tuple[float, ...]
    end: tuple[float, ...]
    name: str = ""
    color: str = "blue"
    texts: tuple[str, ...] = ()
    hover: tuple[str, ...] = ()
    trials: tuple[int, ...] = ()
    striped: bool = False
    thickness: float = 0.7


@dataclass(frozen=True)
class Cells:
    """A matrix, one cell for each pair of categories: the deeper its colour, the larger its share.

    Attributes:
        shares: from 0 to 1, by row. texts: in each cell. hover: of each cell.
    """

    shares: tuple[tuple[float, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    hover: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Words:
    """Texts at positions."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    texts: tuple[str, ...]
    place: Literal["above", "right", "below"] = "right"


Layer = Points | Bars | Cells | Words


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        key: names it in a page; letters, digits and hyphens.
        title: a headline. alt: what is to be seen, for who does not see it. note: what to know when reading it.
        x, y: its axes.
        layers: what lies between them, the hindmost first.
        height: in pixels where it is 720 wide, with a legend of one line; further lines come on top (see `height` of
            `hpo.plots`). narrow: half as wide.
    """

    key: str
    title: str
    alt: str
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    note: str = ""
    height: int = 360
    narrow: bool = False

    @property
    def width(self) -> int:
        """Of its picture, in pixels."""
        return NARROW if self.narrow else WIDTH

    @property
    def names(self) -> list[Points | Bars]:
        """The layers that stand in the legend; none where it would have one entry."""
        named = [layer for layer in self.layers if isinstance(layer, Points | Bars) and layer.name]
        return named if len(named) > 1 else []

    def ends(self, which: Literal["x", "y"]) -> tuple[float, float]:
        """Where an axis ends: as it says, or a little beyond the data."""
        axis = self.x if which == "x" else self.y
        if axis.categories:
            return -0.5, len(axis.categories) - 0.5
        found = [v for v in self._values(which) if math.isfinite(v) and (v > 0 or not axis.log)]
        low, high = (min(found), max(found)) if found else (1.0, 10.0) if axis.log else (0.0, 1.0)
        if axis.log:
            reach = max(high / low, 1.2) ** 0.04
            return axis.low or low / reach, axis.high or high * reach
        reach = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
        if which == "x" and any(isinstance(layer, Bars) and layer.texts for layer in self.layers):
            high += 4 * reach  # the texts stand beyond the bars
        return (low - reach if axis.low is None else axis.low), (high + reach if axis.high is None else axis.high)

    def _values(self, which: Literal["x", "y"]) -> Iterable[float]:
        for layer in self.layers:
            match layer:
                case Points() | Words():
                    yield from layer.x if which == "x" else layer.y
                    if isinstance(layer, Points) and layer.along == which:
                        yield from (*layer.low, *layer.high)
                case Bars():
                    yield from (*layer.start, *layer.end) if which == "x" else layer.at
                case Cells():
                    yield 0.0


def focus(values: Sequence[float], direction: str) -> tuple[float | None, float | None, int]:
    """Where an axis of scores should end, so that a few hopeless ones do not flatten all others.

    Args:
        values: the scores.
        direction: "maximize" or "minimize".

    Returns: `low` and `high` for an `Axis`, None where the data say it, and how many values lie outside.
    """
    known = sorted(v for v in values if math.isfinite(v))
    if len(known) < 8:
        return None, None, 0
    best_last = known if direction == "maximize" else [-v for v in reversed(known)]
    quarter, top = best_last[len(known) // 4], best_last[-1]
    edge = quarter - 1.5 * (top - quarter)
    inside = [v for v in best_last if v >= edge]
    outside = len(known) - len(inside)
    if not outside or edge >= top:
        return None, None, 0
    edge = inside[0] - 0.05 * (top - inside[0])
    return (edge, None, outside) if direction == "maximize" else (None, -edge, outside)
