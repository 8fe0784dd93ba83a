"""DeepConvLSTM: convolutions along time, each channel by itself, and LSTMs that read what they found.

Ordonez and Roggen, "Deep Convolutional and LSTM Recurrent Neural Networks for Multimodal Wearable Activity
Recognition" (Sensors 16, 115, 2016): four convolutions of 64 filters and 5 steps, two LSTMs of 128 cells, dropout 0.5
before each LSTM and before the output. One LSTM may do better (Bock et al. 2021, doi:10.1145/3460421.3480419).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Fixed, Float, Int, Scalar, Space, choice

if TYPE_CHECKING:
    import keras

# time steps that the default space leaves to the LSTMs; with a single one nothing would be recurrent
SHORTEST_SEQUENCE = 4

SPACE: Space = {
    "conv_layers": Int(low=1, high=4, default=4, at_least=1),
    # The paper's 64 is the most that is searched: the time of a step grows with its square and with the channels.
    "filters": Int(low=16, high=64, log=True, default=64, at_least=1),
    "kernel_size": choice(3, 5, 7, 9, default=5, at_least=1),
    "layers": Int(low=1, high=2, default=2, at_least=1),
    "units": Int(low=32, high=256, log=True, default=128, at_least=1),
    "dropout": Float(low=0.2, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "stem_stride": Fixed(default=1, at_least=1),
}

TRAINING: Space = _rules.RECURRENT_TRAINING


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to convolutions that leave the LSTMs `SHORTEST_SEQUENCE` steps, in every combination.

    As many convolutions stay as the shortest kernel allows, and then the kernels that allow that many.
    """
    depths, sizes = _rules.candidates(space["conv_layers"]), _rules.candidates(space["kernel_size"])
    spare = shape[0] - SHORTEST_SEQUENCE
    fitting = [depth for depth in depths if depth * (sizes[0] - 1) <= spare] or depths[:1]
    kernels = [size for size in sizes if fitting[-1] * (size - 1) <= spare] or sizes[:1]
    space = {**space, "kernel_size": _rules.narrow(space["kernel_size"], kernels)}
    if len(fitting) < len(depths):
        space["conv_layers"] = _rules.narrow(space["conv_layers"], fitting)
    return space


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: the convolutions together read more time steps than a window has, or a value is out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"conv_layers": int(depth), "kernel_size": int(kernel), "stem_stride": int(stride)}:
                read = _read(depth, kernel, stride)
                if read > shape[0]:
                    problems.append(
                        f"kernel_size = {kernel} with conv_layers = {depth} and stem_stride = {stride} reads {read} "
                        f"time steps at once; the windows have {shape[0]}"
                    )
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    conv_layers: int = 4,
    filters: int = 64,
    kernel_size: int = 5,
    layers: int = 2,
    units: int = 128,
    dropout: float = 0.5,
    stem_stride: int = 1,
) -> keras.Model:
    """The network, uncompiled.

    A window becomes an image of one colour, (timesteps, channels, 1). Convolutions of (kernel_size, 1) run over it
    with relu and without padding: all channels share their filters, and none sees another. What comes out,
    (timesteps - conv_layers * (kernel_size - 1), channels, filters), goes to the LSTMs as channels * filters features
    per step, and the last output of the last LSTM to the output layer. Other than in the paper, the LSTMs have no
    peepholes (no fused kernel has them) and the weights start as in all of Keras, not orthogonal.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        conv_layers: convolutions, one after the other.
        filters: of each convolution, for each channel.
        kernel_size: time steps of each convolution.
        layers: LSTMs, one upon the other.
        units: cells of each LSTM.
        dropout: before each LSTM and before the output.
        stem_stride: time steps from one position of the first convolution to the next; all that follows has so many
            times fewer steps to read. 1 is published.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, conv_layers=conv_layers, filters=filters, kernel_size=kernel_size, layers=layers, units=units,
        dropout=dropout, stem_stride=stem_stride,
    )  # fmt: skip
    import keras
    from keras.layers import Conv2D, Dropout, Reshape

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    x = Reshape((*shape, 1))(_blocks.hide(x, mask))
    for layer in range(conv_layers):
        x = Conv2D(filters, (kernel_size, 1), (1 if layer else stem_stride, 1), activation="relu")(x)
    x = Reshape((x.shape[1], shape[1] * filters))(x)
    mask = _blocks.thinned(mask, x.shape[1], stride=stem_stride, read=_read(conv_layers, kernel_size, stem_stride))
    for layer in range(layers):
        x = _blocks.recurrent(Dropout(dropout)(x), "lstm", units, mask=mask, sequences=layer < layers - 1)
    x = Dropout(dropout)(x)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="deep_conv_lstm")


def _read(conv_layers: int, kernel_size: int, stem_stride: int) -> int:
    """Time steps of the window that one step of the first LSTM is made of."""
    return kernel_size + (conv_layers - 1) * (kernel_size - 1) * stem_stride
