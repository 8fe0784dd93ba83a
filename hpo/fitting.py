"""What stands between a family's bare model and a `fit`: scaling, augmentation, class weights, optimizer, schedule.

Knows neither folds nor callbacks of its own; everything here is made anew for each training.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from hpo import augment
from hpo.augment._batch import Batch, Draw
from hpo.space import Params

SAMPLE_EPSILON = 1e-8  # added to a window's variance
# Spreads among which neither that matters, nor Keras's least standard deviation of 1e-7, nor the range of float32.
USUAL_SPREAD = 1e-2, 1e6
# In the names of biases (a GRU's has two dimensions) and of what normalisations scale and shift by.
_UNDECAYED = ("bias", "gamma", "beta")


def class_weights(y: NDArray[np.int64], k: int, power: float) -> dict[int, float] | None:
    """Weight of each class in the loss, (n / (k * n_c)) ** power; None, which is faster, for power 0.

    A class without windows in `y` weighs 1, which nothing ever sees.
    """
    if power == 0:
        return None
    counts = np.bincount(y, minlength=k)
    return {c: float((len(y) / (k * n)) ** power) if n else 1.0 for c, n in enumerate(counts)}


def channel_statistics(
    x: NDArray[np.float32], *, still: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of each channel over all windows and steps of x (n, timesteps, channels), float64 (channels,).

    Padded steps do not count. Summed piece by piece, so that a memory map larger than the memory will do. The variance
    of a channel that stands still, up to float32's rounding, is `still`: dividing by its rounding noise would blow up
    every later change.
    """
    count = sum(len(steps) for steps in _steps(x))
    mean = sum(steps.sum(axis=0, dtype=np.float64) for steps in _steps(x)) / count
    variance = sum(((steps - mean) ** 2).sum(axis=0) for steps in _steps(x)) / count
    return mean, np.where(variance > (1e-6 * np.abs(mean)) ** 2, variance, still)


def _steps(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The steps of all windows that are there, in pieces (m, channels)."""
    for start in range(0, len(x), 1024):
        steps = x[start : start + 1024].reshape(-1, x.shape[2])
        missing = np.isnan(steps[:, 0])
        yield steps[~missing] if missing.any() else steps


def scaled(model: keras.Model, x: NDArray[np.float32], scaling: str, *, padded: bool = False) -> keras.Model:
    """`model` behind a layer that scales raw windows; the layer has no weights, so the count of parameters stays.

    Args:
        model: the family's model.
        x: the training part, (n, timesteps, channels); what "channel" learns is learnt from it alone.
        scaling: "channel": each channel to mean 0 and variance 1 over the training part. "sample": each channel of each
            window by itself, as is usual on the UCR archive. "none": as it is, and `model` itself comes back.
        padded: windows may end in steps of NaN, which stay NaN and count for nothing.
    """
    if scaling == "none":
        return model
    raw = keras.Input(x.shape[1:], dtype="float32", name="raw_window")
    mean, variance = channel_statistics(x)
    factor, window = _factors(np.sqrt(variance)), raw
    if factor is not None:
        window = keras.layers.Rescaling(factor.tolist(), name="unit")(raw)
        mean, variance = mean * factor, variance * factor**2
    layer: Callable[[Any], Any]
    if scaling == "channel":
        layer = keras.layers.Normalization(axis=-1, mean=mean.tolist(), variance=variance.tolist(), name="scaling")
    elif padded:
        layer = _standardised
    else:
        layer = keras.layers.LayerNormalization(
            axis=1, center=False, scale=False, epsilon=SAMPLE_EPSILON, name="scaling"
        )
    return keras.Model(raw, model(layer(window)), name="scaled")


def _factors(spread: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """What brings channels of unusual units (volts of an EEG, say) near to 1; None where none has such.

    Powers of two, which change no digit of what comes after.
    """
    low, high = USUAL_SPREAD
    unusual = (spread < low) | (spread > high)
    return np.where(unusual, np.exp2(-np.round(np.log2(spread))), 1.0) if unusual.any() else None


def _standardised(window: Any) -> Any:
    """What `LayerNormalization` does along the steps, but over those alone that are not NaN."""
    ops = keras.ops
    missing = ops.isnan(window)
    count = ops.sum(ops.cast(ops.logical_not(missing), "float32"), axis=1, keepdims=True)
    # the conditions are `isnan` itself for the sake of ONNX: see hpo/models/_blocks.py
    centred = window - ops.sum(ops.where(missing, 0.0, window), axis=1, keepdims=True) / count
    squares = ops.where(ops.isnan(centred), 0.0, ops.square(centred))
    return centred / ops.sqrt(ops.sum(squares, axis=1, keepdims=True) / count + SAMPLE_EPSILON)


class Augmented(keras.Model):
    """A model whose training steps see changed windows. It calls, predicts and weighs the same as the one inside.

    Args:
        model: functional; shared, not copied.
        changes: what to do with the data of a step, given the number of steps before it.
    """

    def __init__(self, model: keras.Model, changes: Callable[[Batch, Any], Batch]) -> None:
        super().__init__(model.inputs, model.outputs, name=model.name)
        self._changes = changes

    def train_step(self, data: Any) -> Any:
        """One step of Keras's, on changed data."""
        batch = self._changes(Batch(*keras.utils.unpack_x_y_sample_weight(data)), self.optimizer.iterations.value)
        return super().train_step(tuple(batch))


def augmented(model: keras.Model, x: NDArray[np.float32], training: Params, seed: int) -> keras.Model:
    """`model` for training, with the augmentations that `training` asks for; `model` itself if it asks for none.

    Args:
        model: the whole model, scaling included: augmentations work on raw windows.
        x: the training part, (n, timesteps, channels), whose spread is the measure of some augmentations.
        training: the hyperparameters of `hpo.training`.
        seed: random numbers derive from it and from the number of training steps done.
    """
    amounts = {name: float(training[name]) for name in augment.names() if training[name]}
    if not amounts:
        return model
    spread = np.sqrt(channel_statistics(x, still=0.0)[1]).astype(np.float32)

    def changes(batch: Batch, step: Any) -> Batch:
        for name, amount in amounts.items():
            batch = augment.get(name).augment(batch, amount, Draw(seed, name, step), spread)
        return batch

    return Augmented(model, changes)


def compile_model(model: keras.Model, optimizer: str, training: Params, steps: int, epochs: int) -> None:
    """Compiles once, with all that `fit` would otherwise create in its first trace, and so trace twice.

    Args:
        model: trained on one-hot labels.
        optimizer: "adam" or "adamw".
        training: the hyperparameters of `hpo.training`.
        steps: batches of an epoch.
        epochs: of the longest training, for the schedules that end with it.
    """
    rate: Any = float(training["learning_rate"])
    if training["schedule"] == "cosine":
        rate = cosine(rate, steps * epochs, round(float(training["warm_up"]) * steps))
    ema = float(training["ema"])
    common: dict[str, Any] = {
        "clipnorm": float(training["clipnorm"]) or None,
        "use_ema": ema > 0,
        "ema_momentum": ema,
    }
    if optimizer == "adamw":
        method = keras.optimizers.AdamW(rate, weight_decay=float(training["weight_decay"]), **common)
        # Biases, and what normalisations scale and shift by: decay would pull them to a value that means nothing.
        kept = [v for v in model.trainable_variables if len(v.shape) < 2 or any(word in v.name for word in _UNDECAYED)]
        method.exclude_from_weight_decay(var_list=kept)
    else:
        method = keras.optimizers.Adam(rate, **common)
    model.compile(
        method,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=float(training["label_smoothing"])),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # XLA compiles anew for every batch shape, and is slower for models of this size
    )
    model.optimizer.build(model.trainable_variables)


def plateau(monitor: str, mode: str, patience: int, learning_rate: float) -> keras.callbacks.Callback:
    """Halves the learning rate when `monitor` stood still for a third of the early-stopping `patience`.

    It ends at 1e-5 or at a hundredth of where it began, whichever is lower.

    Args:
        monitor: a name in the epoch's logs. mode: "max" or "min", which way is better.
        patience: of the early stopping, in epochs.
        learning_rate: where it begins.
    """
    return keras.callbacks.ReduceLROnPlateau(
        monitor, mode=mode, factor=0.5, patience=max(1, round(patience / 3)), min_lr=min(1e-5, learning_rate / 100)
    )


def cosine(learning_rate: float, steps: int, warmup: int = 0) -> keras.optimizers.schedules.LearningRateSchedule:
    """Rises linearly over `warmup` steps, then falls along a cosine to a hundredth of `learning_rate`.

    The rise takes at least 5 % of `steps`, and never all of them.

    Loshchilov & Hutter 2017, "SGDR", without restarts.
    """
    warmup = min(max(1, round(0.05 * steps), warmup), max(1, steps - 1))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / warmup,  # not 0, which would waste the first step
        decay_steps=max(1, steps - warmup),
        warmup_target=learning_rate,
        warmup_steps=warmup,
        alpha=0.01,
    )
