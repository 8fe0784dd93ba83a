"""Deleting a study: nothing of it stays behind, whoever was killed at it, and nobody loses a trial that runs."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event, inspect, text

from hpo import keeping
from hpo.artifacts.folder import Folder
from hpo.errors import UsageError
from hpo.settings import Times
from hpo.store import Claims, Doomed, Evaluations, Plan, Store, deletion, tables
from hpo.store.connect import quiet_optuna
from hpo.trial import Epoch
from tests.support import claimed, completed, create, definition, open_store, work_off

LEASE = Times().lease


class Clock:
    """Moved by hand."""

    now = 4_000_000_000.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """One for each test."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    """An empty database."""
    return open_store(tmp_path, clock)


def filled(store: Store, artifacts: Path, name: str = "s") -> None:
    """A study of two trials, one of which was lost, with files, and a worker that left."""
    create(store, definition(name, budget={"trials": 2}))
    claims = Claims(store, name, f"{name}-worker", Times())
    claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
    claims.finish(claimed(claims), completed(0.9))
    claims.release(claimed(claims), lost=True)
    claims.roster.leave()
    for number in range(2):
        folder = artifacts / name / str(number)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("some words")


def rows(store: Store) -> dict[str, int]:
    """Table -> number of its rows, Optuna's included; those that say which versions there are left out."""
    names = set(inspect(store.rdb.engine).get_table_names()) - {"hpo_schema", "alembic_version", "version_info"}
    with store.rdb.engine.connect() as connection:
        counted = {name: connection.execute(text(f"select count(*) from {name}")).scalar_one() for name in names}  # noqa: S608 - names of tables
    return {name: count for name, count in counted.items() if count}


def delete(store: Store, name: str, artifacts: Path) -> None:
    """As the command does it."""
    keeping.delete(store, deletion.look(store, name), Folder(artifacts), artifacts / "cache")


def test_nothing_stays_behind(address: str, tmp_path: Path) -> None:
    """No row in any table, no file, no lock; a study of the same name begins from nothing."""
    store = open_store(address)
    filled(store, tmp_path)
    assert {"hpo_studies", "hpo_trials", "hpo_workers", "trials", "studies"} <= rows(store).keys()
    delete(store, "s", tmp_path)
    assert rows(store) == {}
    assert not (tmp_path / "s").exists()
    assert not list(tmp_path.glob("**/s.lock"))
    create(store, definition(budget={"trials": 1}))
    status = store.status("s")
    assert (status.state, status.counts["waiting"], status.budget["hours"].used) == ("waiting", 1, 0.0)
    assert work_off(Claims(store, "s", "b", Times())) == [0]
    assert store.trial("s", 0).attempt == 1


def test_others_stay(store: Store, tmp_path: Path) -> None:
    """A study whose name only begins alike is another one."""
    for name in ("s", "s2", "s_"):
        filled(store, tmp_path, name)
    delete(store, "s", tmp_path)
    assert store.names() == ["s2", "s_"]
    for name in ("s2", "s_"):
        assert [trial.state for trial in store.trials(name)] == ["complete", "running"]
        assert (tmp_path / name / "1" / "log.txt").exists()


def test_siblings_go_with_their_study(store: Store, tmp_path: Path) -> None:
    """And a sibling alone, if that is asked for."""
    for name in ("s", "s/evaluate", "s/refit"):
        filled(store, tmp_path, name) if name == "s" else create(store, definition(name))
    (tmp_path / "s" / "evaluate" / "0").mkdir(parents=True)
    delete(store, "s/refit", tmp_path)
    assert store.names() == ["s", "s/evaluate"]
    assert deletion.look(store, "s").names == ("s", "s/evaluate")
    delete(store, "s", tmp_path)
    assert rows(store) == {}
    assert list(tmp_path.glob("s/**/*")) == []


def test_a_report_keeps_its_siblings(address: str, tmp_path: Path) -> None:
    """Once an evaluation has ended, its trainings go only with the study: the winner is made of them, and the test part
    is not opened a second time. A deletion that an older hpo began can be finished.
    """
    store = open_store(address)
    for name in ("s", "s/evaluate", "s/refit", "s2", "s2/refit"):
        create(store, definition(name))
    evaluations = Evaluations(store, store.study("s"))
    begun = evaluations.begin(Plan(seeds=(1,), top=1, configurations=()))
    assert deletion.look(store, "s/refit").names == ("s/refit",)
    evaluations.finish(begun.number, {"test": None})
    for name in ("s/evaluate", "s/refit"):
        with pytest.raises(
            UsageError, match=rf"'{name}' belongs to .* whose report stands on .* `hpo delete s` removes"
        ):
            deletion.look(store, name)
    assert deletion.look(store, "s2/refit").names == ("s2/refit",)
    deletion.begin(store, Doomed(names=("s/refit",), begun=(), rows={}))
    delete(store, "s/refit", tmp_path)
    delete(store, "s", tmp_path)
    assert store.names() == ["s2", "s2/refit"]


def test_what_was_seen_cannot_be_unseen(store: Store, tmp_path: Path) -> None:
    """The note on who opened which test part outlives the study."""
    filled(store, tmp_path)
    with store.rdb.engine.begin() as connection:
        opening = {"test_sha256": "a" * 64, "number": 0, "study": "s", "purpose": "p", "who": "w", "opened_at": 1.0}
        connection.execute(tables.openings.insert().values(**opening))
    delete(store, "s", tmp_path)
    assert rows(store) == {"hpo_openings": 1}


@pytest.mark.parametrize("what", ["lease", "worker"])
def test_who_works_is_not_disturbed(store: Store, tmp_path: Path, clock: Clock, what: str) -> None:
    """A live lease, or a worker that looks for trials: refused with the worker's name, and nothing is gone."""
    filled(store, tmp_path)
    claims = Claims(store, "s", "node-7", Times())
    if what == "lease":
        claimed(claims)
    else:
        claims.roster.join(host="h", pid=2, slots=3, lease=60.0)
    before = rows(store)
    with pytest.raises(UsageError, match="node-7"):
        delete(store, "s", tmp_path)
    assert rows(store) == before
    assert (tmp_path / "s" / "0" / "log.txt").exists()
    clock.now += LEASE + 1
    delete(store, "s", tmp_path)
    assert rows(store) == {}


def test_an_unknown_study_is_named(store: Store, tmp_path: Path) -> None:
    """With the nearest name that there is."""
    filled(store, tmp_path)
    with pytest.raises(UsageError, match=r"no study 't' in .*known: s"):
        deletion.look(store, "t")


@pytest.mark.parametrize(
    "where",
    [
        "optuna.delete_study",
        "hpo.artifacts.folder.Folder.remove_folder",
        "hpo.store.deletion.end",
        "hpo.keeping.deletion.begin",
    ],
)
def test_a_deletion_that_was_killed_is_finished(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Killed before any of its steps: the same command goes on, and until then the name is not given out again."""
    filled(store, tmp_path)
    create(store, definition("s/evaluate"))

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(SystemExit):
            delete(store, "s", tmp_path)
    if not where.endswith("begin"):
        assert store.names() == []
        assert deletion.half_deleted(store) == ["s", "s/evaluate"]
        for name in ("s", "s/refit"):
            with pytest.raises(UsageError, match="study 's' is half deleted; `hpo delete s` finishes that"):
                create(store, definition(name))
        create(store, definition("other"))  # takes no id that is still spoken of
        assert work_off(Claims(store, "other", "b", Times())) == list(range(5))
    delete(store, "s", tmp_path)
    assert "hpo_deletions" not in rows(store)
    assert not (tmp_path / "s").exists()
    create(store, definition(budget={"trials": 1}))
    assert work_off(Claims(store, "s", "b", Times())) == [0]


def test_what_optuna_has_lost_can_be_deleted(store: Store, tmp_path: Path) -> None:
    """Somebody removed the study by Optuna's own means: our rows go all the same."""
    filled(store, tmp_path)
    with quiet_optuna():
        optuna.delete_study(study_name="s", storage=store.storage)
    delete(store, "s", tmp_path)
    assert rows(store) == {}


@pytest.mark.parametrize("again", [False, True])
def test_who_worked_on_it_is_told(address: str, clock: Clock, tmp_path: Path, again: bool) -> None:
    """A worker whose study was deleted, before it joined or after its lease: it says so and leaves nothing behind; nor
    does it go on with another study that has got the name, and in a file the number.
    """
    store, other = open_store(address, clock), open_store(address, clock)
    create(store, definition(budget={"trials": 2}))
    claims = Claims(store, "s", "late", Times())
    claim = claimed(claims)
    clock.now += LEASE + 1
    delete(other, "s", tmp_path)
    if again:
        create(other, definition(budget={"trials": 2}))
    before = rows(other)
    epoch = Epoch(fold=0, epoch=0, step=0, value=0.2, seconds=0.1, logs={})
    calls: list[Callable[[], object]] = [
        lambda: claims.roster.join(host="h", pid=1, slots=1, lease=60.0),
        claims.claim,
        lambda: claims.renew([claim]),
        lambda: claims.finish(claim, completed()),
        lambda: claims.release(claim, lost=True),
    ]
    if not again:
        calls.insert(0, lambda: claims.report(claim, epoch))
    for call in calls:
        with pytest.raises(UsageError, match="study 's' was deleted"):
            call()
    claims.roster.leave()
    assert rows(other) == before


def test_a_worker_that_joins_in_the_moment_of_the_deletion(address: str, clock: Clock, tmp_path: Path) -> None:
    """The deletion waits for it, and takes its entry along, or is refused."""
    store, other = open_store(address, clock), open_store(address, clock)
    create(store, definition())
    claims = Claims(store, "s", "late", Times())
    refused: list[UsageError] = []

    def remove() -> None:
        try:
            delete(other, "s", tmp_path)
        except UsageError as error:
            refused.append(error)

    deleting = threading.Thread(target=remove)

    def meanwhile(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT INTO hpo_workers"):
            deleting.start()
            deleting.join(0.3)

    event.listen(store.rdb.engine, "before_cursor_execute", meanwhile)
    claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
    deleting.join()
    left = rows(store)
    assert (left.get("hpo_studies", 0), left.get("hpo_workers", 0)) == ((1, 1) if refused else (0, 0))


def test_who_looks_sees_the_successor(tmp_path: Path) -> None:
    """A dashboard outlives a study and sees another one of its number: it takes none of the trials for the other's."""
    store, viewer = open_store(tmp_path), open_store(tmp_path)
    create(store, definition())
    work_off(Claims(store, "s", "a", Times()))
    before = viewer.study("s")
    assert [trial.value for trial in viewer.trials("s")] == [0.5] * 5
    delete(store, "s", tmp_path)
    create(store, definition())
    claims = Claims(store, "s", "b", Times())
    claims.finish(claimed(claims), completed(0.9))
    running = claimed(claims)
    assert viewer.study("s").study_id == before.study_id
    assert [(trial.value, trial.state) for trial in viewer.trials("s")] == [(0.9, "complete"), (None, "running")]
    status, _ = viewer.look("s")
    assert status.best is not None
    assert (status.best.value, viewer.ended_trial("s", 0).value) == (0.9, 0.9)
    claims.finish(running, completed(0.1))
    assert [trial.value for trial in viewer.trials("s")] == [0.9, 0.1]
