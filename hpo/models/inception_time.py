"""InceptionTime's network: modules of parallel long and short convolutions, joined by shortcuts.

Ismail Fawaz et al., "InceptionTime: Finding AlexNet for Time Series Classification" (Data Mining and Knowledge
Discovery 34, 2020, arXiv:1909.04939), with the layers of the published code (hfawaz/InceptionTime). One network: the
paper's InceptionTime averages the probabilities of five of them, trained from different seeds. The ranges of filters,
depth and kernels are those of its study of hyperparameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.models import _rules
from hpo.space import Choice, Fixed, Float, Scalar, Space, choice, fixed

if TYPE_CHECKING:
    import keras

# modules that one shortcut spans
BLOCK = 3

SPACE: Space = {
    "filters": choice(16, 32, 64, default=32, at_least=1),
    # the study's 9 is left to study files: a step of it takes half as long again
    "depth": choice(3, 6, default=6, at_least=1),
    # the first that fits is where short windows start
    "kernels": choice("40-20-10", "64-32-16", "32-16-8", "16-8-4", "8-4-2", default="40-20-10"),
    "bottleneck": fixed(32, at_least=0),
    "residual": fixed(True),
    # The code has 0.99. At a few batches per epoch the moving statistics then keep their initial values for a
    # hundred epochs: validation scores mean nothing until then, and early stopping and pruning end good trials.
    "bn_momentum": Choice(values=(0.9, 0.99), default=0.9, at_least=0.0, at_most=0.999),
    "conv_dropout": Float(low=0.0, high=0.3, default=0.0, at_least=0.0, at_most=0.9),
    "stem_stride": Fixed(default=1, at_least=1),
}

TRAINING: Space = {}


def clip(space: Space, shape: tuple[int, int], n_classes: int) -> Space:
    """`space` narrowed to kernels that are no longer than the window."""
    return {**space, "kernels": _rules.fitting_kernels(space["kernels"], shape[0])}


def check(shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
    """Says whether `build` would succeed.

    Raises:
        ValueError: kernels lists no kernel sizes, one of them or stem_stride is longer than the window, or a value is
            out of its limits.
    """
    problems = _rules.limits(SPACE, params)
    if not problems:
        match _rules.complete(SPACE, params):
            case {"kernels": str(kernels), "stem_stride": int(stride)}:
                problems += _rules.unfit_kernels(kernels, shape[0], example="40-20-10")
                problems += _rules.unfit_stride(stride, shape[0])
    _rules.refuse(problems)


def build(
    shape: tuple[int, int],
    n_classes: int,
    padded: bool = False,
    /,
    *,
    filters: int = 32,
    depth: int = 6,
    kernels: str = "40-20-10",
    bottleneck: int = 32,
    residual: bool = True,
    bn_momentum: float = 0.9,
    conv_dropout: float = 0.0,
    stem_stride: int = 1,
) -> keras.Model:
    """The network, uncompiled.

    A module narrows its input to `bottleneck` features, convolves them with each kernel, pools the input itself over
    three steps, and normalises the branches together. No convolution has a bias; all keep the number of steps.

    Args:
        shape: (timesteps, channels) of a window.
        n_classes: how many probabilities come out.
        padded: windows may be shorter: at their end, steps of NaN in all channels are not there.
        filters: of each branch of a module.
        depth: modules, one after the other.
        kernels: kernel sizes of the branches of each module, in time steps, joined by hyphens; any number of them.
        bottleneck: features that a module's convolutions read; 0 lets them read all. As in the published code, the
            first module of a network for a single channel has none.
        residual: a shortcut around every three modules (what is left over of `depth` has none).
        bn_momentum: of the moving statistics of batch normalisation; the published code has 0.99.
        conv_dropout: after each module; the paper has none.
        stem_stride: time steps from one position of the first module to the next; all that follows has so many times
            fewer steps to read. 1 is published.

    Raises:
        ValueError: see `check`.
    """
    check(
        shape, n_classes, filters=filters, depth=depth, kernels=kernels, bottleneck=bottleneck, residual=residual,
        bn_momentum=bn_momentum, conv_dropout=conv_dropout, stem_stride=stem_stride,
    )  # fmt: skip
    import keras
    from keras.layers import (
        Add,
        BatchNormalization,
        Concatenate,
        Conv1D,
        Dropout,
        GlobalAveragePooling1D,
        MaxPooling1D,
        ReLU,
    )

    from hpo.models import _blocks

    inputs, x, mask = _blocks.window(shape, padded)
    x = block = _blocks.hide(x, mask)
    for module in range(depth):
        stride = 1 if module else stem_stride
        narrow = Conv1D(bottleneck, 1, use_bias=False)(x) if bottleneck and x.shape[-1] > 1 else x
        branches = [
            Conv1D(filters, size, strides=stride, padding="same", use_bias=False)(narrow)
            for size in _rules.kernel_sizes(kernels)
        ]
        pooled = MaxPooling1D(3, strides=stride, padding="same")(_blocks.hide(x, mask, _blocks.LOWEST))
        branches.append(Conv1D(filters, 1, use_bias=False)(pooled))
        mask = _blocks.thinned(mask, pooled.shape[1], stride=stride)
        x = ReLU()(BatchNormalization(momentum=bn_momentum)(Concatenate()(branches), mask=mask))
        if conv_dropout:
            x = Dropout(conv_dropout)(x)
        x = _blocks.hide(x, mask)
        if residual and module % BLOCK == BLOCK - 1:
            stride = stem_stride if module < BLOCK else 1
            shortcut = Conv1D(x.shape[-1], 1, strides=stride, use_bias=False)(block)
            shortcut = BatchNormalization(momentum=bn_momentum)(shortcut, mask=mask)
            x = block = _blocks.hide(ReLU()(Add()([shortcut, x])), mask)
    x = GlobalAveragePooling1D()(x, mask=mask)
    return keras.Model(inputs, _blocks.probabilities(x, n_classes), name="inception_time")
