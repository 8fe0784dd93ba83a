"""What augmentations work on: a batch of windows, and random numbers that can be drawn again. Imports TensorFlow."""

import zlib
from typing import Any, NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
    """One training step's data, as tensors of a graph.

    Attributes:
        x: raw windows, float32 (batch, timesteps, channels); a padded step is NaN in all channels.
        y: shares of the classes, float32 (batch, classes).
        weight: of each window in the loss, float32 (batch,); None if they count equally.
    """

    x: Any
    y: Any
    weight: Any = None

    @property
    def size(self) -> Any:
        """Windows in the batch, int32 ()."""
        return tf.shape(self.x)[0]

    def valid(self) -> Any:
        """Which steps are no padding, bool (batch, timesteps, 1)."""
        return ~tf.reduce_all(tf.math.is_nan(self.x), axis=2, keepdims=True)

    def lengths(self) -> Any:
        """Steps of each window without its padding, which lies at its end, float32 (batch, 1, 1)."""
        return tf.reduce_sum(tf.cast(self.valid(), tf.float32), axis=1, keepdims=True)

    def steps(self) -> Any:
        """0, 1, 2, ... along time, float32 (1, timesteps, 1)."""
        return tf.range(tf.shape(self.x)[1], dtype=tf.float32)[None, :, None]


class Draw:
    """Random numbers that depend on nothing but the trial's seed, the name of who draws, and the training step.

    So a training that goes on after a crash sees the same ones as one that was never interrupted.

    Args:
        seed: of the fold.
        name: whose numbers they are; two augmentations draw different ones.
        step: batches trained before this one, int (); a tensor.
    """

    def __init__(self, seed: int, name: str, step: Any) -> None:
        key = tf.stack([tf.constant(zlib.crc32(f"{seed} {name}".encode()), tf.int64), tf.cast(step, tf.int64)])
        self._key = key
        self._drawn = 0

    def _next(self) -> Any:
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._key, self._drawn)

    def normal(self, *shape: Any) -> Any:
        """With mean 0 and standard deviation 1."""
        return tf.random.stateless_normal(shape, self._next())

    def uniform(self, low: float, high: float, *shape: Any) -> Any:
        """Evenly between `low` and `high`."""
        return tf.random.stateless_uniform(shape, self._next(), low, high)

    def beta(self, alpha: float, *shape: Any) -> Any:
        """By Beta(alpha, alpha): near 0 and 1 for small alphas, near a half for large ones."""

        def log_gamma() -> Any:
            # By Marsaglia and Tsang's boost, as a logarithm: for small alphas both would be 0 as floats.
            boosted = tf.random.stateless_gamma(shape, self._next(), alpha + 1)
            return tf.math.log(boosted) + tf.math.log(self.uniform(1e-30, 1.0, *shape)) / alpha

        return tf.sigmoid(log_gamma() - log_gamma())
