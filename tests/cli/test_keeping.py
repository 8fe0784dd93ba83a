"""`hpo delete` and `hpo gc` as a person types them: what they say, what they ask, and that a look changes nothing."""

import os
import shutil
import time
from pathlib import Path

import pytest

from hpo import data
from hpo.artifacts.folder import Folder
from hpo.settings import SHELF, Times
from hpo.store import Claims, Over, Store, tables
from tests.cli.run import Run, call
from tests.support import claimed, completed, create, definition, open_store, prepared_record


class Place:
    """A database, files and a cache in one folder, with a study that has ended and one that still runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts, self.cache = folder / "artifacts", folder / "cache"
        self.store: Store = open_store(folder)
        self.record = prepared_record(self.cache)
        for name in ("old", "busy"):
            create(self.store, definition(name, budget={"trials": 2}), self.record)
            claims = Claims(self.store, name, f"{name}-worker", Times())
            claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
            claims.finish(claimed(claims), completed(0.9))
            claimed(claims)
            if name == "old":
                claims.roster.leave()
                with self.store.rdb.engine.begin() as connection:
                    connection.execute(
                        tables.trials.update().where(tables.trials.c.study_id == 1).values(expires_at=1.0)
                    )
            for number in range(2):
                self.file(f"{name}/{number}/log.txt")

    def file(self, name: str, *, age: float = 0.0) -> Path:
        """A file of ten bytes among the trials' files, so many seconds old."""
        path = self.artifacts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ten bytes!")
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def call(self, *args: str) -> Run:
        """A command here."""
        here = {"HPO_STORAGE": self.store.url, "HPO_ARTIFACTS": str(self.artifacts), "HPO_CACHE": str(self.cache)}
        return call(*args, **here)

    def contents(self) -> list[str]:
        """All files but the database's own."""
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if "hpo.db" not in str(p))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One for each test."""
    return Place(tmp_path)


def test_a_look_at_a_deletion(place: Place) -> None:
    """--dry-run says what would go, in words and as JSON, and changes nothing."""
    before = place.contents()
    said = place.call("delete", "old", "--dry-run")
    assert (said.code, said.out) == (0, "")
    assert "would delete old in" in said.err
    assert "2 trials, 20 B of files" in said.err
    found = place.call("delete", "old", "--dry-run", "--json").json()
    assert found["studies"] == ["old"]
    assert found["rows"] == {"studies": 1, "trials": 2, "workers": 1, "evaluations": 0, "priors": 0, "notices": 0}
    assert (found["folders"], found["bytes"], found["deleted"]) == ([str(place.artifacts / "old")], 20, False)
    assert place.contents() == before
    assert place.call("status", "old").code == 0


def test_a_deletion(place: Place) -> None:
    """Nobody to ask and no --yes: refused. With it, the study and its files are gone, the other ones are not."""
    refused = place.call("delete", "old")
    assert refused.code == 2
    assert "Nobody can be asked here; say --yes" in refused.err
    done = place.call("delete", "old", "--yes", "--json")
    assert done.json()["deleted"] is True
    assert place.call("status", "old").code == 2
    assert not (place.artifacts / "old").exists()
    assert (place.artifacts / "busy" / "0" / "log.txt").exists()
    assert [row["study"] for row in place.call("list", "--json").json()] == ["busy"]


def test_a_busy_study_is_not_deleted(place: Place) -> None:
    """Exit code 2, with the worker's name and what to do."""
    run = place.call("delete", "busy", "--yes")
    assert run.code == 2
    assert "study 'busy' is being worked on by busy-worker (1 slots). `hpo stop busy`" in run.err


def test_files_that_cannot_be_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4 with the file's name; the same command goes on where it stopped."""

    def fail(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path / "0"))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        run = place.call("delete", "old", "--yes")
    assert run.code == 4
    assert f"cannot remove {place.artifacts / 'old' / '0'}: Permission denied" in run.err
    assert place.call("delete", "old", "--yes").code == 0
    assert not (place.artifacts / "old").exists()


def littered(place: Place) -> None:
    """Everything that `hpo gc` knows, and beside each what it must leave alone."""
    place.file("old/0/checkpoint-1-3.npz")
    place.file("old/0/.checkpoint-1-4.npz.77")
    place.file("old/1/checkpoint-1-1.npz")  # of a lost trial, which goes on from it
    place.file("busy/1/checkpoint-1-1.npz")
    place.file("busy/7/log.txt")  # no such trial
    place.file("gone/0/log.txt")  # no such study, here
    place.file("notes.txt")
    data.load(data.get("bundled").Options.model_validate({"source": "bundled", "name": "UnitTest"}), cache=place.cache)
    half = place.cache / "splits" / f".{'a' * 64}.12345678.tmp"
    half.mkdir()
    os.utime(half, (1.0, 1.0))
    (place.cache / "splits" / f".{'b' * 64}.12345678.tmp").mkdir()  # somebody writes it
    with place.store.rdb.engine.begin() as connection:
        ages = {"left_at": 5.0, "seen_at": 5.0}
        connection.execute(tables.workers.update().where(tables.workers.c.worker == "old-worker").values(**ages))


KINDS = {
    "checkpoint of an ended trial": 2,
    "folder of an unknown trial": 1,
    "worker that left": 1,
    "data set": 1,
    "test part": 1,
    "note on raw files": 1,
    "half-written": 1,
}


def test_what_nobody_needs(place: Place) -> None:
    """`hpo gc` names it with its size, removes it, and leaves alone what is known and what may be another's."""
    littered(place)
    before = place.contents()
    look = place.call("gc", "--dry-run", "--json").json()
    assert place.contents() == before
    assert {kind: sum(item["kind"] == kind for item in look["items"]) for kind in KINDS} == KINDS
    assert len(look["items"]) == sum(KINDS.values())
    assert look["bytes"] == sum(item["bytes"] for item in look["items"]) > 40
    assert [item["name"] for item in look["kept"]] == [str(place.artifacts / "gone")]

    said = place.call("gc")
    assert said.code == 0
    assert "checkpoint of an ended trial" in said.out
    assert f"left alone: folder of an unknown study {place.artifacts / 'gone'}, 10 B; --orphans removes it" in said.err
    gone = set(before) - set(place.contents())
    assert {"artifacts/old/0/checkpoint-1-3.npz", "artifacts/busy/7/log.txt"} <= gone
    assert {
        "artifacts/old/1/checkpoint-1-1.npz",
        "artifacts/busy/1/checkpoint-1-1.npz",
        "artifacts/gone/0/log.txt",
        "artifacts/notes.txt",
        f"cache/splits/{place.record.split_sha256}",
        f"cache/data/{place.record.sha256}",
        f"cache/splits/.{'b' * 64}.12345678.tmp",
    } <= set(place.contents())
    assert [worker.worker for worker in place.store.workers("busy")] == ["busy-worker"]
    assert place.store.workers("old") == []
    assert place.store.status("old").state == "interrupted"
    assert place.call("gc", "--json").json()["items"] == []


def test_folders_of_unknown_studies_on_demand(place: Place) -> None:
    """They may be another database's, so it takes a word."""
    place.file("gone/0/log.txt")
    found = place.call("gc", "--orphans", "--json").json()
    assert [item["kind"] for item in found["items"]] == ["folder of an unknown study"]
    assert not (place.artifacts / "gone").exists()


def test_gc_finishes_a_deletion(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed `hpo delete` left goes too."""

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "remove_folder", die)
        place.call("delete", "old", "--yes")
    assert (place.artifacts / "old").exists()
    assert place.call("gc", "--json").json()["items"][0]["kind"] == "half-deleted study"
    assert not (place.artifacts / "old").exists()
    assert place.call("gc", "--json").json()["items"] == []


@pytest.mark.parametrize(
    ("cause", "budget"),
    [("poison", {"trials": 1, "retries": 0}), ("budget", {"trials": 1, "hours": 1e-9})],
)
def test_checkpoints_of_trials_that_ended_without_a_worker(place: Place, cause: str, budget: dict[str, float]) -> None:
    """Nobody was there to remove them when the trial was lost once too often, or the study's time was over."""
    create(place.store, definition("new", budget=budget), place.record)
    claims = Claims(place.store, "new", "w", Times())
    claims.release(claimed(claims), lost=True)
    checkpoint = place.file("new/0/checkpoint-1-3.npz")
    assert isinstance(claims.claim(), Over)
    assert place.store.trial("new", 0).cause == cause
    assert place.call("gc").code == 0
    assert not checkpoint.exists()


def test_arrays_for_workers_elsewhere_stay_until_no_study_needs_them(place: Place) -> None:
    """Those of a study stay; others may be another database's, so they are named, and removed on demand."""
    shelf = place.artifacts / SHELF
    data.share(place.record.split_sha256, place.cache, Folder(place.artifacts))
    other = shelf / "splits" / ("c" * 64)
    shutil.copytree(shelf / "splits" / place.record.split_sha256, other)
    assert place.call("gc").code == 0
    assert other.exists()
    assert place.call("gc", "--orphans").code == 0
    assert not other.exists()
    assert data.parts(place.record.split_sha256, shelf)
