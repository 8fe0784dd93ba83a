"""Spaces as Optuna sees them: suggestions, defaults, stored trials, samplers, pruners, infeasible trials."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from hpo.errors import StorageError
from hpo.search import (
    CONSTRAINT,
    Spaces,
    Suggestion,
    default_params,
    direction,
    make_pruner,
    make_sampler,
    mark,
    params_of,
    suggest,
)
from hpo.space import Choice, Fixed, Float, Int, Scalar, Space, choice, counts, fixed, same
from hpo.study_file import Pruner, Search

LSTM: Space = {
    # the child stands before its parent on purpose
    "recurrent_dropout": Float(low=0.1, high=0.3, default=0.1, when={"cell": ("lstm",)}),
    "cell": choice("lstm", "gru", default="gru"),
    "units": Int(low=8, high=128, log=True, default=100),
    "steps": Int(low=10, high=36, step=10, default=20),
    "batch_size": choice(16, 32, default=32),
    "learning_rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3),
    "attention": choice(True, False, default=False),
    "schedule": fixed("plateau"),
}
CNN: Space = {
    "units": Int(low=1, high=4, default=2),
    "learning_rate": Float(low=1e-5, high=1e-3, log=True, default=1e-3),
    "pool": Choice(values=(2,), default=2),
    "schedule": fixed("cosine"),
}
ONE: Spaces = {"lstm": LSTM}
TWO: Spaces = {"lstm": LSTM, "cnn": CNN}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)


def _study(spaces: Spaces = ONE, *, seed: int = 0, pruner: BasePruner | None = None, **search: object) -> optuna.Study:
    sampler = make_sampler(Search.model_validate(search), seed=seed, spaces=spaces)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner or NopPruner())


def _check(suggestion: Suggestion, spaces: Spaces) -> None:
    space = spaces[suggestion.family]
    assert set(suggestion.params) == set(space)
    for name, domain in space.items():
        value: Scalar = suggestion.params[name]
        if not counts(domain, suggestion.params):
            assert same(value, domain.default)
            continue
        match domain:
            case Fixed():
                assert same(value, domain.default)
            case Choice():
                assert any(same(value, v) for v in domain.values)
            case Int():
                assert type(value) is int
                assert value in range(domain.low, domain.high + 1, domain.step)
            case Float():
                assert type(value) is float
                assert domain.low <= value <= domain.high


def _run(study: optuna.Study, spaces: Spaces, trials: int) -> list[Suggestion]:
    found = []
    for _ in range(trials):
        trial = study.ask()
        suggestion = suggest(trial, spaces)
        found.append(suggestion)
        study.tell(trial, float(suggestion.params["learning_rate"]))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("spaces", [ONE, TWO], ids=["one family", "two families"])
def test_suggestions_are_full_settings_and_can_be_read_back(spaces: Spaces, sampler: str) -> None:
    """Each of 40 suggestions is a full and valid setting, follows the conditions, and `params_of` finds it again."""
    study = _study(spaces, sampler=sampler)
    found = _run(study, spaces, 40)
    for suggestion, frozen in zip(found, study.trials, strict=True):
        _check(suggestion, spaces)
        assert params_of(frozen.params, spaces) == suggestion
    assert {suggestion.family for suggestion in found} == set(spaces)
    assert {s.params["cell"] for s in found if s.family == "lstm"} == {"lstm", "gru"}


def test_optuna_hears_only_what_is_searched_and_counts() -> None:
    """Fixed values and those whose condition does not hold are no Optuna parameters; names are bare for one family."""
    study = _study()
    for suggestion, frozen in zip(_run(study, ONE, 20), study.trials, strict=True):
        expected = set(LSTM) - {"schedule"} - ({"recurrent_dropout"} if suggestion.params["cell"] == "gru" else set())
        assert set(frozen.params) == expected


def test_names_carry_the_family_where_there_are_several() -> None:
    """With several families each name has its family in front, so that two ranges never share one name."""
    study = _study(TWO)
    for suggestion, frozen in zip(_run(study, TWO, 20), study.trials, strict=True):
        assert frozen.params["family"] == suggestion.family
        assert all(name.startswith(f"{suggestion.family}.") for name in frozen.params if name != "family")


def test_the_order_of_families_does_not_matter() -> None:
    """Spaces that come back in another order go on in the same study."""
    study = _study(TWO)
    _run(study, TWO, 3)
    _run(study, {"cnn": CNN, "lstm": LSTM}, 3)
    assert len(study.trials) == 6


@pytest.mark.parametrize("spaces", [ONE, TWO], ids=["one family", "two families"])
def test_enqueued_defaults_come_first(spaces: Spaces) -> None:
    """A family's published default, clipped to the space, can be enqueued and is suggested as it is, unwarned."""
    study = _study(spaces)
    for family in spaces:
        study.enqueue_trial(default_params(spaces, family))
    for family in spaces:
        suggestion = suggest(study.ask(), spaces)
        assert suggestion.family == family
        if family == "lstm":
            assert suggestion.params == {
                "recurrent_dropout": 0.1, "cell": "gru", "units": 100, "steps": 20, "batch_size": 32,
                "learning_rate": 0.001, "attention": False, "schedule": "plateau",
            }  # fmt: skip
        _check(suggestion, spaces)


def test_default_parameters_are_clipped_and_active() -> None:
    """Defaults are moved into the space; what is fixed or does not count is left out."""
    narrow: Space = {**LSTM, "units": Int(low=8, high=32, default=100)}
    params = default_params({"lstm": narrow}, "lstm")
    assert params["units"] == 32
    assert "recurrent_dropout" not in params
    assert "schedule" not in params
    lstm_cell = {**LSTM, "cell": choice("lstm", "gru", default="lstm")}
    assert default_params({"lstm": lstm_cell}, "lstm")["recurrent_dropout"] == 0.1
    assert default_params(TWO, "cnn") == {
        "family": "cnn", "cnn.units": 2, "cnn.learning_rate": 1e-3, "cnn.pool": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "spaces", "message"),
    [
        ({"cell": "gru"}, ONE, "no parameter 'units' .it has cell.; it was not fully suggested"),
        ({}, TWO, "no parameter 'family' .it has none."),
        ({"family": "fcn"}, TWO, "of family 'fcn'; this study searches lstm, cnn"),
    ],
)
def test_a_stored_trial_of_another_space(stored: dict[str, Scalar], spaces: Spaces, message: str) -> None:
    """A stored trial that lacks a parameter is refused by name, not filled up with defaults."""
    with pytest.raises(StorageError, match=message):
        params_of(stored, spaces)


@pytest.mark.parametrize("enqueued", [True, False])
def test_a_claim_that_died_is_taken_over(tmp_path: Path, enqueued: bool) -> None:
    """A RUNNING trial with some of its parameters keeps them when another process re-attaches, enqueued ones too."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first = optuna.create_study(
        storage=url, study_name="s", direction="maximize", sampler=make_sampler(Search(), seed=1, spaces=ONE)
    )
    practice = _study()
    _run(practice, ONE, 12)
    first.add_trials(practice.trials)
    if enqueued:
        first.enqueue_trial(default_params(ONE, "lstm"))
    died = first.ask()
    value = died.suggest_int("units", 8, 128, log=True)

    second = optuna.load_study(storage=url, study_name="s", sampler=make_sampler(Search(), seed=2, spaces=ONE))
    second.get_trials(deepcopy=False)
    trial = Trial(second, died._trial_id)
    suggestion = suggest(trial, ONE)
    _check(suggestion, ONE)
    assert suggestion.params["units"] == value
    if enqueued:
        assert {k: v for k, v in suggestion.params.items() if k in default_params(ONE, "lstm")} == default_params(
            ONE, "lstm"
        )
    assert suggest(Trial(second, died._trial_id), ONE) == suggestion
    frozen = second.tell(trial, 0.5)
    assert frozen.number == 12
    assert params_of(frozen.params, ONE) == suggestion


def test_different_seeds_propose_different_trials() -> None:
    """The same seed proposes the same trials; a worker's place in the seed makes others, for both samplers."""
    for sampler in ("tpe", "random"):
        search = Search.model_validate({"sampler": sampler})
        first: dict[object, tuple[str, ...]] = {}
        for seed in ((7, 0), (7, 1), (7, 0), 7):
            study = optuna.create_study(sampler=make_sampler(search, seed=seed, spaces=ONE))
            trials = tuple(str(suggest(study.ask(), ONE).params) for _ in range(5))
            assert first.setdefault(seed, trials) == trials
        assert len(set(first.values())) == 3


def test_samplers() -> None:
    """TPE groups its parameters only where the space is conditional, and no experimental warning escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExperimentalWarning)
        conditional = make_sampler(Search(), seed=0, spaces=ONE)
        flat = make_sampler(Search(), seed=0, spaces={"cnn": CNN})
        families = make_sampler(Search(), seed=0, spaces={"cnn": CNN, "other": CNN})
    assert isinstance(conditional, TPESampler)
    assert isinstance(flat, TPESampler)
    assert isinstance(families, TPESampler)
    assert (conditional._group, flat._group, families._group) == (True, False, True)
    assert (flat._n_startup_trials, families._n_startup_trials) == (10, 15)
    assert isinstance(make_sampler(Search(sampler="random"), seed=0, spaces=ONE), RandomSampler)


def test_tpe_moves_towards_what_is_good() -> None:
    """After its random start TPE proposes better learning rates than at random, in a conditional space as well."""
    found = [float(s.params["learning_rate"]) for s in _run(_study(), ONE, 40)]
    assert sorted(found[20:])[10] > 2 * sorted(found[:10])[5]


def test_direction_of_each_metric() -> None:
    """Scores are maximised, the loss is minimised."""
    assert direction("balanced_accuracy") == "maximize"
    assert direction("loss") == "minimize"


def _curve(study: optuna.Study, values: dict[int, float]) -> int | None:
    """Reports a curve; the step at which the trial was pruned, or None if it was completed."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    for step, value in values.items():
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    study.tell(trial, max(values.values()))
    return None


def _pruned(name: str, curves: list[dict[int, float]], *, folds: int = 1, max_epochs: int = 20) -> list[int | None]:
    search = Search(pruner=Pruner.model_validate({"name": name, "min_epochs": 3}))
    pruner = make_pruner(search, max_epochs=max_epochs, folds=folds)
    # the study's name decides Hyperband's brackets: with this one the last of these trials is in the first
    study = optuna.create_study(study_name="a", direction="maximize", sampler=RandomSampler(seed=0), pruner=pruner)
    return [_curve(study, curve) for curve in curves]


def _flat(value: float, steps: int = 20) -> dict[int, float]:
    return dict.fromkeys(range(steps), value)


def test_median_prunes_after_five_trials_and_the_warm_up() -> None:
    """Of the first five trials none is pruned; then a bad one is, after its first three epochs; a good one never is."""
    curves = [_flat(v) for v in (0.1, 0.5, 0.6, 0.7, 0.8, 0.2, 0.9)]
    assert _pruned("median", curves) == [None, None, None, None, None, 3, None]


def test_hyperband_prunes_after_the_warm_up() -> None:
    """Hyperband ends bad trials, none in its first three epochs, and keeps those that are better than all before."""
    found = _pruned("hyperband", [_flat(1 - i / 100) for i in range(30)])
    steps = {step for step in found if step is not None}
    assert found[0] is None
    assert min(steps) == 3
    assert steps <= {3, 9}
    assert _pruned("hyperband", [_flat(i / 100) for i in range(30)]) == [None] * 30


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_no_fold_is_judged_while_it_warms_up(name: str) -> None:
    """A trial whose first fold stopped early is not compared in the first epochs of the next one."""
    curves = [_flat(0.5 + i / 1000, 40) for i in range(29)]
    curves.append({0: 0.9, 1: 0.9, 2: 0.9, 20: 0.1, 21: 0.1, 22: 0.1, 23: 0.95})
    assert _pruned(name, curves, folds=2)[-1] is None
    curves[-1] = {0: 0.1, 1: 0.1, 2: 0.1, 20: 0.1, 21: 0.1, 22: 0.1, 23: 0.1}
    assert _pruned(name, curves, folds=2)[-1] == 23


def test_none_never_prunes() -> None:
    """Without a pruner every trial is trained to its end; so it is where training is shorter than the warm-up."""
    assert _pruned("none", [_flat(-i) for i in range(10)]) == [None] * 10
    assert _pruned("hyperband", [_flat(-i, 3) for i in range(10)], max_epochs=3) == [None] * 10
    assert _pruned("median", [_flat(-i, 3) for i in range(10)], max_epochs=3) == [None] * 10


def test_infeasible_trials_repel_the_sampler() -> None:
    """TPE keeps away from what was marked, however good it looked, and is drawn there without the mark."""

    def share(infeasible: bool) -> float:
        """Of proposals above 0.5, where all curves look best."""
        space: Spaces = {"f": {"x": Float(low=0.0, high=1.0, default=0.5)}}
        study = _study(space, seed=3)
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


def test_marks_are_written_once_and_only_where_needed() -> None:
    """A feasible trial has no constraint and still is the best; a second mark is silent and changes nothing."""
    study = _study()
    good, bad = study.ask(), study.ask()
    mark(good, False)
    mark(bad, True)
    mark(bad, True)
    bad.report(99.0, 0)
    study.tell(bad, state=TrialState.PRUNED)
    study.tell(good, 0.1)
    assert [trial.constraints for trial in study.trials] == [{}, {CONSTRAINT: 1.0}]
    assert study.best_trial.number == 0
    assert [trial.number for trial in study.best_trials] == [0]
