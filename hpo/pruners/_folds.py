"""A pruner that leaves every fold's first epochs alone."""

import threading

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial


class FoldPruner(BasePruner):
    """Asks another pruner, but not while a fold is warming up.

    A fold's first epochs are worse than the last ones of the fold before: a trial that stopped early would meet
    the next comparison there, with others that reached it at the end of a fold.

    It also spares the database: in a warm-up no other trials are read.
    """

    def __init__(self, inner: BasePruner, max_epochs: int, min_epochs: int) -> None:
        self.inner = inner
        self._max_epochs = max_epochs
        self._min_epochs = min_epochs
        # Hyperband makes its brackets at its first call: two slots at once would make them twice.
        self._lock = threading.Lock()

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end now, judged by its last step."""
        step = trial.last_step
        if step is None or step % self._max_epochs < self._min_epochs:
            return False
        with self._lock:
            return self.inner.prune(study, trial)
