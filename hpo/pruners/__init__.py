"""The pruners: one file each, with its keys of `[search.pruner]` and what it makes of them.

A pruner's name in study files is its file's name, with hyphens for underscores.
"""

from __future__ import annotations

from abc import abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from hpo import folders
from hpo.study_table import Table, shown

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

    from hpo.trial import Epoch, Result


class Pruner(Table):
    """The table `[search.pruner]`. A module of this folder holds a subclass of the same name, with its own keys.

    Trials report once per epoch, unless their pruner says otherwise. Step = fold * max_epochs + epoch, both from 0, so
    that the same step means the same fold and epoch in all trials, and a fold that stopped early leaves a gap. Value =
    mean of the finished folds' scores and this epoch's metric.
    """

    by_epoch: ClassVar[bool] = True
    """Whether Optuna hears of every epoch."""

    name: str = Field(description="the name of a module in hpo/pruners")
    min_epochs: int = Field(5, ge=1, description="a whole number from 1")

    def unfit(self, max_epochs: int, folds: int) -> list[str]:
        """What contradicts the rest of the study file: sentences that open with the key. Empty if nothing does."""
        if "min_epochs" not in self.model_fields_set or self.min_epochs < max_epochs:
            return []
        got = shown(self.min_epochs)
        return [f"search.pruner.min_epochs: got {got}; accepted: less than train.max_epochs, {max_epochs}"]

    def reports(self, epoch: Epoch) -> list[tuple[int, float]]:
        """What Optuna hears after an epoch: steps, each with its value. Steps that it heard of before are left out."""
        return [(epoch.step, epoch.value)]

    def closing_reports(self, result: Result) -> list[tuple[int, float]]:
        """What Optuna hears when a trial ended."""
        return []

    @abstractmethod
    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's pruner for trials of so many folds of at most so many epochs."""


def names() -> list[str]:
    """Sorted names of all pruners."""
    return sorted(name.replace("_", "-") for name in folders.names("pruners"))


def get(name: str) -> type[Pruner]:
    """The table of the pruner of that name, one of `names`."""
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast(type[Pruner], module.Pruner)
