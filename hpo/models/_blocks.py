"""Keras blocks that several families use. Imported only inside `build`."""

import keras
from keras import layers


def window(shape: tuple[int, int]) -> keras.KerasTensor:
    """The input of a model: float32 (batch, timesteps, channels)."""
    return keras.Input(shape, dtype="float32", name="window")


def recurrent(
    x: keras.KerasTensor, cell: str, units: int, *, sequences: bool = False, bidirectional: bool = False
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
    return (layers.Bidirectional(layer) if bidirectional else layer)(x)


def recurrent_stack(
    x: keras.KerasTensor,
    cell: str,
    units: int,
    depth: int,
    *,
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
        x = recurrent(x, cell, units, sequences=sequences, bidirectional=bidirectional)
        if last and sequences:
            x = layers.GlobalAveragePooling1D()(x) if pooling == "mean" else layers.GlobalMaxPooling1D()(x)
        x = layers.Dropout(dropout)(x)
    return x


def squeeze_excite(x: keras.KerasTensor, ratio: int) -> keras.KerasTensor:
    """Weighs the filters of (batch, steps, filters) by what they hold on average (Hu et al. 2018).

    As in MLSTM-FCN, no biases. The squeezed layer keeps at least four units, however large `ratio` is.
    """
    filters = int(x.shape[-1])
    weights = layers.GlobalAveragePooling1D(keepdims=True)(x)
    for size, activation in ((max(filters // ratio, 4), "relu"), (filters, "sigmoid")):
        weights = layers.Dense(size, activation, use_bias=False, kernel_initializer="he_normal")(weights)
    return layers.Multiply()([x, weights])


def conv_block(x: keras.KerasTensor, filters: int, kernel_size: int, momentum: float) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU: the block of FCN (Wang et al. 2017). Keeps the number of steps.

    The convolution's bias does nothing before the normalisation; it stays for the sake of the published counts.
    """
    x = layers.Conv1D(filters, kernel_size, padding="same", kernel_initializer="he_uniform")(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    return layers.ReLU()(x)


def probabilities(x: keras.KerasTensor, n_classes: int) -> keras.KerasTensor:
    """The output of a model: float32 (batch, n_classes), rows sum to 1."""
    return layers.Dense(n_classes, "softmax", name="probabilities")(x)
