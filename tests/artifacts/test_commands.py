"""The commands on a study whose files are in a bucket, and what they say of buckets that cannot be used."""

import sys
from pathlib import Path

import pytest

from hpo import keeping
from hpo.artifacts.address import open_artifacts
from hpo.artifacts.copies import Copies
from hpo.dashboard.house import House
from hpo.report import gather
from hpo.spool import Spool
from hpo.store import Store
from tests.cli.run import TINY, Run, call
from tests.dashboard.place import Place as Dashboard
from tests.dashboard.place import at_the_door, make_study
from tests.s3 import CANARY, S3
from tests.study.files import write


class Place:
    """A study of three trials; the first has files, in a bucket."""

    def __init__(self, folder: Path, s3: S3) -> None:
        make_study(folder)
        self.folder, self.cache = folder, folder / "cache"
        self.url = f"sqlite:///{folder / 'hpo.db'}"
        self.store = open_artifacts(s3.bucket())
        for path in (folder / "artifacts").rglob("*.*"):
            self.store.put(path, path.relative_to(folder / "artifacts").as_posix())

    def call(self, *args: str | Path) -> Run:
        """A command on it; says nothing of its credentials."""
        here = {"HPO_STORAGE": self.url, "HPO_ARTIFACTS": self.store.address, "HPO_CACHE": str(self.cache)}
        run = call(*args, **here)
        assert CANARY not in run.out + run.err
        return run


@pytest.fixture
def place(tmp_path: Path, s3: S3) -> Place:
    """One for each test."""
    return Place(tmp_path, s3)


def test_files_are_shown_from_a_bucket(place: Place, s3: S3) -> None:
    """The log, the report's curves, and the dashboard with its pictures and downloads; without it they say so."""
    assert place.call("logs", "s", "0").out == "a line\n"
    copies = Copies(place.store, place.cache)
    with Store(place.url, read_only=True) as store:
        found = gather(store, "s", copies).files[0]
    assert (len(found.folds or ()), (found.report or {})["trial"]) == (1, 0)
    house = House(lambda: Store(place.url, read_only=True), lambda: Store(place.url), copies)
    dashboard = Dashboard(place.folder, at_the_door(place.folder, house), house)
    client = dashboard.client("vera")
    trial = client.get("/api/studies/1?after=0").json["trials"][0]
    names = {artifact["filename"]: artifact["artifact_id"] for artifact in trial["artifacts"]}
    assert sorted(names) == ["curves.json", "log.txt", "report.json"]
    assert client.get(f"/artifacts/1/1/{names['log.txt']}").body == b"a line\n"
    assert client.get("/hpo/1/0/curves.svg").status == 200
    s3.stop()
    assert client.get("/hpo/1/0/curves.svg").status == 503
    house.close()
    run = place.call("logs", "s", "0")
    assert (run.code, "nobody listens" in run.err) == (4, True)


def test_a_bucket_is_cleared_like_a_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of ended trials, copies that nobody made just now, what nobody knows; then the study with what waits
    here. A look first.
    """
    source = place.folder / "source"
    source.write_text("ten bytes!")
    for name in ("s/0/checkpoint-1-3.npz", "s/2/checkpoint-1-1.npz", "s/9/log.txt", "other/0/log.txt", "notes.txt"):
        place.store.put(source, name)
    place.call("logs", "s", "0")
    with Store(place.url) as store:
        spools = [
            Spool(place.cache, "s", created, place.store.address) for created in (store.study("s").created_at, 1.0)
        ]

    def names() -> set[str]:
        return {entry.name for entry in place.store.entries()}

    before = names()
    kinds = [item["kind"] for item in place.call("gc", "--dry-run", "--json").json()["items"]]
    assert "copies of trials' files" not in kinds, "an evaluation may be at work on them"
    monkeypatch.setattr(keeping, "STALE_SECONDS", 0.0)
    found = place.call("gc", "--dry-run", "--json").json()
    assert names() == before
    assert [(item["kind"], item["name"].removeprefix(place.store.address)) for item in found["items"]][:2] == [
        ("checkpoint of an ended trial", "/s/0/checkpoint-1-3.npz"),
        ("folder of an unknown trial", "/s/9"),
    ]
    assert [item["kind"] for item in found["items"]][2:] == ["copies of trials' files"]
    assert {item["name"] for item in found["kept"]} == {f"{place.store.address}/other", str(spools[1].path)}
    assert place.call("gc", "--orphans").code == 0
    assert before - names() == {"s/0/checkpoint-1-3.npz", "s/9/log.txt", "other/0/log.txt"}
    assert [spool.path.exists() for spool in spools] == [True, False]

    with Store(place.url) as store, store.rdb.engine.begin() as connection:
        connection.exec_driver_sql("update hpo_trials set expires_at = 1.0")
        connection.exec_driver_sql("update hpo_workers set left_at = 1.0")
    looked = place.call("delete", "s", "--dry-run", "--json").json()
    assert looked["folders"] == [f"{place.store.address}/s"]
    assert looked["bytes"] > 10
    assert place.call("delete", "s", "--yes").code == 0
    assert names() == {"notes.txt"}
    assert not spools[0].path.exists()


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("s3://", 2, "--artifacts s3://: no bucket has this address; accepted: s3://BUCKET"),
        ("s3://of-that-name-is-none/x", 4, r"does not exist \(NoSuchBucket\).*HPO_ARTIFACTS or --artifacts"),
        ("gs://bucket", 2, "accepted: a folder, s3://BUCKET/PREFIX"),
    ],
)
def test_a_launch_into_no_bucket(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, code: int, message: str
) -> None:
    """Refused with what to do, before anything is created."""
    import re

    monkeypatch.chdir(tmp_path)
    run = call("launch", write(tmp_path, TINY), "--artifacts", address)
    assert run.code == code
    assert re.search(message, run.err)
    assert not (tmp_path / ".hpo" / "hpo.db").exists()


def test_an_outage_refuses_a_launch_and_no_worker(place: Place, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who launches can wait; a worker that a scheduler starts again must not fail for it."""
    s3.stop()
    monkeypatch.chdir(place.folder)
    run = place.call("launch", write(place.folder, TINY))
    assert (run.code, "nobody listens" in run.err) == (4, True)
    run = place.call("worker", "s", "--allow-mixed")
    assert "working all the same" in run.err
    assert run.code != 0  # this study has no arrays anywhere


def test_boto3_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the message says how to get it."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    run = call("logs", "s", "0", "--artifacts", "s3://bucket")
    assert run.code == 2
    assert (
        "An artifact store in S3 needs boto3, which is not installed. In a checkout of hpo: pip install '.[s3]'"
        in run.err
    )
