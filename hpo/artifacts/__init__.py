"""The artifact store: where trials' files are kept for everybody. One file for each kind of store.

A file is there whole or not at all. Its name is its path below the store's root, with "/" between the parts.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from uuid import uuid4

from hpo.deadline import within
from hpo.errors import StorageError

ANSWER = 30.0  # seconds after which a store hangs


class StoreAway(StorageError):
    """The store is down, full or slow: it may answer later. Any other `StorageError` of a store needs somebody."""


class Entry(NamedTuple):
    """A file of a store.

    Attributes:
        name: below the root.
        bytes: its size.
        modified: when it was written, seconds since 1970.
    """

    name: str
    bytes: int
    modified: float


class Artifacts(Protocol):
    """A store. Thread-safe. Every method raises StorageError where the store cannot be used, or refuses a name."""

    @property
    def address(self) -> str:
        """What one gives as --artifacts to mean this store from any folder; without a secret."""

    @property
    def root(self) -> Path | None:
        """The folder, where the store is one."""

    def check(self) -> None:
        """Tries whether files can be found, written and removed."""

    def entries(self, folder: str = "") -> list[Entry]:
        """All files below a folder, sorted, half-written ones too; none where there is no such folder."""

    def get(self, name: str, target: Path) -> bool:
        """Copies a file to `target`, whole or not at all. False where there is none of that name."""

    def put(self, source: Path, name: str) -> None:
        """Copies a file into the store, in the place of an older one.

        Raises:
            FileNotFoundError: `source` is gone.
        """

    def remove(self, names: Iterable[str]) -> None:
        """Removes files; those that are not there are gone already."""

    def remove_folder(self, folder: str) -> None:
        """Removes all files below a folder, and the folder."""


def check(artifacts: Artifacts) -> None:
    """As `Artifacts.check`, and does not wait for ever for a store that hangs.

    Raises:
        StoreAway: there was no answer.
    """
    try:
        within(ANSWER, artifacts.check, "check")
    except TimeoutError as error:
        raise StoreAway(f"the artifact store {artifacts.address} has not answered for {ANSWER:.0f} s") from error


def safe(name: str) -> str:
    """A name once it is known to lead nowhere else.

    Raises:
        StorageError: it would leave the store's root.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise StorageError(f"{name!r} is no name of a file in an artifact store")
    return name


def erase(path: Path) -> None:
    """Removes a file, or a folder with all that is below; of a link the link alone. What is not there is gone already.

    Raises:
        OSError: something cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_beside(content: BinaryIO, target: Path) -> None:
    """Writes a file under a temporary name first.

    Raises:
        OSError: it cannot be written; nothing is left then.
    """
    beside = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
    try:
        with beside.open("wb") as file:
            shutil.copyfileobj(content, file)
        os.replace(beside, target)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
