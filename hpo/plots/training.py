"""How a trial was trained: each metric epoch by epoch, on the training and on another part. Values in."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hpo.plots.figure import COLORS, Axis, Figure, Points
from hpo.scores import METRICS

Epochs = Sequence[Mapping[str, float | None]]
"""Of one fold: what each epoch ended with, as `curves.json` has it."""

MOST_NAMED = 3  # folds that have colours, and entries in the legend, of their own
TRAINING, KEPT = "training", "kept"


def curves(
    folds: Sequence[Epochs], *, key: str, of: str, best_epochs: Sequence[int] = (), part: str = "validation"
) -> list[Figure]:
    """A figure for each metric that was measured, the loss first.

    A few folds are told apart by their colours; more of them by what is said of each point.

    Args:
        folds: of a trial.
        key: what the figures' keys begin with.
        of: which trial, in words.
        best_epochs: the epoch that was kept of each fold, from 1.
        part: what the scores beside those of training come from, in a word.
    """
    seen = {name.removeprefix("val_") for fold in folds for epoch in fold for name in epoch}
    return [
        _curve(folds, metric, f"{key}-{metric.replace('_', '-')}", of, best_epochs, part)
        for metric in ("loss", *(name for name in METRICS if name != "loss"))
        if metric in seen
    ]


def _curve(folds: Sequence[Epochs], metric: str, key: str, of: str, best_epochs: Sequence[int], part: str) -> Figure:
    several, many = len(folds) > 1, len(folds) > MOST_NAMED
    drawn = [
        dict(_fold(fold, metric, f", fold {number}" if several else "", COLORS[number % len(COLORS)], best, part))
        for number, (fold, best) in enumerate(zip(folds, [*best_epochs, *[None] * len(folds)], strict=False))
    ]
    layers = (
        # the colours that more folds share
        [
            _together([fold[name] for fold in drawn if name in fold], name, color)
            for name, color in ((TRAINING, "grey"), (part, "blue"), (KEPT, "orange"))
        ]
        if many
        else [layer for fold in drawn for layer in fold.values()]
    )
    epochs = max((len(fold) for fold in folds), default=0)
    where = f" of {len(folds)} folds" if several else ""
    verb = "was" if len(best_epochs) == 1 else "were"
    kept = f", of which {', '.join(map(str, best_epochs))} {verb} kept" if best_epochs else ""
    return Figure(
        key=key,
        title=metric.replace("_", " "),
        alt=f"{metric} of {of} on the training part and on {part}{where} over {epochs} epochs{kept}.",
        x=Axis("epoch"),
        y=Axis(metric.replace("_", " ")),
        layers=tuple(layer for layer in layers if layer.x),
        height=300,
        narrow=True,
    )


def _fold(
    fold: Epochs, metric: str, where: str, color: str, best: int | None, other: str
) -> Iterator[tuple[str, Points]]:
    """What is drawn of one fold, by the name of the part."""
    for part, prefix, dashed in ((TRAINING, "", True), (other, "val_", False)):
        values = tuple(_number(epoch.get(f"{prefix}{metric}")) for epoch in fold)
        if any(map(math.isfinite, values)):
            yield part, _line(values, f"{part}{where}", color, metric, dashed=dashed)
    if best is not None and best <= len(fold):
        value = _number(fold[best - 1].get(f"val_{metric}"))
        if math.isfinite(value):
            said = (f"epoch {best}, kept{where}\n{value:.4f}",)
            yield KEPT, Points((float(best),), (value,), f"kept{where}", color, size=11, hover=said)


def _together(layers: Sequence[Points], name: str, color: str) -> Points:
    """The same part of all folds as one layer, with a gap behind each fold."""
    first = layers[0] if layers else Points((), ())
    return replace(
        first,
        x=tuple(x for layer in layers for x in (*layer.x, math.nan)),
        y=tuple(y for layer in layers for y in (*layer.y, math.nan)),
        hover=tuple(text for layer in layers for text in (*layer.hover, "")),
        name=name,
        color=color,
        width=1.2,
        size=6,
    )


def _line(values: tuple[float, ...], name: str, color: str, metric: str, *, dashed: bool) -> Points:
    return Points(
        x=tuple(float(i + 1) for i in range(len(values))),
        y=values,
        name=name,
        color="grey" if dashed and color == "blue" else color,
        mark=None,
        line="straight",
        dashed=dashed,
        hover=tuple(f"epoch {i + 1}, {name}\n{metric} {value:.4f}" for i, value in enumerate(values)),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
