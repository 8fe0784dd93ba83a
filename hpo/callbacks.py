"""What happens inside a `fit`: scores at each epoch's end, reports, and orderly ends. Knows no spec and no database.

Keras stops a training by a flag and forgets why: the reason stands in a `Halt` that the callbacks of a training share.
Order matters: `Guard` and `Validation` come before the stock callbacks that monitor ``val_...``, `EpochEnd` comes last,
and `Averaged` stands on both sides of those that judge or keep weights.
"""

import math
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from hpo.scores import METRICS, score
from hpo.trial import Cause

Logs = dict[str, float]

# Windows in one prediction. Measured on one core with a small FCN-LSTM: `predict_on_batch` of padded chunks costs
# 1 ms for 8 windows and 16 ms for 1,500, where `predict`, which builds a tf.data pipeline each time, costs 80 and 100.
CHUNK = 256
TIE = 1e-6


@dataclass
class Halt:
    """Why a training ends before its time. The first reason stays."""

    cause: Cause | None = None
    detail: str = ""

    def set(self, cause: Cause, detail: str) -> None:
        """Keeps this reason unless there is one already."""
        if self.cause is None:
            self.cause, self.detail = cause, detail


def predict(model: keras.Model, x: NDArray[np.float32], chunk: int = CHUNK) -> NDArray[np.float32]:
    """Class probabilities (n, K) of the windows x (n, timesteps, channels), which may be a memory map.

    All chunks have one size, the last one filled up with zeros, so that the model is traced once.
    """
    chunk = max(1, chunk)
    parts = []
    for start in range(0, len(x), chunk):
        windows = np.asarray(x[start : start + chunk])
        missing = chunk - len(windows)
        if missing:
            windows = np.concatenate([windows, np.zeros((missing, *x.shape[1:]), windows.dtype)])
        parts.append(np.asarray(model.predict_on_batch(windows))[: chunk - missing])
    return np.concatenate(parts)


class Guard(keras.callbacks.Callback):
    """Ends a training when it is asked to, and when its loss is no number any more. Looks after every batch.

    Args:
        halt: takes the reason.
        ask: returns why to stop, or None to go on. Must be cheap.
    """

    def __init__(self, halt: Halt, ask: Callable[[], Cause | None]) -> None:
        super().__init__()
        self._halt = halt
        self._ask = ask
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Notes where the training is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Looks at the loss, and asks."""
        # Keras passes the epoch's running mean, which one non-finite batch makes non-finite for good.
        loss = (logs or {}).get("loss", 0.0)
        where = f"in epoch {self._epoch + 1}, batch {batch + 1}"
        if not math.isfinite(loss):
            self._halt.set(Cause.DIVERGED, f"the loss became {loss} {where}")
        self._look(where)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Asks once more before the epoch is scored."""
        self._look(f"after epoch {epoch + 1}")

    def _look(self, where: str) -> None:
        cause = self._ask()
        if cause is not None:
            self._halt.set(cause, f"asked to stop {where}")
        if self._halt.cause is not None:
            self.model.stop_training = True


class Validation(keras.callbacks.Callback):
    """Scores one part at each epoch's end and adds every metric as ``val_<metric>`` to the epoch's logs.

    Keras's own validation knows neither balanced accuracy nor a macro F1 over the classes that occur. In a training
    that halts, the scores are NaN and nothing is predicted. Probabilities that are no numbers halt it as diverged.

    Args:
        x, y: the part: float32 (n, timesteps, channels), int64 (n,).
        halt: read, and told of probabilities that are no numbers.
        chunk: windows predicted at once.
    """

    def __init__(self, x: NDArray[np.float32], y: NDArray[np.int64], halt: Halt, chunk: int = CHUNK) -> None:
        super().__init__()
        self._x, self._y = x, y
        self._halt = halt
        self._chunk = chunk

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Scores the part."""
        scores = dict.fromkeys(METRICS, math.nan)
        if self._halt.cause is None:
            scores = score(self._y, predict(self.model, self._x, self._chunk))
            if not math.isfinite(scores["loss"]):
                self._halt.set(Cause.DIVERGED, f"the model's probabilities are no numbers after epoch {epoch + 1}")
                self.model.stop_training = True
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in scores.items()})


class BestEpoch(keras.callbacks.EarlyStopping):
    """Keeps the best epoch's weights, and stops when none has been better for a while.

    Of epochs with the same score the one with the lowest loss is the best. Thirty windows have thirty-one accuracies,
    and the first epoch to reach the highest of them is mostly one of the worst to do so.

    Args:
        metric: of `METRICS`, as `Validation` logs it.
        patience: epochs.
    """

    def __init__(self, metric: str, patience: int) -> None:
        self._maximize = METRICS[metric] == "maximize"
        mode = "max" if self._maximize else "min"
        super().__init__(f"val_{metric}", mode=mode, patience=patience, restore_best_weights=True)
        # Keras's own compares in single precision, where a tie is a tie
        self.monitor_op = operator.gt if self._maximize else operator.lt

    def get_monitor_value(self, logs: Logs | None) -> float | None:
        """The score, and the loss in a place behind all that tells scores of up to 100,000 windows apart."""
        score: float | None = super().get_monitor_value(logs)
        if score is None or logs is None:
            return None
        behind = TIE * logs["val_loss"] / (1 + logs["val_loss"])
        return score - behind if self._maximize else score + behind


class WarmUp(keras.callbacks.Callback):
    """Raises the learning rate evenly from next to nothing to `rate`, batch by batch over the first `epochs`.

    For optimizers whose rate is a number; a schedule brings its own. Whoever lowers the rate meanwhile is overruled.
    """

    def __init__(self, rate: float, epochs: float) -> None:
        super().__init__()
        self._rate = rate
        self._epochs = epochs
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Notes where the training is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Sets the batch's rate."""
        steps = self.params["steps"]
        done, last = self._epoch * steps + batch + 1, round(self._epochs * steps)
        if done <= last:
            self.model.optimizer.learning_rate = self._rate * done / last


class Averaged(keras.callbacks.Callback):
    """Puts the optimizer's averaged weights into the model for the callbacks between its two places in their list.

    The same object stands in the list twice. What is judged and kept between are averages; training goes on with the
    weights themselves, to the bit.
    """

    def __init__(self) -> None:
        super().__init__()
        self._own: list[NDArray[np.float32]] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """In its first place the averages come, in its second place they go."""
        variables = self.model.trainable_variables
        if self._own is None:
            self._own = [variable.numpy() for variable in variables]
            self.model.optimizer.finalize_variable_values(variables)
        else:
            for variable, own in zip(variables, self._own, strict=True):
                variable.assign(own)
            self._own = None


class EpochEnd(keras.callbacks.Callback):
    """Calls `finished(epoch, seconds, logs)` for each whole epoch: epoch from 0, wall seconds, all metrics.

    The learning rate that the epoch had stands in the logs as ``learning_rate``, whatever became of it at the end.
    Epochs cut short by a halt are left out.
    """

    def __init__(self, halt: Halt, finished: Callable[[int, float, Logs], None]) -> None:
        super().__init__()
        self._halt = halt
        self._finished = finished
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Hands on the epoch."""
        if self._halt.cause is not None:
            return
        rate = float(self.model.optimizer.learning_rate)
        # a stock callback that changes the rate has noted what it was before
        values: dict[str, Any] = {"learning_rate": rate, **(logs or {})}
        self._finished(epoch, time.perf_counter() - self._began, {name: float(v) for name, v in values.items()})
