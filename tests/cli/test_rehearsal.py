"""`hpo launch --dry-run` and `hpo evaluate --dry-run`: they promise nothing that the command itself would refuse."""

from pathlib import Path

import pytest

from hpo.prepare import prepare
from hpo.store import Store
from tests.cli.run import TINY, Run, call
from tests.study.files import changed, write

URL = "sqlite:///.hpo/hpo.db"
RANGE = {"space/units": {"low": 2, "high": 16}}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, in which the commands are given."""
    monkeypatch.chdir(tmp_path)


def dry(*options: str, **changes: object) -> Run:
    """A launch of the tiny study with these keys changed, which changes nothing."""
    file = write(Path(), changed(TINY, RANGE | {key.replace("__", "/"): value for key, value in changes.items()}))
    before = database()
    run = call("launch", file, *options, "--dry-run")
    assert database() == before
    return run


def database() -> dict[Path, bytes]:
    """What its files hold; none where there is none."""
    held = {path: path.read_bytes() for path in map(Path, (".hpo/hpo.db", ".hpo/hpo.db-wal")) if path.exists()}
    return {path: content for path, content in held.items() if content}


@pytest.fixture
def _study() -> None:
    """The study as it stands in `dry`."""
    found = prepare(write(Path(), changed(TINY, RANGE)), Path(".hpo/cache"))
    with Store(URL, create=True) as store:
        store.create(found.definition, spaces=found.spaces, data=found.record, versions={})


def test_a_new_study() -> None:
    """It is said to be new, with or without a database, and none is made."""
    assert "\nstudy tiny: new\n" in dry().out
    with Store(URL, create=True):
        assert "\nstudy tiny: new\n" in dry().out


@pytest.mark.usefixtures("_study")
def test_a_study_that_exists() -> None:
    """It is said to go on, with the ranges that would get wider; what a launch would refuse is refused."""
    assert "\nstudy tiny: going on. 0 complete" in dry(budget__trials=9).out
    wider = {"space__units": {"low": 2, "high": 32}}
    assert "\nto be extended: space.units.high: 16 -> 32\n" in dry("--extend", **wider).out
    for run, message in (
        (dry(**wider), "exists with narrower ranges"),
        (dry(train={"max_epochs": 3}), "exists with another definition"),
        (dry("--extend", train={"max_epochs": 3}), "exists with another definition"),
    ):
        assert (run.code, run.out) == (2, "")
        assert message in run.err


def test_a_database_that_is_away() -> None:
    """The plan is shown all the same: manifests for elsewhere are made where only their workers reach it."""
    run = dry("--storage", "postgresql://me@127.0.0.1:1/none", "--on", "kubernetes", "--artifacts", "s3://bucket/p")
    assert run.code == 0, run.err
    assert "nobody looked whether there is a study tiny" in run.err
    assert "kind: Job" in run.out
