"""TPE: what is special about it."""

import warnings
from functools import partial

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo import samplers
from hpo.samplers import seeds, tpe
from hpo.samplers._risk import Risk
from hpo.search import Spaces, distributions, mark, suggest
from hpo.space import Float, Params
from tests.searching import CNN, KINDS, NUMBERS, ONE, TWO, new_study, run

pytestmark = pytest.mark.usefixtures("quiet")

NUMBERS_ONLY: Spaces = {"cnn": NUMBERS}


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
    """Of more trials than TPE learns from, the best stay, and of every tenth of the others some."""
    sign = 1 if maximize else -1
    order = np.random.default_rng(0).permutation(400)
    trials = [create_trial(value=sign * float(value)) for value in order]
    trials += [create_trial(state=TrialState.PRUNED) for _ in range(100)]
    for number, trial in enumerate(trials):
        trial.number = number
    kept = [trial.number for trial in tpe.thinned(trials, maximize=maximize, most=125)]
    assert len(kept) == 125
    assert kept == sorted(kept)
    best = {number for number, value in enumerate(order) if value >= 400 - tpe.BEST}
    assert best <= set(kept)
    others = [number for number in kept if number not in best]
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


@pytest.mark.parametrize("space", [ONE, TWO])
def test_tpe_is_taught_once_a_trial_by_what_is_left(space: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice is made once for each trial, of all that have ended, and reaches Optuna's sampler with what runs."""
    asked: list[tuple[int, bool]] = []
    inner = tpe.thinned

    def thinned(ended: list[FrozenTrial], *, maximize: bool) -> list[FrozenTrial]:
        asked.append((len(ended), maximize))
        return inner(ended, maximize=maximize)

    monkeypatch.setattr(tpe, "thinned", thinned)
    study = new_study(space)
    run(study, space, 40)
    assert asked == [(ended, True) for ended in range(40)]


def test_what_runs_keeps_others_away_in_a_long_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials that TPE gets are the chosen ones and all that run, by number, in the states that it asks for."""
    study = new_study()
    run(study, ONE, 60)
    running = [study.ask().number for _ in range(3)]
    monkeypatch.setattr(tpe, "thinned", lambda ended, *, maximize: ended[::2])
    long = tpe._Long(study)
    assert [t.number for t in long.get_trials()] == [*(t.number for t in long.ended), *running]
    assert len(long.ended) == 30
    of = {state: [t.number for t in long._get_trials(states=(state,))] for state in TrialState}
    assert of[TrialState.RUNNING] == running
    assert of[TrialState.COMPLETE] + of[TrialState.PRUNED] != []
    assert sorted(of[TrialState.COMPLETE] + of[TrialState.PRUNED]) == [t.number for t in long.ended]
    assert long.get_trials()[0] is not long.ended[0], "a copy, unless they are not to be changed"
    assert long.get_trials(deepcopy=False)[0] is long.ended[0]


def fitted(above: float, count: int = 40) -> Risk:
    """Of trials drawn at random, of which those with more than so much in units and rate together were infeasible."""
    study = new_study(NUMBERS_ONLY, sampler="random")
    for number in range(count):
        study.sampler = samplers.get("random").make(NUMBERS_ONLY, seeds(study=0, trial=number))
        trial = study.ask()
        suggest(trial, NUMBERS_ONLY)
        bad = size(trial.params) > above
        mark(trial, infeasible=bad)
        study.tell(trial, state=TrialState.PRUNED if bad else TrialState.COMPLETE, values=None if bad else 1.0)
    return Risk(study.trials, distributions(NUMBERS_ONLY))


def size(params: Params) -> float:
    """A product, as memory is."""
    return float(np.log(float(params["units"]) * float(params["steps"])))


def test_the_risk_of_a_setting() -> None:
    """From forty trials it is known of eight settings in ten on which side of a limit of size they lie."""
    risk = fitted(above=7.0)
    space = distributions(NUMBERS_ONLY)
    study = new_study(NUMBERS_ONLY, sampler="random")
    asked = [study.ask(space).params for _ in range(200)]
    places = {name: np.array([each[name] for each in asked]) for name in space}
    chance = risk(places)
    assert chance is not None
    right = (chance > 0.5) == (np.array([size(params) for params in asked]) > 7.0)
    assert right.mean() > 0.8


@pytest.mark.parametrize("above", [0.0, 20.0])
def test_nothing_is_said_of_a_risk_that_is_not_known(above: float) -> None:
    """Where all trials were infeasible, or none was, no proposal is turned down."""
    assert fitted(above)({name: np.array([10.0]) for name in distributions(NUMBERS_ONLY)}) is None


def test_nothing_is_said_where_no_plane_parts_the_trials() -> None:
    """Infeasible ends that have nothing to do with the setting forbid no part of the space."""
    trials = [
        create_trial(
            params={"x": (number % 20) / 20},
            distributions={"x": FloatDistribution(0, 1)},
            value=1.0,
            constraints={"infeasible": 1.0} if number % 2 else None,
        )
        for number in range(40)
    ]
    assert Risk(trials, {"x": FloatDistribution(0, 1)})({"x": np.array([0.5])}) is None


def test_choices_count_too() -> None:
    """A choice of numbers is ordered, another one has a chance of its own."""
    ranges: dict[str, BaseDistribution] = {
        "batch": CategoricalDistribution((64, 16, 32)),
        "cell": CategoricalDistribution(("lstm", "gru")),
    }
    for name, bad in (("batch", 64), ("cell", "gru")):
        trials = []
        for number in range(24):
            params = {"batch": (64, 16, 32)[number % 3], "cell": ("lstm", "gru")[number // 3 % 2]}
            violated = {"infeasible": 1.0} if params[name] == bad else None
            trials.append(create_trial(params=params, distributions=ranges, value=1.0, constraints=violated))
        chance = Risk(trials, ranges)({"batch": np.array([0, 1, 2, 0]), "cell": np.array([0, 0, 1, 1])})
        assert chance is not None
        assert (chance > 0.5).tolist() == (
            [True, False, False, True] if name == "batch" else [False, False, True, True]
        )


def test_proposals_keep_off_what_is_likely_to_be_infeasible() -> None:
    """The search is drawn upwards, towards a limit: it learns to stay below, and still gets near it."""
    study = new_study(NUMBERS_ONLY)
    ends = []
    for number in range(50):
        study.sampler = tpe.make(NUMBERS_ONLY, seeds(study=0, trial=number))
        trial = study.ask()
        suggest(trial, NUMBERS_ONLY)
        bad = size(trial.params) > 6.5
        mark(trial, infeasible=bad)
        worth = None if bad else size(trial.params)
        study.tell(trial, worth, state=TrialState.PRUNED if bad else TrialState.COMPLETE)
        ends.append(bad)
    assert sum(ends[25:]) <= 7
    assert study.best_value > 6.2
