"""Carries the files of one attempt at a trial into the artifact store. Knows no trial's fate, and no thread."""

import time
from collections.abc import Callable
from pathlib import Path

from hpo import checkpoints
from hpo.artifacts import Artifacts
from hpo.errors import StorageError
from hpo.spool import LOG, Held, files


class Transport:
    """Remembers what it carried, so that nothing is carried twice as it is.

    Args:
        artifacts: the store.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._carried: dict[str, tuple[int, int]] = {}  # name in the store -> size and time of what was carried
        self.asked: float | None = None
        """Since when the store owes an answer, by the monotonic clock; None while it owes none."""
        self.moved = 0.0
        """When it took the last file."""

    def unended(self, held: Held, name: str, sure: Callable[[], bool] = lambda: True) -> None:
        """What a successor elsewhere needs: the newest checkpoint, in the place of older ones, and the log.

        Args:
            held: the attempt's folder. name: the trial's folder in the store.
            sure: whether the trial is still the worker's own; nothing is carried where it may not be.

        Raises:
            StorageError: the store did not take them.
        """
        checkpoint = checkpoints.newest(held.path)
        if checkpoint is not None and sure() and self._put(checkpoint, f"{name}/{checkpoint.name}"):
            others = [other for other in self._of(name) if checkpoints.is_one(other.removeprefix(f"{name}/"))]
            self._remove([other for other in others if other != f"{name}/{checkpoint.name}"])
        if sure():
            self._put(held.path / LOG, f"{name}/{LOG}")

    def ended(self, held: Held, name: str) -> None:
        """Everything but the checkpoints, which go from the store too.

        Raises:
            StorageError: the store did not take them.
        """
        for path in files(held.path):
            if not checkpoints.is_one(path.name):
                self._put(path, f"{name}/{path.name}")
        self.asked = time.monotonic()
        there = [entry.name for entry in self._artifacts.entries(name)]
        self._remove([other for other in there if checkpoints.is_one(other.removeprefix(f"{name}/"))])
        for other in self._of(name):
            del self._carried[other]

    def _of(self, name: str) -> list[str]:
        return [other for other in self._carried if other.startswith(f"{name}/")]

    def _put(self, path: Path, name: str) -> bool:
        """Carries a file, unless it was carried as it is. False where it is gone."""
        try:
            about = path.stat()
            mark = (about.st_size, about.st_mtime_ns)
            if self._carried.get(name) != mark:
                self.asked = time.monotonic()
                self._artifacts.put(path, name)
                self.moved = time.monotonic()
        except FileNotFoundError:  # the training has removed it meanwhile
            return False
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        finally:
            self.asked = None
        self._carried[name] = mark
        return True

    def _remove(self, names: list[str]) -> None:
        self.asked = time.monotonic()
        self._artifacts.remove(names)
        self.asked = None
        for name in names:
            self._carried.pop(name, None)
