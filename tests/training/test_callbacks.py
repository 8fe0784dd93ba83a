"""Scores at each epoch's end, reports, and orderly ends, without spec or store."""

import math
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from hpo.callbacks import Averaged, BestEpoch, EpochEnd, Guard, Halt, Validation, WarmUp, predict
from hpo.scores import METRICS, score
from hpo.trial import Cause


def tiny(steps: int = 8, channels: int = 2, classes: int = 3) -> Any:
    """A model that takes milliseconds."""
    keras.utils.set_random_seed(3)
    window = keras.Input((steps, channels))
    x = keras.layers.GlobalAveragePooling1D()(window)
    return keras.Model(window, keras.layers.Dense(classes, "softmax")(x))


def windows(n: int, classes: int = 3) -> tuple[Any, Any]:
    """Random windows float32 (n, 8, 2) and labels int64 (n,)."""
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 8, 2)).astype(np.float32), rng.integers(classes, size=n)


def stub() -> Any:
    """What a callback needs of a model to stop it."""
    return SimpleNamespace(stop_training=False)


def test_predict_in_chunks_is_predict() -> None:
    """Chunks and their padding change nothing, and parts of any length share one trace."""
    model = tiny()
    x, _ = windows(11)
    whole = model.predict(x, verbose=0)
    model.predict_function = None
    for n in (11, 4, 1, 8):
        np.testing.assert_allclose(predict(model, x[:n], chunk=4), whole[:n], rtol=1e-5)
    assert model.predict_function.experimental_get_tracing_count() == 1


def test_predict_takes_a_memory_map(tmp_path: Any) -> None:
    """Windows may lie in a file; they are read chunk by chunk."""
    x, _ = windows(7)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    assert predict(tiny(), mapped, chunk=3).shape == (7, 3)


def test_stock_callbacks_see_the_scores() -> None:
    """Every metric is in the logs as val_<metric>, equals the model's own score, and Keras's callbacks monitor it."""
    model = tiny()
    x, y = windows(24)
    halt = Halt()
    seen: list[tuple[int, float, dict[str, float], dict[str, float]]] = []
    early = keras.callbacks.EarlyStopping("val_macro_f1", mode="max", patience=50, restore_best_weights=True)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(
        x,
        y,
        epochs=3,
        verbose=0,
        callbacks=[
            Validation(x[:10], y[:10], halt),
            early,
            EpochEnd(halt, lambda *end: seen.append((*end, score(y[:10], predict(model, x[:10]))))),
        ],
    )
    assert [epoch for epoch, *_ in seen] == [0, 1, 2]
    for _, seconds, logs, scores in seen:
        assert {f"val_{name}" for name in METRICS} | {"loss", "learning_rate"} == set(logs)
        assert {name: logs[f"val_{name}"] for name in METRICS} == scores
        assert logs["learning_rate"] == pytest.approx(1e-3)
        assert seconds > 0
    assert float(early.best) == max(logs["val_macro_f1"] for _, _, logs, _ in seen)


@pytest.mark.parametrize(
    ("metric", "epochs", "best"),
    [
        # scores and losses of the epochs; the same score with a lower loss is better, a better score always is
        ("accuracy", [(0.5, 0.9), (1.0, 0.8), (1.0, 0.3), (1.0, 0.4), (0.5, 0.1)], 2),
        ("accuracy", [(0.99999, 0.01), (1.0, 9.0), (0.99999, 0.0)], 1),
        ("accuracy", [(1.0, 0.3), (1.0, 0.3), (1.0, 0.5)], 0),
        ("loss", [(0.5, 0.5), (0.2, 0.2), (0.3, 0.3)], 1),
    ],
)
def test_of_equal_scores_the_lower_loss_is_the_best_epoch(
    metric: str, epochs: list[tuple[float, float]], best: int
) -> None:
    """A few windows give many epochs the same score: the first of them may have learned next to nothing."""
    early, model = BestEpoch(metric, patience=9), tiny()
    early.set_model(model)
    early.on_train_begin()
    for epoch, (value, loss) in enumerate(epochs):
        model.layers[-1].bias.assign([epoch] * 3)
        early.on_epoch_end(epoch, {"val_loss": loss, f"val_{metric}": value})
    model.stop_training = False
    early.on_train_end()
    assert early.best_epoch == best
    assert model.layers[-1].bias.numpy().tolist() == [best] * 3


def test_patience_counts_from_the_best_epoch() -> None:
    """A training goes on while its loss gets better at the same score, and ends so many epochs after it stopped to."""
    early, model = BestEpoch("accuracy", patience=2), tiny()
    model.stop_training = False
    early.set_model(model)
    early.on_train_begin()
    for epoch, loss in enumerate((0.9, 0.8, 0.7, 0.75, 0.7)):
        assert not model.stop_training
        early.on_epoch_end(epoch, {"val_loss": loss, "val_accuracy": 1.0})
    assert model.stop_training
    assert early.best_epoch == 2


def test_probabilities_that_are_no_numbers_halt() -> None:
    """A model whose probabilities are NaN ends as diverged even if its loss never was."""
    x, y = windows(4)
    halt, model = Halt(), tiny()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    validation = Validation(x, y, halt)
    validation.set_model(model)
    logs: dict[str, float] = {}
    validation.on_epoch_end(4, logs)
    assert halt.cause is Cause.DIVERGED
    assert "after epoch 5" in halt.detail
    assert model.stop_training
    assert math.isnan(logs["val_accuracy"])


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_guard_ends_a_training_whose_loss_is_no_number(loss: float) -> None:
    """The first batch whose loss is not finite stops the model, and the reason says where."""
    halt = Halt()
    guard = Guard(halt, lambda: None)
    guard.set_model(stub())
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(0, {"loss": 0.5})
    assert not guard.model.stop_training
    guard.on_train_batch_end(1, {"loss": loss})
    assert guard.model.stop_training
    assert halt == Halt(Cause.DIVERGED, f"the loss became {loss} in epoch 3, batch 2")


def test_guard_stops_on_request() -> None:
    """A request is obeyed at the next batch's end, and its cause is kept."""
    halt = Halt()
    answers = iter([None, Cause.PRUNED])
    guard = Guard(halt, lambda: next(answers))
    guard.set_model(stub())
    guard.on_train_batch_end(0, {"loss": 0.5})
    assert not guard.model.stop_training
    guard.on_train_batch_end(1, {"loss": 0.5})
    assert guard.model.stop_training
    assert halt.cause is Cause.PRUNED


def test_guard_asks_at_the_epochs_end() -> None:
    """A request after the last batch is obeyed before the epoch is scored."""
    halt = Halt()
    guard = Guard(halt, lambda: Cause.BUDGET)
    guard.set_model(stub())
    guard.on_epoch_end(0, {})
    assert halt == Halt(Cause.BUDGET, "asked to stop after epoch 1")


def test_first_reason_stays() -> None:
    """A training that diverged and is asked to stop in the same moment has diverged."""
    halt = Halt()
    guard = Guard(halt, lambda: Cause.TIMED_OUT)
    guard.set_model(stub())
    guard.on_train_batch_end(0, {"loss": math.nan})
    guard.on_train_batch_end(1, {"loss": math.nan})
    assert halt.cause is Cause.DIVERGED


def test_halted_epoch_is_neither_scored_nor_reported() -> None:
    """An epoch cut short gets NaN scores, which no callback takes for an improvement, and is not reported."""
    halt = Halt(Cause.PRUNED)
    validation = Validation(*windows(4), halt)
    validation.set_model(stub())  # would fail if it were asked to predict
    logs = {"loss": 1.0}
    validation.on_epoch_end(0, logs)
    assert math.isnan(logs["val_loss"])
    EpochEnd(halt, lambda *_: pytest.fail("reported")).on_epoch_end(0, logs)


class Note(keras.callbacks.Callback):
    """Notes the weights after every batch and at every epoch's end."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Any] = []
        self.epochs: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch."""
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch."""
        self.epochs.append(self.model.get_weights())


def test_averaged_weights_are_judged_and_kept() -> None:
    """Between its two places the callbacks see the running average over all steps, outside of them the training's own
    weights: it trains to the bit as it does without. What early stopping brings back is an average.
    """
    x, y = windows(24)

    def fit(callbacks: list[Any], **options: Any) -> Any:
        model = tiny()
        model.compile(keras.optimizers.Adam(0.1, **options), "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=8, epochs=4, verbose=0, shuffle=False, callbacks=callbacks)
        return model

    without, outside, inside, averaged = Note(), Note(), Note(), Averaged()
    fit([without])
    validation = Validation(x, y, Halt())
    early = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=9, restore_best_weights=True)  # the worst
    model = fit([averaged, validation, inside, early, averaged, outside], use_ema=True, ema_momentum=0.8)
    average = without.batches[0]
    expected = [average]
    for weights in without.batches[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, weights, strict=True)]
        expected.append(average)
    for epoch in range(4):
        for own, same, seen, wanted in zip(
            without.epochs[epoch], outside.epochs[epoch], inside.epochs[epoch], expected[3 * epoch + 2], strict=True
        ):
            np.testing.assert_array_equal(own, same)
            np.testing.assert_allclose(seen, wanted, rtol=1e-4, atol=1e-6)
            assert not np.allclose(own, seen)
    assert early.best_epoch < 3
    for kept, seen in zip(model.get_weights(), inside.epochs[early.best_epoch], strict=True):
        np.testing.assert_array_equal(kept, seen)


def test_warm_up_rises_evenly() -> None:
    """Over one and a half epochs of four batches the rate rises by a sixth of itself, then it is left alone."""
    x, y = windows(32)
    model, rates = tiny(), []
    model.compile(keras.optimizers.Adam(0.6), "sparse_categorical_crossentropy")
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: rates.append(float(model.optimizer.learning_rate))
    )
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[WarmUp(0.6, 1.5), note])
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6])
