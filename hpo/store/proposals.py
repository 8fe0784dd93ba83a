"""What Optuna proposes: a new trial with its parameters, or the trial that somebody else was proposed.

Whoever calls holds the study's lock.
"""

from collections.abc import Sequence

import numpy as np
import optuna

from hpo import samplers
from hpo.store.database import Database
from hpo.store.records import StudyRecord

State = optuna.trial.TrialState


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
        self._record = record
        self._study = study

    def ask(self, trials: Sequence[optuna.trial.FrozenTrial]) -> optuna.trial.Trial:
        """The oldest waiting trial, else a new one; its parameters are still to be suggested.

        Args:
            trials: all of the study's.
        """
        waiting = [t.number for t in trials if t.state is State.WAITING]
        self._seed_sampler(waiting[0] if waiting else len(trials))
        return self._study.ask()

    def exhausted(self, trials: Sequence[optuna.trial.FrozenTrial]) -> bool:
        """Whether every setting of a finite space was tried, or is being tried."""
        tried = [trial.params for trial in trials if trial.state is not State.WAITING]
        sampler = self._record.definition.search.sampler
        return len(tried) == len(trials) and samplers.exhausted(sampler, self._record.spaces, tried)

    def reattach(self, number: int) -> optuna.trial.Trial:
        """A RUNNING trial; parameters that a claim which died has left open can still be suggested."""
        self._seed_sampler(number)
        trial_id = self._store.rdb.get_trial_id_from_study_id_trial_number(self._record.study_id, number)
        return optuna.trial.Trial(self._study, trial_id)

    def _seed_sampler(self, number: int) -> None:
        """By the trial's number: two workers never draw the same, and a study on one slot repeats exactly."""
        seed = self._record.definition.split.seed
        self._study.sampler = samplers.get(self._record.definition.search.sampler).make(
            self._record.spaces, samplers.seeds(study=seed, trial=derive_seed(seed + 1, number))
        )
