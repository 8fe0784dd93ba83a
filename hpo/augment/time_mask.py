"""Time mask: one stretch of each window is hidden behind the window's own mean.

Park et al. 2019, "SpecAugment" (arXiv:1904.08779), section 2: there the mean of the whole set, which may be far from
anything in a window that is not scaled yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=0.9)
unfit = _rules.fits_every_study


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Hides up to a share of `amount` of each window, at a random place."""
    import tensorflow as tf

    valid, lengths, steps = batch.valid(), batch.lengths(), batch.steps()
    mean = tf.reduce_sum(tf.where(valid, batch.x, 0.0), axis=1, keepdims=True) / lengths
    hidden = lengths * draw.uniform(0.0, amount, batch.size, 1, 1)
    first = (lengths - hidden) * draw.uniform(0.0, 1.0, batch.size, 1, 1)
    inside = valid & (steps >= first) & (steps < first + hidden)
    return batch._replace(x=tf.where(inside, mean, batch.x))
