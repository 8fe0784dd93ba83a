"""What every artifact store does, on a folder and on a bucket of a real server."""

from pathlib import Path

import pytest

from hpo.artifacts import Artifacts, StoreAway, check
from hpo.artifacts.address import open_artifacts
from hpo.artifacts.copies import Copies
from hpo.artifacts.folder import Folder
from hpo.errors import StorageError, UsageError
from tests.s3 import CANARY, S3


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    """An empty one of each kind."""
    if request.param == "folder":
        return open_artifacts(str(tmp_path / "store"))
    return open_artifacts(request.getfixturevalue("s3").bucket())


def names(store: Artifacts, folder: str = "") -> list[str]:
    """Of all files below a folder."""
    return [entry.name for entry in store.entries(folder)]


def put(store: Artifacts, tmp_path: Path, *wanted: str, content: str = "content") -> None:
    """Files of that content."""
    source = tmp_path / "source"
    source.write_text(content)
    for name in wanted:
        store.put(source, name)


def test_files_go_and_come_back(store: Artifacts, tmp_path: Path) -> None:
    """Whole, in the place of older ones, with size and time; one that is not there is said to be missing."""
    store.check()
    assert store.entries() == []
    put(store, tmp_path, "s/0/log.txt", content="old")
    put(store, tmp_path, "s/0/log.txt", content="newer")
    (entry,) = store.entries()
    assert (entry.name, entry.bytes) == ("s/0/log.txt", 5)
    assert abs(entry.modified - (tmp_path / "source").stat().st_mtime) < 10
    assert store.get("s/0/log.txt", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "newer"
    for missing in ("s/1/log.txt", "s/0", "s/0/log.txt/x"):
        assert not store.get(missing, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) in (["source", "target"], ["source", "store", "target"])
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "nothing", "s/0/x")


def test_folders_are_listed_and_removed_by_themselves(store: Artifacts, tmp_path: Path) -> None:
    """A folder is no prefix of another one's name; lists longer than one answer are whole; what is gone is gone."""
    files = [f"s/{number}/{name}" for number in range(4) for name in ("curves.json", "log.txt")]
    put(store, tmp_path, *files, "s2/0/log.txt", "s/refit/0/log.txt")
    assert names(store, "s") == sorted([*files, "s/refit/0/log.txt"])
    assert names(store, "s/1") == ["s/1/curves.json", "s/1/log.txt"]
    assert names(store, "no/such") == []
    store.remove(["s/1/log.txt", "s/1/log.txt", "s/9/log.txt"])
    assert names(store, "s/1") == ["s/1/curves.json"]
    store.remove_folder("s")
    store.remove_folder("s")
    assert names(store) == ["s2/0/log.txt"]


def test_names_lead_nowhere_else(store: Artifacts, tmp_path: Path) -> None:
    """None is read, written, listed or removed outside of the store."""
    source = tmp_path / "source"
    source.write_text("content")
    (tmp_path / "x").write_text("mine")
    for name in ("../x", "s/../../x", "/etc/x", "s//x", "./x", "s/", "", "..\\x", "s/\0x"):
        for act in (
            lambda name: store.put(source, name),
            lambda name: store.get(name, tmp_path / "target"),
            lambda name: store.remove([name]),
            lambda name: store.remove_folder(name),
            lambda name: store.entries(name or "/"),
        ):
            with pytest.raises(StorageError, match="is no name of a file"):
                act(name)
    assert (tmp_path / "x").read_text() == "mine"
    assert not (tmp_path / "target").exists()
    assert store.entries() == []


def test_strange_keys_of_others_are_left_alone(s3: S3, tmp_path: Path) -> None:
    """A bucket may hold what no file can be called; nothing of it is fetched."""
    address = s3.bucket()
    client, bucket = s3.client, address.split("/")[2]
    for key in (
        "some/where/../../up",
        "some/where//x",
        "some/where/folder/",
        "some/wherever",
        "some/where/s/0/log.txt",
    ):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    store = open_artifacts(f"{address}/")
    assert names(store) == ["s/0/log.txt"]
    Copies(store, tmp_path).folder("s")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["log.txt"]
    store.remove_folder("s")
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 3


def test_copies_follow_the_store(store: Artifacts, tmp_path: Path) -> None:
    """A folder's files as files: what changed is fetched, what went goes, and nothing else is fetched again."""
    copies = Copies(store, tmp_path / "cache")
    assert list(copies.folder("s/0").glob("*")) == []
    assert not copies.folder(None).exists()
    put(store, tmp_path, "s/0/log.txt", "s/0/report.json", "s/1/log.txt", content="old")
    assert (copies.folder("s/0", {"log.txt"}) / "log.txt").read_text() == "old"
    assert (store.root is None) == (not (copies.root / "s/0/report.json").exists())
    put(store, tmp_path, "s/0/log.txt", content="longer")
    assert (copies.folder("s/0") / "log.txt").read_text() == "longer"
    store.remove(["s/0/report.json"])
    assert [path.name for path in copies.folder("s/0").iterdir()] == ["log.txt"]
    (copies.root / "s" / "test").mkdir()
    (copies.root / "s" / "test" / "y.npy").write_text("made here")
    copies.keep("s/test")
    assert names(store, "s/test") == ["s/test/y.npy"]


def test_a_bucket_that_cannot_be_used_is_said(s3: S3) -> None:
    """Missing, refused, away: each in words that say what to do, only the last one may pass; no secret in any."""
    store = open_artifacts(s3.bucket())
    said = []
    with pytest.raises(StorageError, match=r"does not exist \(NoSuchBucket\)\. Make the bucket first") as caught:
        check(open_artifacts("s3://none-of-that-name/x"))
    said.append(caught)
    with (
        s3.refusing(),
        pytest.raises(StorageError, match=r"\(InvalidAccessKeyId\)\. Look at AWS_ACCESS_KEY_ID") as caught,
    ):
        check(store)
    said.append(caught)
    assert not any(isinstance(each.value, StoreAway) for each in said)
    check(store)
    s3.stop()
    with pytest.raises(StoreAway, match=f"{store.address}: nobody listens") as caught:
        check(store)
    said.append(caught)
    assert not any(CANARY in str(each.value) for each in said)


@pytest.mark.parametrize(
    "address", ["s3://", "s3://Bad_Name/x", "s3://key:secret@bucket/x", "s3://abc/../x", "gs://abc"]
)
def test_addresses_without_sense(address: str) -> None:
    """Refused before anything is asked, with what is accepted; what may be a password is not repeated."""
    with pytest.raises(UsageError, match=r"accepted: .*s3://BUCKET/PREFIX") as caught:
        open_artifacts(address)
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_used_is_said(small_disk: Path, tmp_path: Path) -> None:
    """A full one may have room later; one that cannot be a folder needs somebody. Nothing half-written is left."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * 300_000)
    store = Folder(small_disk)
    with pytest.raises(StoreAway, match="No space left"):
        store.put(source, "s/0/log.txt")
    assert store.entries() == []
    with pytest.raises(StorageError, match=r"cannot write the trials' files to .*Not a directory") as caught:
        check(Folder(source / "below"))
    assert not isinstance(caught.value, StoreAway)
