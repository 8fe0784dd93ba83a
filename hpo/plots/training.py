"""How a trial was trained: each metric epoch by epoch, on the training and on the validation part. Values in."""

import math
from collections.abc import Mapping, Sequence

from hpo.plots.figure import COLORS, Axis, Figure, Points
from hpo.scores import METRICS

Epochs = Sequence[Mapping[str, float | None]]
"""Of one fold: what each epoch ended with, as `curves.json` has it."""


def curves(folds: Sequence[Epochs], *, key: str, of: str, best_epochs: Sequence[int] = ()) -> list[Figure]:
    """A figure for each metric that was measured, the loss first.

    Args:
        folds: of a trial.
        key: what the figures' keys begin with.
        of: which trial, in words.
        best_epochs: the epoch that was kept of each fold, from 1.
    """
    seen = {name.removeprefix("val_") for fold in folds for epoch in fold for name in epoch}
    return [
        _curve(folds, metric, f"{key}-{metric.replace('_', '-')}", of, best_epochs)
        for metric in ("loss", *(name for name in METRICS if name != "loss"))
        if metric in seen
    ]


def _curve(folds: Sequence[Epochs], metric: str, key: str, of: str, best_epochs: Sequence[int]) -> Figure:
    layers: list[Points] = []
    for number, fold in enumerate(folds):
        fold_name = f", fold {number}" if len(folds) > 1 else ""
        color = COLORS[number % len(COLORS)]
        for part, dashed in (("", True), ("val_", False)):
            values = tuple(_number(epoch.get(f"{part}{metric}")) for epoch in fold)
            if any(map(math.isfinite, values)):
                name = ("validation" if part else "training") + fold_name
                layers.append(_line(values, name, color, metric, dashed=dashed))
        if number < len(best_epochs) and best_epochs[number] <= len(fold):
            epoch = best_epochs[number]
            value = _number(fold[epoch - 1].get(f"val_{metric}"))
            if math.isfinite(value):
                name = f"kept{fold_name}"
                layers.append(
                    Points((epoch,), (value,), name, color, size=11, hover=(f"epoch {epoch}, kept\n{value:.4f}",))
                )
    epochs = max((len(fold) for fold in folds), default=0)
    kept = f", of which {', '.join(map(str, best_epochs))} was kept" if best_epochs else ""
    return Figure(
        key=key,
        title=metric.replace("_", " "),
        alt=f"{metric} of {of} on the training and the validation part over {epochs} epochs{kept}.",
        x=Axis("epoch"),
        y=Axis(metric.replace("_", " ")),
        layers=tuple(layers),
        height=300,
        narrow=True,
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
