"""A trial's files: its curves and its report. Knows neither Keras nor the database.

Both are JSON, which has no word for NaN and infinity: such a number is written as null.
"""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data import Part
from hpo.formats import to_json
from hpo.scores import confusion, per_class, per_group, score
from hpo.trial import Cause, Result, TrialSpec

CURVES = "curves.json"
REPORT = "report.json"

Logs = Sequence[Sequence[dict[str, float]]]


def weights_sha256(weights: Sequence[NDArray[Any]]) -> str:
    """SHA-256 of dtypes, shapes and bytes of weights, in the model's order."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def curve_sha256(logs: Logs) -> str:
    """SHA-256 of the training and validation loss of every epoch of every fold, to the last bit."""
    digest = hashlib.sha256()
    for fold in logs:
        losses = [[epoch["loss"], epoch.get("val_loss", math.nan)] for epoch in fold]  # none where nothing is held out
        digest.update(np.array(losses, dtype="<f8").tobytes())
        digest.update(b"|")
    return digest.hexdigest()


def write(
    spec: TrialSpec,
    result: Result,
    logs: Logs,
    scores: Sequence[dict[str, float]],
    predictions: Sequence[tuple[Part, NDArray[np.floating[Any]]]],
) -> None:
    """Writes a trial's files into ``spec.artifacts``, which is created.

    ``curves.json``: ``folds``, a list for each fold of one object for each epoch, with every metric, the learning rate
    and the seconds. ``report.json``, of a completed trial only: the result with scores by fold, class and group and the
    confusion matrix (row = true class), the validation windows of all folds taken together.

    Args:
        logs: of each fold, of each epoch.
        scores: of each fold.
        predictions: of each fold: its validation part, and the probabilities (n, K) that the model gave.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(spec.artifacts)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / CURVES, {"metric": spec.settings.metric, "folds": [list(fold) for fold in logs]})
    if result.cause is Cause.COMPLETED:
        _write_json(folder / REPORT, _report(spec, result, scores, predictions))


def _report(
    spec: TrialSpec,
    result: Result,
    scores: Sequence[dict[str, float]],
    predictions: Sequence[tuple[Part, NDArray[np.floating[Any]]]],
) -> dict[str, Any]:
    y = np.concatenate([part.y for part, _ in predictions])
    p = np.concatenate([q for _, q in predictions])
    known = [part.groups for part, _ in predictions if part.groups is not None]
    groups = np.concatenate(known) if len(known) == len(predictions) else None
    return {
        "study": spec.study,
        "trial": spec.number,
        "attempt": spec.attempt,
        "seed": spec.seed,
        "family": spec.family,
        "model": spec.model,
        "train": spec.training,
        "metric": spec.settings.metric,
        **result.model_dump(exclude={"kind", "cause", "detail"}),
        "fold_metrics": list(scores),
        "pooled_metrics": score(y, p),
        "classes": list(spec.classes),
        "per_class": per_class(y, p, spec.classes),
        "per_group": per_group(y, p, groups),
        "confusion_matrix": confusion(y, p, len(spec.classes)).tolist(),
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Beside its place first: whoever reads `path` finds all of it or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(to_json(value, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)
