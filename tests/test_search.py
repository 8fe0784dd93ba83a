"""Spaces as Optuna sees them: suggestions, defaults, stored trials, infeasible trials."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial, TrialState

from hpo import samplers
from hpo.errors import StorageError
from hpo.search import CONSTRAINT, Spaces, default_params, directions, mark, params_of, suggest
from hpo.space import Int, Scalar, Space, choice
from tests.searching import CNN, LSTM, ONE, TWO, check, new_study, run

pytestmark = pytest.mark.usefixtures("quiet")


def test_optuna_hears_only_what_is_searched_and_counts() -> None:
    """Fixed values and those whose condition does not hold are no Optuna parameters; names are bare for one family."""
    study = new_study()
    for suggestion, frozen in zip(run(study, ONE, 20), study.trials, strict=True):
        expected = set(LSTM) - {"schedule"} - ({"recurrent_dropout"} if suggestion.params["cell"] == "gru" else set())
        assert set(frozen.params) == expected


def test_names_carry_the_family_where_there_are_several() -> None:
    """With several families each name has its family in front, so that two ranges never share one name."""
    study = new_study(TWO)
    for suggestion, frozen in zip(run(study, TWO, 20), study.trials, strict=True):
        assert frozen.params["family"] == suggestion.family
        assert all(name.startswith(f"{suggestion.family}.") for name in frozen.params if name != "family")


def test_the_order_of_families_does_not_matter() -> None:
    """Spaces that come back in another order go on in the same study."""
    study = new_study(TWO)
    run(study, TWO, 3)
    run(study, {"cnn": CNN, "lstm": LSTM}, 3)
    assert len(study.trials) == 6


@pytest.mark.parametrize("spaces", [ONE, TWO], ids=["one family", "two families"])
def test_enqueued_defaults_come_first(spaces: Spaces) -> None:
    """A family's published default, clipped to the space, can be enqueued and is suggested as it is, unwarned."""
    study = new_study(spaces)
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
        check(suggestion, spaces)


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


def _tpe(seed: int) -> optuna.samplers.BaseSampler:
    return samplers.get("tpe").make(ONE, samplers.seeds(study=0, trial=seed))


@pytest.mark.parametrize("enqueued", [True, False])
def test_a_claim_that_died_is_taken_over(tmp_path: Path, enqueued: bool) -> None:
    """A RUNNING trial with some of its parameters keeps them when another process re-attaches, enqueued ones too."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first = optuna.create_study(storage=url, study_name="s", direction="maximize", sampler=_tpe(1))
    practice = new_study()
    run(practice, ONE, 12)
    first.add_trials(practice.trials)
    if enqueued:
        first.enqueue_trial(default_params(ONE, "lstm"))
    died = first.ask()
    value = died.suggest_int("units", 8, 128, log=True)

    second = optuna.load_study(storage=url, study_name="s", sampler=_tpe(2))
    second.get_trials(deepcopy=False)
    trial = Trial(second, died._trial_id)
    suggestion = suggest(trial, ONE)
    check(suggestion, ONE)
    assert suggestion.params["units"] == value
    if enqueued:
        assert {k: v for k, v in suggestion.params.items() if k in default_params(ONE, "lstm")} == default_params(
            ONE, "lstm"
        )
    assert suggest(Trial(second, died._trial_id), ONE) == suggestion
    frozen = second.tell(trial, 0.5)
    assert frozen.number == 12
    assert params_of(frozen.params, ONE) == suggestion


def test_direction_of_each_metric() -> None:
    """Scores are maximised, the loss and the number of parameters are minimised."""
    assert directions(["balanced_accuracy", "loss", "parameters"]) == ["maximize", "minimize", "minimize"]


def test_marks_are_written_once_and_only_where_needed() -> None:
    """A feasible trial has no constraint and still is the best; a second mark is silent and changes nothing."""
    study = new_study()
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
