"""The studies of one database: create, find, list, describe, stop."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import optuna
from sqlalchemy import Connection, insert, select, update

from hpo import search, study
from hpo.errors import DataError, HpoError, StudyFileError, UsageError, nearest
from hpo.space import Space, to_json
from hpo.store import schema, tables
from hpo.store.connect import Lock, backend, open_storage, quiet_optuna, retried
from hpo.store.records import SPACES, Best, DataRecord, Status, StudyRecord, TrialRecord, Use, WorkerRecord
from hpo.study import StudyDef
from hpo.trial import Cause, Result

ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


class Store:
    """One database.

    Args:
        url: SQLAlchemy address of it.
        create: make it where it is missing, else refuse.
        clock: seconds since 1970 for tests; None means the database's own clock.

    Raises:
        StorageError: it cannot be used.
    """

    def __init__(self, url: str, *, create: bool = False, clock: Callable[[], float] | None = None) -> None:
        self.url = url
        self._database = backend(url)
        self.place = self._database.place
        try:
            self.rdb = open_storage(self._database, create=create)
        except HpoError:
            self._database.close()
            raise
        # cached: without it every look at a study reads all of its trials again
        self.storage = optuna.storages.get_storage(self.rdb)
        self._clock = clock

    def __enter__(self) -> Self:
        """Itself; closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self.rdb.remove_session()
        self.rdb.engine.dispose()
        self._database.close()

    def now(self, connection: Connection) -> float:
        """Seconds since 1970 by the clock that decides who owns what."""
        if self._clock is not None:
            return self._clock()
        return float(connection.execute(select(self._database.now)).scalar_one())

    def lock(self, name: str) -> Lock:
        """The lock under which trials of a study are claimed and finished."""
        return self._database.lock(f"{name}.lock")

    def optuna_study(self, record: StudyRecord) -> optuna.Study:
        """Optuna's object for a study, with its pruner."""
        definition = record.definition
        with quiet_optuna():
            return optuna.load_study(
                study_name=record.name,
                storage=self.storage,
                pruner=definition.search.pruner.make(definition.train.max_epochs, definition.split.folds),
            )

    def create(
        self, definition: StudyDef, *, spaces: Mapping[str, Space], data: DataRecord, versions: Mapping[str, str]
    ) -> tuple[StudyRecord, bool]:
        """Creates a study, or finds the one of that name again; returns it and whether it is new.

        An existing one takes over the free keys of the definition (budget, ...), forgets a request to stop, and
        starts counting consecutive failures anew. Each family's published default is the first of its trials.

        Raises:
            StudyFileError: the name belongs to a study with another definition; the message shows the differences.
            DataError: the data or the split are not those that the study was created with.
        """
        with self.lock(definition.name).hold():
            existing = self._find(definition.name)
            if existing is not None:
                self._agree(existing, definition, data)
                self._resume(existing, definition)
                return self.study(definition.name), False
            with quiet_optuna():
                direction = search.direction(definition.train.metric)
                made = optuna.create_study(
                    study_name=definition.name,
                    storage=self.storage,
                    direction=direction,
                    load_if_exists=True,  # a launch that died before it wrote our row
                )
                trials = made.get_trials(deepcopy=False)
                if any(t.state is not optuna.trial.TrialState.WAITING for t in trials) or (
                    made.direction.name.lower() != direction
                ):
                    raise UsageError(
                        f"{self.place} has a study {definition.name!r} that hpo did not make; choose another name"
                    )
                for family in spaces:
                    params = search.default_params(spaces, family)
                    if params:
                        made.enqueue_trial(params, skip_if_exists=True)
            study_id = self.rdb.get_study_id_from_name(definition.name)
            with self.rdb.engine.begin() as connection:
                now = self.now(connection)
                connection.execute(
                    insert(tables.studies).values(
                        study_id=study_id,
                        name=definition.name,
                        definition=study.to_json(definition),
                        digest=study.digest(definition),
                        spaces={family: to_json(space) for family, space in spaces.items()},
                        data=data.model_dump(mode="json"),
                        versions=dict(versions),
                        created_at=now,
                        stop_requested=False,
                        failures_since=now,
                        clock_at=now,
                        worked_seconds=0.0,
                        slot_seconds=0.0,
                    )
                )
            return self.study(definition.name), True

    def _agree(self, existing: StudyRecord, definition: StudyDef, data: DataRecord) -> None:
        differences = study.differences(existing.definition, definition)
        if differences:
            raise StudyFileError(
                f"study {definition.name!r} exists with another definition; "
                "choose another name, or put these keys back (budget keys may change)",
                differences,
            )
        for what, old, new in (
            ("data", existing.data.sha256, data.sha256),
            ("split", existing.data.split_sha256, data.split_sha256),
        ):
            if old != new:
                raise DataError(
                    f"study {definition.name!r}: the {what} changed since it was created (SHA-256 {old[:12]} then, "
                    f"{new[:12]} now): its scores would not compare. Put the files back, or choose another name"
                )

    def _resume(self, existing: StudyRecord, definition: StudyDef) -> None:
        with self.rdb.engine.begin() as connection:
            connection.execute(
                update(tables.studies)
                .where(tables.studies.c.study_id == existing.study_id)
                .values(definition=study.to_json(definition), stop_requested=False, failures_since=self.now(connection))
            )

    def _find(self, name: str) -> StudyRecord | None:
        # Each claim comes through here: a worker that has waited while the tables were upgraded must not go on.
        revision = select(tables.schema.c.version_num).scalar_subquery().label("revision")
        with self.rdb.engine.begin() as connection:
            row = (
                connection.execute(select(tables.studies, revision).where(tables.studies.c.name == name))
                .mappings()
                .first()
            )
        if row is None:
            return None
        schema.refuse_other(row["revision"], self.place)
        return _study_record(dict(row))

    def study(self, name: str) -> StudyRecord:
        """The study of that name.

        Raises:
            UsageError: there is none; the message has the nearest names.
        """
        record = self._find(name)
        if record is None:
            names = self.names()
            hint = nearest(name, names) if names else "there are no studies yet"
            raise UsageError(f"no study {name!r} in {self.place}; {hint}")
        return record

    def names(self) -> list[str]:
        """Names of all studies, oldest first."""
        with self.rdb.engine.begin() as connection:
            return list(
                connection.execute(select(tables.studies.c.name).order_by(tables.studies.c.created_at)).scalars()
            )

    def request_stop(self, name: str) -> None:
        """Asks all workers of a study, wherever they are, to drain."""
        record = self.study(name)
        with self.rdb.engine.begin() as connection:
            connection.execute(
                update(tables.studies).where(tables.studies.c.study_id == record.study_id).values(stop_requested=True)
            )

    def trials(self, name: str) -> list[TrialRecord]:
        """All trials of a study by number."""
        return retried(lambda: self._trials(self.study(name)))

    def _trials(self, record: StudyRecord) -> list[TrialRecord]:
        with self.rdb.engine.begin() as connection:
            now = self.now(connection)
            rows = connection.execute(
                select(tables.trials).where(tables.trials.c.study_id == record.study_id)
            ).mappings()
            ours = {row["number"]: dict(row) for row in rows}
        frozen = self.optuna_study(record).get_trials(deepcopy=False)
        return [_trial_record(trial, ours.get(trial.number), now) for trial in frozen]

    def trial(self, name: str, number: int) -> TrialRecord:
        """One trial.

        Raises:
            UsageError: the study has no such trial.
        """
        trials = self.trials(name)
        if number >= len(trials):
            there = f"it has 0 to {len(trials) - 1}" if trials else "it has none yet"
            raise UsageError(f"study {name!r} has no trial {number}; {there}")
        return trials[number]

    def workers(self, name: str) -> list[WorkerRecord]:
        """All workers that ever joined a study; one not heard of for one of its leases is not alive."""
        return self._workers(self.study(name))

    def _workers(self, record: StudyRecord) -> list[WorkerRecord]:
        with self.rdb.engine.begin() as connection:
            now = self.now(connection)
            rows = connection.execute(
                select(tables.workers)
                .where(tables.workers.c.study_id == record.study_id)
                .order_by(tables.workers.c.started_at)
            ).mappings()
            return [
                WorkerRecord(
                    **{k: row[k] for k in WorkerRecord.model_fields if k != "alive"},
                    alive=row["left_at"] is None and now - row["seen_at"] <= row["lease"],
                )
                for row in rows
            ]

    def status(self, name: str, trials: list[TrialRecord] | None = None) -> Status:
        """The study at this moment.

        Args:
            trials: what `trials` just returned, to spare reading them again; None reads them.
        """
        return retried(lambda: self._status(name, trials))

    def _status(self, name: str, trials: list[TrialRecord] | None) -> Status:
        record = self.study(name)
        budget, train = record.definition.budget, record.definition.train
        if trials is None:
            trials = self._trials(record)
        workers = self._workers(record)
        with self.rdb.engine.begin() as connection:
            clock = (
                connection.execute(select(tables.studies).where(tables.studies.c.study_id == record.study_id))
                .mappings()
                .one()
            )
        counts = Counter(trial.state for trial in trials)
        ended = counts["complete"] + counts["pruned"]
        uses = {
            "trials": Use(used=ended, limit=budget.trials),
            "hours": Use(used=clock["worked_seconds"] / 3600, limit=budget.hours),
            "gpu_hours": Use(used=clock["slot_seconds"] / 3600, limit=budget.gpu_hours),
        }
        best = best_trial(trials, train.metric)
        causes = [(t.finished_at or 0.0, t.number, t.cause.value) for t in trials if t.cause]
        failed = consecutive_failures(causes, clock["failures_since"])
        outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
        fit = sum(outcome.seconds.get("fit", 0.0) for outcome in outcomes)
        total = sum(outcome.seconds.get("total", 0.0) for outcome in outcomes)
        alive = any(worker.alive for worker in workers)
        if any(use.limit is not None and use.used >= use.limit for use in uses.values()):
            state = "ended" if not counts["running"] or not alive else "running"
        elif len(failed) >= budget.max_consecutive_failures:
            state = "failed"
        elif alive:
            state = "stopping" if record.stop_requested else "running"
        elif record.stop_requested:
            state = "stopped"
        else:
            state = "interrupted" if workers else "waiting"
        return Status(
            study=name,
            state=state,
            metric=train.metric,
            counts={key: counts[key] for key in ("complete", "pruned", "fail", "running", "waiting")},
            budget=uses,
            best=None if best is None else Best(trial=best.number, value=best.value or 0.0, params=best.params),
            failures=dict(
                Counter(t.cause.value for t in trials if t.cause and t.cause not in (Cause.COMPLETED, Cause.PRUNED))
            ),
            workers=tuple(workers),
            seconds={"training": fit, "overhead": total - fit},
            running=tuple(trial for trial in trials if trial.live),
            max_steps=train.max_epochs * record.definition.split.folds,
            last_failure=_detail(trials[failed[0]]) if failed else "",
        )


def best_trial(trials: list[TrialRecord], metric: str) -> TrialRecord | None:
    """The best completed trial, the earliest of equals; None when none completed."""
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = 1.0 if search.direction(metric) == "maximize" else -1.0
    return max(done, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)


def consecutive_failures(causes: Iterable[tuple[float, int, str]], since: float) -> list[int]:
    """Numbers of the trials that failed since the last one that did not, newest first.

    Args:
        causes: (finished_at, number, cause) of ended trials.
        since: those that ended before do not count.
    """
    failed = []
    for finished_at, number, cause in sorted(causes, reverse=True):
        if finished_at < since or cause not in (Cause.BUG, Cause.POISON):
            break
        failed.append(number)
    return failed


def _detail(trial: TrialRecord) -> str:
    return "" if trial.outcome is None else trial.outcome.detail


def _study_record(row: Mapping[str, Any]) -> StudyRecord:
    return StudyRecord(
        study_id=row["study_id"],
        name=row["name"],
        definition=study.from_json(row["definition"]),
        digest=row["digest"],
        spaces=SPACES.validate_python(row["spaces"]),
        data=DataRecord.model_validate(row["data"]),
        versions=row["versions"],
        created_at=row["created_at"],
        stop_requested=row["stop_requested"],
    )


def _trial_record(frozen: optuna.trial.FrozenTrial, row: Mapping[str, Any] | None, now: float) -> TrialRecord:
    last = frozen.last_step
    ours: dict[str, Any] = {}
    if row is not None:
        ours = {k: row[k] for k in ("seed", "attempt", "losses", "worker", "artifacts", "leased_at", "finished_at")}
        ours["cause"] = Cause(row["cause"]) if row["cause"] else None
        ours["outcome"] = Result.model_validate(row["outcome"]) if row["outcome"] else None
        ours["live"] = row["expires_at"] is not None and row["expires_at"] > now
    return TrialRecord(
        number=frozen.number,
        state=frozen.state.name.lower(),
        value=frozen.value,
        params=frozen.params,
        last_step=last,
        last_value=None if last is None else frozen.intermediate_values[last],
        **ours,
    )
