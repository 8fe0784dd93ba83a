"""What a classifier's probabilities are worth. Plain NumPy, so that a study file can name metrics without Keras.

Everywhere `y` is int64 (n,) with labels 0..K-1 and `p` is float (n, K) with one probability per class. Classes that do
not occur in `y` have no recall and no ranking: the averages over classes leave them out.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Direction = Literal["maximize", "minimize"]

METRICS: dict[str, Direction] = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
    "macro_f1": "maximize",
    "auroc": "maximize",
    "loss": "minimize",
}

# What a study may rank its trials by: a score, or the number of a model's weights.
OBJECTIVES: dict[str, Direction] = {**METRICS, "parameters": "minimize"}

# A probability below it counts as it, as in Keras: one confident mistake must not make the mean infinite.
SMALLEST = 1e-7

Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating[Any]]


def score(y: Labels, p: Probabilities) -> dict[str, float]:
    """Every metric of `METRICS`.

    Returns:
        ``accuracy``: share of windows whose most probable class is the right one.
        ``balanced_accuracy``: mean recall of the classes in `y`.
        ``macro_f1``: mean F1 of the classes in `y`; equals scikit-learn's with ``labels=np.unique(y)``.
        ``auroc``: area under the ROC curve of class 1 for two classes, else the mean of one class against the rest,
        over the classes in `y` (Hand and Till 2001 compare pairs instead; this is scikit-learn's ``ovr``). NaN if
        `y` holds one class only, because then there is nothing to rank.
        ``loss``: mean cross entropy in nats, without label smoothing or class weights, probabilities clipped at 1e-7.
        All of them are NaN if any probability is not finite: such a model has no score.

    Raises:
        ValueError: no windows, or shapes that do not fit each other.
    """
    return {name: score_of(name, y, p) for name in _FORMULAS}


def score_of(metric: str, y: Labels, p: Probabilities) -> float:
    """One metric of `score`, for those who need no other and many of them.

    Raises:
        ValueError: as `score`.
    """
    _check(y, p)
    return _FORMULAS[metric](y, p) if np.isfinite(p).all() else float("nan")


def _accuracy(y: Labels, p: Probabilities) -> float:
    return float((p.argmax(axis=1) == y).mean())


def _balanced_accuracy(y: Labels, p: Probabilities) -> float:
    matrix = confusion(y, p, p.shape[1])
    return float(np.nanmean(_ratio(matrix.diagonal(), matrix.sum(axis=1))))


def _macro_f1(y: Labels, p: Probabilities) -> float:
    matrix = confusion(y, p, p.shape[1])
    return float(_f1(matrix)[matrix.sum(axis=1) > 0].mean())


def _loss(y: Labels, p: Probabilities) -> float:
    own = p[np.arange(len(y)), y].astype(np.float64)
    return float(-np.log(np.clip(own, SMALLEST, 1.0)).mean()) + 0.0  # no loss is 0.0, not -0.0


def confusion(y: Labels, p: Probabilities, k: int) -> NDArray[np.int64]:
    """Counts of windows, int64 (k, k): row = true class, column = most probable class (the first of equal ones)."""
    cells = y * k + p.argmax(axis=1)
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def per_class(y: Labels, p: Probabilities, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Windows, precision, recall, F1 and AUROC against the rest, by class name.

    What is undefined is NaN: the recall of a class without windows, the precision of a class never predicted.
    """
    _check(y, p)
    matrix = confusion(y, p, len(classes))
    hits = matrix.diagonal()
    precision, recall, f1 = _ratio(hits, matrix.sum(axis=0)), _ratio(hits, matrix.sum(axis=1)), _f1(matrix)
    return {
        name: {
            "windows": int(matrix[c].sum()),
            "precision": float(precision[c]),
            "recall": float(recall[c]),
            "f1": float(f1[c]),
            "auroc": _auroc(y == c, p[:, c]),
        }
        for c, name in enumerate(classes)
    }


def per_group(y: Labels, p: Probabilities, groups: Labels | None) -> dict[str, dict[str, float]]:
    """Windows and every metric of each group (a subject, say), by the group's number; empty without groups."""
    if groups is None:
        return {}
    return {
        str(group): {"windows": int((groups == group).sum()), **score(y[groups == group], p[groups == group])}
        for group in np.unique(groups)
    }


def _check(y: Labels, p: Probabilities) -> None:
    if not len(y) or p.ndim != 2 or p.shape[0] != len(y):
        raise ValueError(f"labels of shape {y.shape} need probabilities of shape (n, classes), n >= 1; got {p.shape}")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"labels must lie in 0..{p.shape[1] - 1}, one per column; got {y.min()}..{y.max()}")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    quotients = np.full(len(part), np.nan)
    np.divide(part, whole, out=quotients, where=whole > 0)
    return quotients


def _f1(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    return _ratio(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))


def _auroc_over_classes(y: Labels, p: Probabilities) -> float:
    if p.shape[1] == 2:
        return _auroc(y == 1, p[:, 1])
    present = np.unique(y)
    if len(present) < 2:
        return float("nan")
    return float(np.mean([_auroc(y == c, p[:, c]) for c in present]))


def _auroc(positive: NDArray[np.bool_], values: NDArray[np.floating[Any]]) -> float:
    """The chance that a positive window ranks above a negative one, equal values counting half (Mann-Whitney)."""
    n = int(positive.sum())
    others = len(positive) - n
    if n == 0 or others == 0:
        return float("nan")
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    return float((mean_rank[place][positive].sum() - n * (n + 1) / 2) / (n * others))


_FORMULAS: dict[str, Callable[[Labels, Probabilities], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc_over_classes,
    "loss": _loss,
}
