"""Who is held out: scikit-learn draws, from a seed, what `split` asked for. Nothing here is checked."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hpo.data._labels import IntArray

Pair = tuple[IntArray, IntArray]
"""What is left, and what is held out."""

# Where recordings are drawn, the class shares of one draw may be far off: the best of so many is taken.
DRAWS = 50


def derive(seed: int, *place: int) -> int:
    """A seed of its own for each draw, in the range that scikit-learn takes."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0])


def folds(sklearn: Any, y: IntArray, owners: IntArray | None, count: int, state: int) -> list[Pair]:
    """K-fold: every sample is held out once, with its owner's others, and class shares as alike as that allows."""
    kind: Callable[..., Any] = sklearn.StratifiedKFold if owners is None else sklearn.StratifiedGroupKFold
    return list(kind(n_splits=count, shuffle=True, random_state=state).split(np.zeros(len(y)), y, owners))


def holdout(sklearn: Any, y: IntArray, owners: IntArray | None, share: float, state: int, draws: int = 1) -> Pair:
    """One part held out: a share of the samples, or of the owners.

    Args:
        draws: among owners, the draw whose class counts come nearest to the share of each class is taken.
    """
    kind: Callable[..., Any] = sklearn.StratifiedShuffleSplit if owners is None else sklearn.GroupShuffleSplit
    splitter = kind(n_splits=1 if owners is None else draws, test_size=share, random_state=state)
    pairs: list[Pair] = list(splitter.split(np.zeros(len(y)), y, owners))
    if len(pairs) == 1:
        return pairs[0]
    wanted = share * np.bincount(y)
    return min(pairs, key=lambda pair: float(np.abs(np.bincount(y[pair[1]], minlength=len(wanted)) - wanted).sum()))
