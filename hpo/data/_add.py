"""Data brought into a folder of data sets: copied, linked, or downloaded and unpacked; never over what is there."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from hpo.data._cache import file_sha256, is_sha256
from hpo.data._download import Progress, download
from hpo.data._lazy import library
from hpo.data._source import get, tables
from hpo.data._unpack import is_archive, unpack
from hpo.errors import DataError, UsageError

# Where aeon takes the sets of the UCR and UEA archives from; `--mirror` names another place.
ARCHIVE = "https://timeseriesclassification.com/aeon-toolkit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
_ENDING = re.compile(r"(\.zip|\.tar|\.tgz|\.tar\.(gz|bz2|xz))$", re.IGNORECASE)


@dataclass(frozen=True)
class Added:
    """A data set that was brought in.

    Attributes:
        path: where it lies now, a file or a folder.
        sha256: of the file that was copied or downloaded, packed as it came; None of a folder and of a link to one.
        sources: modules of hpo/data that recognise what lies there, by its name and form alone.
    """

    path: Path
    sha256: str | None
    sources: tuple[str, ...]


def add(
    where: str,
    into: Path,
    *,
    name: str | None,
    sha256: str | None,
    link: bool,
    force: bool,
    mirror: str,
    progress: Progress,
) -> Added:
    """Brings a data set into the folder `into`, under a name of its own.

    Args:
        where: a path, an address (http or https), or the name of a data set of the UCR and UEA archives.
        name: of the file or folder to make; None takes it from `where`.
        sha256: that the file must have; an address needs it.
        link: make a symbolic link to a path instead of a copy.
        force: replace what has this name already.
        mirror: address of the folder that a name is downloaded from.
        progress: told of the bytes of a download.

    Raises:
        UsageError: contradictory options, an unknown name, a name that is taken.
        DataError: nothing lies at the path, the file has another hash, the download fails, or the archive is unsafe.
    """
    kind = "address" if "://" in where else "path" if Path(where).expanduser().exists() else "name"
    _check(where, kind, sha256, link)
    target = into / (_default_name(where, kind) if name is None else name)
    if _NAME.fullmatch(target.name) is None or target.parent != into:
        raise UsageError(
            f"{name or target.name!r} is no name for a data set; --name takes letters, digits, '.', '_', '-'"
        )
    if os.path.lexists(target) and not force:
        raise UsageError(f"{target} is there already; --force replaces it, --name gives the new one another name")
    try:
        into.mkdir(parents=True, exist_ok=True)
        with _beside(target) as fresh:
            if kind == "path":
                found = _from_path(Path(where).expanduser(), fresh, sha256, link)
            else:
                url = where if kind == "address" else f"{mirror.rstrip('/')}/{where}.zip"
                found = _from_url(url, fresh, sha256, progress)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return Added(target, found, recognised(target))


def recognised(path: Path) -> tuple[str, ...]:
    """Names of the sources that can read what lies at `path` with no other key, as far as can be told unparsed."""
    found = []
    for source, table in tables().items():
        if [key for key, field in table.model_fields.items() if field.is_required()] != ["path"]:
            continue
        try:
            get(source).fingerprint(table.model_validate({"source": source, "path": str(path)}))
        except DataError:
            continue
        found.append(source)
    return tuple(found)


def _check(where: str, kind: str, sha256: str | None, link: bool) -> None:
    if kind == "address" and sha256 is None:
        raise UsageError(
            f"an address needs --sha256, so that you get what you mean: take it from who publishes {where}, or from a "
            "copy that you trust (sha256sum FILE)"
        )
    if link and kind != "path":
        raise UsageError(f"--link is for a path, and {where} would be downloaded; leave it out")
    if link and sha256 is not None:
        raise UsageError(
            "--sha256 says nothing of a file that is only linked, for it may change; leave one of them out"
        )
    if sha256 is not None and not is_sha256(sha256):
        raise UsageError(f"--sha256 {sha256}: accepted: 64 digits of 0-9 and a-f")
    if kind == "name":
        sets = library("aeon.datasets.tsc_datasets", "aeon", "Knowing the names of the archives' data sets")
        known = {*sets.univariate, *sets.multivariate}
        if where not in known:
            close = get_close_matches(where, known, n=3)  # all 158 would hide them
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"{where}: no file, no folder, and no data set of the UCR and UEA archives{hint}")


def _default_name(where: str, kind: str) -> str:
    """The last part of the path or address; an archive's without its ending."""
    if kind == "path":
        path = Path(where).expanduser().absolute()
        return path.name if path.is_dir() else _ENDING.sub("", path.name)
    return _ENDING.sub("", Path(unquote(urlsplit(where).path)).name)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path to fill, which then takes the place of the target, or is gone if anything went wrong."""
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
    old = fresh.with_suffix(".old.tmp")
    try:
        yield fresh
        if os.path.lexists(target):
            target.rename(old)
        fresh.rename(target)
    finally:
        for path in (fresh, old):
            if path.is_symlink() or path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path, ignore_errors=True)


def _from_path(path: Path, fresh: Path, sha256: str | None, link: bool) -> str | None:
    if link:
        fresh.symlink_to(path.absolute(), target_is_directory=path.is_dir())
        return None
    if path.is_dir():
        if sha256 is not None:
            raise UsageError(f"--sha256 is of a file, and {path} is a folder; leave it out")
        shutil.copytree(path, fresh)
        return None
    found = file_sha256(path)
    if sha256 is not None and found != sha256:
        raise DataError(f"{path} has SHA-256 {found}, and not {sha256}")
    if is_archive(path):
        unpack(path, fresh)
    else:
        shutil.copyfile(path, fresh)
    return found


def _from_url(url: str, fresh: Path, sha256: str | None, progress: Progress) -> str:
    # of the address, so that a second try finds what the first one left
    file = fresh.parent / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}{Path(urlsplit(url).path).suffix}"
    found = download(url, file, sha256, progress)
    try:
        if is_archive(file):
            unpack(file, fresh)
        elif url.endswith(".zip"):
            raise DataError(f"{url} is no zip; the server sent something else, perhaps a page that says what is wrong")
        else:
            file.rename(fresh)
    finally:
        file.unlink(missing_ok=True)
    return found
