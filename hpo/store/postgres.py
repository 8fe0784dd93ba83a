"""PostgreSQL by psycopg 3: one database for many nodes.

The lock is an advisory lock on a connection of its own, so that it goes when its holder's connection goes. All sessions
run in UTC, with time limits, so that one that stands still stops nobody for long.
"""

import contextlib
import logging
import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Engine, cast, create_engine, extract, func, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from hpo.errors import MissingExtra, StorageError, reason
from hpo.settings import postgres_variable
from hpo.store.address import shown
from hpo.store.lock import FOR_SECONDS, REPORT_SECONDS, LockHeldError, LockLostError, Patience
from hpo.store.reading import Reading

log = logging.getLogger(__name__)

# Connections of a supervisor: its slots share them, and they are given back after each statement.
POOL_SIZE = 2
MAX_OVERFLOW = 20
# A connection whose other end says nothing for 20 s has ended, for both ends. A cut cable, or a router that forgot of
# a connection, tells nobody: a statement would wait for its answer for a quarter of an hour, and the server would keep
# the lock of a worker that is gone. So short that a renewal that fails can be repeated before its lease runs out.
REACHABLE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 20_000}
SESSION = {
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
}
# The session that holds a lock runs no statement meanwhile. If its process stands still, the server ends it. Who waits
# looks up every few seconds, to hear whether it shall go on.
LOCK_SESSION = {"timezone": "UTC", "statement_timeout": "30s", "lock_timeout": "2s", "idle_session_timeout": "120s"}
LOCK_NOT_AVAILABLE = "55P03"  # what the server says after lock_timeout
NAMESPACE = 0x68706F  # "hpo": the first half of our advisory locks' keys


def _connect_args(session: dict[str, str], url: URL) -> dict[str, Any]:
    """What a connection is asked for, beside what the address or PostgreSQL's own variables say.

    The server's options stand before ours, of which the last holds. Where the address says when a connection has ended,
    that holds for both ends.
    """
    asked = " ".join(url.normalized_query.get("options", ())) or postgres_variable("PGOPTIONS") or ""
    reachable = {name: url.query.get(name, usual) for name, usual in REACHABLE.items()}
    theirs = {f"tcp_{name.removeprefix('tcp_')}": value for name, value in reachable.items()}
    return {
        # who it is, for those who look at the server's sessions, unless it is named; the server keeps 63 characters
        "fallback_application_name": f"hpo {socket.gethostname()[:48]} {os.getpid()}",
        "connect_timeout": url.query.get("connect_timeout") or postgres_variable("PGCONNECT_TIMEOUT") or 10,
        **reachable,
        "options": " ".join([asked, *(f"-c {name}={value}" for name, value in {**session, **theirs}.items())]).strip(),
    }


class PostgreSQL:
    """A database on a server.

    Args:
        url: its address.

    Raises:
        MissingExtra: psycopg is not installed.
    """

    server = True
    now: ColumnElement[float] = cast(extract("epoch", func.clock_timestamp()), Double)
    began: ColumnElement[float] = cast(extract("epoch", func.pg_postmaster_start_time()), Double)

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self.place = shown(url)
        try:
            self._locks = self._engine()
        except ModuleNotFoundError as error:
            raise MissingExtra("psycopg", "postgres", f"storage {self.place}") from error

    def _engine(self) -> Engine:
        return create_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=True,
            pool_size=1,
            max_overflow=MAX_OVERFLOW,
            connect_args=_connect_args(LOCK_SESSION, self._url),
        )

    def lock(self, name: str) -> "AdvisoryLock":
        """An advisory lock of the server."""
        return AdvisoryLock(self._locks, name)

    def check(self, *, create: bool) -> None:
        """Whether the server answers, and has our tables unless they are to be made.

        Raises:
            StorageError: it does not, or refuses us; the message has the address without its password.
        """
        try:
            ready = inspect(self._locks).has_table("hpo_schema") or create
        except DBAPIError as error:
            raise StorageError(f"cannot reach the database {self.place}: {reason(error)}") from error
        if not ready:
            raise StorageError(f"the database {self.place} has no hpo tables; `hpo migrate` makes them")

    def open(self, *, create: bool, read_only: bool) -> Reading:
        """Optuna's storage on the server, with its tables made when `create` is true."""
        session = SESSION | {"default_transaction_read_only": "on"} if read_only else SESSION
        # Optuna formats the address: braces in a password would be taken for fields.
        address = self._url.render_as_string(hide_password=False).replace("{", "%7B").replace("}", "%7D")
        return Reading(
            address,
            engine_kwargs={
                "pool_pre_ping": True,
                "pool_size": POOL_SIZE,
                "max_overflow": MAX_OVERFLOW,
                "pool_recycle": 1800,
                "connect_args": _connect_args(session, self._url),
            },
            skip_table_creation=not create,
            skip_compatibility_check=True,  # schema.check has better words
        )

    def close(self) -> None:
        """Ends the sessions for locks."""
        self._locks.dispose()


class AdvisoryLock:
    """One lock, held by a session.

    Args:
        engine: gives connections that commit by themselves.
        name: of the lock.
        for_seconds: how long to wait for it before giving up.
    """

    def __init__(self, engine: Engine, name: str, *, for_seconds: float = FOR_SECONDS) -> None:
        self._engine = engine
        self._name = name
        # two 32-bit halves; names that share a checksum share a lock, which costs time and nothing else
        self._key = {"space": NAMESPACE, "key": zlib.crc32(name.encode()) - (1 << 31)}
        self._for_seconds = for_seconds
        # One thread of a process at a time asks the server: a supervisor's slots need no session each to wait in.
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def hold(self, give_up: threading.Event | None = None) -> Iterator[Callable[[], None]]:
        """Waits for the lock and holds it; yields a function that raises if it was lost meanwhile.

        Raises:
            LockHeldError: it could not be had in time; the message names the holder.
        """
        patience = Patience(self._for_seconds, give_up)
        self._take_turn(patience)
        try:
            with self._engine.connect() as connection:
                try:
                    self._acquire(connection, patience)
                    yield lambda: self._check(connection)
                finally:
                    self._release(connection)
        finally:
            self._turn.release()

    def remove(self) -> None:
        """It leaves nothing."""

    def _take_turn(self, patience: Patience) -> None:
        while not self._turn.acquire(timeout=0.2):
            if patience.over:
                raise LockHeldError(f"the lock {self._name} was held for over {patience.waited:.0f} s by this process")

    def _acquire(self, connection: Connection, patience: Patience) -> None:
        reported = False
        while not self._granted(connection):
            waited = patience.waited
            if patience.over:
                raise LockHeldError(
                    f"the lock {self._name} was held for over {waited:.0f} s by {self._holder(connection)}"
                )
            if waited > REPORT_SECONDS and not reported:
                reported = True
                log.warning("the lock %s is held for %.0f s by %s", self._name, waited, self._holder(connection))

    def _granted(self, connection: Connection) -> bool:
        """Waits in the server's queue, where nobody asks again and again and who came first is served first."""
        try:
            connection.execute(text("select pg_advisory_lock(:space, :key)"), self._key)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            return False
        return True

    def _holder(self, connection: Connection) -> str:
        row = connection.execute(
            text(
                "select pid, client_addr, application_name from pg_stat_activity join pg_locks using (pid) "
                "where locktype = 'advisory' and granted and classid = :space and objid::bigint = :unsigned "
                "and datname = current_database()"
            ),
            {"space": NAMESPACE, "unsigned": self._key["key"] % (1 << 32)},
        ).first()
        if row is None:
            return "nobody any more"
        return f"session {row[0]} of {row[2]} from {row[1] or 'this machine, or where we may not see'}"

    def _check(self, connection: Connection) -> None:
        try:
            connection.execute(text("select 1"))
        except SQLAlchemyError as error:
            raise LockLostError(f"the session that held the lock {self._name} has ended") from error

    def _release(self, connection: Connection) -> None:
        with contextlib.suppress(SQLAlchemyError):  # a session that ended has given its lock back
            # all: a wait that ended in the moment of the grant has left it held, and the next grant counts it twice
            connection.execute(text("select pg_advisory_unlock_all()"))
            return
        connection.invalidate()
