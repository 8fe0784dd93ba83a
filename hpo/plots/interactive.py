"""A figure as plotly describes it: plain values for `Plotly.react`, or for `plotly.graph_objects.Figure`.

Colours stay names (`$blue`) unless a palette is given: the page that draws it puts in what fits by day or night.
Plotly reads its texts as a kind of HTML, so all of them are escaped here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from hpo.plots.figure import Axis, Bars, Cells, Figure, Layer, Points, Words
from hpo.plots.legend import height

DAY = {
    "blue": "#2458d3", "orange": "#b45309", "green": "#15803d", "red": "#c0262d", "purple": "#7c3aed",
    "teal": "#0e7490", "pink": "#be185d", "brown": "#7a4a1d", "grey": "#6b7280",
    "shade0": "#c3cad6", "shade1": "#93aede", "shade2": "#5f8ae0", "shade3": "#2458d3", "shade4": "#0d2a78",
    "ground": "#ffffff", "raised": "#f6f7fa",
}  # fmt: skip
_MARKS = {"circle": "circle", "square": "square", "cross": "x-thin", "bar": "line-ns"}

Json = dict[str, Any]


def plotly(figure: Figure, palette: Mapping[str, str] | None = None) -> Json:
    """The figure as `{"data": [...], "layout": {...}}`.

    Args:
        figure: what is to be drawn.
        palette: name of a color -> color; None leaves the names, with a dollar in front.
    """
    legend = bool(figure.names)
    colors = _Colors(palette)
    traces = [trace for layer in figure.layers for trace in _traces(layer, legend, colors)]
    layout = {
        "height": height(figure),
        "showlegend": legend,
        "xaxis": _axis(figure, "x"),
        "yaxis": _axis(figure, "y"),
        "hovermode": "closest",
        "barmode": "overlay",
        "annotations": [note for layer in figure.layers if isinstance(layer, Words) for note in _words(layer, colors)],
    }
    return {"data": traces, "layout": layout}


class _Colors:
    def __init__(self, palette: Mapping[str, str] | None) -> None:
        self._palette = palette

    def __getitem__(self, name: str) -> str:
        return f"${name}" if self._palette is None else self._palette[name]


def _traces(layer: Layer, legend: bool, colors: _Colors) -> Iterator[Json]:
    match layer:
        case Points():
            yield _points(layer, legend, colors)
        case Bars():
            yield _bars(layer, legend, colors)
        case Cells():
            yield {
                "type": "heatmap",
                "z": [_numbers(row) for row in layer.shares],
                "zmin": 0,
                "zmax": 1,
                "text": [list(map(escape, row)) for row in layer.texts],
                "texttemplate": "%{text}",
                "hovertext": [list(map(_hover, row)) for row in layer.hover],
                "hoverinfo": "text",
                "colorscale": [[0, colors["raised"]], [1, colors["blue"]]],
                "xgap": 1,
                "ygap": 1,
                "showscale": False,
            }


def _words(layer: Words, colors: _Colors) -> Iterator[Json]:
    """Texts on a ground of their own, because lines run below them."""
    shift, anchor = {"above": (12, "center"), "right": (0, "left"), "below": (-12, "center")}[layer.place]
    for x, y, text in zip(layer.x, layer.y, layer.texts, strict=True):
        yield {
            "x": x,
            "y": y,
            "text": escape(text),
            "showarrow": False,
            "xanchor": anchor,
            "xshift": 6 if layer.place == "right" else 0,
            "yshift": shift,
            "bgcolor": colors["ground"],
            "borderpad": 1,
        }


def _points(layer: Points, legend: bool, colors: _Colors) -> Json:
    color = colors[layer.color]
    trace: Json = {
        "type": "scatter",
        "mode": "+".join([*(["lines"] if layer.line else []), *(["markers"] if layer.mark else [])]) or "none",
        "x": _numbers(layer.x),
        "y": _numbers(layer.y),
        "name": escape(layer.name),
        "showlegend": legend and bool(layer.name),
        **_hovers(layer),
        "cliponaxis": not layer.mark,  # a mark on the edge is seen whole, one beyond it not at all
    }
    if layer.faint:
        trace["opacity"] = 0.5
    if layer.line:
        shape = "hv" if layer.line == "step" else "linear"
        dash = "dash" if layer.dashed else "solid"
        trace["line"] = {"color": color, "width": layer.width, "shape": shape, "dash": dash}
    if layer.mark:
        trace["marker"] = {"color": color, "size": layer.size + 1, "symbol": _MARKS[layer.mark]}
        if layer.mark in ("cross", "bar"):
            trace["marker"]["line"] = {"color": color, "width": 2}
    if layer.low:
        middle = layer.x if layer.along == "x" else layer.y
        trace[f"error_{layer.along}"] = {
            "type": "data",
            "symmetric": False,
            "array": _numbers([high - value for value, high in zip(middle, layer.high, strict=True)]),
            "arrayminus": _numbers([value - low for value, low in zip(middle, layer.low, strict=True)]),
            "color": color,
            "thickness": layer.width,
            "width": 4,
        }
    return trace


def _bars(layer: Bars, legend: bool, colors: _Colors) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "y": _numbers(layer.at),
        "base": _numbers(layer.start),
        "x": _numbers([end - start for start, end in zip(layer.start, layer.end, strict=True)]),
        "width": layer.thickness,
        "name": escape(layer.name),
        "showlegend": legend and bool(layer.name),
        "text": list(map(escape, layer.texts)),
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {
            "color": colors[layer.color],
            "line": {"color": colors["ground"], "width": 0.5},
            **(
                {"pattern": {"shape": "/", "fillmode": "overlay", "fgcolor": colors["ground"], "size": 6}}
                if layer.striped
                else {}
            ),
        },
        **_hovers(layer),
    }


def _hovers(layer: Points | Bars) -> Json:
    """Texts of single points; of trials only their numbers, for whose texts the page has one table."""
    if layer.trials:
        return {"trials": list(layer.trials), "hoverinfo": "text"}
    if layer.hover:
        return {"hovertext": list(map(_hover, layer.hover)), "hoverinfo": "text"}
    return {"hoverinfo": "skip"}


def _hover(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _axis(figure: Figure, which: str) -> Json:
    axis: Axis = figure.x if which == "x" else figure.y
    low, high = figure.ends("x" if which == "x" else "y")
    if axis.log:
        low, high = math.log10(low), math.log10(high)
    made: Json = {
        "title": {"text": escape(axis.title)},
        "range": _numbers([high, low] if axis.downwards else [low, high]),
        "type": "log" if axis.log else "linear",
        "visible": not axis.hidden,
        "zeroline": False,
        "automargin": True,
        "exponentformat": "e",
    }
    if axis.categories:
        made |= {
            "tickmode": "array",
            "tickvals": list(range(len(axis.categories))),
            "ticktext": list(map(escape, axis.categories)),
        }
    return made


def _numbers(values: Sequence[float]) -> list[float | None]:
    """Five digits are more than a screen shows; a gap is null."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
