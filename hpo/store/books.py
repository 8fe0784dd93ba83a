"""The budget's clock: how long a study was worked on, accounted for whenever a lease changes.

A study is worked on while at least one lease is live; slot time is the sum over leases. Both go by the database's
clock, and a lease that ran out unnoticed counts up to its expiry, no further.
"""

from typing import Any

from sqlalchemy import Connection, select, update

from hpo.store import tables
from hpo.store.database import Database, deleted
from hpo.store.records import StudyRecord

Row = dict[str, Any]


class Books:
    """The account of one study's time.

    Args:
        store: the database.
        record: the study.
    """

    def __init__(self, store: Database, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._study_id = record.study_id

    def tick(self, connection: Connection) -> float:
        """Accounts for lease time until now; to be called before any lease changes. Returns the moment.

        Raises:
            UsageError: the study was deleted.
        """
        # The row first, the moment second: on PostgreSQL two ticks would else count the same seconds.
        since: float = self.read(connection, lock=True)["clock_at"]
        now = self._store.now(connection)
        columns = tables.trials.c
        leases = connection.execute(
            select(columns.leased_at, columns.expires_at).where(
                columns.study_id == self._study_id, columns.expires_at > since
            )
        ).all()
        worked, slots = account([(begin, end) for begin, end in leases], since, now)
        connection.execute(
            update(tables.studies)
            .where(tables.studies.c.study_id == self._study_id)
            .values(
                clock_at=max(now, since),
                worked_seconds=tables.studies.c.worked_seconds + worked,
                slot_seconds=tables.studies.c.slot_seconds + slots,
            )
        )
        return now

    def progress(self, connection: Connection, now: float) -> None:
        """Notes, in somebody's transaction, that a trial of the study moved."""
        connection.execute(
            update(tables.studies).where(tables.studies.c.study_id == self._study_id).values(progress_at=now)
        )

    def read(self, connection: Connection, *, lock: bool = False) -> Row:
        """The study's account and flags: clock_at, worked_seconds, slot_seconds, failures_since, stop_requested.

        Args:
            lock: keep others from changing the row until the transaction ends. (SQLite's transactions do so anyway.)

        Raises:
            UsageError: the study was deleted; SQLite may have given its number to another one.
        """
        columns = tables.studies.c
        wanted = (
            columns.clock_at,
            columns.worked_seconds,
            columns.slot_seconds,
            columns.failures_since,
            columns.stop_requested,
        )
        query = select(*wanted).where(columns.study_id == self._study_id, columns.created_at == self._record.created_at)
        if lock:
            query = query.with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            raise deleted(self._record)
        return dict(row)


def account(leases: list[tuple[float, float]], since: float, now: float) -> tuple[float, float]:
    """Seconds of [since, now] in which at least one lease was live, and the sum over all leases.

    Args:
        leases: (leased_at, expires_at) of each.
    """
    worked = slots = 0.0
    covered = since
    for begin, end in sorted((max(since, begin), min(now, end)) for begin, end in leases):
        slots += max(0.0, end - begin)
        worked += max(0.0, end - max(covered, begin))
        covered = max(covered, end)
    return worked, slots
