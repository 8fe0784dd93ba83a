"""What the tests of the cache share."""

from pathlib import Path

import pytest

from hpo.data import Raw, ucr
from tests.data.files import write_pair


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The beginning of the made-up data set's files."""
    return write_pair(tmp_path / "files")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache's root that is not there yet."""
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever the source parses its files."""
    happened: list[str] = []
    original = ucr.read

    def read(options: ucr.Options) -> Raw:
        happened.append(options.path)
        return original(options)

    monkeypatch.setattr(ucr, "read", read)
    return happened
