"""Ends a trial between two folds if its finished folds are worse than the best trial's, by Wilcoxon's signed-rank test.

Wilcoxon 1945, "Individual Comparisons by Ranking Methods"; racing as in Birattari et al. 2002, "A Racing Algorithm for
Configuring Metaheuristics".
"""

import warnings
from typing import ClassVar

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, WilcoxonPruner
from pydantic import Field

from hpo import pruners
from hpo.errors import require
from hpo.study_table import shown
from hpo.trial import Epoch, Result


class Pruner(pruners.Pruner):
    """Its trials report once per fold: step = fold, value = the fold's score."""

    by_epoch: ClassVar[bool] = False

    p_threshold: float = Field(0.1, gt=0, lt=1, description="a number above 0 and below 1")

    def unfit(self, max_epochs: int, folds: int) -> list[str]:
        """Too few folds for the test to say anything; epochs have no meaning for it.

        Raises:
            MissingExtra: SciPy, which has the test, is not installed.
        """
        require("scipy", "train", "The pruner 'wilcoxon'")
        problems = []
        if "min_epochs" in self.model_fields_set:
            problems.append("search.pruner.min_epochs: has no effect with the pruner 'wilcoxon'; leave it out")
        if folds < 3:
            problems.append(
                f"split.folds: got {shown(folds)}; search.pruner 'wilcoxon' compares folds, give at least 3"
            )
        # all finished folds worse than the best trial's, one fold still to come
        elif (smallest := 0.5 ** (folds - 1)) >= self.p_threshold:
            problems.append(
                f"search.pruner.p_threshold: got {shown(self.p_threshold)}; with {folds} folds no p-value can be below "
                f"{smallest:g}, so nothing would ever be pruned; give more folds, or a number above {smallest:g}"
            )
        return problems

    def reports(self, epoch: Epoch) -> list[tuple[int, float]]:
        """The folds that were finished before this epoch."""
        return list(enumerate(epoch.fold_values))

    def closing_reports(self, result: Result) -> list[tuple[int, float]]:
        """All finished folds: later trials are compared with them."""
        return list(enumerate(result.fold_values))

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's."""
        with warnings.catch_warnings():
            # experimental since Optuna 3.6
            warnings.filterwarnings("ignore", message=".*WilcoxonPruner.*", category=ExperimentalWarning)
            return WilcoxonPruner(p_threshold=self.p_threshold, n_startup_steps=2)
