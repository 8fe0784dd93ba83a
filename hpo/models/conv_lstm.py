"""ConvLSTM: an LSTM whose gates are convolutions, over the sub-windows of a window.

Shi et al. 2015 (arXiv:1506.04214); for sensor windows as in Brownlee, "Deep Learning for Time Series Forecasting"
(2018), chapter 25: ConvLSTM2D(64, (1, 3)) over 4 sub-windows of 32 steps, dropout 0.5, dense 100. With one row
ConvLSTM1D is the same layer: its outputs are equal to the last bit. It is not unrolled: measured, that costs a longer
trace and gains nothing in 200 steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Fixed, Float, Int, Scalar, Space, choice, fixed

if TYPE_CHECKING:
    import keras

SPACE: Space = {
    # narrowed to divisors of the window's length
    "n_steps": Int(low=2, high=16, default=4, at_least=1),
    "filters": Int(low=16, high=128, log=True, default=64, at_least=1),
    "kernel_size": choice(3, 5, 7, 9, 11, default=3, at_least=1),
    "layers": Int(low=1, high=2, default=1, at_least=1, at_most=2),
    # the book's relu leaves the recurrent state without a bound: trials can diverge
    "activation": fixed("tanh", allowed=("tanh", "relu")),
    "dropout": Float(low=0.2, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "recurrent_dropout": Fixed(default=0.0, at_least=0.0, at_most=0.5),
    "head": choice("flatten", "gap", default="flatten", allowed=("flatten", "gap")),
    "dense_units": Int(low=32, high=256, log=True, default=100, at_least=1),
}

TRAINING: Space = _rules.RECURRENT_TRAINING


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to divisors of the length, and to kernels that fit the shortest sub-window."""
    steps, kernels = _rules.sub_windows(space["n_steps"], space["kernel_size"], shape[0], lambda kernel: kernel)
    return {**space, "n_steps": steps, "kernel_size": kernels}


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: n_steps does not divide the window, a kernel is longer than a sub-window, or a value is out of its
            limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"n_steps": int(n), "kernel_size": int(kernel)}:
                if shape[0] % n:
                    problems.append(_rules.indivisible(shape[0], n))
                elif kernel > shape[0] // n:
                    problems.append(
                        f"kernel_size = {kernel} is longer than the sub-windows of {shape[0] // n} time steps "
                        f"(windows of {shape[0]}, n_steps = {n})"
                    )
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    n_steps: int = 4,
    filters: int = 64,
    kernel_size: int = 3,
    layers: int = 1,
    activation: str = "tanh",
    dropout: float = 0.5,
    recurrent_dropout: float = 0.0,
    head: str = "flatten",
    dense_units: int = 100,
) -> keras.Model:
    """The network, uncompiled.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        n_steps: sub-windows of equal length that the LSTM walks through.
        filters: of each ConvLSTM layer.
        kernel_size: time steps; at most the length of a sub-window.
        layers: ConvLSTM layers. The first pads nothing (as published), the second keeps its length.
        activation: of state and candidate, "tanh" or "relu".
        dropout: after each ConvLSTM layer.
        recurrent_dropout: on the recurrent state within a window.
        head: "flatten" keeps where something happened, "gap" averages over the steps of a sub-window.
        dense_units: of the dense layer before the output.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, n_steps=n_steps, filters=filters, kernel_size=kernel_size, layers=layers,
        activation=activation, dropout=dropout, recurrent_dropout=recurrent_dropout, head=head, dense_units=dense_units,
    )  # fmt: skip
    import keras
    from keras.layers import ConvLSTM1D, Dense, Dropout, Flatten, GlobalAveragePooling1D, Reshape

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    length = shape[0] // n_steps
    x = Reshape((n_steps, length, shape[1]))(_blocks.hide(x, mask))
    mask = _blocks.thinned(mask, n_steps, stride=length)
    for layer in range(layers):
        x = ConvLSTM1D(
            filters,
            kernel_size,
            padding="same" if layer else "valid",
            activation=activation,
            recurrent_dropout=recurrent_dropout,
            return_sequences=layer < layers - 1,
        )(x, mask=mask)
        x = Dropout(dropout)(x)
    x = Flatten()(x) if head == "flatten" else GlobalAveragePooling1D()(x)
    x = Dense(dense_units, "relu")(x)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="conv_lstm")
