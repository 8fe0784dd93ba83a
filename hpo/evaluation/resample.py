"""Intervals of test scores that respect what was drawn: subjects (or windows) and seeds. Pure.

The bootstrap draws both anew at once, with replacement: whole groups where there are groups, because the windows of one
person say nearly the same, else windows; and training seeds. Of few groups or seeds its percentiles are too narrow, for
the same reason for which a mean of few values needs Student's t and n - 1 (Hesterberg 2015, "What Teachers Should Know
About the Bootstrap", https://arxiv.org/abs/1411.5279, on its narrowness bias). So they are stretched by as much as t is
wider than the normal distribution, with the degrees of freedom that Satterthwaite (1946) gives a sum of variances.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.evaluation.compare import ALIKE, LEVEL, SAME
from hpo.scores import score_of

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]
Draws = NDArray[np.float64]

DRAWS = 2000
TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class Interval:
    """Where the true value lies in 95 % of such evaluations.

    Attributes:
        low, high: None where nothing can be said: a single group, a single window, people who all have the same score.
        over: what was drawn: "groups" or "windows".
        units: how many of these there are. seeds: how many trained models.
    """

    low: float | None
    high: float | None
    over: str
    units: int
    seeds: int


class Resampled:
    """Scores of several predictors on the same draws of windows, so that they can be compared pair by pair.

    Args:
        y, groups: of the windows, (n,).
        predictors: name -> probabilities of each of its models, (n, classes); a baseline has one.
        metric: which score.
        draws: how often. seed: of the draws.
    """

    def __init__(
        self,
        y: Labels,
        groups: Labels | None,
        predictors: Mapping[str, Sequence[Probabilities]],
        metric: str,
        *,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> None:
        self._metric = metric
        self._most = math.inf if metric == "loss" else 1.0
        self._over = "windows" if groups is None else "groups"
        self._units = len(y) if groups is None else len(np.unique(groups))
        self._of_class = np.unique(y, return_counts=True)[1]
        self._faultless = {name: _faultless(y, models) for name, models in predictors.items()}
        self._seeds = {name: len(models) for name, models in predictors.items()}
        self._scores = {name: np.array([score_of(metric, y, p) for p in models]) for name, models in predictors.items()}
        rng = np.random.default_rng(seed)
        self._draws: dict[str, Draws] = {name: np.full(draws, np.nan) for name in predictors}
        for number, windows in enumerate(_windows(rng, y, groups, draws)):
            for name, models in predictors.items():
                chosen, times = np.unique(rng.integers(len(models), size=len(models)), return_counts=True)
                scores = [score_of(metric, y[windows], models[i][windows]) for i in chosen]
                self._draws[name][number] = np.average(scores, weights=times)

    def mean(self, name: str) -> Interval:
        """Of a predictor's mean score over its seeds."""
        return self._interval(self._draws[name], [name])

    def difference(self, name: str, other: str) -> Interval:
        """Of how much higher the first one's mean score is."""
        return self._interval(self._draws[name] - self._draws[other], [name, other])

    def sign(self, name: str, other: str) -> int:
        """1 or -1 where the first one's mean score is higher or lower by the same in every draw, and that says enough.

        Such draws have no interval. But as many people who all say the same, or windows of every class, are more than
        chance (see `ALIKE`). Else 0.
        """
        draws = self._draws[name] - self._draws[other]
        units = self._units if self._over == "groups" else int(self._of_class.min())
        if units < ALIKE or not np.isfinite(draws).all() or np.ptp(draws) >= SAME or abs(draws[0]) < SAME:
            return 0
        return 1 if draws[0] > 0 else -1

    def _interval(self, draws: Draws, names: Sequence[str]) -> Interval:
        # a draw may lack what the metric needs: a second class, say
        usable = draws[np.isfinite(draws)]
        seeds = max(self._seeds[name] for name in names)
        if self._units < 2 or len(usable) < len(draws) / 2:
            return Interval(None, None, self._over, self._units, seeds)
        middle = float(self._scores[names[0]].mean()) - sum(float(self._scores[name].mean()) for name in names[1:])
        least, most = (0.0, self._most) if len(names) == 1 else (-self._most, self._most)
        if np.ptp(usable) < SAME:
            aside = self._unseen()
            if aside is None:
                return Interval(None, None, self._over, self._units, seeds)
            return Interval(max(middle - aside, least), min(middle + aside, most), self._over, self._units, seeds)
        by_seeds = [(float(self._scores[n].var(ddof=1)), self._seeds[n]) for n in names if self._seeds[n] > 1]
        stretch = _stretch(_freedom(float(usable.var(ddof=1)), by_seeds, self._units))
        low, high = (middle + stretch * (end - middle) for end in np.quantile(usable, [TAIL, 1 - TAIL]))
        below, above = self._unseen_of_classes(names)
        low = middle - math.hypot(middle - low, below) if below else low
        high = middle + math.hypot(high - middle, above) if above else high
        return Interval(max(float(low), least), min(float(high), most), self._over, self._units, seeds)

    def _unseen(self) -> float | None:
        """How far the truth may be where every draw says the same; None where that is not known.

        No mistake among n windows, or no window on which two predictors differ, leaves room for some all the same: for
        a share of 1 - 0.025^(1/n) by Clopper and Pearson (1934), "The Use of Confidence or Fiducial Limits". The
        balanced accuracy is the mean over the classes, and so is what is left open of it.
        """
        of = {"accuracy": np.array([self._units]), "balanced_accuracy": self._of_class}.get(self._metric)
        if self._over != "windows" or of is None:
            return None
        return float(np.mean(1 - TAIL ** (1 / of)))

    def _unseen_of_classes(self, names: Sequence[str]) -> tuple[float, float]:
        """How far below and above the scores of the windows may be by classes of which every draw says the same.

        As `_unseen`, for a balanced accuracy of which only some classes are all right or all wrong: of five windows
        that are right no draw shows that half of all may be wrong. What is left open there is independent of the rest.
        """
        if self._over != "windows" or self._metric != "balanced_accuracy":
            return 0.0, 0.0
        room = (1 - TAIL ** (1 / self._of_class)) / len(self._of_class)
        signs = [sign * self._faultless[name] for sign, name in zip((1, -1), names, strict=False)]
        below, above = (float(room[np.any([s == side for s in signs], axis=0)].sum()) for side in (1, -1))
        return below, above


def _faultless(y: Labels, models: Sequence[Probabilities]) -> NDArray[np.int64]:
    """Of each class in `y`: 1 where all models are right in all of its windows, -1 where all are wrong, else 0."""
    right = np.mean([p.argmax(axis=1) == y for p in models], axis=0)
    shares = np.array([right[y == c].mean() for c in np.unique(y)])
    signs: NDArray[np.int64] = (shares == 1).astype(np.int64) - (shares == 0).astype(np.int64)
    return signs


def _windows(rng: np.random.Generator, y: Labels, groups: Labels | None, draws: int) -> Iterator[NDArray[np.intp]]:
    """Indices of the windows of each draw."""
    if groups is None:
        for _ in range(draws):
            yield rng.integers(len(y), size=len(y))
        return
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for _ in range(draws):
        yield np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])


def _freedom(variance: float, by_seeds: Sequence[tuple[float, int]], units: int) -> float:
    """Degrees of freedom of a variance that is the sum of that between units and that between seeds.

    Args:
        variance: of the draws.
        by_seeds: variance of the scores over the seeds of one predictor, and how many they are.
        units: groups or windows.
    """
    parts = [(between / n, n - 1) for between, n in by_seeds]
    of_seeds = sum(part * n / (n + 1) for part, n in parts)  # what a bootstrap of n + 1 sees of it
    of_units = max(0.0, variance - of_seeds)
    parts.append((of_units, units - 1))
    below = sum(part**2 / n for part, n in parts)
    return sum(part for part, _ in parts) ** 2 / below if below > 0 else units - 1


def _stretch(freedom: float) -> float:
    """How much wider than the normal distribution says an interval of a mean is, and than n rather than n - 1 says."""
    from scipy import stats  # not at the top: it takes a while, and only who evaluates needs it

    return float(math.sqrt((freedom + 1) / freedom) * stats.t.ppf(1 - TAIL, freedom) / stats.norm.ppf(1 - TAIL))
