"""What every pruner must hold. Pruners are found by their file: a new one is tested by existing."""

import json
from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from hpo import pruners
from hpo.pruners import Pruner
from hpo.study_file import Search
from hpo.trial import Cause, Epoch, Result
from tests.study.files import PAGE

pytestmark = pytest.mark.usefixtures("quiet")

NAMES = pruners.names()
EPOCHS, FOLDS = 12, 6
DONE = Result(cause=Cause.COMPLETED, value=0.5, fold_values=(0.5,))
every_pruner = pytest.mark.parametrize("name", NAMES)


def table(name: str, **keys: object) -> Pruner:
    """The table `[search.pruner]` with these keys."""
    return Search.model_validate({"pruner": {"name": name, **keys}}).pruner


@every_pruner
def test_a_pruner_says_what_it_is(name: str) -> None:
    """Module and table have docstrings; docs/study-files.md has a row, which lists its own keys and their defaults."""
    kind = pruners.get(name)
    assert kind.__doc__
    assert kind.make.__doc__
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}` | "))
    for key in kind.model_fields.keys() - Pruner.model_fields.keys():
        assert f"`{key}`" in row
        assert kind.model_fields[key].description


@every_pruner
def test_a_name_is_short_for_a_table(name: str) -> None:
    """`pruner = "NAME"` is the table with its defaults, and comes back from JSON as it was."""
    search = Search.model_validate({"pruner": name})
    assert search.pruner == table(name)
    assert type(search.pruner) is pruners.get(name)
    assert Search.model_validate(json.loads(search.model_dump_json())) == search


def train(pruner: Pruner, study: optuna.Study, value: Callable[[int], float]) -> int | None:
    """A trial as a worker reports it; returns the step of the epoch after which it was pruned, None if it completed."""
    trial = study.ask()
    scores: list[float] = []
    heard = -1
    for step in range(EPOCHS * FOLDS):
        fold, number = divmod(step, EPOCHS)
        if number == 0 and fold:
            scores.append(value(step - 1))
        epoch = Epoch(
            fold=fold, epoch=number, step=step, value=value(step), seconds=0.1, logs={}, fold_values=tuple(scores)
        )
        new = [report for report in pruner.reports(epoch) if report[0] > heard]
        for heard, reported in new:
            trial.report(reported, heard)
        if new and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    scores.append(value(step))
    result = Result(cause=Cause.COMPLETED, value=sum(scores) / FOLDS, fold_values=tuple(scores))
    for last, reported in pruner.closing_reports(result):
        if last > heard:
            trial.report(reported, last)
    study.tell(trial, result.value)
    return None


def pruned(name: str, values: Callable[[int], Callable[[int], float]], **keys: object) -> list[int | None]:
    """Where each of twelve trials was pruned.

    Args:
        name: of the pruner.
        values: number of a trial -> step -> value.
        keys: of the pruner.
    """
    pruner = table(name, **keys)
    made = pruner.make(EPOCHS, FOLDS)
    study = optuna.create_study(study_name="a", direction="maximize", sampler=RandomSampler(seed=0), pruner=made)
    return [train(pruner, study, values(number)) for number in range(12)]


@every_pruner
def test_the_best_trial_is_never_ended(name: str) -> None:
    """A trial that is better than all before at every step is trained to its end."""
    assert pruned(name, lambda number: lambda step: number + step / 100) == [None] * 12


@every_pruner
def test_hopeless_trials_are_ended_after_the_warm_up(name: str) -> None:
    """Ever worse trials that do not get better are pruned, but for `none`, and never in a fold's first epochs."""
    found = pruned(name, lambda number: lambda step: 1.0 - number - step / 100)
    ended = [step for step in found if step is not None]
    assert bool(ended) == (name != "none")
    assert all(step % EPOCHS >= 5 for step in ended if not table(name).closing_reports(DONE))


@every_pruner
def test_a_warm_up_as_long_as_the_training_is_refused(name: str) -> None:
    """`min_epochs` that leave nothing to judge, or that the pruner does not know, are refused by their key."""
    (problem,) = table(name, min_epochs=EPOCHS).unfit(EPOCHS, FOLDS)
    assert problem.startswith("search.pruner.min_epochs: ")
    assert table(name).unfit(EPOCHS, FOLDS) == []
