"""SQLite: one file on one machine. Tamed so that several processes can share it."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, event, func, literal
from sqlalchemy.engine import URL

from hpo.errors import StorageError
from hpo.store.lock import StudyLock
from hpo.store.reading import Reading

BUSY_SECONDS = 5  # that SQLite waits for another writer, before the call is tried again
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p"}


class SQLite:
    """A database file.

    Args:
        url: its address.

    Raises:
        StorageError: an address in memory, which no second process could see.
    """

    server = False
    # julianday counts days from 4714 BC; 2440587.5 is 1970-01-01
    now: ColumnElement[float] = (func.julianday("now") - 2440587.5) * 86400.0
    began: ColumnElement[float] = literal(0.0)

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise StorageError(f"storage {url}: workers are processes and need a file: sqlite:///PATH")
        self._url = url
        self._path = Path(url.database)
        self.place = str(self._path)
        self._opened: tuple[int, int] | None = None  # device and inode of the file that is open

    def lock(self, name: str) -> StudyLock:
        """An flock on a file beside the database."""
        folder = self._path.with_name(self._path.name + ".locks")
        return StudyLock(folder / name.replace("/", ":"), guard=self._still_there)

    def _still_there(self) -> None:
        """SQLite would go on in a file that was removed, and acknowledge results that nobody can ever read."""
        if self._opened is None:
            return
        try:
            there = self._path.stat()
        except FileNotFoundError as error:
            raise StorageError(f"the database {self._path} was removed while it was in use") from error
        if (there.st_dev, there.st_ino) != self._opened:
            raise StorageError(f"the database {self._path} was replaced while it was in use")

    def check(self, *, create: bool) -> None:
        """Whether the file can be used.

        Raises:
            StorageError: it is missing, cannot be written, or lies where locks do not hold.
        """
        if not create and not self._path.exists():
            raise StorageError(
                f"there is no database {self._path} yet; `hpo launch STUDY.toml` makes one, --storage names another"
            )
        if create:
            _writable(self._path)
        _refuse_network(self._path)

    def open(self, *, create: bool, read_only: bool) -> Reading:
        """Optuna's storage on the file, with its tables made when `create` is true."""
        url = _unchanging(self._path) if read_only and _frozen(self._path) else self._url
        storage = Reading(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}, "max_overflow": -1},
            skip_table_creation=not create,
            skip_compatibility_check=True,  # schema.check has better words
        )
        _tame(storage.engine, read_only=read_only)
        opened = self._path.stat()
        self._opened = (opened.st_dev, opened.st_ino)
        return storage

    def close(self) -> None:
        """A file lock holds nothing between its uses."""


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


def _frozen(path: Path) -> bool:
    """Whether nobody writes the file, nor can, so that it has to be read without the files that SQLite keeps beside it.

    Who reads makes these files too (https://sqlite.org/wal.html#read_only_databases), which a folder that cannot be
    written forbids, unless somebody at work has made them.

    Raises:
        StorageError: its last changes are in one of them, and the other one is missing.
    """
    wal, shm = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if os.access(path.parent, os.W_OK) or shm.exists():
        return False
    if wal.exists() and wal.stat().st_size:
        raise StorageError(
            f"the last changes of the database {path} are in {wal.name}, and to read them SQLite has to write into the "
            f"folder, which is not allowed here. Copy {path.name} and {wal.name} to a folder of yours, and name the "
            "copy with --storage sqlite:///PATH"
        )
    return True


def _unchanging(path: Path) -> URL:
    """The address by which SQLite reads a file that nobody changes, and nothing beside it."""
    return URL.create("sqlite", database=path.resolve().as_uri(), query={"immutable": "1", "uri": "true"})


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


def _tame(engine: Engine, *, read_only: bool) -> None:
    """Each transaction takes the write lock when it begins, so that what was read cannot change before the write.

    One that only reads takes none, and sees one state of the file from its first statement to its last.

    pysqlite begins transactions late and by itself; SQLite has no SELECT ... FOR UPDATE.
    See https://docs.sqlalchemy.org/en/20/dialects/sqlite.html (serializable isolation).
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        if read_only:
            connection.execute("PRAGMA query_only=ON")
            return
        connection.execute("PRAGMA journal_mode=WAL")  # readers such as a dashboard do not block writers
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives a power cut

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    engine.dispose()  # connections made before the events were set
