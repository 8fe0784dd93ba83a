"""FCN: three convolutions over the window and an average over time, the baseline of time-series classification.

Wang, Yan and Oates, "Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline" (IJCNN 2017,
arXiv:1611.06455), with the layers of the review's code (Ismail Fawaz et al. 2019, hfawaz/dl-4-tsc). It is the
convolutional branch of `lstm_fcn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Choice, Fixed, Float, Scalar, Space, choice

if TYPE_CHECKING:
    import keras

SPACE: Space = {
    "filters": choice(32, 64, 128, default=128, at_least=1),
    "kernels": choice("8-5-3", "5-5-3", "11-7-5", "16-9-5", "32-16-8", default="8-5-3"),
    # The code has 0.99. At a few batches per epoch the moving statistics then keep their initial values for a
    # hundred epochs: validation scores mean nothing until then, and early stopping and pruning end good trials.
    "bn_momentum": Choice(values=(0.9, 0.99), default=0.9, at_least=0.0, at_most=0.999),
    "conv_dropout": Float(low=0.0, high=0.3, default=0.0, at_least=0.0, at_most=0.9),
    "stem_stride": Fixed(default=1, at_least=1),
}

TRAINING: Space = {}


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to kernels of at most a quarter of the window, but the published 8 steps stay."""
    # the papers use it on windows of 24 steps too
    published = _rules.kernel_sizes(SPACE["kernels"].default)
    return {**space, "kernels": _rules.fitting_kernels(space["kernels"], max(shape[0] / 4, *published))}


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: kernels is no triple of kernel sizes, one of them or stem_stride is longer than the window, or a
            value is out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"kernels": str(kernels), "stem_stride": int(stride)}:
                problems += _rules.unfit_kernels(kernels, shape[0], example="8-5-3", count=3)
                problems += _rules.unfit_stride(stride, shape[0])
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    filters: int = 128,
    kernels: str = "8-5-3",
    bn_momentum: float = 0.9,
    conv_dropout: float = 0.0,
    stem_stride: int = 1,
) -> keras.Model:
    """The network, uncompiled.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        filters: f; the three convolutions have f, 2 f and f filters.
        kernels: kernel sizes of the three convolutions, in time steps, joined by hyphens.
        bn_momentum: of the moving statistics of batch normalisation; the published code has 0.99.
        conv_dropout: after each convolution block; the paper has none.
        stem_stride: time steps from one position of the first convolution to the next; all that follows has so many
            times fewer steps to read.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, filters=filters, kernels=kernels, bn_momentum=bn_momentum, conv_dropout=conv_dropout,
        stem_stride=stem_stride,
    )  # fmt: skip
    import keras
    from keras.layers import Dropout, GlobalAveragePooling1D

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    strides = (stem_stride, 1, 1)
    for width, size, stride in zip((filters, 2 * filters, filters), _rules.kernel_sizes(kernels), strides, strict=True):
        x, mask = _blocks.conv_block(x, mask, width, size, bn_momentum, stride=stride)
        if conv_dropout:
            x = Dropout(conv_dropout)(x)
    x = GlobalAveragePooling1D()(x, mask=mask)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="fcn")
