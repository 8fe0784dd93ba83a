"""CMA-ES: a normal distribution over the space that moves and stretches towards the better half of each generation.

Hansen 2016, "The CMA Evolution Strategy: A Tutorial", https://arxiv.org/abs/1604.00772.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.errors import require
from hpo.samplers import Seeds
from hpo.search import Spaces, distributions
from hpo.space import Choice, Domain, Fixed, Float, Int, Params, Scalar, clip, searched, values

GENERATION = "generation"
# a sixth of the range: three deviations from the middle reach its ends
SIGMA = 1 / 6


def unfit(spaces: Spaces, metrics: Sequence[str]) -> list[str]:
    """Several families or metrics, conditions, and choices that are not numbers.

    Raises:
        MissingExtra: the library cmaes is not installed.
    """
    require("cmaes", "cmaes", "The sampler 'cmaes'")
    problems = []
    if len(spaces) > 1:
        problems.append(f"model.family: the sampler 'cmaes' searches one family, not {len(spaces)}; name one")
    if len(metrics) > 1:
        problems.append(f"train.metric: the sampler 'cmaes' follows one metric, not {len(metrics)}; name one")
    domains = {name: domain for space in spaces.values() for name, domain in searched(space).items()}
    for name, domain in domains.items():
        if domain.when:
            problems.append(f"space.{name}.when: the sampler 'cmaes' knows no conditions; fix this one, or its parents")
        elif isinstance(domain, Choice) and not all(map(_number, domain.values)):
            problems.append(
                f"space.{name}: the sampler 'cmaes' searches numbers, and not all of its choices are; fix it"
            )
    if not problems and not any(map(_moves, domains.values())):
        problems.append("space: nothing is left to search for the sampler 'cmaes'; give a range of numbers")
    return problems


def size(spaces: Spaces) -> None:
    """No end: the distribution may shrink to a point, and proposes that again and again."""


def make(spaces: Spaces, seeds: Seeds) -> BaseSampler:
    """A sampler of our own on top of the library cmaes: Optuna's keeps its state in the database as a pickle.

    Nothing is kept here but the generation of each trial. The distribution follows from the trials that ended, told to
    the library again for every new one, which takes milliseconds. A generation is over when as many of its trials have
    ended as it needs; whatever of it ends later is left out. Pruned trials rank behind completed ones and infeasible
    ones last, as in TPE, so both teach too. Optuna's learns from neither.
    """
    (space,) = spaces.values()
    moving = {name: domain for name, domain in searched(space).items() if _moves(domain)}
    return _Cma(distributions(spaces), moving, seeds)


class _Cma(BaseSampler):
    def __init__(self, every: dict[str, BaseDistribution], domains: dict[str, Domain], seeds: Seeds) -> None:
        self._distributions = every
        self._domains = domains
        self._seeds = seeds

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of a trial."""
        return self._distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """A point of the present generation, which is written down at the trial."""
        import cmaes

        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        trials = [t for t in study.get_trials(deepcopy=False, states=ended) if GENERATION in t.user_attrs]
        # as they ended, so that a generation that is over stays as it was
        trials.sort(key=lambda t: (t.datetime_complete, t.number))
        count = len(self._domains)
        bounds = np.tile([0.0, 1.0], (count, 1))
        optimizer = cmaes.CMA(mean=np.full(count, 0.5), sigma=SIGMA, bounds=bounds, seed=self._seeds.trial)
        while True:
            members = [t for t in trials if t.user_attrs[GENERATION] == optimizer.generation]
            members = members[: optimizer.population_size]
            if len(members) < optimizer.population_size:
                break
            members.sort(key=lambda t: _rank(t, study.direction))
            optimizer.tell([(self._point(t.params), float(place)) for place, t in enumerate(members)])
        study._storage.set_trial_user_attr(trial._trial_id, GENERATION, optimizer.generation)
        point = optimizer.ask()
        return {name: _value(domain, float(u)) for (name, domain), u in zip(self._domains.items(), point, strict=True)}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random: for the other values of a claim that died."""
        random = RandomSampler(seed=self._seeds.trial)
        return random.sample_independent(study, trial, param_name, param_distribution)

    def _point(self, params: Params) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([_place(domain, params[name]) for name, domain in self._domains.items()])


def _rank(trial: FrozenTrial, direction: StudyDirection) -> tuple[int, int, float]:
    """Sorts better trials to the front: completed ones, then pruned ones by how far they came, then infeasible ones."""
    if any(violation > 0 for violation in trial.constraints.values()):
        return (2, 0, 0.0)
    value = trial.value if trial.value is not None else math.inf
    loss = -value if direction is StudyDirection.MAXIMIZE and trial.value is not None else value
    return (0, 0, loss) if trial.state is TrialState.COMPLETE else (1, -(trial.last_step or 0), loss)


def _number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moves(domain: Domain) -> bool:
    every = values(domain)
    return every is None or len(every) > 1


def _ends(domain: Domain) -> tuple[float, float]:
    """What 0 and 1 stand for, in the domain's scale: half a step beyond the ends, where there are steps."""
    match domain:
        case Choice():
            return -0.5, len(domain.values) - 0.5
        case Int() | Float():
            half = domain.step / 2 if isinstance(domain, Int) else 0.0
            low, high = domain.low - half, domain.high + half
            return (math.log(low), math.log(high)) if domain.log else (low, high)
        case Fixed():
            return 0.0, 1.0


def _value(domain: Domain, place: float) -> Scalar:
    low, high = _ends(domain)
    found = low + (high - low) * place
    if isinstance(domain, Choice):
        return sorted(domain.values, key=float)[min(max(round(found), 0), len(domain.values) - 1)]
    return clip(domain, math.exp(found) if isinstance(domain, Int | Float) and domain.log else found)


def _place(domain: Domain, value: Scalar) -> float:
    low, high = _ends(domain)
    if isinstance(domain, Choice):
        found: float = sorted(map(float, domain.values)).index(float(value))
    else:
        found = math.log(float(value)) if isinstance(domain, Int | Float) and domain.log else float(value)
    return (found - low) / (high - low)
