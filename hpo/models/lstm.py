"""LSTM: one to three recurrent layers over the raw window, read in one direction or both.

Hochreiter and Schmidhuber 1997; as in Brownlee, "Deep Learning for Time Series Forecasting" (2018), chapter 25:
LSTM(100), dropout 0.5, dense 100. Deeper and bidirectional forms are what it proposes to try next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Scalar, Space

if TYPE_CHECKING:
    import keras

SPACE: Space = _rules.RECURRENT_STACK

TRAINING: Space = _rules.RECURRENT_TRAINING


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` as it is: an LSTM takes windows of any length."""
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
    padded: bool = False,
    /,
    *,
    units: int = 100,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.5,
    pooling: str = "last",
    dense_units: int = 100,
) -> keras.Model:
    """The network, uncompiled.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        units: cells of each LSTM, in each direction.
        layers: LSTMs, one upon the other.
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
    from keras.layers import Dense

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    x = _blocks.recurrent_stack(
        x, "lstm", units, layers, mask=mask, bidirectional=bidirectional, dropout=dropout, pooling=pooling
    )
    x = Dense(dense_units, "relu")(x)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="lstm")
