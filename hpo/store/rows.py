"""A study's rows of trials: the statements that claims and endings are made of."""

import json
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hpo.store import tables
from hpo.store.books import Books, Row
from hpo.store.database import Database
from hpo.store.records import Claim
from hpo.trial import Result


class Rows:
    """The rows of one study's trials.

    Args:
        store: the database.
        study_id: of the study.
        books: the study's account of time.
    """

    def __init__(self, store: Database, study_id: int, books: Books) -> None:
        self._store = store
        self._study_id = study_id
        self._books = books

    def open(self) -> tuple[float, Row, dict[int, Row]]:
        """The moment, the study's account until then, and all rows of the study by number, without their outcomes."""
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            account = self._books.read(connection)
            columns = [column for column in tables.trials.c if column.name != "outcome"]
            rows = connection.execute(select(*columns).where(tables.trials.c.study_id == self._study_id)).mappings()
            return now, account, {row["number"]: dict(row) for row in rows}

    def outcome(self, number: int) -> Result:
        """How an ended trial was recorded."""
        with self._store.rdb.engine.begin() as connection:
            return Result.model_validate(connection.execute(self.select(number)).mappings().one()["outcome"])

    def record(self, connection: Connection, number: int, result: Result, now: float) -> None:
        """Writes how a trial ended, in somebody's transaction."""
        connection.execute(
            self.update(number).values(
                outcome=json.loads(result.model_dump_json()), cause=result.cause.value, finished_at=now
            )
        )

    def insert(self, number: int, **values: Any) -> Any:
        """A new row."""
        return insert(tables.trials).values(study_id=self._study_id, number=number, **values)

    def select(self, number: int) -> Any:
        """A trial's row."""
        columns = tables.trials.c
        return select(tables.trials).where(columns.study_id == self._study_id, columns.number == number)

    def update(self, number: int) -> Any:
        """A change of a trial's row."""
        columns = tables.trials.c
        return update(tables.trials).where(columns.study_id == self._study_id, columns.number == number)

    def fenced(self, claim: Claim, worker: str) -> Any:
        """A change of a trial's row that touches nothing unless the worker's claim still stands."""
        columns = tables.trials.c
        return self.update(claim.number).where(
            columns.worker == worker, columns.attempt == claim.attempt, columns.outcome.is_(None)
        )
