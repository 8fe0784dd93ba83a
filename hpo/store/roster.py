"""The list of a study's workers: who joined, when each was last heard of, who left."""

import threading
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, or_, select, update

from hpo.store import tables
from hpo.store.connect import retried
from hpo.store.database import Database

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
        study_id: of the study.
        worker: id of the worker, unlike all others'.
        give_up: once set, an unusable database is waited for only briefly.
    """

    def __init__(self, store: Database, study_id: int, worker: str, give_up: threading.Event | None) -> None:
        self._store = store
        self._study_id = study_id
        self._worker = worker
        self._give_up = give_up

    def join(
        self, *, host: str, pid: int, slots: int, lease: float, devices: Sequence[str | None] | None = None
    ) -> None:
        """Enters the worker. Repeating it after a lost acknowledgement changes nothing.

        Args:
            devices: of each slot: the GPU that it uses, None for none.
        """

        def join() -> None:
            with self._store.rdb.engine.begin() as connection:
                entered = tables.workers.c.worker == self._worker
                if connection.execute(select(tables.workers.c.worker).where(entered)).first() is not None:
                    return
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

        retried(join, give_up=self._give_up)

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

        retried(leave, give_up=self._give_up)
