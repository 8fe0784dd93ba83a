"""What a classifier gets right: its confusion matrix, and its scores class by class and group by group. Values in."""

import math
from collections.abc import Mapping, Sequence

from hpo.plots.figure import Axis, Cells, Figure, Points
from hpo.scores import METRICS

Scores = Mapping[str, Mapping[str, float | None]]
OF_CLASSES = (("recall", "blue", "circle"), ("precision", "orange", "square"), ("f1", "green", "cross"))
NAMES = {"recall": "recall", "precision": "precision", "f1": "F1"}


def confusion(classes: Sequence[str], matrix: Sequence[Sequence[int]], *, key: str, of: str) -> Figure:
    """The confusion matrix: a row for each true class, its cells as shares of that row.

    Args:
        classes: names in label order.
        matrix: counts of windows by (true class, predicted class).
        key: of the figure.
        of: whose windows, in words.
    """
    totals = [sum(row) for row in matrix]
    shares = tuple(tuple(n / total if total else 0.0 for n in row) for row, total in zip(matrix, totals, strict=True))
    windows = sum(totals)
    right = sum(matrix[i][i] for i in range(len(classes)))
    mistakes = [(matrix[i][j], i, j) for i in range(len(classes)) for j in range(len(classes)) if i != j]
    n, i, j = max(mistakes, default=(0, 0, 0))
    most = f" The most frequent mistake: {classes[i]} taken for {classes[j]}, {n:,} times." if n else ""
    small = len(classes) <= 16
    return Figure(
        key=key,
        title="Confusion matrix",
        alt=f"Confusion matrix of {len(classes)} classes: {right:,} of {windows:,} predictions on {of} right.{most}",
        note=f"Row: the true class. Column: the predicted one. Counts on {of}; the colour is a share of the row.{most}",
        x=Axis("predicted class", categories=tuple(classes)),
        y=Axis("true class", categories=tuple(classes), downwards=True),
        layers=(
            Cells(
                shares,
                tuple(tuple(f"{n:,}" if n and small else "" for n in row) for row in matrix),
                tuple(
                    tuple(
                        f"{n:,} windows of {classes[i]}\npredicted as {classes[j]} ({share:.1%})"
                        for j, (n, share) in enumerate(zip(row, shares[i], strict=True))
                    )
                    for i, row in enumerate(matrix)
                ),
            ),
        ),
        height=max(300, 130 + 34 * min(len(classes), 18)),
    )


def by_class(scores: Scores, *, key: str, of: str) -> Figure:
    """Recall, precision and F1 of each class.

    Args:
        scores: class -> name of a score -> value; None where it is undefined.
        key: of the figure. of: whose windows, in words.
    """
    names = tuple(scores)
    layers = tuple(
        Points(
            x=tuple(_number(scores[name].get(score)) for name in names),
            y=tuple(float(i) for i in range(len(names))),
            name=NAMES[score],
            color=color,
            mark="circle" if mark == "circle" else "square" if mark == "square" else "cross",
            size=9,
            hover=tuple(f"{name}\n{NAMES[score]} {_text(scores[name].get(score))}" for name in names),
        )
        for score, color, mark in OF_CLASSES
    )
    said = _least({name: value for name in names if (value := scores[name].get("recall")) is not None})
    return Figure(
        key=key,
        title="Class by class",
        alt=f"Recall, precision and F1 of {len(names)} classes on {of}.{said}",
        note=f"On {of}.{said}",
        x=Axis("score"),
        y=Axis(categories=names, downwards=True),
        layers=layers,
        height=90 + 30 * max(2, len(names)),
    )


def _least(recalls: Mapping[str, float]) -> str:
    """Which classes are recognised least often; nothing where all are recognised alike."""
    worst = [name for name, value in recalls.items() if value == min(recalls.values())]
    if len(worst) == len(recalls):
        return ""
    return f" {' and '.join(worst)} {'is' if len(worst) == 1 else 'are'} recognised least often."


def by_group(scores: Scores, metric: str, *, key: str, of: str, mean: float | None = None) -> Figure:
    """The score of each group (a person, say), the best one first.

    Args:
        scores: group -> name of a score -> value.
        metric: which of them.
        key: of the figure. of: whose windows, in words.
        mean: over all windows; None draws no line.
    """
    known = {name: _number(row.get(metric)) for name, row in scores.items()}
    sign = 1.0 if METRICS[metric] == "minimize" else -1.0
    names = sorted(
        known, key=lambda name: (math.isnan(known[name]), sign * known[name] if known[name] == known[name] else 0)
    )
    values = tuple(known[name] for name in names)
    layers = [
        Points(
            x=values,
            y=tuple(float(i) for i in range(len(names))),
            name="a group",
            size=9,
            hover=tuple(f"group {name}\n{metric} {_text(known[name])}" for name in names),
        )
    ]
    if mean is not None:
        layers.insert(
            0,
            Points(
                (mean, mean), (-0.5, len(names) - 0.5), "all windows", "orange", mark=None, line="straight", dashed=True
            ),
        )
    return Figure(
        key=key,
        title="Group by group",
        alt=f"{metric} of {len(names)} groups on {of}, from {_text(values[0])} (group {names[0]}) to "
        f"{_text(values[-1])} (group {names[-1]}).",
        note=f"On {of}. A group is what the split keeps together, a person for example.",
        x=Axis(metric),
        y=Axis("group", categories=tuple(names), downwards=True),
        layers=tuple(layers),
        height=90 + 24 * max(3, len(names)),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _text(value: float | None) -> str:
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.4f}"
