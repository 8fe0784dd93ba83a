"""Tree-structured Parzen estimator: proposes what is likely among the good trials and unlikely among the others.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Watanabe 2023, https://arxiv.org/abs/2304.11127.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from hpo.samplers import Seeds
from hpo.search import Spaces, distributions

LEARNS = True


def unfit(spaces: Spaces, metrics: Sequence[str]) -> list[str]:
    """Nothing: it searches any space."""
    return []


def size(spaces: Spaces) -> None:
    """No end: a setting may come up again."""


def make(spaces: Spaces, seeds: Seeds) -> BaseSampler:
    """Optuna's.

    Multivariate, so that it sees how hyperparameters depend on each other; `group` if the space is conditional
    (several families or any `when`), because without it Optuna samples every conditional hyperparameter on its own;
    `constant_liar`, so that parallel workers keep away from what others are trying. Its first 10 trials are random,
    and 5 more for every further family, because each family is a space to be learnt.
    """
    conditional = len(spaces) > 1 or any(domain.when for space in spaces.values() for domain in space.values())
    with warnings.catch_warnings():
        # `group` has been experimental since Optuna 2.8; nothing else is silenced
        warnings.filterwarnings("ignore", message=".*group.*", category=ExperimentalWarning)
        return _KnownSpace(
            distributions(spaces),
            n_startup_trials=10 + 5 * (len(spaces) - 1),
            multivariate=True,
            group=conditional,
            constant_liar=True,
            seed=seeds.trial,
        )


class _KnownSpace(TPESampler):
    """Optuna takes the space from the trials, and so the ranges that the first of them had: never a wider one.

    In a space without conditions it even leaves out of the joint model what has another range than before.
    """

    def __init__(self, known: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._known = known

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters as they are now; in a conditional space as far as trials have had them."""
        super().infer_relative_search_space(study, trial)
        names = set(self._known)
        if self._search_space_group is not None:
            for group in self._search_space_group.search_spaces:
                group.update({name: self._known[name] for name in group if name in self._known})
            names &= {name for group in self._search_space_group.search_spaces for name in group}
        return {name: self._known[name] for name in sorted(names) if not self._known[name].single()}
