"""Scaling: each channel of each window is multiplied by a factor near 1, as if its sensor were calibrated differently.

Um et al. 2017 (arXiv:1706.00527).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.augment import _rules

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw

DOMAIN = _rules.off(at_most=1.0)


def unfit(channels: int, *, triples: bool, scaling: str) -> str | None:
    """Scaling each window by its own spread undoes it."""
    return "has no effect with train.scaling = 'sample', which undoes it" if scaling == "sample" else None


def augment(batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
    """Multiplies by factors with mean 1 and a standard deviation of `amount`."""
    return batch._replace(x=batch.x * (1 + amount * draw.normal(batch.size, 1, batch.x.shape[2])))
