"""Lets another pruner end a trial only after so many epochs without a better value."""

import warnings
from typing import Literal

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, PatientPruner
from pydantic import Field

from hpo import pruners
from hpo.study_table import shown

Judge = Literal["hyperband", "median", "percentile", "successive-halving"]


class Pruner(pruners.Pruner):
    """A new fold begins lower than the one before it ended; its epochs count as any others."""

    patience: int = Field(5, ge=1, description="a whole number from 1")
    judge: Judge = Field("median", description="'hyperband', 'median', 'percentile' or 'successive-halving'")

    def unfit(self, max_epochs: int, folds: int) -> list[str]:
        """Patience that no trial is long enough for."""
        problems = super().unfit(max_epochs, folds)
        epochs = max_epochs * folds
        if "patience" in self.model_fields_set and self.patience + 1 >= epochs:
            got = shown(self.patience)
            problems.append(f"search.pruner.patience: got {got}; accepted: less than the {epochs} epochs of a trial")
        return problems

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Optuna's around the judge, which has the defaults of its own keys."""
        judge = pruners.get(self.judge)(name=self.judge, min_epochs=self.min_epochs).make(max_epochs, folds)
        with warnings.catch_warnings():
            # experimental since Optuna 2.8
            warnings.filterwarnings("ignore", message=".*PatientPruner.*", category=ExperimentalWarning)
            return PatientPruner(judge, patience=self.patience)
