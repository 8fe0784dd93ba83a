"""Folders of plain .npy files that are either whole or not there, built once however many processes ask.

An entry is a folder named by a hash, with a `meta.json` that holds the size and the SHA-256 of every file in it.
It is written beside its place and renamed; who wants to write takes a lock first. Knows no data source.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hpo.data._dataset import Part
from hpo.errors import DataError
from hpo.formats import read_json

META = "meta.json"
FORMAT = 2
"""Of the entries and their notes; entries of another one count as damaged, and so are rebuilt."""
Json = dict[str, Any]
Files = dict[str, dict[str, int | str]]
"""File name, relative to its entry, -> ``{"bytes": size, "sha256": hex}``."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: object) -> bool:
    """Whether `text` is a SHA-256 in hex, which may become part of a path."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def entry_name(sha256: str) -> str:
    """The hash itself, once it is known to be one.

    Raises:
        DataError: it is no SHA-256 in hex.
    """
    if not is_sha256(sha256):
        raise DataError(f"{sha256!r} is not a SHA-256 in hex")
    return sha256


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals under `path` into an error that says what to do.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write the data cache at {path}: {error.strerror or error}. Free some space there, "
            "or choose another folder with HPO_CACHE or --cache"
        ) from error


@contextmanager
def lock(cache: Path, key: str) -> Iterator[None]:
    """Holds the lock `key` of this cache; other processes wait. A process that dies lets go of it.

    Raises:
        DataError: the lock file cannot be made.
    """
    file = cache / "locks" / f"{key}.lock"
    with writing(cache):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with writing(cache):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Said explicitly: a child forked meanwhile has the same open file, and closing ours would not free it.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def ensure(cache: Path, entry: Path, write: Callable[[Path], None]) -> None:
    """Makes sure that `entry` is there and whole: uses it, waits for whoever builds it, or builds it.

    Args:
        cache: the cache's root, where the lock lies.
        entry: the folder; its name is a hash.
        write: fills the empty folder that it is given, `meta.json` included.

    Raises:
        DataError: the cache cannot be written; nothing is left behind then.
    """
    if not damage(entry):
        return
    with lock(cache, f"{entry.parent.name}-{entry.name}"):
        if not damage(entry):
            return
        beside = entry.parent / f".{entry.name}.{uuid4().hex[:8]}.tmp"
        try:
            with writing(cache):
                # We hold the lock: whatever lies here half-written belongs to a process that was killed.
                for left in entry.parent.glob(f".{entry.name}.*.tmp"):
                    shutil.rmtree(left)
                beside.mkdir(parents=True)
                write(beside)
                if entry.exists():
                    # Whoever still maps the old files keeps them; only their names go.
                    entry.rename(beside.with_suffix(".old.tmp"))
                beside.rename(entry)
        finally:
            for left in entry.parent.glob(f".{entry.name}.*.tmp"):
                shutil.rmtree(left, ignore_errors=True)


def write_part(folder: Path, part: Part, prefix: str = "") -> Files:
    """Writes the arrays of `part` into ``folder/prefix`` and returns what `meta.json` says of them."""
    (folder / prefix).mkdir(parents=True, exist_ok=True)
    files: Files = {}
    for name, array in part.arrays().items():
        path = folder / prefix / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files[f"{prefix}{name}.npy"] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    return files


def open_part(folder: Path) -> Part:
    """The arrays in `folder`, memory-mapped and read-only; nothing is read before it is used.

    Raises:
        DataError: a file is missing or is no array.
    """
    arrays: dict[str, Any] = {"groups": None}
    for name in (field.name for field in fields(Part)):
        path = folder / f"{name}.npy"
        if name not in ("x", "y") and not path.exists():
            continue
        try:
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"cannot open {path}: {error}. The cache is damaged; launch the study again on this machine, "
                "which rebuilds it from the data's files"
            ) from error
    return Part(**arrays)


def write_meta(folder: Path, sha256: str, files: Files, note: Json) -> None:
    """Writes the entry's `meta.json`: its hash, its `files` and whatever else `note` says."""
    write_json(folder / META, {"format": FORMAT, "sha256": sha256, **note, "files": files})


def read_meta(entry: Path) -> Json | None:
    """The entry's `meta.json`; None where it is missing, damaged, of another format or of another entry."""
    meta = read_json(entry / META)
    if meta is None or (meta.get("format"), meta.get("sha256")) != (FORMAT, entry.name):
        return None
    return meta


def write_json(path: Path, value: Json) -> None:
    """Writes `value` beside `path` and moves it there, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        beside.write_text(json.dumps(value, indent=1), encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def damage(entry: Path) -> list[str]:
    """What is wrong with an entry, each file read once: an empty list means that it is whole."""
    meta = read_meta(entry)
    if meta is None:
        return [f"{entry / META} is missing or damaged"]
    problems = changed_sizes(entry, meta["files"])
    if problems:
        return problems
    for name, file in meta["files"].items():
        try:
            if file_sha256(entry / name) != file["sha256"]:
                problems.append(f"{entry / name} has another content than was written")
        except OSError as error:
            problems.append(f"{entry / name} cannot be read ({error.strerror})")
    return problems


def changed_sizes(entry: Path, files: Mapping[str, Mapping[str, int | str]]) -> list[str]:
    """Files that are missing or have another size than was written, found without opening any of them."""
    problems = []
    for name, file in files.items():
        try:
            size = (entry / name).stat().st_size
        except OSError as error:
            problems.append(f"{entry / name} is missing ({error.strerror})")
            continue
        if size != file["bytes"]:
            problems.append(f"{entry / name} has {size} bytes instead of {file['bytes']}")
    return problems


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
