"""Optuna's view of a study: spaces as distributions, settings as trials, infeasible trials.

A trial's Optuna parameters are exactly the searched hyperparameters that count for it; fixed ones and those whose
condition does not hold are never told to Optuna, and `params_of` puts them back.

With one family the names are bare (`units`). With several, the family is a parameter named `family` and every other
name carries it (`lstm_fcn.units`), because Optuna knows one range for one name: two families with different ranges
for `units` would be refused, and a model fitted over both would be wrong.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from hpo.errors import StorageError
from hpo.scores import OBJECTIVES, Direction
from hpo.space import Choice, Domain, Fixed, Float, Int, Params, Scalar, Space, counts, defaults, order, searched
from hpo.trial import Cause, Result

FAMILY = "family"
CONSTRAINT = "infeasible"

Spaces = Mapping[str, Space]
"""Family -> its resolved space."""


@dataclass(frozen=True)
class Suggestion:
    """What a trial is to be trained with.

    Attributes:
        family: a module of hpo/models.
        params: every hyperparameter of the family and of training, searched or not.
    """

    family: str
    params: Params


def directions(metrics: Sequence[str]) -> list[Direction]:
    """Whether more of each metric is better."""
    return [OBJECTIVES[metric] for metric in metrics]


def suggest(trial: Trial, spaces: Spaces) -> Suggestion:
    """Asks Optuna for every searched hyperparameter that counts.

    Called again for a RUNNING trial that was re-attached (`optuna.Trial(study, trial_id)`), it returns the values
    already stored, those of an enqueued trial as well, and asks only for what is still missing. A process that did
    not create that trial calls `study.get_trials(deepcopy=False)` before: Optuna's cache raises KeyError when a
    parameter is set for a trial that it has never seen.
    """
    # sorted, because spaces that were stored in between may come back in another order, and Optuna compares it
    family = str(trial.suggest_categorical(FAMILY, sorted(spaces))) if len(spaces) > 1 else next(iter(spaces))
    prefix = _prefix(family, spaces)
    return Suggestion(family, _fill(spaces[family], lambda name, domain: _ask(trial, prefix + name, domain)))


def default_params(spaces: Spaces, family: str) -> Params:
    """The family's published default as Optuna parameters, for `study.enqueue_trial`.

    Clipped to the space; fixed hyperparameters and those that do not count are left out.
    """
    return stored_params(Suggestion(family, defaults(spaces[family])), spaces)


def stored_params(suggestion: Suggestion, spaces: Spaces) -> Params:
    """The Optuna parameters of a setting: what `params_of` reads."""
    params: Params = {FAMILY: suggestion.family} if len(spaces) > 1 else {}
    prefix = _prefix(suggestion.family, spaces)

    def record(name: str, _: Domain) -> Scalar:
        params[prefix + name] = suggestion.params[name]
        return suggestion.params[name]

    _fill(spaces[suggestion.family], record)
    return params


def params_of(stored: Mapping[str, Scalar], spaces: Spaces) -> Suggestion:
    """What a stored trial was trained with, from its Optuna parameters (`FrozenTrial.params`).

    Raises:
        StorageError: a parameter is missing: its worker died while suggesting, or the space is another one.
    """

    def read(name: str) -> Scalar:
        if name not in stored:
            raise StorageError(
                f"the stored trial has no parameter {name!r} (it has {', '.join(stored) or 'none'}); "
                "it was not fully suggested, or belongs to another search space"
            )
        return stored[name]

    family = str(read(FAMILY)) if len(spaces) > 1 else next(iter(spaces))
    if family not in spaces:
        raise StorageError(f"the stored trial is of family {family!r}; this study searches {', '.join(spaces)}")
    prefix = _prefix(family, spaces)
    return Suggestion(family, _fill(spaces[family], lambda name, _: read(prefix + name)))


def _prefix(family: str, spaces: Spaces) -> str:
    return f"{family}." if len(spaces) > 1 else ""


def _fill(space: Space, value: Callable[[str, Domain], Scalar]) -> Params:
    """A full setting of `space`, with `value` for what is searched and counts."""
    params: Params = {}
    for name in order(space):
        domain = space[name]
        asked = not isinstance(domain, Fixed) and counts(domain, params)
        params[name] = value(name, domain) if asked else domain.default
    return params


def _ask(trial: Trial, name: str, domain: Domain) -> Scalar:
    match distribution := _distribution(domain):
        case FloatDistribution():
            return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
        case IntDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_int(name, low, high, step=distribution.step, log=distribution.log)
        case _:
            return cast(Scalar, trial.suggest_categorical(name, distribution.choices))


def _distribution(domain: Domain) -> FloatDistribution | IntDistribution | CategoricalDistribution:
    match domain:
        case Float():
            return FloatDistribution(domain.low, domain.high, log=domain.log)
        case Int():
            # Optuna lowers `high` to the last step by itself, with a warning
            high = domain.high - (domain.high - domain.low) % domain.step
            return IntDistribution(domain.low, high, log=domain.log, step=domain.step)
        case Choice():
            return CategoricalDistribution(domain.values)
        case Fixed():
            return CategoricalDistribution((domain.default,))


def distributions(spaces: Spaces) -> dict[str, BaseDistribution]:
    """Every Optuna parameter that a trial may have, conditional ones too, sorted by name."""
    found: dict[str, BaseDistribution] = {FAMILY: CategoricalDistribution(sorted(spaces))} if len(spaces) > 1 else {}
    for family, space in spaces.items():
        prefix = _prefix(family, spaces)
        found |= {prefix + name: _distribution(domain) for name, domain in searched(space).items()}
    return dict(sorted(found.items()))


def mark(trial: Trial, infeasible: bool) -> None:
    """Tells the sampler that a trial's parameters are to be avoided. To be called before `study.tell`.

    Only infeasible trials get a constraint: Optuna takes a trial without any as feasible, in TPE
    (`_get_infeasible_trial_score`), `best_trial` and `best_trials` (`_get_feasible_trials`). Told as PRUNED, an
    infeasible trial ranks behind all completed and all other pruned ones. Marking twice is harmless.
    """
    if infeasible and CONSTRAINT not in trial.constraints:
        trial.set_constraint(CONSTRAINT, 1.0)


def ending(result: Result, metrics: Sequence[str]) -> tuple[TrialState, list[float] | None]:
    """State and values under which Optuna records how a trial ended.

    Args:
        result: of the trial.
        metrics: of the study; the first one's score is `result.value`.
    """
    if result.cause is Cause.COMPLETED:
        values = [result.value, *(result.objective(metric) for metric in metrics[1:])]
        known = [value for value in values if value is not None and math.isfinite(value)]
        # one that is unknown could never be told, and the trial would stay open for ever
        return (TrialState.COMPLETE, known) if len(known) == len(values) else (TrialState.PRUNED, None)
    if result.cause is Cause.BUG:
        return TrialState.FAIL, None
    return TrialState.PRUNED, None
