"""What is to be said of a study, until it was: rows that any process delivers which may write, each at least once.

Who delivers a row takes it for a while first; if it dies, the row is anybody's again. An event's id says what happened,
not when somebody noticed: who comes later finds the same id, and adds nothing.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from hpo.errors import StorageError, reason
from hpo.store import tables
from hpo.store.database import Database
from hpo.store.records import StudyRecord


@dataclass(frozen=True)
class Pulse:
    """What says whether a study moves. Moments by the database's clock.

    Attributes:
        now: this moment.
        since: when it was launched last, from where on failures count.
        progress: when a trial was begun, heard of or ended last; None for never.
    """

    now: float
    since: float
    progress: float | None

    @property
    def silent(self) -> float:
        """Seconds without a sign."""
        return self.now - max(self.since, self.progress or 0.0)


@dataclass(frozen=True)
class Letter:
    """One event for one channel.

    Attributes:
        event: its id.
        tries: deliveries that began, this one included.
        notice: what is to be said, JSON-ready.
    """

    event: str
    channel: str
    tries: int
    notice: Mapping[str, Any]


class Outbox:
    """The rows of one study.

    Args:
        store: the database.
        record: the study.

    Raises:
        StorageError: (all methods) the database does not let us write.
    """

    def __init__(self, store: Database, record: StudyRecord) -> None:
        self._store = store
        self._study_id = record.study_id

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._store.rdb.engine.begin() as connection:
                yield connection
        except ProgrammingError as error:
            raise StorageError(f"cannot note what there is to say of the study: {reason(error)}") from error

    def pulse(self) -> Pulse:
        """Whether the study moves."""
        columns = tables.studies.c
        wanted = select(columns.failures_since, columns.progress_at).where(columns.study_id == self._study_id)
        with self._begin() as connection:
            now = self._store.now(connection)
            since, progress = connection.execute(wanted).one()
        return Pulse(now=now, since=since, progress=progress)

    def known(self, event: str) -> set[str]:
        """Channels for which there is a row of this event."""
        columns = tables.notices.c
        with self._begin() as connection:
            wanted = select(columns.channel).where(columns.study_id == self._study_id, columns.event == event)
            return set(connection.execute(wanted).scalars())

    def put(self, event: str, channels: Collection[str], notice: Mapping[str, Any]) -> None:
        """Adds an event for each channel, unless somebody else does so at that moment."""
        for channel in channels:
            with contextlib.suppress(IntegrityError), self._begin() as connection:
                now = self._store.now(connection)
                connection.execute(
                    insert(tables.notices).values(
                        study_id=self._study_id,
                        event=event,
                        channel=channel,
                        notice=dict(notice),
                        created_at=now,
                        due_at=now,
                        tries=0,
                    )
                )

    def take(self, channels: Collection[str], seconds: float) -> Letter | None:
        """A letter that is due, which nobody else gets for so many seconds; None where there is none."""
        columns = tables.notices.c
        with self._begin() as connection:
            now = self._store.now(connection)
            due = self._open(channels) & (columns.due_at <= now)
            row = connection.execute(select(tables.notices).where(due).order_by(columns.created_at)).mappings().first()
            if row is None:
                return None
            mine = update(tables.notices).where(
                self._of(row["event"], row["channel"]), columns.due_at == row["due_at"], columns.delivered_at.is_(None)
            )
            taken = connection.execute(mine.values(due_at=now + seconds, tries=columns.tries + 1))
            if taken.rowcount == 0:  # somebody was quicker
                return None
            return Letter(row["event"], row["channel"], row["tries"] + 1, row["notice"])

    def delivered(self, letter: Letter) -> None:
        """It arrived."""
        with self._begin() as connection:
            values = {"delivered_at": self._store.now(connection), "error": None}
            connection.execute(update(tables.notices).where(self._of(letter.event, letter.channel)).values(**values))

    def failed(self, letter: Letter, error: str, seconds: float) -> None:
        """It did not arrive, for a reason without secrets; it is due again in so many seconds."""
        with self._begin() as connection:
            values = {"due_at": self._store.now(connection) + seconds, "error": error}
            connection.execute(update(tables.notices).where(self._of(letter.event, letter.channel)).values(**values))

    def waiting(self, channels: Collection[str]) -> bool:
        """Whether a letter for these channels is still to be delivered, by whomever."""
        with self._begin() as connection:
            return connection.execute(select(tables.notices.c.event).where(self._open(channels))).first() is not None

    def _open(self, channels: Collection[str]) -> ColumnElement[bool]:
        columns = tables.notices.c
        wanted = or_(*(columns.channel == channel for channel in channels))
        return (columns.study_id == self._study_id) & columns.delivered_at.is_(None) & wanted

    def _of(self, event: str, channel: str) -> ColumnElement[bool]:
        columns = tables.notices.c
        return (columns.study_id == self._study_id) & (columns.event == event) & (columns.channel == channel)
