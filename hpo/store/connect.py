"""Opens a database: checks its address, tames SQLite, creates the tables once."""

import contextlib
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from sqlalchemy import Engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from hpo.errors import StorageError
from hpo.store import tables
from hpo.store.lock import StudyLock

log = logging.getLogger(__name__)
T = TypeVar("T")

BUSY_SECONDS = 60  # that SQLite waits for another writer
RETRY_SECONDS = 600.0
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p"}


def redacted(url: str) -> str:
    """The address without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not an address)"


def sqlite_file(url: str) -> Path:
    """The file of a SQLite address.

    Raises:
        StorageError: no SQLite address, or one in memory, which no second process could see.
    """
    try:
        parsed: URL = make_url(url)
    except ArgumentError as error:
        raise StorageError("the storage is no database address; accepted: sqlite:///PATH") from error
    if parsed.get_backend_name() != "sqlite":
        raise StorageError(
            f"storage {redacted(url)}: {parsed.get_backend_name()} is known, but not built yet; "
            "accepted: sqlite:///PATH (one machine)"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError(f"storage {redacted(url)}: workers are processes and need a file: sqlite:///PATH")
    return Path(parsed.database)


def open_storage(url: str, *, create: bool) -> optuna.storages.RDBStorage:
    """Optuna's storage on `url`, made safe for several processes.

    Args:
        url: a SQLAlchemy address.
        create: make the file and the tables where they are missing, else refuse.

    Raises:
        StorageError: the address, the file or the schema cannot be used; the message says why and what to do.
    """
    path = sqlite_file(url)
    if not create and not path.exists():
        raise StorageError(
            f"there is no database {path} yet; `hpo launch STUDY.toml` makes one, --storage names another"
        )
    if create:
        _writable(path)
    _refuse_network(path)
    try:
        with StudyLock(path.with_name(path.name + ".locks") / "schema").hold():
            storage = optuna.storages.RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}}, skip_table_creation=not create
            )
            _tame(storage.engine)
            _check_schema(storage.engine, path, create=create)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, RuntimeError) as error:
        raise StorageError(f"cannot use the database {path}: {_reason(error)}") from error
    return storage


def _reason(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error.__cause__ or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write the database {path}: {error.strerror}; --storage sqlite:///PATH names another place"
        ) from error
    if not os.access(path, os.W_OK):
        raise StorageError(f"cannot write the database {path}: permission denied")


def mounts() -> list[tuple[str, str]]:
    """Mount point and kind of every mounted file system; empty where the system does not tell."""
    table = Path("/proc/mounts")
    if not table.exists():
        return []
    fields = [line.split() for line in table.read_text().splitlines()]
    return [(point.replace("\\040", " "), kind) for _, point, kind, *_ in fields]


def _refuse_network(path: Path) -> None:
    """SQLite's locks do not hold on network file systems; a study there would be corrupted."""
    resolved = path.resolve()
    over = [(Path(point), kind) for point, kind in mounts() if resolved.is_relative_to(point)]
    _, kind = max(over, key=lambda mount: len(mount[0].parts), default=(None, ""))
    if kind in _NETWORK:
        raise StorageError(
            f"the database {path} lies on a network file system ({kind}), where SQLite's locks do not hold; "
            "--storage sqlite:///PATH names another place"
        )


def _tame(engine: Engine) -> None:
    """Each transaction takes the write lock when it begins, so that what was read cannot change before the write.

    pysqlite begins transactions late and by itself; SQLite has no SELECT ... FOR UPDATE.
    See https://docs.sqlalchemy.org/en/20/dialects/sqlite.html (serializable isolation).
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")  # readers such as a dashboard do not block writers
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives a power cut

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections made before the events were set


def _check_schema(engine: Engine, path: Path, *, create: bool) -> None:
    if not inspect(engine).has_table("hpo_schema"):
        if not create:
            raise StorageError(f"the database {path} has no hpo tables; `hpo launch STUDY.toml` makes them")
        with engine.begin() as connection:
            tables.metadata.create_all(connection)
            connection.execute(insert(tables.schema).values(version=tables.SCHEMA_VERSION))
    with engine.begin() as connection:
        version = connection.execute(select(tables.schema.c.version)).scalar_one()
    if version != tables.SCHEMA_VERSION:
        raise StorageError(
            f"the database {path} has schema {version}, this hpo knows {tables.SCHEMA_VERSION}; "
            "use the hpo that made it"
        )


def retried(call: Callable[[], T], *, for_seconds: float = RETRY_SECONDS) -> T:
    """Calls, and calls again with jittered back-off while the database cannot be used.

    A training goes on meanwhile in its own process. After `for_seconds` the last error is raised.

    Raises:
        StorageError: the database could not be used for that long.
    """
    began = time.monotonic()
    pause = 0.1
    while True:
        try:
            return call()
        except (OperationalError, optuna.exceptions.StorageInternalError) as error:
            if time.monotonic() - began > for_seconds:
                raise StorageError(
                    f"the database could not be used for {for_seconds:.0f} s: {_reason(error)}"
                ) from error
            log.warning("the database cannot be used: %s; trying again in %.1f s", _reason(error), pause)
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(10.0, pause * 2)


@contextlib.contextmanager
def quiet_optuna() -> Any:
    """Without Optuna's own log lines, which repeat what our commands print."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
