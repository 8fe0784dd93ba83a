"""Never ends a trial."""

from optuna.pruners import BasePruner, NopPruner

from hpo import pruners


class Pruner(pruners.Pruner):
    """Every trial is trained until its own early stopping."""

    def unfit(self, max_epochs: int, folds: int) -> list[str]:
        """`min_epochs` would have no effect."""
        if "min_epochs" not in self.model_fields_set:
            return []
        return ["search.pruner.min_epochs: has no effect with the pruner 'none'; leave it out"]

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's pruner that prunes nothing."""
        return NopPruner()
