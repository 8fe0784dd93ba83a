"""Leases: which trials are this worker's until when, by the database's clock.

An attempt fences them: a row changes only under the worker and the attempt that took it, so who comes late changes
nothing.
"""

from collections.abc import Container, Iterable

from sqlalchemy import Connection, select

from hpo.store import tables
from hpo.store.books import Books, Row
from hpo.store.database import Database
from hpo.store.outages import Outages
from hpo.store.records import Claim, StudyRecord
from hpo.store.rows import Rows
from hpo.trial import Interruption

Key = tuple[int, int]  # number and attempt of a trial


class Leases:
    """Of one worker, on the trials of one study.

    Args:
        store: the database.
        record: the study.
        worker: its id.
        seconds: that a lease lasts.
        books, rows: of the study.
        outages: what the worker remembers of them.
    """

    def __init__(
        self,
        store: Database,
        record: StudyRecord,
        worker: str,
        seconds: float,
        *,
        books: Books,
        rows: Rows,
        outages: Outages,
    ) -> None:
        self._store = store
        self._record = record
        self._worker = worker
        self._seconds = seconds
        self._books = books
        self._rows = rows
        self._outages = outages

    def owned(self, number: int, row: Row | None, now: float, live: Container[Key]) -> bool:
        """Whether somebody trains a trial: a live lease, or this very worker, which may have been kept from renewing.

        Args:
            number: of the trial. row: its row; None if it has none. now: by the database's clock.
            live: what this worker trains.
        """
        if row is None:
            return False
        ours = (number, row["attempt"]) in live and row["worker"] == self._worker
        return ours or (row["expires_at"] is not None and row["expires_at"] > now)

    def may_come_back(self, row: Row | None) -> bool:
        """Whether a lease may have run out in an outage: its worker could not renew it, and gets the time to."""
        return row is not None and row["expires_at"] is not None and self._outages.lately

    def take(self, number: int, row: Row | None, *, losses: int, seed: int, artifacts: str) -> int:
        """Makes a trial this worker's; returns which attempt it is. The caller holds the study's lock.

        Args:
            number: of the trial. row: its row; None if it has none.
            losses: how often it was lost. seed, artifacts: for one that nobody had before.
        """
        attempt = 1 if row is None else row["attempt"] + 1
        with self._store.rdb.engine.begin() as connection:
            now = self._books.tick(connection)
            self._books.progress(connection, now)
            values = {
                "attempt": attempt,
                "losses": losses,
                "worker": self._worker,
                "leased_at": now,
                "expires_at": now + self._seconds,
                "same_as": None,
            }
            if row is None:
                connection.execute(self._rows.insert(number, seed=seed, artifacts=artifacts, **values))
            else:
                self._rows.take(connection, number, now, **values)
        return attempt

    def renew(self, connection: Connection, claims: Iterable[Claim], now: float) -> tuple[Key, ...]:
        """Renews those of `claims`; returns those that are no longer this worker's."""
        until = now + self._seconds
        fenced = ((claim.key, self._rows.fenced(claim, self._worker).values(expires_at=until)) for claim in claims)
        return tuple(key for key, statement in fenced if connection.execute(statement).rowcount == 0)

    def alive(self, connection: Connection, now: float) -> int:
        """How many trials of the study somebody trains."""
        columns = tables.trials.c
        mine = columns.study_id == self._record.study_id
        return len(connection.execute(select(columns.number).where(mine, columns.expires_at > now)).all())

    def release(self, claim: Claim, *, lost: bool, why: Interruption | None) -> bool:
        """Gives a trial back, for anybody to take at once; see `Claims.release`."""
        with self._store.rdb.engine.begin() as connection:
            self._books.tick(connection)
            fenced = self._rows.fenced(claim, self._worker)
            if lost:
                fenced = fenced.values(losses=tables.trials.c.losses + 1)
            elif why is not None:
                fenced = fenced.values({why.value: tables.trials.c[why.value] + 1})
            return connection.execute(fenced.values(worker=None, expires_at=None)).rowcount > 0
