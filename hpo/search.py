"""Optuna's view of a study: spaces as distributions, samplers, pruners, infeasible trials.

A trial's Optuna parameters are exactly the searched hyperparameters that count for it; fixed ones and those whose
condition does not hold are never told to Optuna, and `params_of` puts them back.

With one family the names are bare (`units`). With several, the family is a parameter named `family` and every other
name carries it (`lstm_fcn.units`), because Optuna knows one range for one name: two families with different ranges
for `units` would be refused, and a model fitted over both would be wrong.
"""

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from hpo.errors import StorageError
from hpo.scores import METRICS, Direction
from hpo.space import Choice, Domain, Fixed, Float, Int, Params, Scalar, Space, clip, counts, order
from hpo.study_file import Search
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


def direction(metric: str) -> Direction:
    """Whether more of the metric is better."""
    return METRICS[metric]


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
    params: Params = {FAMILY: family} if len(spaces) > 1 else {}
    prefix = _prefix(family, spaces)

    def record(name: str, domain: Domain) -> Scalar:
        value = clip(domain, domain.default)
        params[prefix + name] = value
        return value

    _fill(spaces[family], record)
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
        searched = not isinstance(domain, Fixed) and counts(domain, params)
        params[name] = value(name, domain) if searched else domain.default
    return params


def _ask(trial: Trial, name: str, domain: Domain) -> Scalar:
    match domain:
        case Float():
            return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
        case Int():
            # Optuna lowers `high` to the last step by itself, with a warning
            high = domain.high - (domain.high - domain.low) % domain.step
            return trial.suggest_int(name, domain.low, high, step=domain.step, log=domain.log)
        case Choice():
            return cast(Scalar, trial.suggest_categorical(name, domain.values))
        case Fixed():
            return domain.default


def make_sampler(search: Search, *, seed: int | Sequence[int], spaces: Spaces) -> BaseSampler:
    """The sampler of one asking process.

    TPE: multivariate, so that it sees how hyperparameters depend on each other; `group` if the space is conditional
    (several families or any `when`), because without it Optuna samples every conditional hyperparameter on its own;
    `constant_liar`, so that parallel workers keep away from what others are trying. Its first 10 trials are random,
    and 5 more for every further family, because each family is a space to be learnt.

    Args:
        search: `[search]` of the study file.
        seed: whole numbers from 0. Two processes must never have the same one: they would propose the same trials.
            A sequence such as (study seed, worker, attempt) is mixed well.
        spaces: family -> resolved space.
    """
    parts = [seed] if isinstance(seed, int) else list(seed)
    # the count goes in too: to NumPy [7] and [7, 0] are the same
    mixed = int(np.random.SeedSequence([len(parts), *parts]).generate_state(1)[0])
    if search.sampler == "random":
        return RandomSampler(seed=mixed)
    conditional = len(spaces) > 1 or any(domain.when for space in spaces.values() for domain in space.values())
    with warnings.catch_warnings():
        # `group` has been experimental since Optuna 2.8; nothing else is silenced
        warnings.filterwarnings("ignore", message=".*group.*", category=ExperimentalWarning)
        return TPESampler(
            n_startup_trials=10 + 5 * (len(spaces) - 1),
            multivariate=True,
            group=conditional,
            constant_liar=True,
            seed=mixed,
        )


def make_pruner(search: Search, *, max_epochs: int, folds: int) -> BasePruner:
    """The pruner of a study whose trials report once per epoch.

    Step = fold * max_epochs + epoch, both from 0, so that the same step means the same fold and epoch in all trials,
    and a fold that stopped early leaves a gap. Value = mean of the finished folds' scores and this epoch's metric.
    No trial is pruned in the first `min_epochs` epochs of any fold.

    median: prunes a trial whose best value so far is worse than the median of the completed trials at this step,
    once 5 trials have completed. hyperband: compares trials after min_epochs * 3**k epochs and keeps the best third,
    with a later first comparison for some of the trials (Li et al. 2018, https://jmlr.org/papers/v18/16-558.html;
    asynchronous as in Li et al. 2020, https://arxiv.org/abs/1810.05934).
    """
    least = search.pruner.min_epochs
    match search.pruner.name:
        case "median":
            return _FoldPruner(MedianPruner(n_startup_trials=5, n_warmup_steps=least), max_epochs, least)
        case "hyperband" if least < max_epochs:
            hyperband = HyperbandPruner(min_resource=least, max_resource=max_epochs * folds, reduction_factor=3)
            return _FoldPruner(hyperband, max_epochs, least)
        case _:
            return NopPruner()


class _FoldPruner(BasePruner):
    """Asks another pruner, but not while a fold is warming up.

    A fold's first epochs are worse than the last ones of the fold before: a trial that stopped early would meet
    Hyperband's next comparison there, with others that reached it at the end of a fold.

    It also spares the database: Hyperband reads all running trials at every epoch, this one at none of a warm-up.
    """

    def __init__(self, inner: BasePruner, max_epochs: int, min_epochs: int) -> None:
        self.inner = inner
        self._max_epochs = max_epochs
        self._min_epochs = min_epochs
        # Hyperband makes its brackets at its first call: two slots at once would make them twice.
        self._lock = threading.Lock()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end now, judged by its last step."""
        step = trial.last_step
        if step is None or step % self._max_epochs < self._min_epochs:
            return False
        with self._lock:
            return self.inner.prune(study, trial)


def mark(trial: Trial, infeasible: bool) -> None:
    """Tells the sampler that a trial's parameters are to be avoided. To be called before `study.tell`.

    Only infeasible trials get a constraint: Optuna takes a trial without any as feasible, in TPE
    (`_get_infeasible_trial_score`), `best_trial` and `best_trials` (`_get_feasible_trials`). Told as PRUNED, an
    infeasible trial ranks behind all completed and all other pruned ones. Marking twice is harmless.
    """
    if infeasible and CONSTRAINT not in trial.constraints:
        trial.set_constraint(CONSTRAINT, 1.0)


def ending(result: Result) -> tuple[TrialState, float | None]:
    """State and value under which Optuna records how a trial ended."""
    if result.cause is Cause.COMPLETED:
        return TrialState.COMPLETE, result.value
    if result.cause is Cause.BUG:
        return TrialState.FAIL, None
    return TrialState.PRUNED, None
