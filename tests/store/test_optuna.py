"""Optuna's own contract of a storage, on ours: the tamed SQLite file and PostgreSQL, cached as all our code uses them.

Each kind is opened once and emptied before every test, for opening takes longer than most of these tests.
"""

import gc
import uuid
import warnings
from collections.abc import Iterator

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase
from sqlalchemy import MetaData

from hpo.store import Store
from hpo.store.seen import Cache
from tests.postgres import Server


def opened(url: str) -> Iterator[tuple[Store, MetaData]]:
    """An empty database, and the tables that it has."""
    with Store(url, create=True) as store:
        found = MetaData()
        found.reflect(store.rdb.engine)
        yield store, found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # the connections of Optuna's threads, see below


def emptied(store: Store, found: MetaData) -> BaseStorage:
    """The storage without a study, with a new cache, as a new process has it."""
    with store.rdb.engine.begin() as connection:
        for table in reversed(found.sorted_tables):
            if table.name not in ("alembic_version", "version_info", "hpo_schema"):
                connection.execute(table.delete())
    return Cache(store.rdb)


# Two of the tests write from threads that end without giving their connections back.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


Opened = tuple[Store, MetaData]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A SQLite database."""
    yield from opened(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'hpo.db'}")


@pytest.fixture(scope="module")
def served(postgres: Server) -> Iterator[Opened]:
    """A PostgreSQL database."""
    yield from opened(postgres.database(f"t{uuid.uuid4().hex}"))


class TestSQLite(StorageTestCase):
    """As `hpo launch` opens a file."""

    @pytest.fixture
    def storage(self, file: Opened) -> BaseStorage:
        """What the tests are about."""
        return emptied(*file)


class TestPostgreSQL(StorageTestCase):
    """As workers open it."""

    @pytest.fixture
    def storage(self, served: Opened) -> BaseStorage:
        """What the tests are about."""
        return emptied(*served)
