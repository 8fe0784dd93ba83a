"""Archives from elsewhere, unpacked into a new folder: nothing lands outside of it, and nothing fills the disk."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any

from hpo.data._archive import unsafe_name
from hpo.errors import DataError

LARGEST_TOTAL = 20 * 1024**3  # bytes of all files of an archive together
MOST_FILES = 100_000
# Numbers as text pack to a tenth or a thirtieth; only what is made to fill a disk packs to so little.
LARGEST_RATIO = 300
_FREE = 50 * 1024**2  # bytes for which the ratio does not matter
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, RuntimeError, OSError)


@dataclass(frozen=True)
class _Entry:
    """A file of an archive; `problem` says why it must not be unpacked, apart from its name."""

    name: str
    size: int
    problem: str | None
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, packed in any of the ways that Python knows. An .npz file is none."""
    return path.is_file() and path.suffix != ".npz" and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(archive: Path, to: Path) -> None:
    """Unpacks an archive into a folder that is not there yet.

    A folder that holds all of an archive is left away. A single zip in a zip, as UCI has it, becomes a folder in `to`.

    Raises:
        DataError: the archive is damaged; its entries point outside, are links or devices; or they would take more room
            than `LARGEST_TOTAL`, or than those of an honest archive of its size. Nothing is left then.
    """
    try:
        to.mkdir(parents=True)
        _unpack(archive, to)
        inner = list(to.glob("*.zip"))
        if len(inner) == 1:
            into = to / inner[0].stem
            into.mkdir()
            _unpack(inner[0], into)
            inner[0].unlink()
    except _DAMAGED as error:
        shutil.rmtree(to, ignore_errors=True)
        raise DataError(f"{archive.name} cannot be unpacked: {error}") from error
    except DataError:
        shutil.rmtree(to, ignore_errors=True)
        raise


def _unpack(archive: Path, to: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            _write(archive, _of_zip(opened), to)
    else:
        with tarfile.open(archive) as opened_tar:
            _write(archive, _of_tar(opened_tar), to)
            packed: Any = opened_tar.fileobj
            while packed.read(1 << 20):
                pass  # the check sum of the packed stream stands at its very end


def _of_zip(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        if not info.is_dir():
            problem = "is a link" if stat.S_ISLNK(info.external_attr >> 16) else None
            yield _Entry(info.filename, info.file_size, problem, partial(archive.open, info))


def _of_tar(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for info in archive:
        if not info.isdir():
            problem = None if info.isreg() else "is a link" if info.issym() or info.islnk() else "is a device"
            yield _Entry(info.name, info.size, problem, partial(archive.extractfile, info))


def _write(archive: Path, found: Iterator[_Entry], to: Path) -> None:
    """Writes the files, once all of them are known to be harmless."""
    entries = list(islice(found, MOST_FILES + 1))
    problems = [f"{e.name!r} {p}" for e in entries if (p := unsafe_name(e.name) or e.problem)]
    total = sum(entry.size for entry in entries)
    if total > LARGEST_TOTAL or (total > _FREE and total > LARGEST_RATIO * archive.stat().st_size):
        problems.append(f"its files would take {total} bytes, {archive.stat().st_size} packed")
    if len(entries) > MOST_FILES:
        problems.append(f"it holds more than {MOST_FILES} files")
    if problems:
        listing = "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")
        raise DataError(f"{archive.name} is refused, because it is not safe to unpack: {listing}")
    top = _common_folder(entry.name for entry in entries)
    for entry in entries:
        path = to / PurePosixPath(entry.name).relative_to(top)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = entry.open()
        if content is None:
            raise DataError(f"{archive.name} cannot be unpacked: {entry.name!r} is no file")
        # "x": two entries of one name are not honest either
        with content, path.open("xb") as file:
            shutil.copyfileobj(content, file)


def _common_folder(names: Iterable[str]) -> PurePosixPath:
    """The folder that all files lie in, and no other; "." where there is none."""
    tops = {PurePosixPath(name).parts[:1] if "/" in name.removeprefix("./") else () for name in names}
    return PurePosixPath(*tops.pop()) if len(tops) == 1 else PurePosixPath()
