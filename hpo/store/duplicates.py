"""Settings that come up again: answered from the record, or held back while the record is still being made.

A proposal whose active parameters another trial had ends at once, as that trial ended. If the other one still runs, the
proposal waits: RUNNING for Optuna, with a row that nobody owns and that names the other. Whoever claims, looks at those
that wait. They are trained only if the other one came to no result. Whoever calls holds the study's lock.
"""

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial, Trial, TrialState

from hpo.space import Params, Scalar
from hpo.store.books import Books, Row
from hpo.store.database import Database
from hpo.store.endings import Endings, artifacts_of
from hpo.store.proposals import derive_seed
from hpo.store.records import StudyRecord
from hpo.store.rows import Rows
from hpo.store.seen import Seen
from hpo.trial import Cause

# What is no word on the parameters: a bug, or a budget that ended before the trial did.
_NO_RESULT = (Cause.BUG, Cause.BUDGET)


def waits(row: Row | None, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a trial that nobody owns is held back, because the one that it repeats still runs."""
    return row is not None and row["same_as"] is not None and not trials[row["same_as"]].state.is_finished()


class Duplicates:
    """The trials of one study that repeat others.

    Args:
        store: the database.
        record: the study.
        books, rows, endings: of the study.
    """

    def __init__(self, store: Database, record: StudyRecord, books: Books, rows: Rows, endings: Endings) -> None:
        self._store = store
        self._record = record
        self._books = books
        self._rows = rows
        self._endings = endings
        self._places: dict[int, list[int]] = {}  # hash of the parameters -> numbers of the trials that ended with them
        self._placed = 0

    def twin(self, trial: Trial, seen: Seen, rows: Mapping[int, Row]) -> FrozenTrial | None:
        """The first other trial with the same parameters that has a result, or may come to one; None if there is none.

        Args:
            trial: with all of its parameters.
            seen: the study's trials.
            rows: all of the study's by number.
        """
        for ended in seen.finished[self._placed :]:
            self._places.setdefault(_place(ended.params), []).append(ended.number)
        self._placed = len(seen.finished)
        params: Params = trial.params
        alike = [*self._places.get(_place(params), ()), *(other.number for other in seen.unfinished)]
        for number in sorted(alike):
            row = rows.get(number)
            other: FrozenTrial = seen.trials[number]
            # without a row it is nobody's yet; one that repeats another has no result of its own
            if row is None or row["same_as"] is not None or number == trial.number or other.params != params:
                continue
            if not other.state.is_finished() or row["cause"] not in _NO_RESULT:
                return other
        return None

    def settle(self, trial: Trial, other: FrozenTrial, rows: Mapping[int, Row]) -> None:
        """Ends a trial as the one that it repeats has ended, or holds it back until that one ends.

        Args:
            trial: with all of its parameters.
            other: its `twin`.
            rows: all of the study's by number; the trial has one if it was held back before.
        """
        ended = other.state.is_finished()
        result = None
        values = {
            "seed": derive_seed(self._record.definition.split.seed, trial.number),
            "artifacts": artifacts_of(self._record, trial.number),
            "same_as": other.number,
            "expires_at": None,
        }
        if ended:
            result = self._rows.outcome(other.number)
            detail = "\n".join(filter(None, (f"same parameters as trial {other.number}", result.detail)))
            spent = {"seconds": {}, "epochs": 0, "peak_memory": None}
            result = result.model_copy(update={"detail": detail, **spent})
            # so that its log is shown, and it can be repeated
            values |= {name: rows[other.number][name] for name in ("seed", "artifacts")}
            self._report(trial, other)
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            if ended:
                values["expires_at"] = now  # until Optuna knows, as for any trial that was recorded
            if trial.number in rows:
                connection.execute(self._rows.update(trial.number).values(**values))
            else:
                connection.execute(self._rows.insert(trial.number, attempt=0, losses=0, **values))
            if result is not None:
                self._rows.record(connection, trial.number, result, now)
        if result is not None:
            self._endings.close(trial.number, result, trial)

    def _report(self, trial: Trial, other: FrozenTrial) -> None:
        """The last value of a pruned trial, which is what Optuna takes for its score."""
        step = other.last_step
        if other.state is TrialState.PRUNED and step is not None:
            mine = self._store.storage.one(self._record.study_id, trial.number)
            if step not in mine.intermediate_values:  # a claim that died right after it
                trial.report(other.intermediate_values[step], step)


def _place(params: Mapping[str, Scalar]) -> int:
    """Equal for equal parameters."""
    return hash(frozenset(params.items()))
