"""Multi-head CNN: convolutions of several widths read the same window side by side.

Brownlee, "Deep Learning for Time Series Forecasting" (2018), chapter 24: three heads of Conv1D(64) with kernels of 3, 5
and 11 steps and relu, dropout 0.5, pooling 2, flattened, then dense 100. The book gives the window to three inputs;
here it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Choice, Fixed, Float, Int, Scalar, Space, choice

if TYPE_CHECKING:
    import keras

# Time steps. Flattened, longer windows would give the dense layer two million weights or more at the published widths.
LONGEST_FLATTENED = 200

SPACE: Space = {
    # the last one is for windows of less than twelve steps
    "kernels": choice("3-5-11", "3-7-15", "5-9-17", "2-3-5", default="3-5-11"),
    "filters": Int(low=16, high=128, log=True, default=64, at_least=1),
    "dropout": Float(low=0.2, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "pool_size": Fixed(default=2, at_least=1),
    "head": choice("flatten", "gap", default="flatten", allowed=("flatten", "gap")),
    "dense_units": Int(low=32, high=256, log=True, default=100, at_least=1),
}

TRAINING: Space = {}


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to kernels that leave the pooling something to pool, and to averages over long windows."""
    pool = max(_rules.candidates(space["pool_size"]))
    space = {**space, "kernels": _rules.fitting_kernels(space["kernels"], shape[0] - pool + 1)}
    if isinstance(space["head"], Choice) and shape[0] > LONGEST_FLATTENED:
        space["head"] = _rules.narrow(space["head"], ["gap"])
    return space


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: kernels lists no kernel sizes, one leaves fewer steps of the window than the pooling takes, or a
            value is out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"kernels": str(kernels), "pool_size": int(pool)}:
                problems += _rules.unfit_kernels(kernels, shape[0], example="3-5-11")
                left = shape[0] - max(_rules.kernel_sizes(kernels), default=1) + 1
                if not problems and left < pool:
                    problems.append(
                        f"kernels = {kernels!r}: the longest leaves {left} of the windows' {shape[0]} time steps; "
                        f"pool_size = {pool} needs at least as many"
                    )
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    kernels: str = "3-5-11",
    filters: int = 64,
    dropout: float = 0.5,
    pool_size: int = 2,
    head: str = "flatten",
    dense_units: int = 100,
) -> keras.Model:
    """The network, uncompiled.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        kernels: kernel size of each head, in time steps, joined by hyphens; any number of heads. None pads.
        filters: of each head.
        dropout: after each head's convolution.
        pool_size: time steps whose maximum is kept.
        head: "flatten" keeps where something happened, "gap" averages over time.
        dense_units: of the dense layer before the output.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, kernels=kernels, filters=filters, dropout=dropout, pool_size=pool_size, head=head,
        dense_units=dense_units,
    )  # fmt: skip
    import keras
    from keras.layers import Concatenate, Conv1D, Dense, Dropout, Flatten, GlobalAveragePooling1D, MaxPooling1D

    from hpo.models import _blocks

    inputs, window, mask = _blocks.window(shape, padded)
    heads = []
    for size in _rules.kernel_sizes(kernels):
        x = Conv1D(filters, size, activation="relu")(_blocks.hide(window, mask))
        there = _blocks.thinned(mask, x.shape[1], read=size)
        # behind a relu the zeros of hidden steps are never the maximum of a step that is there
        x = MaxPooling1D(pool_size)(_blocks.hide(Dropout(dropout)(x), there))
        there = _blocks.thinned(there, x.shape[1], stride=pool_size)
        heads.append(Flatten()(x) if head == "flatten" else GlobalAveragePooling1D()(x, mask=there))
    x = Dense(dense_units, "relu")(Concatenate()(heads))
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="multi_head_cnn")
