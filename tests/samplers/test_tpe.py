"""TPE: what is special about it."""

import warnings
from functools import partial

import numpy as np
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.samplers import seeds, tpe
from hpo.search import Spaces, mark, suggest
from hpo.space import Float
from tests.searching import CNN, KINDS, ONE, new_study, run

pytestmark = pytest.mark.usefixtures("quiet")


def test_groups() -> None:
    """TPE groups its parameters only where the space is conditional, and no experimental warning escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExperimentalWarning)
        conditional, flat, families = (
            tpe.make(spaces, seeds(study=0, trial=0)) for spaces in (ONE, {"cnn": CNN}, {"cnn": CNN, "other": CNN})
        )
    assert isinstance(conditional, TPESampler)
    assert isinstance(flat, TPESampler)
    assert isinstance(families, TPESampler)
    assert (conditional._group, flat._group, families._group) == (True, False, True)
    assert (flat._n_startup_trials, families._n_startup_trials) == (10, 15)


@pytest.mark.parametrize("kind", ["one family", "two families", "numbers"])
def test_proposals_are_optunas_as_long_as_no_range_changes(kind: str) -> None:
    """What is ours about it concerns wider ranges only: seed for seed the same trials as by Optuna's own sampler."""
    spaces = KINDS[kind]
    found = []
    for own in (True, False):
        study = new_study(spaces)
        for number in range(24):
            made = tpe.make(spaces, seeds(study=0, trial=number))
            if not own:
                assert isinstance(made, TPESampler)
                made.infer_relative_search_space = partial(TPESampler.infer_relative_search_space, made)  # type: ignore[method-assign] # Optuna's
            study.sampler = made
            trial = study.ask()
            suggestion = suggest(trial, spaces)
            study.tell(trial, float(suggestion.params["learning_rate"]))
        found.append([frozen.params for frozen in study.trials])
    assert found[0] == found[1]


def test_tpe_moves_towards_what_is_good() -> None:
    """After its random start TPE proposes better learning rates than at random, in a conditional space as well."""
    found = [float(s.params["learning_rate"]) for s in run(new_study(), ONE, 40)]
    assert sorted(found[20:])[10] > 2 * sorted(found[:10])[5]


def test_infeasible_trials_repel_the_sampler() -> None:
    """TPE keeps away from what was marked, however good it looked, and is drawn there without the mark."""

    def share(infeasible: bool) -> float:
        """Of proposals above 0.5, where all curves look best."""
        space: Spaces = {"f": {"x": Float(low=0.0, high=1.0, default=0.5)}}
        study = new_study(space, seed=3)
        high = []
        for _ in range(40):
            trial = study.ask()
            x = float(suggest(trial, space).params["x"])
            high.append(x > 0.5)
            trial.report(1.0 + x if high[-1] else -abs(x - 0.2), 0)
            mark(trial, infeasible and high[-1])
            study.tell(trial, state=TrialState.PRUNED)
        return sum(high[20:]) / 20

    assert share(infeasible=True) < 0.2
    assert share(infeasible=False) > 0.8


@pytest.mark.parametrize("maximize", [True, False])
def test_a_long_study_teaches_by_its_best_trials_and_an_even_choice_of_others(maximize: bool) -> None:
    """Of more trials than TPE learns from, the best stay, so do all that run, and of every tenth of the others some."""
    sign = 1 if maximize else -1
    order = np.random.default_rng(0).permutation(400)
    trials = [create_trial(value=sign * float(value)) for value in order]
    trials += [create_trial(state=TrialState.PRUNED) for _ in range(100)]
    trials += [create_trial(state=TrialState.RUNNING) for _ in range(3)]
    for number, trial in enumerate(trials):
        trial.number = number
    kept = [trial.number for trial in tpe.thinned(trials, maximize=maximize, most=125)]
    assert len(kept) == 128
    assert kept == sorted(kept)
    best = {number for number, value in enumerate(order) if value >= 400 - tpe.BEST}
    assert best | {500, 501, 502} <= set(kept)
    others = [number for number in kept if number not in best and number < 500]
    assert np.histogram(others, bins=10, range=(0, 500))[0].tolist() == pytest.approx([10] * 10, abs=1)


def test_a_short_study_teaches_by_all_of_its_trials() -> None:
    """Nothing is left out of a study that is short, or of which so few trials completed that pruned ones are good."""
    trials = [create_trial(value=1.0) for _ in range(tpe.BEST - 1)]
    trials += [create_trial(state=TrialState.PRUNED) for _ in range(50)]
    assert tpe.thinned(trials, maximize=True, most=60) == trials
    trials.append(create_trial(value=2.0))
    for number, trial in enumerate(trials):
        trial.number = number
    assert tpe.thinned(trials, maximize=True, most=80) == trials
    assert len(tpe.thinned(trials, maximize=True, most=60)) == 60


def test_tpe_is_taught_by_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice reaches Optuna's sampler, in a space with conditions as well."""
    seen = []

    def thinned(trials: list[FrozenTrial], *, maximize: bool) -> list[FrozenTrial]:
        seen.append((len(trials), maximize))
        return trials

    monkeypatch.setattr(tpe, "thinned", thinned)
    run(new_study(), ONE, 12)
    assert max(seen) == (12, True)
