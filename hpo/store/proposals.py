"""What Optuna proposes: a new trial with its parameters, or the trial that somebody else was proposed.

Whoever calls holds the study's lock.
"""

from collections.abc import Mapping

import numpy as np
import optuna

from hpo import samplers
from hpo.store import priors
from hpo.store.books import Row
from hpo.store.database import Database
from hpo.store.lock import LockLostError
from hpo.store.records import StudyRecord
from hpo.store.seen import Seen

State = optuna.trial.TrialState
STUCK = 3  # proposals in a row that were known: the next one comes from elsewhere


def derive_seed(study_seed: int, number: int) -> int:
    """The seed of a trial: the same in every attempt, another for every number."""
    return int(np.random.SeedSequence([study_seed, number]).generate_state(1)[0]) & 0x7FFFFFFF


class Proposals:
    """Optuna's trials of one study, as one worker asks for them.

    Args:
        store: the database.
        record: the study.
        study: Optuna's object for it.
    """

    def __init__(self, store: Database, record: StudyRecord, study: optuna.Study) -> None:
        self._store = store
        self.record = record
        """The study as it is now: budget and ranges may have been extended since the last proposal."""
        self._study = study
        self._known: list[optuna.trial.FrozenTrial] = []

    def ask(self, seen: Seen, rows: Mapping[int, Row]) -> optuna.trial.Trial:
        """The oldest waiting trial, else a new one; its parameters are still to be suggested.

        Args:
            seen: the study's trials.
            rows: of those that have one, by number.

        Raises:
            LockLostError: others made trials meanwhile. The new one has no parameters yet, and is nobody's.
        """
        waiting = seen.of(State.WAITING)
        latest = [rows.get(trial.number) for trial in seen.trials[-STUCK:]]
        stuck = len(latest) == STUCK and all(row is not None and row["same_as"] is not None for row in latest)
        number = waiting[0] if waiting else len(seen.trials)
        self._seed_sampler(number, elsewhere=stuck)
        trial = self._study.ask()
        if trial.number != number:
            # While the database is away Optuna tries for up to eight seconds, which the lock's session did not survive.
            # What it would propose now is what somebody else has been proposed.
            raise LockLostError(f"trial {trial.number} was made instead of trial {number}")
        return trial

    def exhausted(self, seen: Seen) -> bool:
        """Whether every setting of a finite space was tried, or is being tried.

        Args:
            seen: the study's trials.
        """
        size = samplers.size(self.record.definition, self.record.spaces)
        if size is None or seen.of(State.WAITING):
            return False
        return samplers.exhausted(size, [trial.params for trial in seen.trials])

    def reattach(self, number: int) -> optuna.trial.Trial:
        """A RUNNING trial; parameters that a claim which died has left open can still be suggested."""
        self._seed_sampler(number)
        trial_id = self._store.rdb.get_trial_id_from_study_id_trial_number(self.record.study_id, number)
        return optuna.trial.Trial(self._study, trial_id)

    def _seed_sampler(self, number: int, *, elsewhere: bool = False) -> None:
        """By the trial's number: two workers never draw the same, and a study on one slot repeats exactly.

        Args:
            number: of the trial.
            elsewhere: propose what was not tried, where that can be listed, else anything.
        """
        seed = self.record.definition.split.seed
        name = self.record.definition.search.sampler
        if elsewhere:
            name = "random" if samplers.countable(self.record.spaces) is None else "grid"
        made = samplers.get(name).make(
            self.record.spaces, samplers.seeds(study=seed, trial=derive_seed(seed + 1, number))
        )
        self._study.sampler = samplers.taught(made, self._prior()) if samplers.learns(name) else made

    def _prior(self) -> list[optuna.trial.FrozenTrial]:
        """The trials of other studies that this one knows; read again when there are more."""
        if sum(priors.sources(self._store, self.record).values()) != len(self._known):
            known = priors.read(self._store, self.record)
            metrics = len(self.record.definition.train.metrics)
            self._known = priors.as_trials(known, self.record.spaces, metrics=metrics)
        return self._known
