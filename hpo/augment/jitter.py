"""Jitter: noise on every value, as a share of its channel's spread.

Um et al. 2017 (arXiv:1706.00527), who added noise with a standard deviation of 0.05 to sensor windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=1.0)
unfit = _rules.fits_every_study


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Adds noise with a standard deviation of `amount` times the channel's."""
    return batch._replace(x=batch.x + amount * spread * draw.normal(batch.size, *batch.x.shape[1:]))
