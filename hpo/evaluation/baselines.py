"""What a search has to beat: the majority class, nearest neighbours, MiniRocket. Runs where the test part is opened.

Each learns from everything outside of the test part, standardised by channel, or by window where the study does so, and
has no settings to choose. Padded steps count as 0 after that. aeon and scikit-learn are imported when they are used:
that and compiling takes seconds.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]
Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]

MAJORITY = "majority class"

# Dynamic time warping looks only so far away from the diagonal, as a share of the length: the archive's usual window.
WARPING = 0.1
# Cells of the tables that all pairs of windows fill: about two minutes on one core, at 10 nanoseconds each.
MOST_CELLS = 1e10
# MiniRocket's linear classifier needs the products of all pairs of training windows in memory: 3 GB.
MOST_WINDOWS = 20_000
SHORTEST = 9  # time steps: the length of MiniRocket's kernels
CHUNK = 256


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learnt and predicted.

    Attributes:
        x, y: to learn from, (n, timesteps, channels) and labels 0..classes-1.
        asked: windows to predict, scaled likewise.
    """

    x: Windows
    y: Labels
    asked: Windows
    classes: int


@dataclass(frozen=True)
class Baseline:
    """One of them.

    Attributes:
        name: in reports.
        refuse: why it cannot be afforded, or None; judges shapes only.
        predict: probabilities (n, classes) of the windows that are asked; 0 and 1 from those that only know classes.
    """

    name: str
    refuse: Callable[[Task], str | None]
    predict: Callable[[Task], Probabilities]


def scale(x: Windows, asked: Windows, scaling: str) -> tuple[Windows, Windows]:
    """Both parts, scaled: "sample" each window by itself; otherwise each channel by its values in `x`."""
    if scaling == "sample":
        return _standardised(x, x, (1,)), _standardised(asked, asked, (1,))
    return _standardised(x, x, (0, 1)), _standardised(asked, x, (0, 1))


def _standardised(windows: Windows, reference: Windows, axes: tuple[int, ...]) -> Windows:
    mean = np.nanmean(reference, axis=axes, keepdims=True, dtype=np.float64)
    sd = np.nanstd(reference, axis=axes, keepdims=True, dtype=np.float64)
    sd[sd <= 1e-6 * np.abs(mean)] = 1.0  # a channel that stands still
    scaled: Windows = np.nan_to_num((windows - mean.astype(np.float32)) / sd.astype(np.float32))
    return scaled


def _majority(task: Task) -> Probabilities:
    """The share of each class, for every window alike."""
    shares = np.bincount(task.y, minlength=task.classes) / len(task.y)
    return np.tile(shares.astype(np.float32), (len(task.asked), 1))


def _nearest(task: Task) -> Probabilities:
    from sklearn.neighbors import KNeighborsClassifier

    neighbours = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(_flat(task.x), task.y)
    return _certain(neighbours.predict(_flat(task.asked)), task.classes)


def _nearest_warped(task: Task) -> Probabilities:
    from aeon.distances import dtw_pairwise_distance

    known = _channels_first(task.x)
    nearest = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unsafe cast from uint64")  # of numba, about aeon's loops
        for start in range(0, len(task.asked), CHUNK):
            asked = _channels_first(task.asked[start : start + CHUNK])
            nearest.append(dtw_pairwise_distance(asked, known, window=WARPING).argmin(axis=1))
    return _certain(task.y[np.concatenate(nearest)], task.classes)


def _too_many_cells(task: Task) -> str | None:
    _, steps, channels = task.x.shape
    cells = len(task.x) * len(task.asked) * steps * max(1.0, 2 * WARPING * steps) * channels
    if cells <= MOST_CELLS:
        return None
    return f"{cells:.1e} cells to fill for all pairs of windows, and the limit is {MOST_CELLS:.0e}"


def _minirocket(task: Task) -> Probabilities:
    from aeon.classification.convolution_based import MiniRocketClassifier

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unsafe cast from uint64")
        classifier = MiniRocketClassifier(random_state=0).fit(_channels_first(task.x), task.y)
        asked = classifier.pipeline_[:-1].transform(_channels_first(task.asked))
    margins = np.asarray(classifier.pipeline_[-1].decision_function(asked), dtype=np.float64)
    if margins.ndim == 1:  # two classes have one margin
        margins = np.stack([-margins, margins], axis=1)
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    probabilities = np.zeros((len(asked), task.classes), np.float32)
    probabilities[:, np.unique(task.y)] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _too_short_or_many(task: Task) -> str | None:
    if task.x.shape[1] < SHORTEST:
        return f"its kernels need {SHORTEST} time steps, and the windows have {task.x.shape[1]}"
    if len(task.x) > MOST_WINDOWS:
        return f"{len(task.x)} windows to learn from, and the limit is {MOST_WINDOWS}, because of the memory"
    return None


def _flat(x: Windows) -> Windows:
    return x.reshape(len(x), -1)


def _channels_first(x: Windows) -> Windows:
    return np.ascontiguousarray(np.swapaxes(x, 1, 2))


def _certain(labels: Labels, classes: int) -> Probabilities:
    return np.eye(classes, dtype=np.float32)[labels]


def _never(_: Task) -> None:
    return None


BASELINES = (
    Baseline(MAJORITY, _never, _majority),
    Baseline("1-nearest neighbour, Euclidean", _never, _nearest),
    Baseline("1-nearest neighbour, DTW", _too_many_cells, _nearest_warped),
    Baseline("MiniRocket", _too_short_or_many, _minirocket),
)
