"""Keras blocks that several families use. Imported only inside `build`.

Where windows differ in length, a block takes a mask along with a sequence x (batch, steps, features): bool (batch,
steps), true for steps that are there; None where all are. What stands in the other steps is nobody's business: a block
that mixes steps hides them first (`hide`), and no layer reads them. With None each block is the plain layer.
"""

from typing import TypeAlias

import keras
from keras import layers, ops

# Stands in padded steps. A test puts noise here to show that nothing depends on it.
FILL = 0.0
# Below whatever a layer puts out, so that it is never a maximum.
LOWEST = -1e9

Mask: TypeAlias = keras.KerasTensor | None


def window(shape: tuple[int, int], padded: bool) -> tuple[keras.KerasTensor, keras.KerasTensor, Mask]:
    """The input of a model: float32 (batch, timesteps, channels), padded by steps of NaN at the end if `padded`.

    Returns: the input, its values without any NaN, and the mask.
    """
    inputs = keras.Input(shape, dtype="float32", name="window")
    if not padded:
        return inputs, inputs, None
    # `isnan` has to be the condition itself: tf2onnx writes any other one as a product, and NaN times 0 is NaN
    missing = ops.isnan(inputs)
    return inputs, ops.where(missing, FILL, inputs), ops.logical_not(missing[:, :, 0])


def hide(x: keras.KerasTensor, mask: Mask, value: float = 0.0) -> keras.KerasTensor:
    """Puts `value` into the steps of x that are not there."""
    return x if mask is None else ops.where(ops.expand_dims(mask, -1), x, value)


def thinned(mask: Mask, steps: int, *, stride: int = 1, read: int = 1) -> Mask:
    """The mask of a sequence of `steps`, each made of `read` steps of another one, and `stride` steps after the last.

    A step is there if all that it was made of is there. The first one always is: a window that is shorter than what
    the network reads at once counts as if it were followed by zeros.
    """
    if mask is None or (stride, read) == (1, 1):
        return mask
    return ops.concatenate([mask[:, :1], mask[:, read - 1 + stride :: stride]], axis=1)[:, :steps]


def average_pool(x: keras.KerasTensor, mask: Mask, size: int) -> tuple[keras.KerasTensor, Mask]:
    """Averages over `size` steps each, of those that are there; what is left over at the end is dropped."""
    pooled = layers.AveragePooling1D(size)(hide(x, mask))
    if mask is None:
        return pooled, None
    there = layers.AveragePooling1D(size)(ops.expand_dims(ops.cast(mask, "float32"), -1))
    return pooled / ops.maximum(there, 1 / size), thinned(mask, pooled.shape[1], stride=size)


def maximum(x: keras.KerasTensor, mask: Mask) -> keras.KerasTensor:
    """The largest value of each feature over all steps, (batch, features)."""
    return layers.GlobalMaxPooling1D()(hide(x, mask, LOWEST))


def recurrent(
    x: keras.KerasTensor,
    cell: str,
    units: int,
    *,
    mask: Mask = None,
    sequences: bool = False,
    bidirectional: bool = False,
) -> keras.KerasTensor:
    """An LSTM or GRU with Keras's defaults, for which a GPU has a fused kernel.

    Args:
        x: (batch, steps, features).
        cell: "lstm" or "gru".
        sequences: return (batch, steps, units), not (batch, units).
        bidirectional: a second layer reads backwards; twice as many features come out.
    """
    kind = {"lstm": layers.LSTM, "gru": layers.GRU}[cell]
    layer = kind(units, return_sequences=sequences)
    return (layers.Bidirectional(layer) if bidirectional else layer)(x, mask=mask)


def recurrent_stack(
    x: keras.KerasTensor,
    cell: str,
    units: int,
    depth: int,
    *,
    mask: Mask = None,
    bidirectional: bool,
    dropout: float,
    pooling: str,
) -> keras.KerasTensor:
    """LSTMs or GRUs one upon the other, with dropout after each.

    Args:
        x: (batch, steps, features).
        cell, units, bidirectional: see `recurrent`.
        depth: how many layers.
        pooling: what the last layer hands on: its "last" output, or the "mean" or "max" over all steps.

    Returns: (batch, units), or twice as many features in both directions.
    """
    for layer in range(depth):
        last = layer == depth - 1
        sequences = not last or pooling != "last"
        x = recurrent(x, cell, units, mask=mask, sequences=sequences, bidirectional=bidirectional)
        if last and sequences:
            x = layers.GlobalAveragePooling1D()(x, mask=mask) if pooling == "mean" else maximum(x, mask)
        x = layers.Dropout(dropout)(x)
    return x


def attention_lstm(x: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """The last output, (batch, units), of an LSTM that looks at the whole sequence before each step: that of ALSTM-FCN.

    Additive attention (Bahdanau et al. 2015, arXiv:1409.0473) as in titu1994/MLSTM-FCN, utils/layer_utils.py: before
    step t each x_i gets the energy v tanh(W x_i + b + U h), h being the last output; their softmax over all i weighs a
    sum of the x_i, the context; the cell reads x_t and the context, with weights of their own. v begins at zero: at
    first all steps count the same.

    Built-in layers have no such cell, so the steps are unrolled, with shared weights: made for few steps.

    Args:
        x: (batch, steps, features).
        units: of the cell and of the attention.
    """
    keys = layers.Dense(units, name="attention_keys")(x)
    query = layers.Dense(units, use_bias=False, kernel_initializer="orthogonal", name="attention_query")
    energy = layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="attention_energy")
    cell = layers.LSTMCell(units)
    h = c = ops.zeros_like(keys[:, 0])
    for step in range(x.shape[1]):
        # a softmax, but for Keras's warning about a single step, which is what windows of one channel have here
        weights = ops.exp(energy(ops.tanh(keys + ops.expand_dims(query(h), 1))))
        context = ops.sum(weights * x, axis=1) / ops.sum(weights, axis=1)
        h, (_, c) = cell(ops.concatenate([x[:, step], context], axis=-1), [h, c])
    return h


def squeeze_excite(x: keras.KerasTensor, mask: Mask, ratio: int) -> keras.KerasTensor:
    """Weighs the filters of (batch, steps, filters) by what they hold on average (Hu et al. 2018).

    As in MLSTM-FCN, no biases. The squeezed layer keeps at least four units, however large `ratio` is.
    """
    filters = int(x.shape[-1])
    weights = layers.GlobalAveragePooling1D(keepdims=True)(x, mask=mask)
    for size, activation in ((max(filters // ratio, 4), "relu"), (filters, "sigmoid")):
        weights = layers.Dense(size, activation, use_bias=False, kernel_initializer="he_normal")(weights)
    return layers.Multiply()([x, weights])


def conv_block(
    x: keras.KerasTensor, mask: Mask, filters: int, kernel_size: int, momentum: float, *, stride: int = 1
) -> tuple[keras.KerasTensor, Mask]:
    """Convolution, batch normalisation, ReLU: the block of FCN (Wang et al. 2017). Keeps every `stride`-th step.

    The convolution's bias does nothing before the normalisation; it stays for the sake of the published counts.
    """
    x = layers.Conv1D(filters, kernel_size, strides=stride, padding="same", kernel_initializer="he_uniform")(
        hide(x, mask)
    )
    mask = thinned(mask, x.shape[1], stride=stride)
    x = layers.BatchNormalization(momentum=momentum)(x, mask=mask)
    return layers.ReLU()(x), mask


def probabilities(x: keras.KerasTensor, n_classes: int) -> keras.KerasTensor:
    """The output of a model: float32 (batch, n_classes), rows sum to 1."""
    return layers.Dense(n_classes, "softmax", name="probabilities")(x)
