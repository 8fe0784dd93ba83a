"""A study that was searched, and evaluations of it by processes that train nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo.store import Claims, DataRecord, Store, TrialRecord
from tests.cli.run import Run, call
from tests.support import FAST, TESTS, create, definition, fake_server, open_store, prepared_record, work_off


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data cache with one small real data set."""
    folder = tmp_path_factory.mktemp("cache")
    prepared_record(folder)
    return folder


class Searched:
    """A study `s` of which four trials ended, and the command on it."""

    def __init__(self, folder: Path, cache: Path, record: DataRecord, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.patch = folder, cache, patch
        self.store: Store = open_store(folder)
        self.url = f"sqlite:///{folder / 'hpo.db'}"
        self.diary = folder / "diary"
        patch.setenv("FAKE_DIARY", str(self.diary))
        patch.setattr("hpo.worker.ForkServer", lambda log: fake_server())
        create(self.store, definition(budget={"trials": 4}), record)
        work_off(Claims(self.store, "s", "a", FAST))

    def arguments(self, *args: str) -> list[str]:
        """The command line of an evaluation that ranks only: nothing is trained, so there is nothing to test."""
        return ["evaluate", "s", "--no-test", *args, *self.places()]

    def places(self) -> list[str]:
        """The options of a command that works."""
        places = {
            "storage": self.url,
            "artifacts": str(self.folder / "artifacts"),
            "cache": str(self.cache),
            "lease": str(FAST.lease),
            "renew": str(FAST.renew),
        }
        return [word for name, value in places.items() for word in (f"--{name}", value)]

    def plan(self, **plan: object) -> None:
        """What the children of evaluations started after this do."""
        self.patch.setenv("FAKE", json.dumps(plan))

    def evaluate(self, *args: str) -> Run:
        """The command in this process."""
        return call(*self.arguments(*args))

    def report(self, *args: str) -> Any:
        """What it finds out."""
        run = self.evaluate(*args, "--json")
        assert run.code == 0, run.err
        return run.json()

    def process(self, *args: str) -> subprocess.Popen[bytes]:
        """The command in a process and a process group of its own."""
        code = (
            "import sys; import hpo.worker; from tests.support import fake_server; from hpo.cli import main\n"
            "hpo.worker.ForkServer = lambda log: fake_server()\n"
            "main(sys.argv[1:])"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, *self.arguments(*args)], cwd=TESTS.parent, start_new_session=True
        )

    def starts(self) -> list[tuple[int, int]]:
        """(number, attempt) of every start of a child, in order."""
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        return [(int(number), int(attempt)) for number, attempt, *_ in map(str.split, lines)]

    def wait_for_starts(self, n: int) -> None:
        """Until so many children have been started."""
        deadline = time.monotonic() + 60
        while len(self.starts()) < n:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.starts())} of {n} children were started")
            time.sleep(0.02)

    def trials(self, sibling: str = "evaluate") -> list[TrialRecord]:
        """Of the study beside it."""
        return self.store.trials(f"s/{sibling}")


@pytest.fixture
def searched(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Searched:
    """A study that was searched."""
    return Searched(tmp_path, cache, prepared_record(cache), monkeypatch)
