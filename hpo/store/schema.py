"""Which version a database's tables have, Optuna's and ours, and how they come to the present one.

`hpo migrate`, and `hpo launch` on a SQLite file, bring them there. Everything else only looks, and refuses what it
does not know: in tables of another version nobody can tell what a row means.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import optuna
from alembic import command
from alembic.config import Config
from sqlalchemy import ColumnElement, Connection, inspect, select, text

from hpo.errors import StorageError
from hpo.store import tables

log = logging.getLogger(__name__)

BEFORE = "0000"  # hpo 0.1.0 knew no steps and kept a number; its tables are those that the first step makes
FIRST = "0001"
LEASES_SHOWN = 3
_VERSIONS: list[str] = []


def check(storage: optuna.storages.RDBStorage, place: str) -> None:
    """Whether this hpo can work with the tables as they are.

    Raises:
        StorageError: they are missing, older or newer; the message says what to do.
    """
    with storage.engine.connect() as connection:
        found = _revision(connection)
    if found is None:
        raise StorageError(f"the database {place} has no hpo tables; `hpo migrate` makes them")
    refuse_other(found, place)
    if storage.get_current_version() != _optunas(storage)[0]:
        _refuse_newer_optuna(storage, place)
        raise StorageError(
            f"Optuna's tables in the database {place} are of an older version; `hpo migrate` upgrades them"
        )


def refuse_other(revision: str, place: str) -> None:
    """Raises StorageError unless our tables have the version that this hpo knows."""
    if revision < tables.REVISION:
        raise StorageError(
            f"the database {place} has schema {revision}, this hpo needs {tables.REVISION}; `hpo migrate` upgrades it"
        )
    if revision > tables.REVISION:
        raise StorageError(
            f"the database {place} has schema {revision}, this hpo knows {tables.REVISION}; "
            "install the hpo that upgraded it, or a newer one"
        )


def migrate(storage: optuna.storages.RDBStorage, place: str, now: ColumnElement[float]) -> None:
    """Makes our tables, or upgrades them and Optuna's; changes nothing where all is well.

    To be called under the lock of the schema. Whatever ends it half-way, it can be called again.

    Args:
        storage: opened, its tables made, their version not looked at.
        place: the database, for messages.
        now: its clock.

    Raises:
        StorageError: tables are newer than this hpo knows, or somebody works with them.
    """
    outdated = storage.get_current_version() != _optunas(storage)[0]
    if outdated:
        _refuse_newer_optuna(storage, place)
    with storage.engine.begin() as connection:
        before = _revision(connection)
        if before is not None:
            if before > tables.REVISION:
                refuse_other(before, place)
            if outdated or before < tables.REVISION:
                _refuse_leases(connection, place, now)
        if before != tables.REVISION:
            _upgrade(connection)
    if outdated:
        with _logging_as_it_is():
            storage.upgrade()
    if before not in (None, tables.REVISION):
        log.info("upgraded the tables of %s from schema %s to %s", place, before, tables.REVISION)


def _revision(connection: Connection) -> str | None:
    """The version of our tables; None where there are none."""
    inspector = inspect(connection)
    if not inspector.has_table(tables.schema.name):
        return None
    if _has_a_number(connection):
        return BEFORE
    return connection.execute(select(tables.schema.c.version_num)).scalar_one_or_none()


def _has_a_number(connection: Connection) -> bool:
    """Whether the tables are those of hpo 0.1.0."""
    return "version" in {column["name"] for column in inspect(connection).get_columns(tables.schema.name)}


def _upgrade(connection: Connection) -> None:
    """All steps that are missing, in the connection's transaction: on both kinds of databases all of them or none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    if inspect(connection).has_table(tables.schema.name) and _has_a_number(connection):
        connection.execute(text("drop table hpo_schema"))
        command.stamp(config, FIRST)
    command.upgrade(config, "head")


def _refuse_leases(connection: Connection, place: str, now: ColumnElement[float]) -> None:
    """Raises StorageError while a lease is live. On a server no new one can be taken until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("lock table hpo_trials in access exclusive mode"))
    columns = tables.trials.c
    live = select(tables.studies.c.name, columns.number, columns.worker).where(
        columns.study_id == tables.studies.c.study_id, columns.expires_at > now
    )
    held = [f"{worker} (study {name}, trial {number})" for name, number, worker in connection.execute(live)]
    if held:
        more = f" and {len(held) - LEASES_SHOWN} more" if len(held) > LEASES_SHOWN else ""
        raise StorageError(
            f"the tables of {place} are older and cannot be upgraded while workers hold leases: "
            f"{', '.join(held[:LEASES_SHOWN])}{more}. `hpo stop NAME` asks a study's workers to finish; then try again"
        )


def _optunas(storage: optuna.storages.RDBStorage) -> list[str]:
    """The versions that this Optuna knows, the newest first. It reads all of its steps to tell, so it is asked once."""
    if not _VERSIONS:
        _VERSIONS.extend(storage.get_all_versions())
    return _VERSIONS


def _refuse_newer_optuna(storage: optuna.storages.RDBStorage, place: str) -> None:
    if storage.get_current_version() not in _optunas(storage):
        raise StorageError(
            f"Optuna's tables in the database {place} are of version {storage.get_current_version()}, newer than "
            f"optuna {optuna.__version__} knows; install the optuna that upgraded them, or a newer one"
        )


@contextlib.contextmanager
def _logging_as_it_is() -> Iterator[None]:
    """Keeps Optuna's steps from configuring all logging anew, as they do where the root logger has no handler."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
