"""What `hpo delete` and `hpo gc` do: first a look at what would go, which can be shown, then its removal."""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from hpo import checkpoints, data, formats
from hpo.errors import StorageError
from hpo.settings import SHELF
from hpo.store import Doomed, Store, deletion, roster
from hpo.study_file import SIBLINGS

WORKER = "worker that left"
ORPHAN = "folder of an unknown study"
HALF_DELETED = "half-deleted study"


@dataclass(frozen=True)
class Rubbish:
    """Something that nobody needs.

    Attributes:
        kind: what it is, in words.
        name: of a study or a worker, or the path.
        path: file or folder; None for what stands in the database.
        bytes: on the disk.
        cache: root of the cache that it is an entry of; None for all else.
    """

    kind: str
    name: str
    path: Path | None = None
    bytes: int = 0
    cache: Path | None = None


def delete(store: Store, doomed: Doomed, artifacts: Path) -> None:
    """Deletes a study with its siblings and files. Interrupted, it can be called again.

    Args:
        store: the database.
        doomed: what `deletion.look` found.
        artifacts: root of all trials' files.

    Raises:
        UsageError: somebody works on it; nothing was removed.
        StorageError: files cannot be removed; the rows are gone, the same call goes on.
    """
    deletion.begin(store, doomed)
    for folder in folders_of(doomed, artifacts):
        _remove(folder)
    deletion.end(store, doomed)


def folders_of(doomed: Doomed, artifacts: Path) -> list[Path]:
    """The folders of studies, those that lie in another one left out."""
    names = [name for name in doomed.names if not any(name.startswith(f"{other}/") for other in doomed.names)]
    return [artifacts / name for name in names if (artifacts / name).exists()]


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())


def rubbish(store: Store, artifacts: Path, cache: Path) -> list[Rubbish]:
    """All that nobody needs. Trials that run, or may be taken up again, are left alone, and so are their files.

    Args:
        store: the database.
        artifacts: root of all trials' files.
        cache: root of the data cache.
    """
    # Folders first, the database second: a folder is made after its row, so one without a row is nobody's.
    folders = {name: _numbered(artifacts / name) for name in _studies_in(artifacts)}
    found = [Rubbish(HALF_DELETED, name) for name in deletion.half_deleted(store)]
    half_deleted = {each.name for each in found}
    names = store.names()
    keep: set[str] = set()
    for name in names:
        record = store.study(name)
        keep |= {record.data.sha256, record.data.split_sha256}
        found += _of_study(store, name, folders.get(name, {}))
    for name in folders:
        if name not in names and not any(name == n or name.startswith(f"{n}/") for n in half_deleted):
            found.append(_file(ORPHAN, artifacts / name))
    found += [Rubbish(WORKER, worker) for worker in roster.gone(store)]
    found += [Rubbish(kind, str(path), path, size(path), cache=cache) for kind, path in data.unused(cache, keep)]
    shelf = artifacts / SHELF  # workers cannot build anew what lies there
    found += [Rubbish(ORPHAN, str(path), path, size(path), cache=shelf) for _, path in data.unused(shelf, keep)]
    return found


def _studies_in(artifacts: Path) -> list[str]:
    """Names of the studies that have files here."""
    if not artifacts.is_dir():
        return []
    outer = [folder for folder in sorted(artifacts.iterdir()) if folder.is_dir() and not folder.is_symlink()]
    inner = [folder for study in outer for folder in sorted(study.iterdir()) if folder.name in SIBLINGS]
    found = [folder for folder in (*outer, *inner) if _numbered(folder) or (folder / "forkserver.log").exists()]
    return [folder.relative_to(artifacts).as_posix() for folder in found]


def _numbered(folder: Path) -> dict[int, Path]:
    """The folders of a study's trials by number."""
    return {int(f.name): f for f in folder.iterdir() if re.fullmatch(r"0|[1-9][0-9]*", f.name) and f.is_dir()}


def _of_study(store: Store, name: str, folders: dict[int, Path]) -> Iterator[Rubbish]:
    trials = store.trials(name)
    for number, folder in sorted(folders.items()):
        if number >= len(trials):
            yield _file("folder of an unknown trial", folder)
        elif trials[number].state in ("complete", "pruned", "fail"):
            for file in checkpoints.found(folder):
                yield _file("checkpoint of an ended trial", file)


def _file(kind: str, path: Path) -> Rubbish:
    return Rubbish(kind, str(path), path, size(path))


def clear(store: Store, items: Iterable[Rubbish], artifacts: Path) -> None:
    """Removes what `rubbish` found.

    Raises:
        StorageError, DataError: something cannot be removed; what came before it is gone.
    """
    for item in items:
        if item.kind == HALF_DELETED:
            delete(store, deletion.look(store, item.name), artifacts)
        elif item.kind == WORKER:
            roster.forget(store, item.name)
        elif item.path is not None and item.cache is not None:
            data.drop(item.cache, item.path)
        elif item.path is not None:
            _remove(item.path)


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {error.filename or path}: {error.strerror}; then try again") from error


def table(items: Iterable[Rubbish]) -> RenderableType:
    """A line for each kind: how many, how large."""
    rows = Table(box=None, pad_edge=False)
    for column in ("what", "how many", "bytes"):
        rows.add_column(column, justify="left" if column == "what" else "right")
    kinds: dict[str, list[Rubbish]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    for kind, those in kinds.items():
        rows.add_row(kind, str(len(those)), formats.size(sum(item.bytes for item in those)))
    return rows
