"""A sampler that knows trials of other studies: it learns from them, and nobody else hears of them."""

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial

from hpo import samplers
from hpo.search import Spaces, Suggestion, suggest
from hpo.store import Prior
from hpo.store.priors import as_trials
from tests.searching import KINDS, check, new_study

pytestmark = pytest.mark.usefixtures("quiet")
LEARNING = [name for name in samplers.names() if samplers.learns(name)]


def worth(setting: Suggestion) -> float:
    """Best at a learning rate of 10 ** -3.5, which no default has."""
    return -abs(float(np.log10(float(setting.params["learning_rate"]))) + 3.5)


def elsewhere(spaces: Spaces, *, infeasible_above: float = 1.0) -> list[FrozenTrial]:
    """Trials of another study, drawn at random; those with a larger learning rate were infeasible."""
    study = new_study(spaces, sampler="random")
    known = []
    for number in range(60):
        trial = study.ask()
        setting = suggest(trial, spaces)
        bad = float(setting.params["learning_rate"]) > infeasible_above
        study.tell(trial, worth(setting))
        known.append(
            Prior(
                source="other",
                trial=number,
                params=trial.params,
                state="pruned" if bad else "complete",
                infeasible=bad,
                values=None if bad else (worth(setting),),
            )
        )
    return as_trials(known, spaces)


def searched(name: str, spaces: Spaces, known: list[FrozenTrial]) -> tuple[optuna.Study, list[float]]:
    """A study of ten trials, and what they are worth."""
    study = new_study(spaces)
    found = []
    for number in range(10):
        made = samplers.get(name).make(spaces, samplers.seeds(study=1, trial=100 + number))
        study.sampler = samplers.taught(made, known)
        trial = study.ask()
        setting = suggest(trial, spaces)
        check(setting, spaces)
        found.append(worth(setting))
        study.tell(trial, found[-1])
    return study, found


def test_some_sampler_learns() -> None:
    """The default does; those that follow a plan of their own do not."""
    assert "tpe" in LEARNING
    assert not {"random", "qmc", "grid"} & set(LEARNING)


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("kind", ["one family", "two families", "numbers"])
def test_it_learns_from_the_first_trial_on(name: str, kind: str) -> None:
    """Where it would draw at random it searches where others found the best; the study has its own trials alone."""
    _, ignorant = searched(name, KINDS[kind], [])
    study, taught = searched(name, KINDS[kind], elsewhere(KINDS[kind]))
    assert np.mean(taught) > np.mean(ignorant) / 2
    assert max(taught[:3]) > -0.3
    assert [trial.number for trial in study.trials] == list(range(10))
    assert study.best_value == max(taught)


@pytest.mark.parametrize("name", LEARNING)
def test_it_learns_what_to_avoid(name: str) -> None:
    """Settings that were infeasible elsewhere are kept away from: here, all with a large learning rate."""
    spaces = KINDS["numbers"]
    study, _ = searched(name, spaces, elsewhere(spaces, infeasible_above=1e-3))
    assert sum(trial.params["learning_rate"] > 1e-3 for trial in study.trials) <= 1


def test_nothing_known_changes_nothing() -> None:
    """Without prior trials the sampler is the one that it always was."""
    made = samplers.get("tpe").make(KINDS["numbers"], samplers.seeds(study=1, trial=1))
    assert samplers.taught(made, []) is made
