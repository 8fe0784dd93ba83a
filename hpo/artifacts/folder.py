"""A folder as artifact store: on this machine, or on a disk that all machines share."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.artifacts import Entry, StoreAway, erase, safe, write_beside
from hpo.errors import StorageError

# What somebody else may cure, or time does.
_AWAY = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.EHOSTDOWN, errno.ENOTCONN, errno.ENETUNREACH, errno.EREMOTEIO),
}


class Folder:
    """See `Artifacts`.

    Args:
        root: made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.address = str(self.root)

    def check(self) -> None:
        """See `Artifacts`."""
        with _speaking(f"cannot write the trials' files to {self.address}"):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass

    def entries(self, folder: str = "") -> list[Entry]:
        """See `Artifacts`. Links to folders are not followed."""
        top, found = self._path(folder) if folder else self.root, []
        with _speaking(f"cannot read {top}"):
            for path, _, files in os.walk(top, onerror=_refuse):
                for file in files:
                    with contextlib.suppress(FileNotFoundError):
                        about = os.lstat(os.path.join(path, file))  # noqa: PTH118 - a Path for each of many files takes long
                        name = os.path.relpath(os.path.join(path, file), self.root)  # noqa: PTH118 - the same
                        found.append(Entry(name, about.st_size, about.st_mtime))
        return sorted(found)

    def get(self, name: str, target: Path) -> bool:
        """See `Artifacts`."""
        source = self._path(name)
        try:
            file = source.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        except OSError as error:
            raise _error(f"cannot read {source}", error) from error
        with file, _speaking(f"cannot copy {source} to {target}"):
            write_beside(file, target)
        return True

    def put(self, source: Path, name: str) -> None:
        """See `Artifacts`."""
        target = self._path(name)
        with source.open("rb") as file, _speaking(f"cannot write {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_beside(file, target)

    def remove(self, names: Iterable[str]) -> None:
        """See `Artifacts`."""
        for name in names:
            with _speaking(f"cannot remove {self._path(name)}"):
                self._path(name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """See `Artifacts`. Of a link the link alone."""
        path = self._path(folder)
        try:
            erase(path)
        except OSError as error:
            raise _error(f"cannot remove {error.filename or path}", error) from error

    def _path(self, name: str) -> Path:
        return self.root / safe(name)


def _refuse(error: OSError) -> None:
    """Of a walk: a folder that is not there is empty."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _speaking(what: str) -> Iterator[None]:
    """Turns the operating system's refusals into errors that say what could not be done."""
    try:
        yield
    except OSError as error:
        raise _error(what, error) from error


def _error(what: str, error: OSError) -> StorageError:
    kind = StoreAway if error.errno in _AWAY else StorageError
    return kind(f"{what}: {error.strerror or error}")
