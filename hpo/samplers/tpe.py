"""Tree-structured Parzen estimator: proposes what is likely among the good trials and unlikely among the others.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Watanabe 2023, https://arxiv.org/abs/2304.11127.
"""

import warnings
from collections.abc import Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler

from hpo.samplers import Seeds
from hpo.search import Spaces

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
        return TPESampler(
            n_startup_trials=10 + 5 * (len(spaces) - 1),
            multivariate=True,
            group=conditional,
            constant_liar=True,
            seed=seeds.trial,
        )
