"""Spreads the trials evenly over the space: a scrambled Sobol sequence, of which all workers draw the next point.

Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", section 5; Owen 1998, "Scrambling Sobol' and
Niederreiter-Xing Points".
"""

import warnings
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler
from optuna.trial import FrozenTrial

from hpo.errors import require
from hpo.samplers import Seeds
from hpo.search import Spaces, distributions


def unfit(spaces: Spaces, metrics: Sequence[str]) -> list[str]:
    """Nothing: it searches any space.

    Raises:
        MissingExtra: SciPy, which makes the sequence, is not installed.
    """
    require("scipy", "train", "The sampler 'qmc'")
    return []


def size(spaces: Spaces) -> None:
    """No end: the sequence has more points than any study has trials."""


def make(spaces: Spaces, seeds: Seeds) -> BaseSampler:
    """Optuna's, over all hyperparameters of all families at once; a trial takes of its point what counts for it.

    The scrambling has the study's seed, so that all samplers speak of one sequence, and the number of its next point
    stands in the study. Two workers at once would read the same number: they ask one after the other, under the
    study's lock.
    """
    with warnings.catch_warnings():
        # experimental since Optuna 3.0
        warnings.filterwarnings("ignore", message=".*QMCSampler.*", category=ExperimentalWarning)
        return _WholeSpace(spaces, seeds)


class _WholeSpace(QMCSampler):
    """Optuna takes the parameters of the first trial for the space, which leaves out what did not count there."""

    def __init__(self, spaces: Spaces, seeds: Seeds) -> None:
        super().__init__(scramble=True, seed=seeds.study, independent_sampler=RandomSampler(seed=seeds.trial))
        self._distributions = distributions(spaces)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter that a trial may have."""
        return self._distributions
