"""Rotation: the device was worn at another angle, so all of its sensors turn together.

Um et al. 2017 (arXiv:1706.00527), who turned wearables by any angle; where gravity tells classes apart, small ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=180.0)


def unfit(channels: int, *, triples: bool, scaling: str) -> str | None:
    """Only the x, y and z of a sensor can be turned, and only the user knows which channels are."""
    if channels % 3:
        return f"turns channels in threes (x, y, z), and these windows have {channels}"
    if not triples:
        return "turns channels in threes (x, y, z of one sensor); if yours are, say so: train.triples = true"
    return None


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Turns each window around an axis of its own by up to `amount` degrees (Rodrigues' formula)."""
    import math

    import tensorflow as tf

    limit = math.radians(amount)
    angle = draw.uniform(-limit, limit, batch.size, 1, 1)
    x, y, z = tf.unstack(tf.math.l2_normalize(draw.normal(batch.size, 3), axis=1), axis=1)
    none = tf.zeros_like(x)
    cross = tf.reshape(tf.stack([none, -z, y, z, none, -x, -y, x, none], axis=1), (-1, 3, 3))
    matrix = tf.eye(3) + tf.sin(angle) * cross + (1 - tf.cos(angle)) * (cross @ cross)
    timesteps, channels = batch.x.shape[1:]
    triples = tf.reshape(batch.x, (-1, timesteps * channels // 3, 3))
    turned = tf.matmul(triples, matrix, transpose_b=True)
    return batch._replace(x=tf.reshape(turned, (-1, timesteps, channels)))
