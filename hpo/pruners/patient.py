"""Lets another pruner end a trial only after so many epochs without a better value."""

import math
from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
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
        most = epochs - 2  # a first epoch, and one more than `patience` that are no better
        if "patience" in self.model_fields_set and self.patience > most:
            accepted = f"at most {most}" if most > 0 else "none, leave it out"
            got = shown(self.patience)
            problems.append(f"search.pruner.patience: got {got}; accepted: {accepted}: a trial has {epochs} epochs")
        return problems

    def make(self, max_epochs: int, folds: int) -> BasePruner:
        """Around the judge, which has the defaults of its own keys."""
        judge = pruners.get(self.judge)(name=self.judge, min_epochs=self.min_epochs).make(max_epochs, folds)
        return _Patient(judge, self.patience)


class _Patient(BasePruner):
    """Optuna's `PatientPruner`, but for a trial that stands exactly still: there, only a worse one has not improved."""

    def __init__(self, judge: BasePruner, patience: int) -> None:
        self._judge = judge
        self._patience = patience

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end now: its last reports are no better than those before, and the judge says so."""
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        values = [sign * value for _, value in sorted(trial.intermediate_values.items())]
        before, recent = values[: -self._patience - 1], values[-self._patience - 1 :]
        return bool(before) and _best(recent) <= _best(before) and self._judge.prune(study, trial)


def _best(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=-math.inf)
