"""Figures of studies and trials: values first, then a picture (SVG) or what plotly draws. Pure, and without plotly."""

from hpo.plots.figure import COLORS, SHADES, Axis, Bars, Cells, Figure, Layer, Mark, Points, Words, focus
from hpo.plots.interactive import DAY, plotly
from hpo.plots.legend import height
from hpo.plots.picture import picture

__all__ = [
    "COLORS",
    "DAY",
    "SHADES",
    "Axis",
    "Bars",
    "Cells",
    "Figure",
    "Layer",
    "Mark",
    "Points",
    "Words",
    "focus",
    "height",
    "picture",
    "plotly",
]
