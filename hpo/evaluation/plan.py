"""What an evaluation trains: which configurations of a search, and on which seeds. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from itertools import count, islice

from hpo.errors import UsageError
from hpo.search import Spaces
from hpo.space import Params, searched
from hpo.store import Configuration, Given, Plan, StudyRecord, TrialRecord, ranked
from hpo.store.proposals import derive_seed
from hpo.study_file import Budget, Search, StudyDef

# Seeds of a search derive from its trials' numbers, which are never so large.
FIRST_SEED = 2**32


def sibling_name(study: str, sibling: str) -> str:
    """What hpo calls the study that it makes beside another one."""
    return f"{study}/{sibling}"


def make_plan(record: StudyRecord, trials: Sequence[TrialRecord], *, top: int, seeds: int) -> Plan:
    """The best configurations of a study on seeds that its search never used.

    Args:
        record: the study. trials: all of its trials.
        top: how many configurations at most. seeds: how many seeds each.

    Raises:
        UsageError: no trial completed, and there is more than one configuration to choose from.
    """
    best = configurations(trials, record.spaces, record.definition.train.metrics)
    if not best:
        raise UsageError(
            f"study {record.name!r}: no trial completed yet, so there is nothing to evaluate; "
            "`hpo launch STUDY.toml` goes on with it"
        )
    used = {trial.seed for trial in trials if trial.seed is not None}
    fresh = fresh_seeds(record.definition.split.seed, used)
    return Plan(top=top, seeds=tuple(islice(fresh, seeds)), configurations=best[:top])


def configurations(trials: Sequence[TrialRecord], spaces: Spaces, metrics: Sequence[str]) -> tuple[Configuration, ...]:
    """Distinct settings of the completed trials, best first.

    Two trials have the same setting if all hyperparameters that count are equal; the better one's value stands for it.
    A study that searches nothing has one configuration, whether a trial completed or not.
    """
    found = [
        Configuration(key=configuration_key(trial.params), trial=trial.number, value=trial.value, params=trial.params)
        for trial in ranked(trials, metrics)
    ]
    if not found and len(spaces) == 1 and not any(searched(space) for space in spaces.values()):
        found = [Configuration(key=configuration_key({}), trial=None, value=None, params={})]
    return tuple(found)


def configuration_key(params: Params) -> str:
    """A short name for a setting, the same wherever it comes up."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:12]


def fresh_seeds(study_seed: int, used: Collection[int]) -> "filter[int]":
    """Seeds without end, none of them among those `used`."""
    return filter(lambda seed: seed not in used, (derive_seed(study_seed, FIRST_SEED + i) for i in count()))


def sibling(record: StudyRecord, name: str) -> StudyDef:
    """The definition of a study beside another one: the same data and training, no search, no limit of time."""
    definition = record.definition
    return definition.model_copy(
        update={
            "name": sibling_name(definition.name, name),
            "search": Search.model_validate({"sampler": "random", "pruner": "none", "duplicates": "reseed"}),
            "budget": Budget(
                trials=1,  # as many as are enqueued
                retries=definition.budget.retries,
                max_consecutive_failures=definition.budget.max_consecutive_failures,
            ),
        }
    )


def given_trials(plan: Plan) -> list[tuple[Given, Params]]:
    """Every trial of the ranking with its parameters; seed by seed, so that a comparison can be made early on."""
    return [
        (Given(configuration=configuration.key, index=index, seed=seed), configuration.params)
        for index, seed in enumerate(plan.seeds)
        for configuration in plan.configurations
    ]


def refit_trials(plan: Plan, winner: Configuration, rates: tuple[float, ...] | None) -> list[tuple[Given, Params]]:
    """The winner's refits with their parameters, one for each seed of the plan.

    Args:
        plan: of the evaluation.
        winner: its configuration.
        rates: see `TrialSpec.rates`. Another course makes other trials.
    """
    key = hashlib.sha256(json.dumps([winner.key, rates]).encode()).hexdigest()[:12]
    return [
        (Given(configuration=key, index=index, seed=seed, keep_model=True, rates=rates), winner.params)
        for index, seed in enumerate(plan.seeds)
    ]


def by_key(trials: Sequence[TrialRecord]) -> Mapping[tuple[str, int], TrialRecord]:
    """The trials of a sibling by configuration and index of the seed; of several the last, which replaced a failure."""
    return {trial.given.key: trial for trial in trials if trial.given is not None}
