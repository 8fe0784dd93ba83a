"""CNN-LSTM: convolutions read each sub-window of a window, an LSTM reads what they found.

Brownlee, "Deep Learning for Time Series Forecasting" (2018), chapter 25: two Conv1D(64, 3) with relu, dropout 0.5 and
pooling 2 over 4 sub-windows of 32 steps, LSTM(100), dropout 0.5, dense 100. The book wraps each of the first layers
in TimeDistributed; Conv2D over one row gives the same numbers in half the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Fixed, Float, Int, Scalar, Space, choice

if TYPE_CHECKING:
    import keras

SPACE: Space = {
    # narrowed to divisors of the window's length
    "n_steps": Int(low=2, high=16, default=4, at_least=1),
    "conv_layers": Int(low=1, high=2, default=2, at_least=1),
    "filters": Int(low=32, high=128, log=True, default=64, at_least=1),
    "kernel_size": choice(3, 5, 7, default=3, at_least=1),
    "pool_size": Fixed(default=2, at_least=1),
    "units": Int(low=32, high=128, log=True, default=100, at_least=1),
    "dropout": Float(low=0.2, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "dense_units": Fixed(default=100, at_least=1),
}

TRAINING: Space = _rules.RECURRENT_TRAINING


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to divisors of the length, and to kernels that leave the pooling something to pool."""
    convolutions = max(_rules.candidates(space["conv_layers"]))
    pool = max(_rules.candidates(space["pool_size"]))
    steps, kernels = _rules.sub_windows(
        space["n_steps"], space["kernel_size"], shape[0], lambda kernel: convolutions * (kernel - 1) + pool
    )
    return {**space, "n_steps": steps, "kernel_size": kernels}


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: n_steps does not divide the window, the convolutions leave fewer steps of a sub-window than the
            pooling takes, or a value is out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"n_steps": int(n), "conv_layers": int(depth), "kernel_size": int(kernel), "pool_size": int(pool)}:
                left = shape[0] // n - depth * (kernel - 1)
                if shape[0] % n:
                    problems.append(_rules.indivisible(shape[0], n))
                elif left < pool:
                    problems.append(
                        f"kernel_size = {kernel} with conv_layers = {depth} leaves {max(left, 0)} of the sub-windows' "
                        f"{shape[0] // n} time steps (windows of {shape[0]}, n_steps = {n}); pool_size = {pool} "
                        "needs at least as many"
                    )
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    n_steps: int = 4,
    conv_layers: int = 2,
    filters: int = 64,
    kernel_size: int = 3,
    pool_size: int = 2,
    units: int = 100,
    dropout: float = 0.5,
    dense_units: int = 100,
) -> keras.Model:
    """The network, uncompiled.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        n_steps: sub-windows of equal length that the LSTM walks through.
        conv_layers: convolutions, one after the other, none of which pads.
        filters: of each convolution.
        kernel_size: time steps of each convolution.
        pool_size: time steps whose maximum is kept.
        units: cells of the LSTM.
        dropout: after the convolutions and after the LSTM.
        dense_units: of the dense layer before the output.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, n_steps=n_steps, conv_layers=conv_layers, filters=filters, kernel_size=kernel_size,
        pool_size=pool_size, units=units, dropout=dropout, dense_units=dense_units,
    )  # fmt: skip
    import keras
    from keras.layers import Conv2D, Dense, Dropout, MaxPooling2D, Reshape

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    length = shape[0] // n_steps
    x = Reshape((n_steps, length, shape[1]))(_blocks.hide(x, mask))
    mask = _blocks.thinned(mask, n_steps, stride=length)
    for _ in range(conv_layers):
        x = Conv2D(filters, (1, kernel_size), activation="relu")(x)
    x = Dropout(dropout)(x)
    x = MaxPooling2D((1, pool_size))(x)
    x = Reshape((n_steps, -1))(x)
    x = Dropout(dropout)(_blocks.recurrent(x, "lstm", units, mask=mask))
    x = Dense(dense_units, "relu")(x)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="cnn_lstm")
