"""The parts of a split as folders of arrays: written by whoever launches, verified by workers, opened by trials."""

import shutil
from pathlib import Path

from hpo.data import _cache
from hpo.data._dataset import IntArray, Part, class_counts
from hpo.data._load import Loaded
from hpo.data.split import Split
from hpo.errors import DataError
from hpo.trial import FoldParts


def prepare(loaded: Loaded, split: Split, cache: Path) -> tuple[FoldParts, ...]:
    """Writes every part of every fold into a folder of its own, unless it is there, and says where they lie.

    Returns: absolute folder names, one `FoldParts` per fold.

    Raises:
        DataError: the split belongs to other data, or the cache cannot be written.
    """
    n = len(loaded.train.y)
    if any(sum(map(len, fold.parts().values())) != n for fold in split.folds):
        raise DataError(f"the split {split.sha256[:12]} is not one of {loaded.name}, which has {n} training samples")

    def write(folder: Path) -> None:
        files: _cache.Files = {}
        folds = []
        for number, fold in enumerate(split.folds):
            for part, indices in fold.parts().items():
                files |= _cache.write_part(folder, _take(loaded.train, indices), f"fold-{number}/{part}/")
            folds.append({p: class_counts(loaded.train.y[i], len(loaded.classes)) for p, i in fold.parts().items()})
        note = {
            "data_sha256": loaded.sha256,
            "name": loaded.name,
            "classes": loaded.classes,
            "channels": loaded.channels,
            "shape": loaded.shape,
            "folds": folds,
        }
        _cache.write_meta(folder, split.sha256, files, note)

    entry = cache / "splits" / _cache.entry_name(split.sha256)
    _cache.ensure(cache, entry, write)
    return _fold_parts(entry, [list(fold.parts()) for fold in split.folds])


def share(split_sha256: str, cache: Path, shelf: Path) -> None:
    """Puts a split that `prepare` wrote where workers on other machines can fetch it by its hash, unless it is there.

    Args:
        split_sha256: of the split.
        cache: holds it.
        shelf: a folder that all machines share, kept like a cache.

    Raises:
        DataError: the split is missing or damaged, or cannot be written there.
    """
    parts(split_sha256, cache)
    _copy(split_sha256, cache, shelf)


def parts(split_sha256: str, cache: Path, shelf: Path | None = None) -> tuple[FoldParts, ...]:
    """The folders of a split that `prepare` wrote, verified by hash: what a worker asks before it claims anything.

    Args:
        split_sha256: of the split.
        cache: where it lies, or comes to lie.
        shelf: where `share` may have put it; None looks nowhere else.

    Raises:
        DataError: the split is not in this cache, nor on the shelf, or a file of it is missing or damaged; the message
            says which.
    """
    entry = cache / "splits" / _cache.entry_name(split_sha256)
    problems = _cache.damage(entry)
    if problems and shelf is not None and not _cache.damage(shelf / "splits" / entry.name):
        _copy(split_sha256, shelf, cache)
        problems = _cache.damage(entry)
    if problems:
        raise DataError(
            f"the arrays of the split {split_sha256[:12]} cannot be used: {'; '.join(problems)}. "
            "Launch the study again on this machine, which rebuilds them, or point HPO_CACHE at the cache that has them"
        )
    meta = _cache.read_meta(entry) or {}
    return _fold_parts(entry, [list(fold) for fold in meta["folds"]])


def _copy(split_sha256: str, source: Path, target: Path) -> None:
    """Copies a split's entry from one cache to another, whole or not at all."""
    name = _cache.entry_name(split_sha256)

    def write(folder: Path) -> None:
        shutil.copytree(source / "splits" / name, folder, dirs_exist_ok=True)

    _cache.ensure(target, target / "splits" / name, write)


def channels(split_sha256: str, cache: Path) -> tuple[str, ...]:
    """Names of the channels of a split that `prepare` wrote, in the order of the last axis. Raises as `parts`."""
    parts(split_sha256, cache)
    meta = _cache.read_meta(cache / "splits" / split_sha256) or {}
    return tuple(meta["channels"])


def open_part(folder: str) -> Part:
    """The arrays of one split part, memory-mapped and read-only: what a trial trains and validates on.

    Raises:
        DataError: a file is missing or is no array.
    """
    return _cache.open_part(Path(folder))


def _take(part: Part, indices: IntArray) -> Part:
    return Part(part.x[indices], part.y[indices], None if part.groups is None else part.groups[indices])


def _fold_parts(entry: Path, folds: list[list[str]]) -> tuple[FoldParts, ...]:
    root = entry.absolute()
    return tuple(
        FoldParts(
            train=str(root / f"fold-{number}" / "train"),
            stopping=str(root / f"fold-{number}" / "stopping") if "stopping" in names else None,
            validation=str(root / f"fold-{number}" / ("validation" if "validation" in names else "train")),
        )
        for number, names in enumerate(folds)
    )
