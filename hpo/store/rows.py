"""A study's rows of trials: the statements that claims and endings are made of."""

import json
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from hpo.store import tables
from hpo.store.books import Books, Row
from hpo.store.database import Database
from hpo.store.lock import LockLostError
from hpo.store.overview import End, since_success
from hpo.store.reading import AT_ONCE
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
        self._known: dict[int, Row] = {}
        self._top = -1  # the largest number that has a row
        self._open: set[int] = set()  # numbers up to it whose row may still change, or come to be
        self._ends: list[End] = []  # of closed ones: the last that did not fail, and all after it

    def open(self) -> tuple[float, Row, dict[int, Row]]:
        """The moment, the study's account until then, and all rows of the study by number, without their outcomes.

        A row that is closed never changes, and is read once. Whoever calls holds the study's lock, and only looks.
        """
        columns = tables.trials.c
        query = select(*(column for column in columns if column.name != "outcome"))
        query = query.where(columns.study_id == self._study_id)
        known = sorted(self._open)
        first, *more = [columns.number.in_(known[i : i + AT_ONCE]) for i in range(0, max(1, len(known)), AT_ONCE)]
        found: list[Any] = []
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            account = self._books.read(connection)
            for some in (or_(columns.number > self._top, first), *more):
                found += connection.execute(query.where(some)).mappings()
        for row in sorted(found, key=itemgetter("number")):
            self._take(dict(row))
        return now, account, self._known

    def _take(self, row: Row) -> None:
        number = row["number"]
        self._open.update(range(self._top + 1, number + 1))
        self._top = max(self._top, number)
        self._known[number] = row
        if number in self._open and row["cause"] is not None and row["expires_at"] is None:
            self._open.remove(number)
            self._ends = since_success([*self._ends, *_end(row)])

    def unclosed(self) -> dict[int, Row]:
        """The rows, as they were just read, that may still change."""
        return {number: self._known[number] for number in sorted(self._open) if number in self._known}

    def ends(self) -> list[End]:
        """Of the trials that ended, without those that repeat others: the last that did not fail, and all after it."""
        return since_success([*self._ends, *(end for row in self.unclosed().values() for end in _end(row))])

    def outcome(self, number: int) -> Result:
        """How an ended trial was recorded."""
        with self._store.rdb.engine.begin() as connection:
            return Result.model_validate(connection.execute(self.select(number)).mappings().one()["outcome"])

    def record(self, connection: Connection, number: int, result: Result, now: float) -> None:
        """Writes how a trial ended, in somebody's transaction.

        Raises:
            LockLostError: somebody else did so before; the first outcome stays.
        """
        values = {"outcome": json.loads(result.model_dump_json()), "cause": result.cause.value, "finished_at": now}
        first = self.update(number).where(tables.trials.c.outcome.is_(None))
        if connection.execute(first.values(**values)).rowcount == 0:
            raise LockLostError(f"trial {number} was ended by another worker")

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

    def take(self, connection: Connection, number: int, now: float, **values: Any) -> None:
        """Changes the row of a trial that nobody holds, in somebody's transaction.

        Raises:
            LockLostError: somebody holds it after all.
        """
        columns = tables.trials.c
        nobodys = self.update(number).where(or_(columns.expires_at.is_(None), columns.expires_at <= now))
        if connection.execute(nobodys.values(**values)).rowcount == 0:
            raise LockLostError(f"trial {number} was renewed by its worker after all")

    def fenced(self, claim: Claim, worker: str) -> Any:
        """A change of a trial's row that touches nothing unless the worker's claim still stands."""
        columns = tables.trials.c
        return self.update(claim.number).where(
            columns.worker == worker, columns.attempt == claim.attempt, columns.outcome.is_(None)
        )


def _end(row: Row) -> list[End]:
    """When a trial ended and why; empty for one that has not, or that repeats another."""
    return [(row["finished_at"], row["number"], row["cause"])] if row["cause"] and row["same_as"] is None else []
