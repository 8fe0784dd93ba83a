"""The spool: where trials' files lie on the node that trains, until they are in the artifact store.

A child writes here and nowhere else, so that a store that is down, full or hung never holds up a training. Each attempt
at a trial has a folder of its own, locked by the worker that attends to it; the lock of a worker that died is free, and
the next worker on the node finds what it left.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from hpo.formats import read_json

SPOOL = "spool"  # folder of the cache
LOG = "log.txt"  # what a trial prints
_ABOUT = "about.json"
_LOCK = ".lock"
STALE_SECONDS = 3600.0  # after which nobody is still making or removing a folder
_NAME = re.compile(r"(0|[1-9]\d*)-([1-9]\d*)")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no half-written one: their names begin with a dot


class Key(NamedTuple):
    """An attempt at a trial."""

    number: int
    attempt: int


@dataclass
class Held:
    """An attempt's folder, ours until it is let go."""

    key: Key
    path: Path
    lock: int | None


class Spool:
    """The files of one study on this node.

    Args:
        cache: root of the node's cache.
        study: its name. created_at: when it was created, which tells it from a deleted one of that name.
        address: of the artifact store that the files are for.

    Raises:
        OSError: the cache cannot be written.
    """

    def __init__(self, cache: Path, study: str, created_at: float, address: str) -> None:
        about = {"study": study, "created_at": created_at, "address": address}
        mark = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
        self.path = cache.resolve() / SPOOL / f"{study.replace('/', '.')}-{mark}"
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / _ABOUT).exists():
            beside = self.path / f".{_ABOUT}.{uuid4().hex[:8]}"
            beside.write_text(json.dumps(about), encoding="utf-8")
            os.replace(beside, self.path / _ABOUT)

    def folder(self, key: Key) -> Path:
        """Where an attempt's files are."""
        return self.path / f"{key.number}-{key.attempt}"

    def found(self) -> list[Key]:
        """The attempts that have a folder here, sorted."""
        names = (_NAME.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(Key(int(match[1]), int(match[2])) for match in names if match is not None)

    def make(self, key: Key, fill: Callable[[Path], None]) -> Held:
        """A new folder for an attempt; appears, locked, once `fill` has put into it what it begins with.

        Raises:
            OSError: it cannot be written.
        """
        beside = self.path / f".{key.number}-{key.attempt}.{uuid4().hex[:8]}"
        beside.mkdir()
        held = Held(key, self.folder(key), None)
        try:
            held.lock = _lock(beside)
            fill(beside)
            shutil.rmtree(held.path, ignore_errors=True)  # of an attempt that a restored database gives out again
            os.replace(beside, held.path)
        except BaseException:
            self.let_go(held)
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return held

    def take(self, key: Key) -> Held | None:
        """The folder of an attempt whose worker is gone; None where somebody holds it, or it is gone too."""
        with contextlib.suppress(OSError):
            lock = _lock(self.folder(key))
            return None if lock is None else Held(key, self.folder(key), lock)
        return None

    def let_go(self, held: Held) -> None:
        """Leaves a folder to whoever comes next."""
        if held.lock is not None:
            os.close(held.lock)
            held.lock = None

    def discard(self, held: Held) -> None:
        """Removes a folder."""
        gone = self.path / f".{held.path.name}.{uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            held.path.rename(gone)  # at once, so that nobody finds half of it
            shutil.rmtree(gone, ignore_errors=True)
        self.let_go(held)

    def tidy(self) -> None:
        """Removes what processes that were killed left half-made or half-removed."""
        with contextlib.suppress(OSError):
            for path in self.path.glob(".*"):
                if path.is_dir() and time.time() - path.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)


def files(folder: Path) -> list[Path]:
    """The whole files in an attempt's folder, sorted."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(p for p in folder.iterdir() if _FILE.fullmatch(p.name) and p.is_file() and not p.is_symlink())
    return []


def _lock(folder: Path) -> int | None:
    """Locks a folder; None where somebody has, or where the file system knows no locks.

    Raises:
        OSError: it is not there, or cannot be written.
    """
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


class Waiting(NamedTuple):
    """What waits on this node for one study.

    Attributes:
        path: the study's folder in the spool.
        study, created_at, address: see `Spool`.
    """

    path: Path
    study: str
    created_at: float
    address: str


def waiting(cache: Path) -> list[Waiting]:
    """The studies that have a spool here, whether files wait in it or not."""
    found = []
    for note in sorted((cache / SPOOL).glob(f"*/{_ABOUT}")):
        about = read_json(note) or {}
        if about.keys() >= {"study", "created_at", "address"}:
            found.append(Waiting(note.parent, about["study"], about["created_at"], about["address"]))
    return found
