"""What every pruner must hold. Pruners are found by their file: a new one is tested by existing."""

import json

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from hpo import pruners
from hpo.pruners import Pruner
from hpo.study_file import Search
from tests.study.files import PAGE

pytestmark = pytest.mark.usefixtures("quiet")

NAMES = pruners.names()
EPOCHS, FOLDS = 12, 3
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


@every_pruner
def test_the_best_trial_is_never_ended(name: str) -> None:
    """A trial that is better than all before at every step is trained to its end."""
    pruner = table(name).make(EPOCHS, FOLDS)
    study = optuna.create_study(study_name="a", direction="maximize", sampler=RandomSampler(seed=0), pruner=pruner)
    for number in range(12):
        trial = study.ask()
        for step in range(EPOCHS * FOLDS):
            trial.report(number + step / 100, step)
            assert not trial.should_prune()
        study.tell(trial, float(number))


@every_pruner
def test_the_first_epochs_of_a_fold_are_left_alone(name: str) -> None:
    """However bad a trial is, no pruner ends it in the first `min_epochs` epochs of a fold."""
    pruner = table(name).make(EPOCHS, FOLDS)
    study = optuna.create_study(study_name="a", direction="maximize", sampler=RandomSampler(seed=0), pruner=pruner)
    for number in range(12):
        trial = study.ask()
        for step in range(EPOCHS * FOLDS):
            trial.report(1 - number - step / 100, step)
            if trial.should_prune():
                assert step % EPOCHS >= 5
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, -float(number))


@every_pruner
def test_a_warm_up_as_long_as_the_training_is_refused(name: str) -> None:
    """`min_epochs` that leave nothing to judge, or that the pruner does not know, are refused by their key."""
    (problem,) = table(name, min_epochs=EPOCHS).unfit(EPOCHS, FOLDS)
    assert problem.startswith("search.pruner.min_epochs: ")
    assert not [p for p in table(name).unfit(EPOCHS, FOLDS) if "min_epochs" in p]
