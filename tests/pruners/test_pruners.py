"""What each pruner ends, and when."""

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from hpo import pruners

pytestmark = pytest.mark.usefixtures("quiet")


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
    pruner = pruners.get(name).model_validate({"name": name, "min_epochs": 3}).make(max_epochs, folds)
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
