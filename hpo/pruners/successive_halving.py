"""Compares trials after min_epochs * 3**k steps and keeps the best third, all of them from the first comparison on.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", https://arxiv.org/abs/1810.05934.
"""

from optuna.pruners import BasePruner, SuccessiveHalvingPruner

from hpo import pruners
from hpo.pruners._folds import FoldPruner


class Pruner(pruners.Pruner):
    """Hyperband's strictest bracket alone."""

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's, which spares the first epochs of every fold."""
        inner = SuccessiveHalvingPruner(min_resource=self.min_epochs, reduction_factor=3)
        return FoldPruner(inner, max_epochs, self.min_epochs)
