"""Archives from elsewhere: unpacked where they are honest, refused as a whole where they are not."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest

from hpo.data import _unpack
from hpo.data._unpack import is_archive, unpack
from hpo.errors import DataError
from tests.data.har_files import entry

FILES = {"set/a.txt": b"one", "set/deep/b.txt": b"two"}


def make_zip(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """A zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: Mapping[str, bytes] = FILES, *more: tarfile.TarInfo) -> Path:
    """A tar, packed as its name says."""
    modes: dict[str, Literal["w:gz", "w:xz", "w:bz2"]] = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}
    with tarfile.open(path, modes[path.suffix]) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Relative name -> content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_honest_archives(tmp_path: Path, name: str) -> None:
    """Every kind gives its files, without the folder around all of them."""
    path = (make_zip if name.endswith("zip") else make_tar)(tmp_path / name)
    assert is_archive(path)
    unpack(path, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a.txt": b"one", "deep/b.txt": b"two"}


def test_a_folder_that_is_not_around_all(tmp_path: Path) -> None:
    """Files beside a folder stay where they are."""
    unpack(make_zip(tmp_path / "a.zip", FILES | {"readme": b"three"}), tmp_path / "out")
    assert contents(tmp_path / "out") == FILES | {"readme": b"three"}


def test_a_zip_in_a_zip(tmp_path: Path) -> None:
    """The one zip in a zip is unpacked too, into a folder of its name."""
    inner = make_zip(tmp_path / "inner.zip").read_bytes()
    unpack(make_zip(tmp_path / "a.zip", {"UCI.zip": inner, "UCI.names": b"text"}), tmp_path / "out")
    assert contents(tmp_path / "out") == {"UCI/a.txt": b"one", "UCI/deep/b.txt": b"two", "UCI.names": b"text"}


def test_what_is_no_archive(tmp_path: Path) -> None:
    """Arrays of NumPy are packed as zips, and stay what they are; so do folders and other files."""
    assert not is_archive(make_zip(tmp_path / "a.npz"))
    assert not is_archive(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert not is_archive(tmp_path / "a.csv")


def tar_info(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A special entry."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(path: Path) -> Path:
    """A zip with a link to a secret, and then a file below it."""
    with zipfile.ZipFile(make_zip(path), "a") as archive:
        archive.writestr(entry("set/link", 0o120777), "/etc")
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip with ..": (lambda f: make_zip(f / "a.zip", {"../out.txt": b"x"}), r"'\.\./out\.txt' has '\.\.' in it"),
    "zip with .. within": (lambda f: make_zip(f / "a.zip", {"x/../../out.txt": b"x"}), r"has '\.\.' in it"),
    "zip, absolute": (lambda f: make_zip(f / "a.zip", {"/tmp/out.txt": b"x"}), "is an absolute name"),
    "zip with a link": (lambda f: zip_link(f / "a.zip"), "'set/link' is a link"),
    "zip in a zip with ..": (
        lambda f: make_zip(f / "a.zip", {"b.zip": make_zip(f / "b.zip", {"../o": b"x"}).read_bytes()}),
        r"b\.zip is refused.*'\.\./o' has",
    ),
    "tar with ..": (lambda f: make_tar(f / "a.tar.gz", {"../out.txt": b"x"}), r"has '\.\.' in it"),
    "tar, absolute": (lambda f: make_tar(f / "a.tar.gz", {"/tmp/out.txt": b"x"}), "is an absolute name"),
    "tar with a link": (
        lambda f: make_tar(f / "a.tar.gz", {}, tar_info("l", tarfile.SYMTYPE, "/etc/passwd")),
        "'l' is a link",
    ),
    "tar with a hard link": (
        lambda f: make_tar(f / "a.tar.gz", FILES, tar_info("l", tarfile.LNKTYPE, "set/a.txt")),
        "'l' is a link",
    ),
    "tar with a pipe": (lambda f: make_tar(f / "a.tar.gz", {}, tar_info("p", tarfile.FIFOTYPE)), "'p' is a device"),
    "zip bomb": (lambda f: make_zip(f / "a.zip", {"zeros": bytes(60_000_000)}), "its files would take 60000000 bytes"),
    "tar bomb": (lambda f: make_tar(f / "a.tar.gz", {"zeros": bytes(60_000_000)}), "its files would take 60000000"),
    "twice the same name": (
        lambda f: make_tar(f / "a.tar.gz", FILES, tarfile.TarInfo("set/a.txt")),
        "cannot be unpacked: .*File exists",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_dishonest_archives(tmp_path: Path, name: str) -> None:
    """Nothing of them is unpacked, anywhere, and the message names what is wrong."""
    (tmp_path / "in").mkdir()
    path = BAD[name][0](tmp_path / "in")
    before = contents(tmp_path)
    with pytest.raises(DataError, match=BAD[name][1]):
        unpack(path, tmp_path / "out" / "set")
    assert contents(tmp_path) == before
    assert not (tmp_path / "out" / "set").exists()


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of a great many files is refused without writing one."""
    monkeypatch.setattr(_unpack, "MOST_FILES", 1)
    with pytest.raises(DataError, match="it holds more than 1 files"):
        unpack(make_zip(tmp_path / "a.zip"), tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    """One that is cut off, or has a byte changed, is refused, and nothing of it stays."""
    path = (make_zip if name.endswith("zip") else make_tar)(tmp_path / name, FILES | {"c": bytes(range(256)) * 400})
    whole = bytearray(path.read_bytes())
    for damaged in (whole[: len(whole) // 2], whole[:40] + bytes([whole[40] ^ 255]) + whole[41:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot be unpacked|is refused"):
            unpack(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
