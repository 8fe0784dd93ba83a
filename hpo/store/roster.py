"""The list of a study's workers: who joined, when each was last heard of, who left."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, insert, or_, select, update

from hpo.store import tables
from hpo.store.books import Books
from hpo.store.database import Database
from hpo.store.records import StudyRecord

FORGET_SECONDS = 3600.0


def gone(store: Database) -> list[str]:
    """Workers of all studies that left, or were not heard of, so long ago that nobody asks for them."""
    columns = tables.workers.c
    with store.rdb.engine.begin() as connection:
        before = store.now(connection) - FORGET_SECONDS
        silent = or_(columns.left_at < before, columns.seen_at < before - columns.lease)
        return list(connection.execute(select(columns.worker).where(silent).order_by(columns.worker)).scalars())


def forget(store: Database, worker: str) -> None:
    """Strikes a worker off the list."""
    with store.rdb.engine.begin() as connection:
        connection.execute(delete(tables.workers).where(tables.workers.c.worker == worker))


class Roster:
    """One worker's entry.

    Args:
        store: the database.
        record: the study.
        books: the study's account of time.
        worker: id of the worker, unlike all others'.
        retried: carries out a call, again and again while the database cannot be used.
    """

    def __init__(
        self,
        store: Database,
        record: StudyRecord,
        books: Books,
        worker: str,
        retried: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._study_id = record.study_id
        self._books = books
        self._worker = worker
        self._retried = retried

    def join(
        self, *, host: str, pid: int, slots: int, lease: float, devices: Sequence[str | None] | None = None
    ) -> None:
        """Enters the worker. Repeating it after a lost acknowledgement changes nothing.

        Args:
            devices: of each slot: the GPU that it uses, None for none.

        Raises:
            UsageError: the study was deleted.
        """

        def join() -> None:
            with self._store.rdb.engine.begin() as connection:
                entered = tables.workers.c.worker == self._worker
                if connection.execute(select(tables.workers.c.worker).where(entered)).first() is not None:
                    return
                self._books.read(connection, lock=True)  # whoever deletes the study waits, and removes this row too
                now = self._store.now(connection)
                connection.execute(
                    insert(tables.workers).values(
                        worker=self._worker,
                        study_id=self._study_id,
                        host=host,
                        pid=pid,
                        slots=slots,
                        lease=lease,
                        started_at=now,
                        seen_at=now,
                        devices=None if devices is None else list(devices),
                    )
                )

        self._retried(join)

    def seen(self, connection: Connection, now: float) -> None:
        """Notes, in somebody's transaction, that the worker lives."""
        connection.execute(update(tables.workers).where(tables.workers.c.worker == self._worker).values(seen_at=now))

    def leave(self) -> None:
        """Marks the worker as gone."""

        def leave() -> None:
            with self._store.rdb.engine.begin() as connection:
                now = self._store.now(connection)
                connection.execute(
                    update(tables.workers).where(tables.workers.c.worker == self._worker).values(left_at=now)
                )

        self._retried(leave)
