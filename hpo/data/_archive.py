"""A data set's files by relative name, whether they lie in a folder or in a zip. Nothing is ever unpacked."""

import hashlib
import io
import lzma
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from hpo.bundle.zips import DAMAGED
from hpo.errors import DataError

# No file of a data set that we read is larger; a zip that claims more is damaged or meant to fill the memory.
LARGEST_MEMBER = 2 * 1024**3  # bytes


class Tree(Protocol):
    """Files by relative name, with ``/`` between the parts."""

    def names(self) -> list[str]:
        """Relative names of all files."""

    def open(self, name: str) -> IO[bytes]:
        """One file, to be read from its beginning; the caller closes it."""

    def show(self, name: str) -> str:
        """The name as an error message says it."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        return [p.relative_to(self._root).as_posix() for p in self._root.rglob("*") if p.is_file()]

    def open(self, name: str) -> IO[bytes]:
        return (self._root / name).open("rb")

    def show(self, name: str) -> str:
        return str(self._root / name)


class _Zip:
    def __init__(self, shown: str, archive: zipfile.ZipFile) -> None:
        self._shown = shown
        self._archive = archive

    def names(self) -> list[str]:
        return [info.filename for info in self._archive.infolist() if not info.is_dir()]

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name)

    def show(self, name: str) -> str:
        return f"{self._shown}:{name}"


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """The files under a folder, or in a zip; a zip that holds nothing but one zip is looked through.

    Raises:
        DataError: nothing lies there, it is neither a folder nor a zip, it cannot be read (then or later, while the
            tree is open), or the zip has entries that point outside (``..``, absolute names) or are links.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give the folder of the data set, or its zip")
    try:
        if path.is_dir():
            yield _Folder(path)
            return
        with ExitStack() as open_until_the_end:
            shown, archive = str(path), open_until_the_end.enter_context(zipfile.ZipFile(path))
            _refuse_unsafe(shown, archive)
            # UCI publishes a zip that holds the real zip and a text file.
            inner = [i for i in archive.infolist() if i.filename.lower().endswith(".zip") and "/" not in i.filename]
            if len(inner) == 1:
                nested = io.BytesIO(archive.read(inner[0]))
                shown, archive = (
                    f"{path}:{inner[0].filename}",
                    open_until_the_end.enter_context(zipfile.ZipFile(nested)),
                )
                _refuse_unsafe(shown, archive)
            yield _Zip(shown, archive)
    except (*DAMAGED, lzma.LZMAError) as error:
        # zipfile raises RuntimeError for what is encrypted or packed in a way it does not know.
        raise DataError(f"{path}: not a readable folder or zip: {error}") from error


def unsafe_name(name: str) -> str | None:
    """Why a name in an archive points outside of it, as the end of a sentence; None where it does not."""
    name = name.replace("\\", "/")
    if ".." in PurePosixPath(name).parts:
        return "has '..' in it"
    return "is an absolute name" if name.startswith("/") or name[1:2] == ":" else None


def _refuse_unsafe(shown: str, archive: zipfile.ZipFile) -> None:
    problems = []
    for info in archive.infolist():
        if problem := unsafe_name(info.filename):
            problems.append(f"{info.filename!r} {problem}")
        elif stat.S_ISLNK(info.external_attr >> 16):
            problems.append(f"{info.filename!r} is a link")
        elif info.file_size > LARGEST_MEMBER:
            problems.append(f"{info.filename!r} claims {info.file_size} bytes")
    if problems:
        raise DataError(f"{shown}: refused, because its entries are not safe to read: {'; '.join(problems)}")


def find_root(tree: Tree, wanted: Iterable[str]) -> str:
    """The folder inside `tree`, as a prefix with its slash, under which most of `wanted` lie; "" where none does."""
    wanted = list(wanted)
    found: dict[str, int] = {}
    for name in tree.names():
        for tail in wanted:
            if name == tail or name.endswith("/" + tail):
                root = name[: -len(tail)]
                found[root] = found.get(root, 0) + 1
    return max(found, key=lambda root: (found[root], -len(root)), default="")


def digest(tree: Tree, names: Iterable[str]) -> str:
    """SHA-256 over the contents of these files, in this order."""
    total = hashlib.sha256()
    for name in names:
        one = hashlib.sha256()
        with tree.open(name) as file:
            while block := file.read(1 << 20):
                one.update(block)
        total.update(one.digest())
    return total.hexdigest()
