"""Creating, finding and refusing: what a database of studies answers."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from hpo.errors import DataError, StorageError, StudyFileError, UsageError
from hpo.settings import Times
from hpo.space import Float, Space
from hpo.store import Claims, Store, sqlite
from tests.support import SPACES, claimed, completed, create, definition, open_store, record, work_off


def test_the_same_file_again_is_the_same_study(tmp_path: Path) -> None:
    """A second launch finds the study; its budget may have grown."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 2}))
    claims = Claims(store, "s", "a", Times())
    assert work_off(claims) == [0, 1]
    create(store, definition(budget={"trials": 3}))
    assert work_off(claims) == [2]


def test_another_definition_under_an_old_name_is_refused(tmp_path: Path) -> None:
    """What is searched may not change under a name; the message shows the difference."""
    store = open_store(tmp_path)
    create(store, definition())
    with pytest.raises(StudyFileError, match=r"train\.max_epochs: 60 -> 7"):
        create(store, definition(train={"max_epochs": 7}))


def _space(high: float) -> dict[str, object]:
    return {"learning_rate": {"low": 1e-4, "high": high}}


def _spaces(high: float) -> dict[str, Space]:
    rate = Float(low=1e-4, high=high, log=True, default=1e-3)
    return {"lstm": {**SPACES["lstm"], "learning_rate": rate}}


def test_a_wider_range_reaches_everybody(tmp_path: Path) -> None:
    """With `extend` the study takes it over, a worker that runs proposes from it, and old trials stay as they are."""
    store = open_store(tmp_path)
    data = record()
    budget, search = {"trials": 24}, {"sampler": "tpe"}
    narrow = definition(budget=budget, search=search, space=_space(1e-3))
    wide = definition(budget=budget, search=search, space=_space(1e-1))
    store.create(narrow, spaces=_spaces(1e-3), data=data, versions={})
    claims = Claims(store, "s", "a", Times())
    work_off(claims, most=12)
    message = r"(?s)'s' exists with narrower ranges; --extend widens .*- space\.learning_rate\.high: 0\.001 -> 0\.1$"
    with pytest.raises(StudyFileError, match=message):
        store.create(wide, spaces=_spaces(1e-1), data=data, versions={})
    assert store.study("s").spaces == _spaces(1e-3)
    store.create(wide, spaces=_spaces(1e-1), data=data, versions={}, extend=True)
    assert store.study("s").spaces == _spaces(1e-1)
    work_off(claims)
    rates = [float(trial.params["learning_rate"]) for trial in store.trials("s")]
    assert max(rates[:12]) <= 1e-3 < max(rates[12:])
    # the narrower file is another definition now
    with pytest.raises(StudyFileError, match=r"(?s)exists with another definition; .*0\.1 -> 0\.001"):
        store.create(narrow, spaces=_spaces(1e-3), data=data, versions={}, extend=True)


def test_what_cannot_be_extended_is_told_apart(tmp_path: Path) -> None:
    """Beside a wider range, what is refused is listed alone."""
    store = open_store(tmp_path)
    data = record()
    store.create(definition(space=_space(1e-3)), spaces=_spaces(1e-3), data=data, versions={})
    changed = definition(space=_space(1e-1), train={"patience": 3})
    with pytest.raises(StudyFileError, match=r"with --extend ranges .*1 mistake\n  - train\.patience: 10 -> 3$"):
        store.create(changed, spaces=_spaces(1e-1), data=data, versions={}, extend=True)


@pytest.mark.parametrize(("sha256", "split", "what"), [("f" * 64, "e" * 64, "data"), ("d" * 64, "f" * 64, "split")])
def test_changed_data_under_a_running_study_are_refused(tmp_path: Path, sha256: str, split: str, what: str) -> None:
    """Scores on other data or another split would not compare: exit code 3, both hashes named."""
    store = open_store(tmp_path)
    create(store, definition())
    with pytest.raises(DataError, match=f"the {what} changed since it was created.*ffffffffffff now") as caught:
        create(store, definition(), record(sha256, split))
    assert caught.value.exit_code == 3


def test_a_study_that_somebody_else_made_is_left_alone(tmp_path: Path) -> None:
    """A name that Optuna knows and hpo did not make is refused: its trials are not ours to count."""
    store = open_store(tmp_path)
    foreign = optuna.create_study(study_name="s", storage=store.rdb, direction="maximize")
    foreign.tell(foreign.ask(), 0.5)
    with pytest.raises(UsageError, match="has a study 's' that hpo did not make"):
        create(store, definition())
    assert len(foreign.trials) == 1


def test_an_unknown_study_names_the_nearest(tmp_path: Path) -> None:
    """A mistyped name is answered with the names that there are."""
    store = open_store(tmp_path)
    create(store, definition("har-lstm"))
    with pytest.raises(UsageError, match=r"no study 'har-lsm' .*did you mean 'har-lstm'\?"):
        store.study("har-lsm")


def test_a_new_study_waits_for_workers(tmp_path: Path) -> None:
    """Nobody has worked on it, nothing is best, and its status says so."""
    store = open_store(tmp_path)
    create(store, definition())
    status = store.status("s")
    assert (status.state, status.best, status.counts["waiting"]) == ("waiting", None, 1)


def _folder_in_place_of_file(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db"


def _below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("x")
    return tmp_path / "file" / "db"


@pytest.mark.parametrize("where", [_folder_in_place_of_file, _below_a_file])
def test_an_unwritable_storage_is_named(tmp_path: Path, where: object) -> None:
    """The message names the file and the option that names another."""
    path = where(tmp_path)  # type: ignore[operator]  # one of the two above
    with pytest.raises(StorageError, match=r"cannot write the database .*--storage") as caught:
        Store(f"sqlite:///{path}", create=True)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///:memory:", "need a file"),
        ("sqlite://", "need a file"),
        ("mysql://u:secret@h/db", "known, but not built yet"),
        ("postgresql://u:secret@127.0.0.1:1/db", "cannot reach the database postgresql://u:\\*\\*\\*@127.0.0.1:1/db"),
        ("nonsense", "no database address"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, message: str) -> None:
    """What was received (without its password), and what is accepted."""
    with pytest.raises(StorageError, match=message) as caught:
        Store(url, create=True)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    """Commands that only look make no database."""
    with pytest.raises(StorageError, match="there is no database"):
        Store(f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_removed_under_a_worker(tmp_path: Path, replaced: bool) -> None:
    """No result is acknowledged into a file that nobody can find any more."""
    store = open_store(tmp_path)
    create(store, definition())
    claims = Claims(store, "s", "a", Times())
    claim = claimed(claims)
    for file in tmp_path.glob("hpo.db*"):
        if file.is_file():
            file.unlink()
    if replaced:
        create(open_store(tmp_path), definition())
    with pytest.raises(StorageError, match="was replaced" if replaced else "was removed"):
        claims.finish(claim, completed())


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Some other file is left alone."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        Store(f"sqlite:///{path}", create=True)
    assert path.read_text().startswith("dear diary")


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks do not hold there. The list of mounts is the only thing made up here."""
    monkeypatch.setattr(sqlite, "mounts", lambda: [("/", "ext4"), (str(tmp_path), "nfs4")])
    with pytest.raises(StorageError, match=r"network file system \(nfs4\)"):
        open_store(tmp_path)


def test_reading_waits_for_nobody_and_changes_nothing(tmp_path: Path) -> None:
    """Commands that only look read a file while somebody writes it, make no lock, and could not write if they tried."""
    create(open_store(tmp_path), definition())
    shutil.rmtree(tmp_path / "hpo.db.locks")
    with contextlib.closing(sqlite3.connect(tmp_path / "hpo.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with Store(f"sqlite:///{tmp_path / 'hpo.db'}", read_only=True) as reader:
            assert reader.status("s").state == "waiting"
            writer.execute("ROLLBACK")
            with pytest.raises(OperationalError, match="readonly database"):
                reader.request_stop("s")
    assert not (tmp_path / "hpo.db.locks").exists()


def test_the_database_clock_tells_the_time(tmp_path: Path) -> None:
    """Leases go by the database's clock: here it is this machine's."""
    import time

    store = open_store(tmp_path)
    with store.rdb.engine.begin() as connection:
        before, now, after = time.time(), store.now(connection), time.time()
    assert before - 0.01 <= now <= after + 0.01  # SQLite counts in milliseconds
