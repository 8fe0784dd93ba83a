"""`hpo data add`: from a path, by name, from an address; what it says next; what it refuses, and leaves as it was."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run import Run, call
from tests.data.files import write_pair
from tests.data.har_files import entry, write_har, zipped
from tests.web import Site, serve


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with the archive's GunPoint, which is a made-up one."""
    with serve() as site:
        site.files["/aeon/GunPoint.zip"] = packed_pair("GunPoint")
        yield site


def packed_pair(name: str) -> bytes:
    """A data set as the archive has it: a zip of two files."""
    pair = write_pair(Path("made"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part in ("TRAIN", "TEST"):
            archive.write(f"{pair}_{part}.txt", f"{name}_{part}.txt")
    return content.getvalue()


def refused(run: Run, code: int, *words: str) -> None:
    """Asserts how the command ended, with nothing on stdout."""
    assert (run.code, run.out) == (code, ""), run.err
    for word in words:
        assert word in run.err
    assert "Traceback" not in run.err


def leftovers() -> list[str]:
    """What lies hidden in the folder of data sets."""
    return [path.name for path in Path("data").glob(".*")]


def test_a_file(folder: Path) -> None:
    """A file is copied under its name; the next command works as it stands."""
    np.savez(folder / "own.npz", X=np.zeros((4, 8, 1)), y=[0, 1, 0, 1])
    run = call("data", "add", "own.npz")
    assert (run.code, run.out) == (0, "data/own.npz\n")
    sha256 = hashlib.sha256(Path("own.npz").read_bytes()).hexdigest()
    assert f"SHA-256 of what came: {sha256}" in run.err
    assert "next: hpo data show npz 'data/own.npz'" in run.err
    assert call("data", "show", "npz", "data/own.npz").code == 0
    found = call("data", "add", "own.npz", "--name", "again.npz", "--sha256", sha256.upper(), "--json").json()
    assert found == {"path": "data/again.npz", "sha256": sha256, "sources": ["npz"]}
    (folder / "own.csv").write_text("x,y\n1,a\n")
    assert "no source reads it without further keys" in call("data", "add", "own.csv").err


def test_a_folder_and_a_zip() -> None:
    """A folder is copied or linked, a zip unpacked; both are recognised."""
    root = write_har(Path("made"))
    zipped(root, Path("har.zip"))
    assert call("data", "add", root, "--json").json() == {
        "path": "data/UCI HAR Dataset",
        "sha256": None,
        "sources": ["uci_har"],
    }
    assert call("data", "add", "har.zip", "--json").json()["sources"] == ["uci_har"]
    assert (Path("data/har") / "train" / "y_train.txt").is_file()
    assert call("data", "add", root, "--link", "--name", "linked", "--json").json()["sources"] == ["uci_har"]
    assert Path("data/linked").readlink() == root.absolute()
    assert leftovers() == []


def test_nothing_is_overwritten(folder: Path) -> None:
    """What has the name already stays, unless --force says otherwise; what fails leaves it too."""
    for text in ("old", "new"):
        (folder / text).mkdir()
        (folder / text / "set.txt").write_text(text)
    assert call("data", "add", "old/set.txt").code == 0
    refused(call("data", "add", "new/set.txt"), 2, "data/set.txt is there already; --force replaces it, --name gives")
    assert Path("data/set.txt").read_text() == "old"
    refused(call("data", "add", "new/set.txt", "--force", "--sha256", "0" * 64), 3, "has SHA-256", "and not 000")
    assert Path("data/set.txt").read_text() == "old"
    assert call("data", "add", "new/set.txt", "--force").code == 0
    assert Path("data/set.txt").read_text() == "new"
    assert leftovers() == []


def test_by_name(site: Site) -> None:
    """A name of the archives is downloaded and unpacked; if the connection breaks, it goes on."""
    site.drop_after = len(site.files["/aeon/GunPoint.zip"]) - 100
    run = call("data", "add", "GunPoint", "--mirror", f"{site.url}/aeon/", "--json")
    assert run.json()["path"] == "data/GunPoint"
    assert run.json()["sources"] == ["ucr"]
    assert run.json()["sha256"] == hashlib.sha256(site.files["/aeon/GunPoint.zip"]).hexdigest()
    assert len(site.requests) > 1
    assert call("data", "show", "ucr", "data/GunPoint", "--json").json()["n_train"] == 12
    assert leftovers() == []


def test_a_download_is_taken_up_by_the_next_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that gave up keeps what came; the same command again asks for the rest only."""
    monkeypatch.setattr("hpo.data._download.TRIES", 1)
    address = f"{site.url}/aeon/GunPoint.zip"
    sha256 = hashlib.sha256(site.files["/aeon/GunPoint.zip"]).hexdigest()
    site.errors = [503]
    refused(call("data", "add", address, "--sha256", sha256), 3, "the server says 503", "run the same command again")
    (part,) = Path("data").glob(".*.part")
    part.write_bytes(site.files["/aeon/GunPoint.zip"][:500])
    assert call("data", "add", address, "--sha256", sha256).out == "data/GunPoint\n"
    assert site.requests[-1] == "bytes=500-"
    assert leftovers() == []


def test_what_the_web_may_bring(site: Site) -> None:
    """Another file than asked for, an unsafe archive, and a page where a zip belongs are refused; nothing stays."""
    site.files["/aeon/ArrowHead.zip"] = b"<html>no such data set</html>"
    mirror = ("--mirror", f"{site.url}/aeon")
    refused(call("data", "add", "ArrowHead", *mirror), 3, "ArrowHead.zip is no zip; the server sent something else")
    refused(call("data", "add", "Coffee", *mirror), 3, "the server says 404")
    bad = io.BytesIO(site.files["/aeon/GunPoint.zip"])
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(entry("../out.txt"), "x")
    site.files["/aeon/GunPoint.zip"] = bad.getvalue()
    refused(call("data", "add", "GunPoint", *mirror), 3, "not safe to unpack: '../out.txt' has '..' in it")
    address = f"{site.url}/aeon/GunPoint.zip"
    refused(call("data", "add", address, "--sha256", "0" * 64), 3, "another file than asked for; it was removed")
    assert [path.name for path in Path("data").iterdir() if not path.name.endswith(".part")] == []
    assert sum(path.stat().st_size for path in Path("data").iterdir()) == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["https://example.org/a.zip"], "an address needs --sha256, so that you get what you mean"),
        (["https://example.org/a.zip", "--sha256", "abc"], "--sha256 abc: accepted: 64 digits of 0-9 and a-f"),
        (["https://example.org/a.zip", "--sha256", "0" * 64, "--link"], "--link is for a path"),
        (["ftp://example.org/a.zip", "--sha256", "0" * 64], "is no address that can be downloaded"),
        (["GunPoynt"], "no file, no folder, and no data set of the UCR and UEA archives; did you mean GunPoint"),
        (["GunPoint", "--name", "../x"], "'../x' is no name for a data set; --name takes letters"),
        (["GunPoint", "--name", ".hidden"], "'.hidden' is no name for a data set"),
        (["made", "--sha256", "0" * 64], "--sha256 is of a file, and made is a folder"),
        (["made", "--sha256", "0" * 64, "--link"], "--sha256 says nothing of a file that is only linked"),
    ],
)
def test_what_makes_no_sense(folder: Path, args: list[str], message: str) -> None:
    """Exit code 2 before anything is done."""
    (folder / "made").mkdir()
    refused(call("data", "add", *args), 2, message)
    assert leftovers() == []
