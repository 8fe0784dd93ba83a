"""One trial's training, on data sets of a few windows and a model of a few weights."""

import gc
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpo import augment, curves, objective
from hpo.errors import DataError
from hpo.scores import METRICS
from hpo.trial import Cause, Epoch, FoldParts
from tests.training.toy import PARAMETERS, TRAINING, make, read, run, save, windows

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own ReduceLROnPlateau.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_learns_what_can_be_learnt(tmp_path: Path) -> None:
    """A separable set is learnt from raw windows, and the result holds everything that is known of the trial."""
    spec = make(tmp_path, max_epochs=8)
    result, epochs = run(spec)
    assert result.cause is Cause.COMPLETED
    assert result.value == 1.0 == result.metrics["balanced_accuracy"]
    assert result.fold_values == (1.0,)
    assert set(result.metrics) == set(METRICS)
    assert result.parameters == PARAMETERS
    assert result.epochs == 8 == len(epochs)
    assert set(result.seconds) == {"data", "build", "fit", "score", "total"}
    assert 0 < result.seconds["fit"] < result.seconds["total"]
    assert result.peak_memory is not None
    assert result.peak_memory > 100e6  # TensorFlow alone takes more
    libraries = {"hpo", "keras", "numpy", "tensorflow"}
    assert set(result.versions) == libraries | {"family", "code", "cpu", "device"}
    assert result.versions["device"] == "cpu"
    assert len(result.weights_sha256 or "") == len(result.curve_sha256 or "") == 64
    assert {"loss", "accuracy", "learning_rate"} | {f"val_{name}" for name in METRICS} == set(epochs[0].logs)


def test_artifacts(tmp_path: Path) -> None:
    """Both files are whole and strict JSON, a number that is none is null, and nothing lies beside them."""
    x, y = windows(12, seed=1)
    validation = save(tmp_path / "validation", x, y, np.array([3] * 6 + [8, 9] * 3))
    train = save(tmp_path / "train", *windows(32))
    spec = make(tmp_path, [FoldParts(train=train, stopping=None, validation=validation)])
    result, epochs = run(spec)
    assert {path.name for path in Path(spec.artifacts).iterdir()} == {"curves.json", "report.json"}

    curves = read(spec, "curves.json")
    assert curves["metric"] == "balanced_accuracy"
    assert curves["folds"] == [[{**epoch.logs, "seconds": epoch.seconds} for epoch in epochs]]

    report = read(spec, "report.json")
    assert report["value"] == result.value
    assert report["classes"] == ["rest", "move"]
    assert report["fold_metrics"] == [result.metrics]
    assert np.sum(report["confusion_matrix"]) == 12
    assert np.sum(report["confusion_matrix"], axis=1).tolist() == [6, 6]
    assert {name: row["windows"] for name, row in report["per_class"].items()} == {"rest": 6, "move": 6}
    assert {name: row["windows"] for name, row in report["per_group"].items()} == {"3": 6, "8": 3, "9": 3}
    assert report["per_group"]["8"]["auroc"] is None  # one class only
    assert report["seconds"].keys() == result.seconds.keys()
    assert (report["parameters"], report["epochs"]) == (PARAMETERS, 3)
    assert report["peak_memory"] == result.peak_memory
    assert report["train"] == spec.training


def test_too_large_is_never_trained(tmp_path: Path) -> None:
    """One parameter over the limit ends the trial before training; at the limit it runs."""
    result, epochs = run(make(tmp_path, max_parameters=PARAMETERS - 1))
    assert result.cause is Cause.TOO_LARGE
    assert result.parameters == PARAMETERS
    assert f"{PARAMETERS} parameters, max_parameters is {PARAMETERS - 1}" in result.detail
    assert (result.value, result.epochs, epochs) == (None, 0, [])
    assert result.curve_sha256 is result.weights_sha256 is None


def test_limit_itself_is_allowed(tmp_path: Path) -> None:
    """A model of exactly the largest size is trained: the scaling layer does not count."""
    assert run(make(tmp_path, max_parameters=PARAMETERS, max_epochs=1))[0].cause is Cause.COMPLETED


@pytest.mark.parametrize("how", ["huge learning rate", "NaN in a window"])
def test_diverged(tmp_path: Path, how: str) -> None:
    """A loss that is no number ends the trial: it never passes for a score of 0.5."""
    if how == "huge learning rate":
        spec = make(tmp_path, learning_rate=1e38)
    else:
        x, y = windows(32)
        x[5, 2, 0] = np.nan
        train, validation = save(tmp_path / "t", x, y), save(tmp_path / "v", *windows(12))
        spec = make(tmp_path, [FoldParts(train=train, stopping=None, validation=validation)], scaling="none")
    result, epochs = run(spec)
    assert result.cause is Cause.DIVERGED
    assert (result.value, result.metrics, result.fold_values) == (None, {}, ())
    assert result.detail
    assert all(math.isfinite(epoch.value) for epoch in epochs)
    assert read(spec, "curves.json")["folds"] == [[{**e.logs, "seconds": e.seconds} for e in epochs]]
    assert not (Path(spec.artifacts) / "report.json").exists()


def test_windows_of_different_length(tmp_path: Path) -> None:
    """A trial on windows that end in NaN trains and scores on what is there."""
    x, y = windows(32)
    x[::3, 5:] = np.nan
    held, labels = windows(12, seed=1)
    held[::2, 6:] = np.nan
    train, validation = save(tmp_path / "t", x, y), save(tmp_path / "v", held, labels)
    folds = [FoldParts(train=train, stopping=None, validation=validation)]
    spec = make(tmp_path, folds, family="fcn", model={"filters": 4}, max_epochs=2)
    result, _ = run(spec.model_copy(update={"padded": True}))
    assert result.cause is Cause.COMPLETED
    assert math.isfinite(result.metrics["loss"])


def test_stop_request_ends_in_order(tmp_path: Path) -> None:
    """A request ends the trial at its next batch with that cause; whole epochs stay known. The first epoch runs without
    garbage collection, later ones with it.
    """
    spec = make(tmp_path, max_epochs=50)
    reported: list[Epoch] = []
    collects: list[tuple[int, bool]] = []

    def stop() -> Cause | None:
        collects.append((len(reported), gc.isenabled()))
        return Cause.PRUNED if len(reported) == 2 else None

    result = objective.train(spec, reported.append, stop)
    assert result.cause is Cause.PRUNED
    assert (result.value, result.epochs) == (None, 2)
    assert "epoch 3, batch 1" in result.detail
    assert len(read(spec, "curves.json")["folds"][0]) == 2
    assert collects[0] == (0, True)  # before the fold
    assert {enabled for epoch, enabled in collects[1:] if epoch == 0} == {False}
    assert {enabled for epoch, enabled in collects if epoch > 0} == {True}


def test_stop_before_the_start(tmp_path: Path) -> None:
    """A trial that is asked to stop before it began builds nothing."""
    result, epochs = run(make(tmp_path), stop=lambda: Cause.BUDGET)
    assert (result.cause, result.parameters, epochs) == (Cause.BUDGET, None, [])


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_early_stopping_restores_the_best_weights(tmp_path: Path, ema: float) -> None:
    """The score is the best epoch's, to the bit, although training went on for `patience` epochs; that of the averaged
    weights if they were asked for.
    """
    x, y = windows(32)
    rng = np.random.default_rng(5)
    train = save(tmp_path / "t", x, rng.permutation(y))  # nothing to learn: the validation loss soon rises
    validation = save(tmp_path / "v", *windows(12, seed=1))
    folds = [FoldParts(train=train, stopping=None, validation=validation)]
    spec = make(tmp_path, folds, metric="loss", max_epochs=30, patience=2, learning_rate=0.1, ema=ema)
    result, epochs = run(spec)
    values = [epoch.value for epoch in epochs]
    assert result.cause is Cause.COMPLETED
    assert result.value == min(values) < values[-1]
    assert result.best_epochs == (values.index(min(values)) + 1,)
    assert len(values) == result.best_epochs[0] + 2 < 30


def test_stopping_part_is_apart(tmp_path: Path) -> None:
    """The part that stops the epochs is not the one that gives the score: with its labels turned round, it picks the
    epoch that is worst on the other.
    """
    x, y = windows(40, seed=1, noise=3.0)
    train = save(tmp_path / "train", *windows(64, noise=3.0))
    stopping, validation = save(tmp_path / "stopping", x, 1 - y), save(tmp_path / "validation", x, y)
    folds = [FoldParts(train=train, stopping=stopping, validation=validation)]
    result, epochs = run(make(tmp_path, folds, metric="accuracy", max_epochs=6))
    values = [epoch.value for epoch in epochs]
    assert values == [epoch.logs["val_accuracy"] for epoch in epochs]
    assert len(set(values)) > 1
    assert result.value == pytest.approx(1 - max(values))
    assert max(values) < 0.5


def test_folds(tmp_path: Path) -> None:
    """Steps count through all folds, a value averages finished folds with the running epoch, the score is the mean."""
    folds = [
        FoldParts(
            train=save(tmp_path / f"t{k}", *windows(32, seed=k, noise=3.0)),
            stopping=None,
            validation=save(tmp_path / f"v{k}", *windows(10 + 2 * k, seed=9 + k, noise=3.0)),
        )
        for k in range(2)
    ]
    spec = make(tmp_path, folds, metric="loss", max_epochs=2)
    result, epochs = run(spec)
    assert [(e.fold, e.epoch, e.step) for e in epochs] == [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]
    first, second = result.fold_values
    assert [e.fold_values for e in epochs] == [(), (), (first,), (first,)]
    assert [e.value for e in epochs[:2]] == [e.logs["val_loss"] for e in epochs[:2]]
    assert [e.value for e in epochs[2:]] == [pytest.approx((first + e.logs["val_loss"]) / 2) for e in epochs[2:]]
    assert result.value == pytest.approx((first + second) / 2)
    assert result.metrics["loss"] == pytest.approx(result.value)
    assert (result.epochs, len(result.best_epochs)) == (4, 2)
    report = read(spec, "report.json")
    assert np.sum(report["confusion_matrix"]) == 10 + 12
    assert [fold["loss"] for fold in report["fold_metrics"]] == [first, second]
    assert objective.fold_seed(7, 0) != objective.fold_seed(7, 1) != objective.fold_seed(8, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine", "label_smoothing": 0.1, "class_weight_power": 1.0, "scaling": "sample"},
        {"schedule": "constant", "clipnorm": 1.0, "optimizer": "adam", "scaling": "none", "batch_size": 100},
    ],
)
def test_every_way_of_training(tmp_path: Path, changes: dict[str, Any]) -> None:
    """All schedules, optimizers, scalings and corrections train; the learning rate follows its schedule."""
    result, epochs = run(make(tmp_path, max_epochs=2, **changes))
    assert result.cause is Cause.COMPLETED
    rates = [epoch.logs["learning_rate"] for epoch in epochs]
    # 8 batches: one of warm-up, seven of decay
    expected = [0.02 * (0.01 + 0.99 * (1 + math.cos(math.pi * done / 7)) / 2) for done in (3, 7)]
    assert rates == pytest.approx(expected if changes["schedule"] == "cosine" else [0.02, 0.02], rel=1e-5)


def test_every_hyperparameter_counts(tmp_path: Path) -> None:
    """Changing any one of them changes the loss curve; changing none does not."""
    x, y = windows(32)
    y[4:] = 0  # so that class weights matter
    folds = [
        FoldParts(train=save(tmp_path / "t", x, y), stopping=None, validation=save(tmp_path / "v", *windows(8, seed=1)))
    ]
    changes: list[dict[str, Any]] = [{}, {}, {"optimizer": "adam"}, {"scaling": "sample"}]
    others = dict(zip(TRAINING, (0.01, 16, 0.1, "cosine", 0.1, 1.0, 1e-3, 1.0, 0.9), strict=False))
    others["jitter"] = 0.3  # one augmentation for all: they come in by the same door
    assert set(others) == set(TRAINING) - set(augment.names()) | {"jitter"}
    changes += [{name: value} for name, value in others.items()]
    curves = [run(make(tmp_path, folds, max_epochs=1, **change))[0].curve_sha256 for change in changes]
    assert curves[0] == curves[1]
    assert len(set(curves[1:])) == len(curves[1:])


def test_auroc_needs_two_classes(tmp_path: Path) -> None:
    """A part of one class cannot be ranked: said before training, naming the part, not taken for divergence."""
    x, y = windows(12)
    train, validation = save(tmp_path / "t", *windows(32)), save(tmp_path / "one", x, 0 * y)
    folds = [FoldParts(train=train, stopping=None, validation=validation)]
    changes: list[dict[str, Any]] = [{"metric": "auroc"}, {"further_metrics": ("loss", "auroc")}]
    for change in changes:
        with pytest.raises(DataError, match="one: one class only, which auroc cannot rank"):
            run(make(tmp_path, folds, **change))


def test_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's error for a full memory, inside a training step, is the trial's result."""

    def step(*_: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9,9]")

    monkeypatch.setattr(keras.Model, "train_step", step)
    result, epochs = run(make(tmp_path))
    assert result.cause is Cause.OUT_OF_MEMORY
    assert "OOM when allocating tensor" in result.detail
    assert (result.value, result.parameters, epochs) == (None, PARAMETERS, [])
    assert gc.isenabled()


def test_a_full_disk_costs_no_result(tmp_path: Path) -> None:
    """Where curves and report cannot be written, the score still counts, and the detail says what is missing."""
    spec = make(tmp_path)
    Path(spec.artifacts).parent.mkdir()
    Path(spec.artifacts).write_text("in the way")
    result, _ = run(spec)
    assert (result.cause, result.value is None) == (Cause.COMPLETED, False)
    assert "curves and report could not be written" in result.detail


def test_other_errors_are_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug comes out as it was raised, for its traceback, and leaves garbage collection on."""

    def step(*_: Any) -> None:
        raise ZeroDivisionError("of mine")

    monkeypatch.setattr(keras.Model, "train_step", step)
    with pytest.raises(ZeroDivisionError, match="of mine"):
        run(make(tmp_path))
    assert gc.isenabled()


def test_keeps_the_model_when_asked(tmp_path: Path) -> None:
    """`keep_model` leaves the model whose weights the result names; it takes raw windows, and Keras loads it safely."""
    spec = make(tmp_path).model_copy(update={"keep_model": True})
    result, _ = run(spec)
    assert {path.name for path in Path(spec.artifacts).iterdir()} == {"curves.json", "report.json", "model.keras"}
    model = keras.saving.load_model(Path(spec.artifacts) / "model.keras", safe_mode=True)
    assert curves.weights_sha256(model.get_weights()) == result.weights_sha256
    x, y = windows(12, seed=1)
    assert np.mean(model.predict_on_batch(x).argmax(axis=1) == y) == result.metrics["accuracy"]
