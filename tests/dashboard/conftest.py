"""The study that the dashboard's tests look at, made once, and a dashboard on a copy of it for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.dashboard import accounts
from tests.dashboard.client import Client
from tests.dashboard.place import Place, bare, make_study, open_place


@pytest.fixture(scope="module", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """Passwords that are hashed a thousand times as fast as they should be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "COST", 2**5)
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study."""
    folder = tmp_path_factory.mktemp("made")
    make_study(folder)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[Place]:
    """Our dashboard, where one has to log in."""
    shutil.copytree(made, tmp_path / "place")
    found = open_place(tmp_path / "place")
    yield found
    found.house.close()


@pytest.fixture
def optuna(made: Path, tmp_path: Path) -> Client:
    """Optuna Dashboard on the same study."""
    return bare(made, tmp_path)
