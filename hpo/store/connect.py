"""Opens a database: finds out its kind, creates the tables once, tries again while it cannot be used."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import optuna
from sqlalchemy import ColumnElement
from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hpo.errors import StorageError, reason
from hpo.store import schema
from hpo.store.address import ACCEPTED, parse, redacted
from hpo.store.lock import LEAVING_SECONDS, LockHeldError
from hpo.store.postgres import PostgreSQL
from hpo.store.reading import Reading
from hpo.store.sqlite import SQLite

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_SECONDS = 600.0
# What says that the database is away, busy or changing places; all else is a mistake of ours.
OUTAGE = (
    OperationalError,
    InternalError,
    InterfaceError,
    PoolTimeoutError,
    optuna.exceptions.StorageInternalError,
)
SCHEMA_LOCK = "schema"  # no study is called so: its lock is called NAME.lock


class Lock(Protocol):
    """Something that one holder has at a time, over all processes."""

    def hold(self, give_up: threading.Event | None = None) -> AbstractContextManager[Callable[[], None]]:
        """Waits for it, a few seconds only once `give_up` is set.

        Yields a function that raises LockLostError if it was lost meanwhile.
        """

    def remove(self) -> None:
        """Removes what is left of it where nobody needs it any more; harmless if somebody does."""


class Backend(Protocol):
    """A kind of database.

    Attributes:
        place: where it is, for messages; without a password.
        server: it is shared by machines, and only `hpo migrate` makes tables there.
        now: its clock, seconds since 1970 in UTC, as an expression.
        began: when its server was started, by the same clock; 0 where there is none.
    """

    place: str
    server: bool
    now: ColumnElement[float]
    began: ColumnElement[float]

    def check(self, *, create: bool) -> None:
        """Raises StorageError where it cannot be used."""

    def lock(self, name: str) -> Lock:
        """The lock of that name."""

    def open(self, *, create: bool, read_only: bool) -> Reading:
        """Optuna's storage, safe for several processes; the version of its tables is the caller's to look at.

        Args:
            create: make Optuna's tables where they are missing.
            read_only: have the database refuse every change.
        """

    def close(self) -> None:
        """Gives back what it holds."""


def backend(url: str) -> Backend:
    """The kind of database that an address speaks of.

    Raises:
        StorageError: it is no address, or of a kind that cannot be used.
    """
    parsed = parse(url)
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite(parsed)
        case "postgresql":
            return PostgreSQL(parsed)
        case other:
            raise StorageError(f"storage {redacted(url)}: {other} is known, but not built yet; {ACCEPTED}")


def on_server(url: str) -> bool:
    """Whether several machines can share the database, so that nothing but `hpo migrate` makes tables there.

    Raises:
        StorageError: it is no address, or of a kind that cannot be used.
    """
    return backend(url).server


def missing(url: str) -> bool:
    """Whether the database is a file, and not there yet.

    Raises:
        StorageError: it is no address, or of a kind that cannot be used.
    """
    database = backend(url)
    return not database.server and not Path(database.place).exists()


def open_storage(database: Backend, *, create: bool, read_only: bool = False) -> Reading:
    """Optuna's storage with our tables beside its own.

    Args:
        database: what to open.
        create: make the database and the tables where they are missing, and upgrade older ones; else refuse.
        read_only: have the database refuse every change.

    Raises:
        StorageError: the database or its schema cannot be used; the message says why and what to do.
    """
    database.check(create=create)
    try:
        # Who only reads needs no lock, and may not be allowed to make one.
        with contextlib.nullcontext() if read_only else database.lock(SCHEMA_LOCK).hold():
            storage = database.open(create=create, read_only=read_only)
            with contextlib.ExitStack() as stack:
                stack.callback(storage.engine.dispose)
                stack.callback(storage.remove_session)
                if create:
                    schema.migrate(storage, database.place, database.now)
                schema.check(storage, database.place)
                stack.pop_all()  # all is well: it stays open
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, RuntimeError) as error:
        raise StorageError(f"cannot use the database {database.place}: {reason(error)}") from error
    return storage


def is_outage(error: BaseException | None) -> bool:
    """Whether an error of ours says that the database was away."""
    return error is not None and isinstance(error.__cause__, OUTAGE)


def passes(error: BaseException | None) -> bool:
    """Whether an error of ours says no more than that nobody could write just then: others may, a little later."""
    return is_outage(error) or isinstance(error, LockHeldError)


def retried(
    call: Callable[[], T],
    *,
    give_up: threading.Event | None = None,
    for_seconds: float = RETRY_SECONDS,
    waited: Callable[[float], None] = lambda seconds: None,
) -> T:
    """Calls, and calls again with jittered back-off while the database cannot be used.

    A training goes on meanwhile in its own process.

    Args:
        call: to be repeated: it must not matter whether an earlier try was carried out.
        give_up: once set, tries go on for a few seconds only.
        for_seconds: how long to try otherwise.
        waited: told before each further try how many seconds the one before and the pause after it took.

    Raises:
        StorageError: the database could not be used for that long.
    """
    began = time.monotonic()
    pause = 0.1
    while True:
        tried = time.monotonic()
        try:
            return call()
        except OUTAGE as error:
            leaving = give_up is not None and give_up.is_set()
            limit = min(for_seconds, LEAVING_SECONDS) if leaving else for_seconds
            left = limit - (time.monotonic() - began)
            if left < 0:
                raise StorageError(f"the database could not be used for {limit:.0f} s: {reason(error)}") from error
            wait = min(left, pause * random.uniform(0.5, 1.0))
            log.warning("the database cannot be used: %s; trying again in %.1f s", reason(error), wait)
        if give_up is None or give_up.is_set():
            time.sleep(wait)
        else:
            give_up.wait(wait)
        waited(time.monotonic() - tried)
        pause = min(10.0, pause * 2)


@contextlib.contextmanager
def held(lock: Lock, give_up: threading.Event | None) -> Iterator[Callable[[], None]]:
    """Holds a lock, and takes what others wrote meanwhile for what it is: a sign that it was lost.

    Raises:
        LockLostError: it was lost.
        LockHeldError: it could not be had in time.
    """
    with lock.hold(give_up) as still_held:
        try:
            yield still_held
        except (IntegrityError, optuna.exceptions.UpdateFinishedTrialError):
            still_held()
            raise


@contextlib.contextmanager
def quiet_optuna() -> Any:
    """Without Optuna's own log lines, which repeat what our commands print."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
