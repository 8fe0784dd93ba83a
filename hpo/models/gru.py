"""GRU: one to three gated recurrent layers over the raw window, read in one direction or both.

Cho et al. 2014 (arXiv:1406.1078). No paper has a reference configuration for windows of sensors or for the UCR series:
the defaults are those of `lstm` (Brownlee, "Deep Learning for Time Series Forecasting", 2018, chapter 25), so that a
study of both compares the cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Float, Int, Scalar, Space, choice

if TYPE_CHECKING:
    import keras

# No recurrent_dropout: with it Keras leaves the fused GPU kernel for a slow loop.
SPACE: Space = {
    "units": Int(low=32, high=256, log=True, default=100, at_least=1),
    "layers": Int(low=1, high=3, default=1, at_least=1),
    "bidirectional": choice(False, True, default=False),
    "dropout": Float(low=0.0, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "pooling": choice("last", "mean", "max", default="last", allowed=("last", "mean", "max")),
    "dense_units": Int(low=32, high=256, log=True, default=100, at_least=1),
}

TRAINING: Space = _rules.RECURRENT_TRAINING


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` as it is: a GRU takes windows of any length."""
    return dict(space)


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: a value is out of its limits.
    """
    _rules.refuse(_rules.limits(SPACE, params))


def build(
    shape: tuple[int, int],
    n_classes: int,
    *,
    units: int = 100,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.5,
    pooling: str = "last",
    dense_units: int = 100,
) -> keras.Model:
    """The network, uncompiled.

    The reset gate is applied after the recurrent product (Keras's `reset_after`), as in the first version of the paper:
    for that form GPUs have a fused kernel. The paper's later version applies it before.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        units: cells of each GRU, in each direction.
        layers: GRUs, one upon the other.
        bidirectional: each layer also reads backwards.
        dropout: after each layer.
        pooling: what the last layer hands on: its "last" output, or the "mean" or "max" over all time steps.
        dense_units: of the dense layer before the output.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, units=units, layers=layers, bidirectional=bidirectional, dropout=dropout, pooling=pooling,
        dense_units=dense_units,
    )  # fmt: skip
    import keras
    from keras.layers import Dense, Dropout, GlobalAveragePooling1D, GlobalMaxPooling1D

    from hpo.models import _blocks

    inputs = x = _blocks.window(shape)
    for layer in range(layers):
        sequences = layer < layers - 1 or pooling != "last"
        x = _blocks.recurrent(x, "gru", units, sequences=sequences, bidirectional=bidirectional)
        if sequences and layer == layers - 1:
            x = GlobalAveragePooling1D()(x) if pooling == "mean" else GlobalMaxPooling1D()(x)
        x = Dropout(dropout)(x)
    x = Dense(dense_units, "relu")(x)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="gru")
