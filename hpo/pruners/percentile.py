"""Ends a trial whose best value so far is not among the best `percentile` percent of the completed ones at a step."""

from optuna.pruners import BasePruner, PercentilePruner
from pydantic import Field

from hpo import pruners
from hpo.pruners._folds import FoldPruner


class Pruner(pruners.Pruner):
    """Once five trials have completed."""

    percentile: float = Field(25.0, gt=0, lt=100, description="a number above 0 and below 100")

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's, which spares the first epochs of every fold."""
        inner = PercentilePruner(self.percentile, n_startup_trials=5, n_warmup_steps=self.min_epochs)
        return FoldPruner(inner, max_epochs, self.min_epochs)
