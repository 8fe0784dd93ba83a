"""What the tests of faults share: a study of trials that take a second and train nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.store import Store
from tests.faults.check import watch
from tests.support import create, definition, open_store, prepared_record

Begin = Callable[[str, int], Store]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Makes the study "s" in an empty database: ``begin(address, trials)``. Its diary is ``tmp_path / "diary"``."""

    def make(address: str, trials: int) -> Store:
        monkeypatch.setenv("FAKE", json.dumps({"epochs": 4, "pause": 0.25}))
        monkeypatch.setenv("FAKE_DIARY", str(tmp_path / "diary"))
        store = open_store(address)
        create(store, definition(budget={"trials": trials, "retries": 100}), prepared_record(tmp_path / "cache"))
        watch(address)
        return store

    return make
