"""What each pruner ends, and when."""

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
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


def test_percentile_keeps_the_best_quarter() -> None:
    """Of trials that lie above each other, those outside of the best `percentile` percent are ended."""
    curves = [_flat(v / 10) for v in range(8)]
    assert _pruned("percentile", [*curves, _flat(0.65)]) == [None] * 9
    assert _pruned("percentile", [*curves, _flat(0.45)]) == [None] * 8 + [3]
    assert _pruned("median", [*curves, _flat(0.45)]) == [None] * 9


def test_successive_halving_knows_no_mercy() -> None:
    """Every trial meets the first comparison; Hyperband spares some of them."""
    curves = [_flat(1 - i / 100) for i in range(30)]
    strict, spared = (_pruned(name, curves) for name in ("successive-halving", "hyperband"))
    assert strict == [None] + [3] * 29
    assert spared.count(3) < 29


def test_patient_waits_until_a_trial_stops_getting_better() -> None:
    """A bad trial that still improves is let go on; once it has not for `patience` epochs its judge decides."""
    good = [_flat(0.9) for _ in range(6)]
    rising = {step: 0.01 * step for step in range(20)}
    assert _pruned("median", [*good, rising])[-1] == 3
    assert _pruned("patient", [*good, rising])[-1] is None
    falling = {step: 0.5 - 0.01 * step for step in range(20)}
    assert _pruned("patient", [*good, falling])[-1] == 6
    assert _pruned("patient", [_flat(0.1) for _ in range(6)] + [falling])[-1] is None


@pytest.mark.parametrize("sign", [1, -1])
def test_patient_ends_a_trial_that_stands_exactly_still(sign: int) -> None:
    """As accuracy on few windows does: it has not improved, whether more is better or less."""
    table = pruners.get("patient").model_validate({"name": "patient", "min_epochs": 3})
    direction = StudyDirection.MAXIMIZE if sign > 0 else StudyDirection.MINIMIZE
    study = optuna.create_study(direction=direction, sampler=RandomSampler(seed=0), pruner=table.make(20, 1))
    assert [_curve(study, _flat(sign * 0.9)) for _ in range(6)] == [None] * 6
    assert _curve(study, _flat(sign * 0.5)) == 6
    assert _curve(study, {step: sign * 0.01 * min(step, 10) for step in range(20)}) == 16
    assert _curve(study, {step: sign * 0.01 * step for step in range(20)}) is None


@pytest.mark.parametrize(
    ("keys", "folds", "message"),
    [
        ({}, 2, "split.folds: got 2 (whole number); search.pruner 'wilcoxon' compares folds, give at least 3"),
        ({}, 4, "search.pruner.p_threshold: got 0.1 (decimal number); with 4 folds no p-value can be below 0.125"),
        (
            {"p_threshold": 0.2},
            3,
            "search.pruner.p_threshold: got 0.2 (decimal number); with 3 folds no p-value can be",
        ),
        ({"min_epochs": 3}, 5, "search.pruner.min_epochs: has no effect with the pruner 'wilcoxon'"),
    ],
)
def test_wilcoxon_needs_folds(keys: dict[str, object], folds: int, message: str) -> None:
    """Where no number of folds could end a trial, the pruner is refused."""
    (problem,) = pruners.get("wilcoxon").model_validate({"name": "wilcoxon", **keys}).unfit(20, folds)
    assert problem.startswith(message)


def test_wilcoxon_compares_fold_by_fold() -> None:
    """A trial that is a little worse in every one of four folds is ended; one that is better in one of them is not."""
    pruner = pruners.get("wilcoxon")(name="wilcoxon").make(20, 5)
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0), pruner=pruner)
    best = {0: 0.5, 1: 0.9, 2: 0.7, 3: 0.6, 4: 0.8}
    assert _curve(study, best) is None
    assert _curve(study, {fold: value - 0.01 - fold / 1000 for fold, value in best.items()}) == 3
    assert _curve(study, {0: 0.6, 1: 0.8, 2: 0.69, 3: 0.5}) is None


def test_patience_longer_than_a_trial_is_refused() -> None:
    """It would never end anything; the message names the longest that may, and that is accepted."""

    def unfit(patience: int, epochs: int, folds: int = 1) -> list[str]:
        table = pruners.get("patient").model_validate({"name": "patient", "patience": patience})
        return table.unfit(epochs, folds)

    got = "search.pruner.patience: got 19 (whole number); accepted: at most 18: a trial has 20 epochs"
    assert unfit(19, 20) == [got]
    assert unfit(18, 20) == unfit(19, 20, folds=2) == []
    (short,) = unfit(1, 2)
    assert short.endswith("accepted: none, leave it out: a trial has 2 epochs")
