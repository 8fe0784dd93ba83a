"""Tries every setting of a finite space once, in an order drawn at random, and then ends the study."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from hpo.samplers import Seeds, identity
from hpo.search import Spaces, Suggestion, distributions, stored_params
from hpo.space import Params, settings, values

# The list of all settings is made anew for every trial: more of them than anybody trains is a mistake.
MOST = 10_000


def unfit(spaces: Spaces, metrics: Sequence[str]) -> list[str]:
    """What has no end: every range of decimal numbers; or that there are more settings than anybody trains."""
    endless: dict[str, None] = {}
    for space in spaces.values():
        endless |= dict.fromkeys(name for name, domain in space.items() if values(domain) is None)
    if endless:
        return [
            f"space.{name}: the sampler 'grid' tries every value, and a range of decimal numbers has no end of them; "
            "list choices, or fix a value"
            for name in endless
        ]
    if size(spaces) > MOST:
        widest = {n: len(values(d) or ()) for space in spaces.values() for n, d in space.items()}
        most = ", ".join(f"{name} {widest[name]}" for name in sorted(widest, key=lambda name: -widest[name])[:3])
        return [
            f"space: the sampler 'grid' tries every setting, and there are more than {MOST:,}; "
            f"fix values or list fewer choices (these have the most: {most})"
        ]
    return []


def size(spaces: Spaces) -> int:
    """How many settings there are; one more than `MOST` where there are even more."""
    every = chain.from_iterable(map(settings, spaces.values()))
    return sum(1 for _ in islice(every, MOST + 1))


def make(spaces: Spaces, seeds: Seeds) -> BaseSampler:
    """A sampler of our own: Optuna's knows no conditions, and stops no study that is asked from outside."""
    return _Grid(spaces, seeds)


class _Grid(BaseSampler):
    def __init__(self, spaces: Spaces, seeds: Seeds) -> None:
        self._spaces = spaces
        self._seeds = seeds

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter that a trial may have."""
        return distributions(self._spaces)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """The next setting that no other trial has; of a claim that died, one with the values that it already has."""
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        tried = {identity(other.params) for other in others}
        for setting in self._settings():
            if identity(setting) not in tried and setting.items() >= trial.params.items():
                return setting
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random: for a claim that died and whose values belong to no setting that is left."""
        random = RandomSampler(seed=self._seeds.trial)
        return random.sample_independent(study, trial, param_name, param_distribution)

    def _settings(self) -> list[Params]:
        found = [
            stored_params(Suggestion(family, setting), self._spaces)
            for family in sorted(self._spaces)
            for setting in settings(self._spaces[family])
        ]
        return [found[i] for i in np.random.default_rng(self._seeds.study).permutation(len(found))]
