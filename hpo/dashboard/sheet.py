"""Several figures as one SVG file of its own, with colours that are told apart on a light and on a dark page."""

from collections.abc import Sequence
from html import escape

from hpo.plots import DAY, SHADES, Figure, height, picture
from hpo.plots.figure import NARROW, WIDTH

_TITLE = 30  # pixels above a figure
_GAP = 14
MOST_ABREAST = 3
_COLORS = "".join(f".{name}{{color:{DAY[name]}}}" for name in DAY if name not in (*SHADES, "ground"))
NIGHT = {
    "blue": "#7aa2ff", "orange": "#f0a04b", "green": "#4ade80", "red": "#f87171", "purple": "#b794f4",
    "teal": "#4fd1c5", "pink": "#f687b3", "brown": "#d6a77a", "grey": "#a0aec0",
}  # fmt: skip
_NIGHT = "".join(f".{name}{{color:{color}}}" for name, color in NIGHT.items())
# The class names are those that `picture` gives.
STYLE = f"""
svg{{background:#fff;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
{_COLORS}
.title{{font-size:15px;font-weight:600;fill:#1b2333}}
.label{{font-size:11px;fill:#3d475a}} .axis{{font-size:12px;fill:#3d475a}} .deep{{fill:#fff}}
.halo{{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}}
.grid:has(~ .cell){{display:none}} .grid{{stroke:#e3e7ef;stroke-width:1;fill:none}}
.line{{stroke:currentColor;fill:none;stroke-linejoin:round}} .mark{{stroke:currentColor;fill:none}}
.circle{{stroke-linecap:round}} .square{{stroke-linecap:square}}
.dashed{{stroke-dasharray:6 4}} .faint{{opacity:.35}}
.box{{fill:currentColor}} .striped{{fill-opacity:.55}}
.cell{{fill:{DAY["blue"]};stroke:#e3e7ef}}
@media (prefers-color-scheme:dark){{
svg{{background:#1e1e1e}} {_NIGHT}
.title{{fill:#eef1f7}} .label,.axis{{fill:#b9c1d0}} .deep{{fill:#0d1117}} .halo{{stroke:#1e1e1e}}
.grid{{stroke:#343a46}} .cell{{fill:{NIGHT["blue"]};stroke:#343a46}}
}}
"""


def sheet(figures: Sequence[Figure]) -> str:
    """The figures below each other, narrow ones in rows."""
    parts = []
    left, top, row = 0, 0, 0
    abreast = min(MOST_ABREAST, sum(figure.narrow for figure in figures))
    wide = max(WIDTH if abreast < len(figures) else 0, abreast * (NARROW + _GAP) - _GAP)
    for figure in figures:
        if left + figure.width > wide:
            left, top, row = 0, top + row, 0
        parts.append(_placed(figure, left, top))
        row = max(row, _TITLE + height(figure) + _GAP)
        left += figure.width + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {top + row}" width="{wide}" height="{top + row}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def _placed(figure: Figure, left: int, top: int) -> str:
    where = f'<svg x="{left}" y="{top + _TITLE}" width="{figure.width}" height="{height(figure)}" '
    title = f'<text class="title" x="{left + 14}" y="{top + 22}">{escape(figure.title)}</text>'
    return title + picture(figure).replace("<svg ", where, 1)
