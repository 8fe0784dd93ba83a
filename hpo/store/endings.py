"""How trials end: the outcome in our row first, then Optuna, then the lease. Whoever calls holds the study's lock.

From the first step on a result is safe, and all steps may be repeated after a crash at any point between.
"""

import contextlib

import optuna

from hpo import search
from hpo.store.books import Books, Row
from hpo.store.database import Database
from hpo.store.proposals import Proposals, derive_seed
from hpo.store.records import StudyRecord
from hpo.store.rows import Rows
from hpo.trial import INFEASIBLE, Cause, Result


class Endings:
    """The ends of one study's trials.

    Args:
        store: the database.
        record: the study.
        study: Optuna's object for it.
        books, rows, proposals: of the study.
    """

    def __init__(
        self, store: Database, record: StudyRecord, study: optuna.Study, books: Books, rows: Rows, proposals: Proposals
    ) -> None:
        self._store = store
        self._record = record
        self._study = study
        self._books = books
        self._rows = rows
        self._proposals = proposals

    def complete(self, rows: dict[int, Row]) -> None:
        """Completes what others have left half-recorded.

        Args:
            rows: all of the study's by number.
        """
        for number, row in rows.items():
            if row["cause"] is not None and row["expires_at"] is not None:
                self.close(number, self._rows.outcome(number))

    def end_lost(self, number: int, row: Row | None, cause: Cause, losses: int) -> None:
        """Ends a trial that nobody owns: it was lost too often, or the budget ended before it."""
        detail = f"its process or worker was lost {losses} times" if cause is Cause.POISON else ""
        result = Result(cause=cause, detail=detail)
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            if row is None:
                seed = derive_seed(self._record.definition.split.seed, number)
                artifacts = artifacts_of(self._record, number)
                connection.execute(self._rows.insert(number, seed=seed, attempt=0, losses=losses, artifacts=artifacts))
            # nobody's: a worker that comes back with a result is refused
            self._rows.take(connection, number, now, losses=losses, worker=None, expires_at=now)
            self._rows.record(connection, number, result, now)
        self.close(number, result)

    def close(self, number: int, result: Result, trial: optuna.trial.Trial | None = None) -> None:
        """Tells Optuna, unless it knows already, and ends the lease. Safe to repeat after any crash between."""
        # Who lost the lock meanwhile may find that another one has told Optuna: what our row says, as we would have.
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self._tell(number, result, trial)
        with self._store.rdb.engine.begin() as connection:
            connection.execute(self._rows.update(number).values(expires_at=None))

    def _tell(self, number: int, result: Result, trial: optuna.trial.Trial | None) -> None:
        frozen = self._store.storage.one(self._record.study_id, number)
        if frozen.state.is_finished():
            return
        trial = trial or self._proposals.reattach(number)
        for step, reported in self._record.definition.search.pruner.closing_reports(result):
            if step not in frozen.intermediate_values:
                trial.report(reported, step)
        search.mark(trial, infeasible=result.cause in INFEASIBLE)
        trial.set_user_attr("cause", result.cause.value)
        if result.parameters is not None:
            trial.set_user_attr("parameters", result.parameters)
        if "total" in result.seconds:
            trial.set_user_attr("seconds", round(result.seconds["total"], 2))
        state, values = search.ending(result, self._record.definition.train.metrics)
        self._study.tell(number, values, state=state, skip_if_finished=True)


def artifacts_of(record: StudyRecord, number: int) -> str:
    """Folder of a trial's files, relative to the artifact root."""
    return f"{record.name}/{number}"
