"""The order in which a training sees its windows: another one in each epoch, by the seed and the epoch alone.

So an epoch is the same whether the training has just begun or goes on after an interruption. Keras's own shuffling
takes its order from a random state that nobody can put back.
"""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def steps(windows: int, size: int) -> int:
    """Batches of an epoch; the last one may be smaller."""
    return math.ceil(windows / size)


def batches(
    x: NDArray[np.float32], targets: NDArray[np.float32], size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """The batches of `first_epoch` and of all epochs after it, `steps` of them in each; it never ends.

    Args:
        x: windows, (n, timesteps, channels); a memory map is read into memory once.
        targets: shares of the classes, (n, classes).
        size: windows in a batch.
        seed: of the fold.
        first_epoch: from 0.
    """
    n = len(x)
    with tf.device("cpu:0"):  # a GPU's memory is for the model
        windows, labels = tf.convert_to_tensor(x), tf.convert_to_tensor(targets)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(n), tf.stack([tf.constant(seed, tf.int64), number]))
        return tf.data.Dataset.from_tensor_slices(order).batch(size)

    numbers = tf.data.Dataset.counter(first_epoch)
    return numbers.flat_map(epoch).map(lambda rows: (tf.gather(windows, rows), tf.gather(labels, rows))).prefetch(1)
