"""How long the winner is trained when nothing is left to judge it: as its median run on validation went.

With `split.stopping` there is still a part that stops the epochs, and none of this is needed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.artifacts.copies import Copies
from hpo.curves import CURVES
from hpo.errors import StorageError
from hpo.store import TrialRecord


@dataclass(frozen=True)
class Course:
    """The course of one training up to its best epoch.

    Attributes:
        trial, fold: which training of the evaluation it was.
        rates: the learning rate of each of its epochs.
    """

    trial: int
    fold: int
    rates: tuple[float, ...]


def median_course(trials: Sequence[TrialRecord], copies: Copies) -> Course:
    """The run whose best epoch is the median of all; of two in the middle the shorter one.

    A real run rather than an average: the learning rates that validation brought about belong to its epochs.

    Args:
        trials: completed trainings of one configuration.
        copies: of the trials' files.

    Raises:
        StorageError: the curves of that run cannot be read here.
    """
    runs = sorted(
        (epochs, trial.number, fold, trial)
        for trial in trials
        if trial.outcome is not None
        for fold, epochs in enumerate(trial.outcome.best_epochs)
    )
    epochs, number, fold, trial = runs[(len(runs) - 1) // 2]
    file = copies.awaited(trial.artifacts, CURVES)
    try:
        logs = json.loads(file.read_text(encoding="utf-8"))["folds"][fold]
    except (OSError, ValueError, LookupError) as error:
        raise StorageError(
            f"the curves of trial {number} are not at {file}, so nobody knows its learning rates; "
            "name the store that has them with HPO_ARTIFACTS or --artifacts; where it was down, `hpo worker` for that "
            "study, on the machine that trained it, carries them there"
        ) from error
    return Course(number, fold, tuple(float(epoch["learning_rate"]) for epoch in logs[:epochs]))
