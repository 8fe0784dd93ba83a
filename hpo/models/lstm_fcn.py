"""LSTM-FCN, ALSTM-FCN and MLSTM-FCN: a recurrent branch beside a fully convolutional one.

Karim et al., "LSTM Fully Convolutional Networks for Time Series Classification" (arXiv:1709.05206) and "Multivariate
LSTM-FCNs" (arXiv:1801.04503), with the layers of their published code (titu1994/LSTM-FCN, titu1994/MLSTM-FCN); the
GRU cell is GRU-FCN (Elsayed et al., arXiv:1812.07683). LSTM-FCN is se_ratio 0, MLSTM-FCN is se_ratio 16; with the cell
"alstm" they are ALSTM-FCN and MALSTM-FCN.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Choice, Fixed, Float, Scalar, Space, choice, fixed

if TYPE_CHECKING:
    import keras

# time steps that the recurrent branch may read one by one; longer windows are averaged down to at most this
LONGEST_SEQUENCE = 256
# channels over which attention is unrolled; more would take longer to trace than to train
MOST_ATTENDED = 32

SPACE: Space = {
    # "alstm" is left to study files: it needs the shuffle, and a long trace
    "cell": choice("lstm", "gru", default="lstm", allowed=("lstm", "gru", "alstm")),
    "units": choice(8, 16, 32, 64, 128, default=8, at_least=1),
    "dimension_shuffle": choice(True, False, default=True),
    "bidirectional": fixed(False),
    "dropout": Float(low=0.0, high=0.8, default=0.8, at_least=0.0, at_most=0.9),
    "filters": choice(32, 64, 128, default=128, at_least=1),
    "kernels": choice("8-5-3", "5-5-3", "11-7-5", "16-9-5", "32-16-8", default="8-5-3"),
    "se_ratio": choice(0, 8, 16, default=0, at_least=0),
    # The papers have 0.99. At a few batches per epoch the moving statistics then keep their initial values for a
    # hundred epochs: validation scores mean nothing until then, and early stopping and pruning end good trials.
    "bn_momentum": Choice(values=(0.9, 0.99), default=0.9, at_least=0.0, at_most=0.999),
    "conv_dropout": Fixed(default=0.0, at_least=0.0, at_most=0.9),
    "stem_stride": Fixed(default=1, at_least=1),
}

TRAINING: Space = {}


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to first kernels of at most a quarter of the window (but 8 stays), and to one of the two papers.

    Windows of one channel get LSTM-FCN (no squeeze-excite), others start from MLSTM-FCN (ratio 16).
    """
    space = dict(space)
    kernels, ratios = space["kernels"], space["se_ratio"]
    if isinstance(kernels, Choice):
        # the published first kernel stays: the papers use it on windows of 24 steps too
        longest = max(shape[0] / 4, _sizes(str(SPACE["kernels"].default))[0])
        fitting = [k for k in kernels.values if _sizes(str(k))[0] <= longest]
        space["kernels"] = _rules.narrow(kernels, fitting or [min(kernels.values, key=lambda k: _sizes(str(k)))])
    if isinstance(ratios, Choice):
        space["se_ratio"] = _rules.narrow(ratios, [0]) if shape[1] == 1 else ratios.model_copy(update={"default": 16})
    return space


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: kernels is no triple of kernel sizes, one of them or stem_stride is longer than the window, the
            recurrent branch is bidirectional in spite of the shuffle, or has attention without it or over too many
            channels, or a value is out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        setting = _rules.complete(SPACE, params)
        kernels = str(setting["kernels"])
        if not re.fullmatch(r"[1-9]\d{0,5}(-[1-9]\d{0,5}){2}", kernels):
            problems.append(f"kernels = {kernels!r} must be three kernel sizes in time steps, such as '8-5-3'")
        elif max(_sizes(kernels)) > shape[0]:
            problems.append(f"kernels = {kernels!r} has a kernel longer than the windows of {shape[0]} time steps")
        if setting["bidirectional"] and setting["dimension_shuffle"]:
            problems.append(
                "bidirectional = true needs dimension_shuffle = false: after the shuffle the branch reads "
                "channel after channel, which has no backward direction"
            )
        if setting["cell"] == "alstm" and not setting["dimension_shuffle"]:
            problems.append('cell = "alstm" needs dimension_shuffle = true: its attention is over the channels')
        if setting["cell"] == "alstm" and shape[1] > MOST_ATTENDED:
            problems.append(f'cell = "alstm" takes up to {MOST_ATTENDED} channels; these windows have {shape[1]}')
        problems += _rules.unfit_stride(int(setting["stem_stride"]), shape[0])
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    cell: str = "lstm",
    units: int = 8,
    dimension_shuffle: bool = True,
    bidirectional: bool = False,
    dropout: float = 0.8,
    filters: int = 128,
    kernels: str = "8-5-3",
    se_ratio: int = 0,
    bn_momentum: float = 0.9,
    conv_dropout: float = 0.0,
    stem_stride: int = 1,
) -> keras.Model:
    """The network, uncompiled.

    The published code masks after the shuffle, which hides channels that are all zero rather than padded steps, and
    on a GPU can stop the fused kernel; here only padded steps are hidden, and before the shuffle.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        cell: "lstm", "gru", or "alstm", an LSTM with attention over the channels that the shuffle makes its steps.
        units: cells of the recurrent branch.
        dimension_shuffle: the recurrent branch reads one channel at a time, as a vector of all its time steps (as
            published), so a single channel is one step. If false it reads time step after time step; windows longer
            than `LONGEST_SEQUENCE` are averaged down first.
        bidirectional: the recurrent branch also reads backwards; only without the shuffle.
        dropout: after the recurrent branch.
        filters: f; the three convolutions have f, 2 f and f filters.
        kernels: kernel sizes of the three convolutions, joined by hyphens.
        se_ratio: by how much squeeze-excite narrows the filters of the first two convolutions; 0 leaves it out.
        bn_momentum: of the moving statistics of batch normalisation; the papers have 0.99.
        conv_dropout: after each convolution block.
        stem_stride: time steps from one position of the first convolution to the next; all that follows has so many
            times fewer steps to read. Without the shuffle the recurrent branch reads averages over as many steps.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, cell=cell, units=units, dimension_shuffle=dimension_shuffle, bidirectional=bidirectional,
        dropout=dropout, filters=filters, kernels=kernels, se_ratio=se_ratio, bn_momentum=bn_momentum,
        conv_dropout=conv_dropout, stem_stride=stem_stride,
    )  # fmt: skip
    import keras
    from keras.layers import Concatenate, Dropout, GlobalAveragePooling1D, Permute

    from hpo.models import _blocks

    inputs, window, mask = _blocks.window(shape, padded)
    x, steps = window, mask
    size = max(stem_stride, math.ceil(shape[0] / LONGEST_SEQUENCE))
    if dimension_shuffle:
        x, steps = Permute((2, 1))(_blocks.hide(x, mask)), None
    elif size > 1:
        x, steps = _blocks.average_pool(x, mask, size)
    memory = Dropout(dropout)(
        _blocks.attention_lstm(x, units)
        if cell == "alstm"
        else _blocks.recurrent(x, cell, units, mask=steps, bidirectional=bidirectional)
    )

    x = window
    for block, (width, kernel_size) in enumerate(zip((filters, 2 * filters, filters), _sizes(kernels), strict=True)):
        stride = 1 if block else stem_stride
        x, mask = _blocks.conv_block(x, mask, width, kernel_size, bn_momentum, stride=stride)
        if se_ratio and block < 2:
            x = _blocks.squeeze_excite(x, mask, se_ratio)
        if conv_dropout:
            x = Dropout(conv_dropout)(x)
    x = Concatenate()([memory, GlobalAveragePooling1D()(x, mask=mask)])
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="lstm_fcn")


def _sizes(kernels: str) -> tuple[int, ...]:
    """The kernel sizes in "8-5-3"."""
    return tuple(int(size) for size in kernels.split("-"))
