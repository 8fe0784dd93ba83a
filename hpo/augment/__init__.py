"""Augmentations: one file each, whose name is the hyperparameter that says how much of it there is.

They change the windows of each training step, before the model scales them. What validates, scores and is exported
never meets them. Importing this folder does not import TensorFlow; `_batch.py`, which does, is imported only where a
trial trains.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from hpo import folders
from hpo.space import Fixed, Space

if TYPE_CHECKING:
    from hpo.augment._batch import Batch, Draw


class Augmentation(Protocol):
    """What a module of this folder offers.

    Attributes:
        DOMAIN: the hyperparameter, a decimal number whose default is 0, which is off.
    """

    DOMAIN: Fixed

    def unfit(self, channels: int, *, triples: bool, scaling: str) -> str | None:
        """Why it makes no sense for a study, in words that follow the hyperparameter's name; None if it does.

        Args:
            channels: of a window.
            triples: whether the study file says that channels come in threes, x, y and z of one sensor each.
            scaling: `train.scaling`.
        """

    def augment(self, batch: Batch, amount: float, draw: Draw, spread: Any) -> Batch:
        """The batch, changed. Runs inside a TensorFlow graph.

        A step that is NaN in all channels is padding: it stays as it is, and no other value depends on it.

        Args:
            batch: windows, labels and weights.
            amount: the hyperparameter, above 0.
            draw: the only source of random numbers.
            spread: standard deviation of each channel in the training part, float32 (channels,); 0 where it stands
                still.
        """


def names() -> list[str]:
    """Sorted names of all augmentations, which is also the order in which they are applied."""
    return folders.names("augment")


def get(name: str) -> Augmentation:
    """The augmentation called `name`, one of `names`."""
    return cast(Augmentation, import_module(f"{__name__}.{name}"))


def space() -> Space:
    """The hyperparameters of all augmentations."""
    return {name: get(name).DOMAIN for name in names()}
