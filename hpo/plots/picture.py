"""A figure as SVG: for who runs no scripts, and for paper. Its colours are CSS classes of the page that holds it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from hpo.plots.figure import Axis, Bars, Cells, Figure, Layer, Points, Words
from hpo.plots.legend import LINE, height, legend, lines, wide
from hpo.plots.scale import ticks

MOST_LETTERS = 28  # of a category's name


@dataclass(frozen=True)
class _Frame:
    """Where the axes lie, in pixels."""

    left: float
    right: float
    top: float
    bottom: float
    x: Callable[[float], float]
    y: Callable[[float], float]


def picture(figure: Figure) -> str:
    """The figure as one `<svg>` element."""
    frame = _frame(figure)
    box = f"0 0 {figure.width} {height(figure)}"
    parts = [
        f'<svg class="picture" viewBox="{box}" role="img" aria-labelledby="{figure.key}-alt">',
        f'<title id="{figure.key}-alt">{escape(figure.alt)}</title>',
        *_legend(figure),
        *_ticks(figure, frame),
    ]
    for layer in figure.layers:
        parts += _layer(layer, frame)
    return "".join([*parts, "</svg>"])


def _frame(figure: Figure) -> _Frame:
    labels = figure.y.categories or tuple(text for _, text in ticks(*figure.ends("y"), log=figure.y.log))
    left = 12 + (0 if figure.y.hidden else _longest(labels)) + (20 if figure.y.title else 4)
    room = max((wide(t) + 8 for layer in figure.layers if isinstance(layer, Bars) for t in layer.texts), default=14)
    right, top = figure.width - room, LINE * lines(figure) + 10.0
    turned = _turned(figure, right - left)
    below = 0 if figure.x.hidden else _longest(figure.x.categories) * 0.65 + 14 if turned else 22
    low = height(figure) - below - (20 if figure.x.title else 4)
    x, y = _place(figure.x, figure.ends("x"), left, right), _place(figure.y, figure.ends("y"), low, top)
    return _Frame(left, right, top, low, x, y)


def _longest(labels: Sequence[str]) -> float:
    return max((wide(_short(label)) for label in labels), default=0.0)


def _turned(figure: Figure, width: float) -> bool:
    """Whether names below the horizontal axis would run into each other."""
    names = figure.x.categories
    return bool(names) and _longest(names) + 6 > width / len(names)


def _place(axis: Axis, ends: tuple[float, float], first: float, last: float) -> Callable[[float], float]:
    """Turns positions on an axis into pixels."""
    if axis.downwards:
        first, last = last, first
    low, high = (math.log10(end) for end in ends) if axis.log else ends
    span = (high - low) or 1.0

    def place(value: float) -> float:
        if axis.log:
            value = math.log10(value) if value > 0 else math.nan
        return first + (value - low) / span * (last - first)

    return place


def _legend(figure: Figure) -> Iterator[str]:
    for entry in legend(figure):
        layer, at, middle = entry.layer, entry.left, 14 + LINE * entry.line
        sample: Layer
        if isinstance(layer, Points):
            flat = _Frame(0, 0, 0, 0, lambda v: v, lambda v: v)
            ends = (at, at + 18) if layer.line else (at + 9,)
            sample = Points(
                ends, (middle,) * len(ends), color=layer.color, mark=layer.mark, size=layer.size,
                line="straight" if layer.line else None, dashed=layer.dashed, width=layer.width,
            )  # fmt: skip
            yield from _layer(sample, flat)
        else:
            yield _box(at + 3, middle - 5, 12, 10, layer)
        yield f'<text class="label" x="{at + 24:.0f}" y="{middle + 4}">{escape(layer.name)}</text>'


def _ticks(figure: Figure, frame: _Frame) -> Iterator[str]:
    """Lines and labels of both axes."""
    grid, labels = [], []
    if not figure.x.hidden:
        turned = _turned(figure, frame.right - frame.left)
        for value, text in _marks(figure.x, figure.ends("x"), int(frame.right - frame.left) // 90):
            x = frame.x(value)
            grid.append(f"M{x:.1f} {frame.top:.1f}V{frame.bottom:.1f}")
            at = f'x="{x:.1f}" y="{frame.bottom + 16:.1f}"'
            how = f'text-anchor="end" transform="rotate(-40 {x:.1f} {frame.bottom + 12:.1f})"' if turned else _CENTRED
            labels.append(f'<text class="label" {at} {how}>{escape(_short(text))}</text>')
    if not figure.y.hidden:
        for value, text in _marks(figure.y, figure.ends("y"), int(frame.bottom - frame.top) // 45):
            y = frame.y(value)
            grid.append(f"M{frame.left:.1f} {y:.1f}H{frame.right:.1f}")
            at = f'x="{frame.left - 6:.1f}" y="{y + 4:.1f}"'
            labels.append(f'<text class="label" {at} text-anchor="end">{escape(_short(text))}</text>')
    if grid:
        yield f'<path class="grid" d="{"".join(grid)}"/>'
    yield from labels
    if figure.x.title:
        middle, low = (frame.left + frame.right) / 2, height(figure) - 6
        yield f'<text class="axis" x="{middle:.0f}" y="{low}" {_CENTRED}>{escape(figure.x.title)}</text>'
    if figure.y.title:
        middle = (frame.top + frame.bottom) / 2
        turn = f'transform="rotate(-90 14 {middle:.0f})"'
        yield f'<text class="axis" x="14" y="{middle:.0f}" {_CENTRED} {turn}>{escape(figure.y.title)}</text>'


_CENTRED = 'text-anchor="middle"'


def _marks(axis: Axis, ends: tuple[float, float], wanted: int) -> list[tuple[float, str]]:
    if axis.categories:
        return [(float(i), name) for i, name in enumerate(axis.categories)]
    return ticks(*ends, log=axis.log, wanted=max(2, wanted))


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def _layer(layer: Layer, frame: _Frame) -> Iterator[str]:
    match layer:
        case Points():
            yield from _points(layer, frame)
        case Bars():
            yield from _bars(layer, frame)
        case Cells():
            yield from _cells(layer, frame)
        case Words():
            shift, anchor = {"above": (-8, "middle"), "right": (4, "start"), "below": (16, "middle")}[layer.place]
            for x, y, text in zip(layer.x, layer.y, layer.texts, strict=True):
                left = frame.x(x) + (6 if layer.place == "right" else 0)
                at = f'x="{left:.1f}" y="{frame.y(y) + shift:.1f}" text-anchor="{anchor}"'
                yield f'<text class="label halo" {at}>{escape(text)}</text>'


def _points(layer: Points, frame: _Frame) -> Iterator[str]:
    places = [(frame.x(x), frame.y(y)) for x, y in zip(layer.x, layer.y, strict=True)]
    look = f"{layer.color}{' dashed' if layer.dashed else ''}{' faint' if layer.faint else ''}"
    if layer.line:
        yield f'<path class="line {look}" stroke-width="{layer.width:g}" d="{_path(places, layer.line)}"/>'
    if layer.low:
        yield f'<path class="line {look}" stroke-width="{layer.width:g}" d="{_intervals(layer, frame)}"/>'
    if layer.mark:
        shape, size = f"{layer.mark} {look}", layer.size
        half = size / 2
        draw = {
            "circle": "M{x:.1f} {y:.1f}h0",
            "square": "M{x:.1f} {y:.1f}h0",
            "cross": f"M{{x:.1f}} {{y:.1f}}m-{half} -{half}l{size} {size}m0 -{size}l-{size} {size}",
            "bar": f"M{{x:.1f}} {{y:.1f}}m0 -{half}v{size}",
        }[layer.mark]
        there = [(x, y) for x, y in places if math.isfinite(x) and math.isfinite(y)]
        path = "".join(draw.format(x=x, y=y) for x, y in there if _inside(x, y, frame))
        wide = 2 if layer.mark in ("cross", "bar") else size
        yield f'<path class="mark {shape}" stroke-width="{wide:g}" d="{path}"/>'


def _inside(x: float, y: float, frame: _Frame) -> bool:
    """Whether a mark lies between the axes; a legend's has none."""
    if frame.left == frame.right:
        return True
    return frame.left - 1 <= x <= frame.right + 1 and frame.top - 1 <= y <= frame.bottom + 1


def _path(places: Sequence[tuple[float, float]], line: str) -> str:
    path, open_ = [], False
    for x, y in places:
        if not (math.isfinite(x) and math.isfinite(y)):
            open_ = False
        elif not open_:
            path.append(f"M{x:.1f} {y:.1f}")
            open_ = True
        else:
            path.append(f"H{x:.1f}V{y:.1f}" if line == "step" else f"L{x:.1f} {y:.1f}")
    return "".join(path)


def _intervals(layer: Points, frame: _Frame) -> str:
    path = []
    for x, y, low, high in zip(layer.x, layer.y, layer.low, layer.high, strict=True):
        if not all(math.isfinite(v) for v in (x, y, low, high)):
            continue
        if layer.along == "x":
            a, b, c = frame.x(low), frame.x(high), frame.y(y)
            path.append(f"M{a:.1f} {c:.1f}H{b:.1f}M{a:.1f} {c - 4:.1f}v8M{b:.1f} {c - 4:.1f}v8")
        else:
            a, b, c = frame.y(low), frame.y(high), frame.x(x)
            path.append(f"M{c:.1f} {a:.1f}V{b:.1f}M{c - 4:.1f} {a:.1f}h8M{c - 4:.1f} {b:.1f}h8")
    return "".join(path)


def _bars(layer: Bars, frame: _Frame) -> Iterator[str]:
    unit = abs(frame.y(1) - frame.y(0)) * layer.thickness
    for i, (at, start, end) in enumerate(zip(layer.at, layer.start, layer.end, strict=True)):
        left, right = sorted((frame.x(start), frame.x(end)))
        yield _box(left, frame.y(at) - unit / 2, max(right - left, 1.0), unit, layer)
        if layer.texts:
            where = f'x="{right + 5:.1f}" y="{frame.y(at) + 4:.1f}"'
            yield f'<text class="label" {where}>{escape(layer.texts[i])}</text>'


def _box(x: float, y: float, width: float, height: float, layer: Bars) -> str:
    look = f"box {layer.color}{' striped' if layer.striped else ''}"
    return f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5"/>'


def _cells(layer: Cells, frame: _Frame) -> Iterator[str]:
    wide, high = abs(frame.x(1) - frame.x(0)), abs(frame.y(1) - frame.y(0))
    for row, (shares, texts) in enumerate(zip(layer.shares, layer.texts, strict=True)):
        for column, (share, text) in enumerate(zip(shares, texts, strict=True)):
            x, y = frame.x(column), frame.y(row)
            box = f'x="{x - wide / 2:.1f}" y="{y - high / 2:.1f}" width="{wide:.1f}" height="{high:.1f}"'
            yield f'<rect class="cell" {box} fill-opacity="{share:.3f}"/>'
            if text:
                deep = " deep" if share > 0.5 else ""
                yield f'<text class="label{deep}" x="{x:.1f}" y="{y + 4:.1f}" {_CENTRED}>{escape(text)}</text>'
