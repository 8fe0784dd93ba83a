"""Tree-structured Parzen estimator: proposes what is likely among the good trials and unlikely among the others.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Watanabe 2023, https://arxiv.org/abs/2304.11127.
"""

import copy
import warnings
from collections.abc import Container, Sequence
from heapq import nlargest, nsmallest
from typing import Any, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.samplers import Seeds
from hpo.samplers._risk import Risk
from hpo.samplers._taught import View
from hpo.search import Spaces, distributions
from hpo.space import Params

LEARNS = True
MOST = 500  # trials to learn from
MOST_RISK = 0.5  # of a proposal to be infeasible
BEST = 25  # of them that Optuna at most takes for the good ones (`default_gamma`)
_TAUGHT_BY = (TrialState.COMPLETE, TrialState.PRUNED)


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
        self._long: _Long | None = None  # the study, while one trial is proposed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters as they are now; in a conditional space as far as trials have had them."""
        self._long = None  # this is what Optuna asks for first
        names = set(self._known)
        if self._group:
            self._search_space_group = _SearchSpaceGroup()
            ended = study._get_trials(deepcopy=False, states=_TAUGHT_BY, use_cache=True)
            # Optuna looks at each trial, and finds the same groups: there are few kinds of trials, and many of a kind
            for kind in {frozenset(each.distributions): each.distributions for each in ended}.values():
                self._search_space_group.add_distributions(kind)
            for group in self._search_space_group.search_spaces:
                group.update({name: self._known[name] for name in group if name in self._known})
            names &= {name for group in self._search_space_group.search_spaces for name in group}
        return {name: self._known[name] for name in sorted(names) if not self._known[name].single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Optuna's, of a long study's `thinned` trials, and of what it could propose rather what is feasible."""
        return super().sample_relative(self._of(study), trial, search_space)

    def _compute_acquisition_func(
        self, samples: dict[str, NDArray[Any]], mpe_below: _ParzenEstimator, mpe_above: _ParzenEstimator
    ) -> NDArray[np.float64]:
        """How promising each of some settings is; those that are likely to be infeasible come behind all others."""
        promise: NDArray[np.float64] = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        ended = [] if self._long is None else self._long.ended
        risk = Risk(ended, {name: self._known[name] for name in samples})(samples)
        if risk is None:
            return promise
        return np.where(risk > MOST_RISK, promise.min() - 1 - risk, promise)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Optuna's, of a long study's `thinned` trials."""
        return super().sample_independent(self._of(study), trial, param_name, param_distribution)

    def _of(self, study: optuna.Study) -> optuna.Study:
        if self._long is None:
            self._long = _Long(study)
        return cast(optuna.Study, self._long)


class _Long(View):
    """A study as TPE sees it while it proposes one trial: it asks for the trials several times, which are many.

    Attributes:
        ended: the trials that taught it.
    """

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(study, lambda trials, _: trials)
        ended = study.get_trials(deepcopy=False, states=_TAUGHT_BY)
        several = len(study.directions) > 1
        self.ended = ended if several else thinned(ended, maximize=study.direction is StudyDirection.MAXIMIZE)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Those of the trials to learn from, and of those that have not ended, that are in these states."""
        unfinished = [state for state in TrialState if not state.is_finished() and (states is None or state in states)]
        found = [trial for trial in self.ended if states is None or trial.state in states]
        if unfinished:
            found += super().get_trials(deepcopy=False, states=unfinished)
        found.sort(key=lambda trial: trial.number)
        return copy.deepcopy(found) if deepcopy else found

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """Optuna's cache is of all trials: to look through them is what this is here to save."""
        return self.get_trials(deepcopy, states)


def thinned(ended: list[FrozenTrial], *, maximize: bool, most: int = MOST) -> list[FrozenTrial]:
    """The trials that TPE learns from, by number: of more than `most` the best and an even choice of others.

    TPE divides trials into the best, at most 25, and the rest, whose density it estimates. The first stay; a fraction
    of the rest has the same density. What it costs to propose a trial thus stops to grow with their number.
    Nothing is left out while so few have completed that pruned ones are among the best.

    Args:
        ended: completed and pruned trials of a search by one metric, by number.
        maximize: whether larger values are better.
        most: ended trials to learn from.
    """
    # a completed trial is feasible: whatever was wrong with a setting ends its trial as pruned
    complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
    if len(ended) <= most or len(complete) < BEST:
        return ended
    pick = nlargest if maximize else nsmallest
    best = {trial.number for trial in pick(BEST, complete, key=lambda trial: cast(float, trial.value))}
    rest = [trial for trial in ended if trial.number not in best]
    places = np.linspace(0, len(rest) - 1, most - BEST).round().astype(int)
    kept = best | {rest[place].number for place in places}
    return [trial for trial in ended if trial.number in kept]
