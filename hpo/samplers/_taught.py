"""A sampler that also knows trials which are not the study's own, and so neither counted nor shown by anybody else."""

from collections.abc import Callable, Container, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

Change = Callable[[list[FrozenTrial], Container[TrialState] | None], list[FrozenTrial]]


class Taught(BaseSampler):
    """Lends another sampler a study that opens with prior trials.

    Args:
        inner: proposes; for one trial only, as all samplers here.
        prior: ended trials with parameters of the study's space. Their numbers are below those of the study's trials.
    """

    def __init__(self, inner: BaseSampler, prior: Sequence[FrozenTrial]) -> None:
        self._inner = inner
        self._prior = tuple(prior)

    def _seen(self, study: optuna.Study) -> optuna.Study:
        return cast(optuna.Study, View(study, self._with_prior))

    def _with_prior(self, own: list[FrozenTrial], states: Container[TrialState] | None) -> list[FrozenTrial]:
        return [*(trial for trial in self._prior if states is None or trial.state in states), *own]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The other sampler's."""
        return self._inner.infer_relative_search_space(self._seen(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The other sampler's."""
        return self._inner.sample_relative(self._seen(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The other sampler's."""
        return self._inner.sample_independent(self._seen(study), trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._inner.before_trial(self._seen(study), trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Passed on."""
        self._inner.after_trial(self._seen(study), trial, state, values)


class View:
    """A study with another list of trials than its own. All else is the study's.

    Args:
        study: its own.
        change: makes the list of it, given the study's own and which states are wanted (None for all).
    """

    def __init__(self, study: optuna.Study, change: Change) -> None:
        self._own = study
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them."""
        return self.get_trials()

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Those in these states."""
        return self._change(self._own.get_trials(deepcopy, states), states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        """What Optuna's own samplers call."""
        return self._change(self._own._get_trials(deepcopy, states, use_cache), states)
