"""What `hpo delete` and `hpo gc` do: first a look at what would go, which can be shown, then its removal."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from hpo import checkpoints, data, formats
from hpo import spool as spools
from hpo.artifacts import Artifacts, Entry, erase
from hpo.artifacts.copies import FETCHED
from hpo.errors import StorageError
from hpo.settings import SHELF
from hpo.spool import STALE_SECONDS
from hpo.store import Doomed, Store, deletion, roster
from hpo.study_file import SIBLINGS

WORKER = "worker that left"
ORPHAN = "folder of an unknown study"
COPIES = "copies of trials' files"
HALF_DELETED = "half-deleted study"


@dataclass(frozen=True)
class Rubbish:
    """Something that nobody needs.

    Attributes:
        kind: what it is, in words.
        name: of a study or a worker; or where it is.
        bytes: of it.
        path: file or folder on this machine; None for all else.
        cache: root of the cache that it is an entry of; None for all else.
        stored: names of its files in the artifact store, or of one folder, with a "/" at its end.
    """

    kind: str
    name: str
    bytes: int = 0
    path: Path | None = None
    cache: Path | None = None
    stored: tuple[str, ...] = ()


def delete(store: Store, doomed: Doomed, artifacts: Artifacts, cache: Path) -> None:
    """Deletes a study with its siblings and files. Interrupted, it can be called again.

    Args:
        store: the database.
        doomed: what `deletion.look` found.
        artifacts: the store of the trials' files.
        cache: of this machine, where files may wait for the store.

    Raises:
        UsageError: somebody works on it; nothing was removed.
        StorageError: files cannot be removed; the rows are gone, the same call goes on.
    """
    deletion.begin(store, doomed)
    for name in _outermost(doomed):
        artifacts.remove_folder(name)
    for spool in spools.waiting(cache):
        if spool.study in doomed.names and spool.address == artifacts.address:
            _remove(spool.path)
    deletion.end(store, doomed)


def folders_of(doomed: Doomed, artifacts: Artifacts) -> dict[str, int]:
    """The folders of studies that have files in the store, with their bytes.

    Raises:
        StorageError: the store cannot be read.
    """
    found = {f"{artifacts.address}/{name}": artifacts.entries(name) for name in _outermost(doomed)}
    return {folder: sum(entry.bytes for entry in entries) for folder, entries in found.items() if entries}


def _outermost(doomed: Doomed) -> list[str]:
    """The names of studies, those that lie in another one left out."""
    return [name for name in doomed.names if not any(name.startswith(f"{other}/") for other in doomed.names)]


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())


def rubbish(store: Store, artifacts: Artifacts, cache: Path) -> list[Rubbish]:
    """All that nobody needs. Trials that run, or may be taken up again, are left alone, and so are their files.

    Args:
        store: the database.
        artifacts: the store of the trials' files.
        cache: root of the data cache.

    Raises:
        StorageError: the artifact store cannot be read.
    """
    # Files first, the database second: a file is made after its trial's row, so one without a row is nobody's.
    shelved, folders = _sorted(artifacts.entries())
    waiting = spools.waiting(cache)
    found = [Rubbish(HALF_DELETED, name) for name in deletion.half_deleted(store)]
    half_deleted = {each.name for each in found}
    names = store.names()
    records = {name: store.study(name) for name in names}
    keep = {sha256 for record in records.values() for sha256 in (record.data.sha256, record.data.split_sha256)}
    for name in names:
        found += _of_study(store, name, folders.get(name, {}), artifacts)
    for name, trials in folders.items():
        if name not in names and not any(name == n or name.startswith(f"{n}/") for n in half_deleted):
            total = sum(entry.bytes for entries in trials.values() for entry in entries)
            found.append(Rubbish(ORPHAN, f"{artifacts.address}/{name}", total, stored=(f"{name}/",)))
    found += [Rubbish(WORKER, worker) for worker in roster.gone(store)]
    found += [Rubbish(kind, str(path), size(path), path, cache) for kind, path in data.unused(cache, keep)]
    copies = [path for path in sorted((cache / FETCHED).glob("*")) if not _is_in_use(path)]
    found += [Rubbish(COPIES, str(path), size(path), path) for path in copies]
    known = {(name, record.created_at) for name, record in records.items()}
    for spool in waiting:
        if (spool.study, spool.created_at) not in known:
            found.append(Rubbish(ORPHAN, str(spool.path), size(spool.path), spool.path))
    for entry, entries in shelved.items():  # workers cannot build anew what lies there
        if entry.rpartition("/")[2] not in keep:
            total = sum(each.bytes for each in entries)
            found.append(Rubbish(ORPHAN, f"{artifacts.address}/{entry}", total, stored=(f"{entry}/",)))
    return found


def _is_in_use(folder: Path) -> bool:
    """Whether something was copied there, or written, a short while ago: an evaluation may be at work on it."""
    return any(time.time() - path.lstat().st_ctime < STALE_SECONDS for path in folder.rglob("*"))


Folders = dict[str, dict[int | None, list[Entry]]]
"""Study -> number of a trial, None for none -> files."""


def _sorted(entries: Iterable[Entry]) -> tuple[dict[str, list[Entry]], Folders]:
    """A store's files: by entry of the shelf, and by study and trial."""
    shelved: dict[str, list[Entry]] = {}
    folders: Folders = {}
    for entry in entries:
        first, *rest = entry.name.split("/")
        if first == SHELF:
            if len(rest) > 2 and rest[0] == "splits":
                shelved.setdefault("/".join([first, *rest[:2]]), []).append(entry)
            continue
        if len(rest) > 1 and rest[0] in SIBLINGS:
            first, rest = f"{first}/{rest[0]}", rest[1:]
        number = int(rest[0]) if len(rest) > 1 and re.fullmatch(r"0|[1-9][0-9]*", rest[0]) else None
        if number is not None or rest == ["forkserver.log"]:
            folders.setdefault(first, {}).setdefault(number, []).append(entry)
    return shelved, folders


def _of_study(store: Store, name: str, folders: dict[int | None, list[Entry]], place: Artifacts) -> Iterator[Rubbish]:
    trials = store.trials(name)
    for number, entries in folders.items():
        if number is None:
            continue
        if number >= len(trials):
            folder = f"{name}/{number}"
            total = sum(entry.bytes for entry in entries)
            yield Rubbish("folder of an unknown trial", f"{place.address}/{folder}", total, stored=(f"{folder}/",))
        elif trials[number].state in ("complete", "pruned", "fail"):
            for entry in entries:
                if _is_half_written(entry):
                    yield Rubbish("half-written", f"{place.address}/{entry.name}", entry.bytes, stored=(entry.name,))
                if checkpoints.is_one(entry.name.removeprefix(f"{name}/{number}/")):
                    where = f"{place.address}/{entry.name}"
                    yield Rubbish("checkpoint of an ended trial", where, entry.bytes, stored=(entry.name,))


def _is_half_written(entry: Entry) -> bool:
    """Whether a process that was killed left it; one that still writes it began lately."""
    name = entry.name.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".tmp") and time.time() - entry.modified > STALE_SECONDS


def clear(store: Store, items: Iterable[Rubbish], artifacts: Artifacts, cache: Path) -> None:
    """Removes what `rubbish` found.

    Raises:
        StorageError, DataError: something cannot be removed; what came before it is gone.
    """
    for item in items:
        if item.kind == HALF_DELETED:
            delete(store, deletion.look(store, item.name), artifacts, cache)
        elif item.kind == WORKER:
            roster.forget(store, item.name)
        elif item.path is not None and item.cache is not None:
            data.drop(item.cache, item.path)
        elif item.path is not None:
            _remove(item.path)
        for name in item.stored:
            if name.endswith("/"):
                artifacts.remove_folder(name.removesuffix("/"))
            else:
                artifacts.remove([name])


def _remove(path: Path) -> None:
    try:
        erase(path)
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
