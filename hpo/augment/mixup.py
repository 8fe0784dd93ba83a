"""Mixup: each window is mixed with its neighbour in the shuffled batch, and so are their labels.

Zhang et al. 2018 (arXiv:1710.09412), with a share for each window; the larger share is always the window's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=8.0)
unfit = _rules.fits_every_study


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Mixes by shares drawn from Beta(`amount`, `amount`).

    A window keeps its own length: where the neighbour has ended already, it stays unmixed. With weights, a label counts
    by its share times its own window's weight, so that each class keeps its weight in the loss.
    """
    import tensorflow as tf

    share = draw.beta(amount, batch.size)
    share = tf.maximum(share, 1 - share)

    def mixed(own: Any) -> Any:
        other = tf.roll(own, 1, axis=0)
        own_share = tf.reshape(share, (-1, *[1] * (len(own.shape) - 1)))
        other = tf.where(tf.math.is_nan(other), own, other)
        return own_share * own + (1 - own_share) * other

    if batch.weight is None:
        return batch._replace(x=mixed(batch.x), y=mixed(batch.y))
    weight = mixed(batch.weight)
    y = mixed(batch.weight[:, None] * batch.y) / weight[:, None]
    return batch._replace(x=mixed(batch.x), y=y, weight=weight)
