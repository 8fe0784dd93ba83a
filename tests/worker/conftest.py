"""What the tests of the supervisor share."""

from pathlib import Path

import pytest

from hpo.store import DataRecord
from tests.support import (
    prepared_record,
)
from tests.worker.bench import Bench


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data cache with one small real data set."""
    folder = tmp_path_factory.mktemp("cache")
    prepared_record(folder)
    return folder


@pytest.fixture(scope="session")
def data_record(cache: Path) -> DataRecord:
    """What the store keeps of it."""
    return prepared_record(cache)


@pytest.fixture
def bench(tmp_path: Path, cache: Path, data_record: DataRecord, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An empty folder and a data cache."""
    return Bench(tmp_path, cache, data_record, monkeypatch)
