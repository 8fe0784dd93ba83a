"""Ends a trial whose best value so far is worse than the median of the completed trials at the same step."""

from optuna.pruners import BasePruner, MedianPruner

from hpo import pruners
from hpo.pruners._folds import FoldPruner


class Pruner(pruners.Pruner):
    """Once five trials have completed."""

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's, which spares the first epochs of every fold."""
        inner = MedianPruner(n_startup_trials=5, n_warmup_steps=self.min_epochs)
        return FoldPruner(inner, max_epochs, self.min_epochs)
