"""A trial's checkpoints: one NumPy archive in its folder of artifacts, whole or not there, the last one only.

What goes into one, and how it is put back, is the business of others: here it is arrays and JSON. Knows no Keras, so
that a supervisor can clear up.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.trial import TrialSpec

log = logging.getLogger(__name__)

# Writing may take this share of the time since the last one. So a training repeats at most one epoch, or twenty times
# what a checkpoint costs if epochs are shorter than that.
SHARE = 0.05
_NAME = re.compile(r"\.?checkpoint-(\d+)-(\d+)\.npz(\.\d+)?")
_FACTS = "facts"  # the archive's member that holds the JSON
_BROKEN = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile)


class Checkpoint(NamedTuple):
    """The state of a training between two epochs.

    Attributes:
        facts: what JSON can hold.
        arrays: everything else, by name.
    """

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Keeper:
    """Writes and finds the checkpoints of one trial. Nothing here ever fails a training.

    Args:
        spec: the trial.
        versions: of the program and its libraries: another one may go on differently.
        clock: seconds.
    """

    def __init__(
        self, spec: TrialSpec, versions: Mapping[str, str], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._folder = Path(spec.artifacts)
        self._attempt = spec.attempt
        self._identity = identity(spec, versions)
        self._clock = clock
        self._next = -np.inf
        self._warned = False

    def last(self) -> Checkpoint | None:
        """The newest one that this or an earlier attempt at this very trial left whole; None if there is none."""
        for (attempt, step), path in sorted(_found(self._folder), reverse=True):
            if attempt > self._attempt or path.name.startswith("."):
                continue
            try:
                found = _read(path)
            except _BROKEN as error:
                log.warning("%s cannot be read and is left out: %s", path.name, error)
                continue
            if found.facts.pop("identity", None) == self._identity:
                log.info("going on after step %d of attempt %d, from %s", step, attempt, path.name)
                return found
            log.warning("%s belongs to another training and is left out", path.name)
        return None

    def keep(self, step: int, take: Callable[[], Checkpoint]) -> str | None:
        """Writes a checkpoint, if writing is cheap enough by now, and removes the ones before it.

        Args:
            step: the epoch's, see `hpo.trial.Epoch`.
            take: gives the state.

        Returns: the file's name; None if there is no new one.
        """
        began = self._clock()
        if began < self._next:
            return None
        name: str | None = f"checkpoint-{self._attempt}-{step}.npz"
        try:
            facts, arrays = take()
            _write(self._folder / str(name), Checkpoint({**facts, "identity": self._identity}, arrays))
            remove(self._folder, before=(self._attempt, step))
        except OSError as error:
            if not self._warned:
                log.warning("no checkpoint: %s; the training goes on without", error)
            self._warned, name = True, None
        ended = self._clock()
        self._next = ended + (ended - began) / SHARE
        return name


def identity(spec: TrialSpec, versions: Mapping[str, str]) -> str:
    """SHA-256 of everything that decides how a training goes on.

    A part's folder counts by its last names only, which hold the split's hash: the cache lies elsewhere on other nodes.
    """
    told = spec.model_dump(mode="json", exclude={"attempt", "artifacts", "device", "folds", "keep_model", "resumable"})
    # the bits may differ on another processor, but the training is the same
    used = {name: version for name, version in versions.items() if name not in ("cpu", "device")}
    folds = [
        {part: folder and Path(folder).parts[-3:] for part, folder in fold.model_dump().items()} for fold in spec.folds
    ]
    text = json.dumps([told, folds, used], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def remove(folder: Path, *, before: tuple[int, int] | None = None) -> None:
    """Removes the checkpoints in a trial's folder, half-written ones too; what cannot be removed stays.

    Args:
        before: attempt and step: only older ones. A process that lost its trial must not remove its successor's.
    """
    for age, path in _found(folder):
        if before is None or age < before:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def is_one(name: str) -> bool:
    """Whether a file of that name is a checkpoint, or half of one."""
    return _NAME.fullmatch(name) is not None


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint in a trial's folder; None if there is none."""
    whole = [(age, path) for age, path in _found(folder) if not path.name.startswith(".")]
    return max(whole)[1] if whole else None


def found(folder: Path) -> list[Path]:
    """The checkpoints in a trial's folder, half-written ones too."""
    return sorted(path for _, path in _found(folder))


def _found(folder: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Attempt, step and path of every checkpoint; the names of half-written ones begin with a dot."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if (match := _NAME.fullmatch(path.name)) is not None:
                yield (int(match[1]), int(match[2])), path


def _write(path: Path, checkpoint: Checkpoint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    facts = np.frombuffer(json.dumps(checkpoint.facts).encode(), np.uint8)
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_FACTS: facts}, **checkpoint.arrays)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _read(path: Path) -> Checkpoint:
    """Raises one of `_BROKEN` for whatever is no checkpoint, or not all of one: the archive has check sums."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts = json.loads(arrays.pop(_FACTS).tobytes())
    if not isinstance(facts, dict):
        raise ValueError("its facts are no table")  # noqa: TRY004 - a broken file, not a wrong type of ours
    return Checkpoint(facts, arrays)
