"""Compares trials after min_epochs * 3**k steps and keeps the best third, some of them from a later comparison on.

Li et al. 2018, https://jmlr.org/papers/v18/16-558.html; asynchronous as in Li et al. 2020,
https://arxiv.org/abs/1810.05934.
"""

from optuna.pruners import BasePruner, HyperbandPruner, NopPruner

from hpo import pruners
from hpo.pruners._folds import FoldPruner


class Pruner(pruners.Pruner):
    """The last comparison lies before the end of the last fold."""

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's, which spares the first epochs of every fold; none where training is shorter than the warm-up."""
        if self.min_epochs >= max_epochs:
            return NopPruner()
        inner = HyperbandPruner(min_resource=self.min_epochs, max_resource=max_epochs * folds, reduction_factor=3)
        return FoldPruner(inner, max_epochs, self.min_epochs)
