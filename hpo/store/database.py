"""One open database: its studies by name, its clock, its locks."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import optuna
from sqlalchemy import Connection, select

from hpo import study
from hpo.errors import HpoError, StorageError, UsageError, nearest
from hpo.store import schema, tables
from hpo.store.connect import OUTAGE, Lock, backend, open_storage, quiet_optuna, retried
from hpo.store.records import SPACES, DataRecord, StudyRecord, TrialRecord
from hpo.store.seen import Cache


class Database:
    """One database.

    Args:
        url: SQLAlchemy address of it.
        create: make it where it is missing, upgrade older tables; else refuse.
        read_only: for who only looks: the database refuses every change, and the right to read is enough.
        clock: seconds since 1970 for tests; None means the database's own clock.

    Raises:
        StorageError: it cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = False,
        read_only: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.url = url
        self._database = backend(url)
        self.place = self._database.place
        self.server = self._database.server
        try:
            self.rdb = open_storage(self._database, create=create, read_only=read_only)
        except HpoError:
            self._database.close()
            raise
        self.was_away = False
        """It could not be reached at first, and was waited for."""
        # those that have ended never change: who looks again and again need not read them again
        self.ended: dict[tuple[int, float], dict[int, TrialRecord]] = {}
        self.glanced: dict[tuple[int, float], dict[int, TrialRecord]] = {}  # the same without their parameters
        # cached: without it every look at a study reads all of its trials again
        self.storage = Cache(self.rdb)
        self._clock = clock

    @classmethod
    def patiently(cls, url: str, seconds: float) -> Self:
        """An existing database, opened as soon as it can be: a worker may be started while its server is away.

        Args:
            url: its address.
            seconds: to try for; with 0, once.

        Raises:
            StorageError: it cannot be used, or was away for too long.
        """
        if seconds == 0:
            return cls(url)
        opened: list[Self] = []
        pauses: list[float] = []

        def attempt() -> None:
            try:
                opened.append(cls(url))
            except StorageError as error:
                if isinstance(error.__cause__, OUTAGE):
                    raise error.__cause__ from error
                raise

        retried(attempt, for_seconds=seconds, waited=pauses.append)
        opened[0].was_away = bool(pauses)
        return opened[0]

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

    def up_for(self) -> float:
        """Seconds since the database's server was started; since 1970 where there is none."""
        with self.rdb.engine.begin() as connection:
            return self.now(connection) - float(connection.execute(select(self._database.began)).scalar_one())

    def lock(self, name: str) -> Lock:
        """The lock under which trials of a study are claimed and finished."""
        return self._database.lock(f"{name}.lock")

    def optuna_study(self, record: StudyRecord) -> optuna.Study:
        """Optuna's object for a study, with its pruner."""
        definition = record.definition
        self.storage.only(record.study_id, record.created_at)
        with quiet_optuna():
            return optuna.load_study(
                study_name=record.name,
                storage=self.storage,
                pruner=definition.search.pruner.make(definition.train.max_epochs, record.folds),
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

    def again(self, record: StudyRecord) -> StudyRecord:
        """A study as it is now.

        Raises:
            UsageError: it was deleted; another one may have its name by now.
        """
        found = self._find(record.name)
        if found is None or (found.study_id, found.created_at) != (record.study_id, record.created_at):
            raise deleted(record)
        return found

    def names(self) -> list[str]:
        """Names of all studies, oldest first."""
        with self.rdb.engine.begin() as connection:
            return list(
                connection.execute(select(tables.studies.c.name).order_by(tables.studies.c.created_at)).scalars()
            )


def deleted(record: StudyRecord) -> UsageError:
    """What those are told who still work on a study that is gone."""
    return UsageError(f"study {record.name!r} was deleted; nothing more is recorded for it")


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
