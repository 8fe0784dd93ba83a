"""The parts of a split as folders of arrays: written by whoever launches, verified by workers, opened by trials."""

from pathlib import Path

from hpo.artifacts import Artifacts, safe
from hpo.data import _cache
from hpo.data._dataset import IntArray, Part, class_counts
from hpo.data._load import Loaded
from hpo.data.split import Split
from hpo.errors import DataError
from hpo.formats import read_json
from hpo.settings import SHELF
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


def share(split_sha256: str, cache: Path, artifacts: Artifacts) -> None:
    """Puts a split that `prepare` wrote where workers on other machines can fetch it by its hash, unless it is there.

    Args:
        split_sha256: of the split.
        cache: holds it.
        artifacts: the store that all machines share.

    Raises:
        DataError: the split is missing or damaged. StorageError: the store cannot be used.
    """
    parts(split_sha256, cache)
    entry = cache / "splits" / split_sha256
    meta = _cache.read_meta(entry) or {}
    shelf = f"{SHELF}/splits/{split_sha256}"
    if artifacts.root is not None and not _cache.damage(artifacts.root / shelf):
        return
    if artifacts.root is None:  # sizes have to do: reading all of it would take as long as writing it
        there = {each.name: each.bytes for each in artifacts.entries(shelf)}
        wanted = {f"{shelf}/{name}": file["bytes"] for name, file in meta["files"].items()}
        if f"{shelf}/{_cache.META}" in there and wanted.items() <= there.items():
            return
    for name in (*meta["files"], _cache.META):  # the note last: an entry that has it is whole
        artifacts.put(entry / name, f"{shelf}/{name}")


def parts(split_sha256: str, cache: Path, artifacts: Artifacts | None = None) -> tuple[FoldParts, ...]:
    """The folders of a split that `prepare` wrote, verified by hash: what a worker asks before it claims anything.

    Args:
        split_sha256: of the split.
        cache: where it lies, or comes to lie.
        artifacts: the store where `share` may have put it; None looks nowhere else.

    Raises:
        DataError: the split is not in this cache, nor in the store, or a file of it is missing or damaged; the message
            says which. StorageError: the store cannot be used.
    """
    entry = cache / "splits" / _cache.entry_name(split_sha256)
    problems = _cache.damage(entry)
    if problems and artifacts is not None and _fetch(entry, cache, artifacts):
        problems = _cache.damage(entry)
    if problems:
        raise DataError(
            f"the arrays of the split {split_sha256[:12]} cannot be used: {'; '.join(problems)}. "
            "Launch the study again on this machine, which rebuilds them, or point HPO_CACHE at the cache that has them"
        )
    meta = _cache.read_meta(entry) or {}
    return _fold_parts(entry, [list(fold) for fold in meta["folds"]])


def _fetch(entry: Path, cache: Path, artifacts: Artifacts) -> bool:
    """Copies a split's entry from the store into the cache. False where the store does not have it, whole."""
    shelf = f"{SHELF}/splits/{entry.name}"

    def write(folder: Path) -> None:
        artifacts.get(f"{shelf}/{_cache.META}", folder / _cache.META)
        meta = read_json(folder / _cache.META) or {}
        files = meta.get("files")
        for name in files if isinstance(files, dict) else ():
            (folder / safe(name)).parent.mkdir(parents=True, exist_ok=True)
            artifacts.get(f"{shelf}/{name}", folder / name)

    there = {each.name for each in artifacts.entries(shelf)}
    if f"{shelf}/{_cache.META}" not in there:
        return False
    _cache.ensure(cache, entry, write)
    return True


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
