"""Window warp: a tenth of each window runs faster or slower, the rest makes up for it.

Le Guennec et al. 2016 (hal-01357973), who halved or doubled the speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=3.0)
SHARE = 0.1  # of the window, as published
unfit = _rules.fits_every_study


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Stretches a tenth of each window by a factor between 1 / (1 + `amount`) and 1 + `amount`, even on a log scale.

    Then the whole is brought back to its length, by linear interpolation; its ends stay where they are.
    """
    import math

    import tensorflow as tf

    last = tf.maximum(batch.lengths() - 1, 1.0)
    limit = math.log1p(amount)
    factor = tf.exp(draw.uniform(-limit, limit, batch.size, 1, 1))
    stretch = SHARE * last
    begin = (last - stretch) * draw.uniform(0.0, 1.0, batch.size, 1, 1)
    grown = stretch * (factor - 1)
    # where each new step lies on the stretched window, and so on the old one
    there = batch.steps() * (last + grown) / last
    inside = begin + (there - begin) / factor
    source = tf.where(there < begin, there, tf.where(there < begin + stretch * factor, inside, there - grown))
    source = tf.clip_by_value(source, 0.0, batch.lengths() - 1)[:, :, 0]
    before = tf.floor(source)
    share = (source - before)[:, :, None]
    after = tf.minimum(before + 1, batch.lengths()[:, :, 0] - 1)
    left, right = (tf.gather(batch.x, tf.cast(at, tf.int32), axis=1, batch_dims=1) for at in (before, after))
    return batch._replace(x=tf.where(batch.valid(), left + share * (right - left), batch.x))
