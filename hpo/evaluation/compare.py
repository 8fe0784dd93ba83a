"""What can be said of scores over seeds: means, spreads, intervals, and whether one is better than another. Pure.

All intervals hold 95 %. Numbers in, plain values out; a number that cannot be computed is None.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.scores import METRICS

LEVEL = 0.95
# Of differences that are all alike nothing but their number speaks: six times the same sign is less than 1 in 20.
ALIKE = 6
SAME = 1e-9  # scores that differ by less are equal but for rounding
# Verdicts on the first one of two; the last one where there is no interval to judge by.
BETTER, WORSE, EVEN, UNKNOWN = "better", "worse", "not distinguishable", "cannot be said"


@dataclass(frozen=True)
class Spread:
    """Scores over seeds.

    Attributes:
        n: scores that could be computed.
        mean: None without scores. sd: with n - 1 in the denominator, None below two scores.
    """

    n: int
    mean: float | None
    sd: float | None


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of scores; NaN, which could not be computed, is none."""
    known = [value for value in values if math.isfinite(value)]
    return Spread(
        n=len(known),
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
    )


@dataclass(frozen=True)
class Paired:
    """How much better one of two is, over pairs that have their seed in common.

    Attributes:
        n: pairs.
        mean: of the differences, above 0 where the first one is better, whichever way the metric goes.
        low, high: interval of the mean; None where the pairs are too few to say, also if they are all alike.
        better, worse: whether the first one is that by more than the seeds explain.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    better: bool
    worse: bool

    @property
    def verdict(self) -> str:
        """On the first one."""
        if self.low is None:
            return UNKNOWN
        return BETTER if self.better else WORSE if self.worse else EVEN


def paired(first: Sequence[float], second: Sequence[float], metric: str) -> Paired:
    """Compares two scores seed by seed: Student's t interval of the mean difference.

    A t interval, because with the usual 3 to 10 seeds neither a permutation nor Wilcoxon's test can find anything:
    their smallest two-sided p for 5 pairs is 1/16. It takes the differences as roughly normal.

    Args:
        first, second: scores, in pairs.
        metric: says which way is better.
    """
    sign = 1.0 if METRICS[metric] == "maximize" else -1.0
    differences = [sign * (a - b) for a, b in zip(first, second, strict=True)]
    found = spread(differences)
    if found.mean is None or found.sd is None or (found.sd <= SAME and found.n < ALIKE):
        return Paired(found.n, found.mean, None, None, better=False, worse=False)
    half = t_quantile(found.n - 1) * found.sd / math.sqrt(found.n)
    low, high = found.mean - half, found.mean + half
    return Paired(found.n, found.mean, low, high, better=low > SAME, worse=high < -SAME)


def t_quantile(freedom: float) -> float:
    """What Student's t exceeds in 2.5 % of all cases."""
    from scipy import stats  # not at the top: it takes a while, and only who evaluates needs it

    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))
