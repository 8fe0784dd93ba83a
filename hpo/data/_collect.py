"""What of the cache no study needs: found first, removed later, so that it can be shown in between."""

import re
import shutil
import time
from collections.abc import Iterator, Set
from pathlib import Path

from hpo.data import _cache
from hpo.formats import read_json

# A file that a process is still writing is younger than this.
STALE_SECONDS = 3600.0
_HALF = re.compile(r"\..+\.tmp")


def unused(cache: Path, keep: Set[str]) -> Iterator[tuple[str, Path]]:
    """Entries of the cache that nobody needs: what each is, and where.

    Args:
        cache: the cache's root folder.
        keep: hashes of data sets and of splits that are needed.
    """
    for kind, folder in (("data set", "data"), ("test part", "test"), ("split", "splits")):
        for entry in sorted((cache / folder).glob("*")):
            if _cache.is_sha256(entry.name) and entry.name not in keep:
                yield kind, entry
            elif _HALF.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > STALE_SECONDS:
                yield "half-written", entry
    for note in sorted((cache / "parsed").glob("*.json")):
        known = read_json(note)
        if known is None or known.get("sha256") not in keep:
            yield "note on raw files", note


def drop(cache: Path, entry: Path) -> None:
    """Removes an entry. Who still maps its files keeps them; who asks for it builds it anew.

    Raises:
        DataError: it cannot be removed.
    """
    with _cache.lock(cache, f"{entry.parent.name}-{entry.name.removesuffix('.json')}"), _cache.writing(cache):
        if entry.is_dir():
            # out of the way at once, so that nobody finds half of it
            beside = entry.with_name(f".{entry.name.strip('.')}.gone.tmp")
            entry.rename(beside)
            shutil.rmtree(beside)
        else:
            entry.unlink(missing_ok=True)
