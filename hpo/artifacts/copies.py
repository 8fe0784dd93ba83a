"""Trials' files as files on this machine, for all who read them."""

import contextlib
import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path

from hpo.artifacts import Artifacts, Entry
from hpo.errors import StorageError

FETCHED = "fetched"  # folder of the cache
ARRIVAL = 90.0  # seconds that a file of an ended trial may be on its way: longer than a carrier's longest pause


class Copies:
    """Where the store is a folder, its files themselves; else copies in the cache, fetched when somebody asks.

    Args:
        artifacts: the store.
        cache: root of the cache.
    """

    def __init__(self, artifacts: Artifacts, cache: Path) -> None:
        self.artifacts = artifacts
        mark = hashlib.sha256(artifacts.address.encode()).hexdigest()[:12]
        self.root = artifacts.root or cache.resolve() / FETCHED / mark

    def folder(self, name: str | None, only: Collection[str] = ()) -> Path:
        """A folder of the store, a trial's for example.

        Args:
            name: its name; None, of a trial that never began, is a folder that is not there.
            only: names of files that are needed; none means all.

        Raises:
            StorageError: the store cannot be read.
        """
        if name is None:
            return self.root / ".none"
        place = self.root / name
        if self.artifacts.root is None:
            try:
                self._renew(name, place, only)
            except OSError as error:
                raise StorageError(
                    f"cannot write {error.filename or place}: {error.strerror}. Free some space there, or choose "
                    "another folder with HPO_CACHE or --cache"
                ) from error
        return place

    def awaited(self, folder: str | None, file: str) -> Path:
        """Where a file of a trial that has ended is here. It may take a while to come from another node.

        Args:
            folder: the trial's folder in the store.
            file: its name there.

        Raises:
            StorageError: the store cannot be read.
        """
        until = time.monotonic() + ARRIVAL
        while True:
            path = self.folder(folder, {file}) / file
            if path.exists() or time.monotonic() >= until:
                return path
            time.sleep(1.0)

    def keep(self, name: str) -> None:
        """Puts a folder's files, which were written here, into the store, where it is not this folder itself.

        Raises:
            StorageError: the store cannot be written.
        """
        if self.artifacts.root is None:
            for path in sorted((self.root / name).rglob("*")):
                if path.is_file():
                    self.artifacts.put(path, path.relative_to(self.root).as_posix())

    def _renew(self, name: str, place: Path, only: Collection[str]) -> None:
        wanted = {
            entry.name: entry
            for entry in self.artifacts.entries(name)
            if not only or entry.name.removeprefix(f"{name}/") in only
        }
        if not only:  # what lies here of a study that was deleted
            for path in place.rglob("*"):
                if path.is_file() and path.relative_to(self.root).as_posix() not in wanted:
                    path.unlink(missing_ok=True)
        for entry in wanted.values():
            self._fetch(entry)

    def _fetch(self, entry: Entry) -> None:
        """Copies a file, unless it was copied as it is. Its time of change is the store's, so that one can tell."""
        path = self.root / entry.name
        with contextlib.suppress(OSError):
            about = path.stat()
            if (about.st_size, about.st_mtime) == (entry.bytes, entry.modified):
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.artifacts.get(entry.name, path):
            os.utime(path, (entry.modified, entry.modified))
