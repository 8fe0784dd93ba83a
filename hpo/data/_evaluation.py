"""What an evaluation needs beside the split: all data outside of the test part, and the test part's name.

Nothing here opens the test part; `open_test` alone does that.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hpo.data import _cache
from hpo.data._dataset import Part, class_counts
from hpo.data._parts import parts
from hpo.errors import DataError

# Two test parts are the same if these are. Who the groups are does not make another set of windows, nor do the labels:
# they are kept as places in the list of the training part's classes, and are called what the study calls them.
_QUESTIONS = ("x.npy",)
# Up to hpo 0.1.0, which did not know a test part again beside a training part with one more class.
_FORMER_QUESTIONS = ("x.npy", "y.npy")


def sha256_of_test(data_sha256: str, cache: Path) -> str | None:
    """SHA-256 of the test part's windows alone; None where the data set has no test part.

    The same test part has the same hash beside other training data, under any name and with any labels. It follows from
    hashes that were noted when the arrays were written, so that nothing of the test part is opened.

    Raises:
        DataError: the data are not in this cache.
    """
    return _hashed(data_sha256, cache, _QUESTIONS)


def former_sha256_of_test(data_sha256: str, cache: Path) -> str | None:
    """What `sha256_of_test` said up to hpo 0.1.0, under which databases hold openings; raises as it does."""
    return _hashed(data_sha256, cache, _FORMER_QUESTIONS)


def _hashed(data_sha256: str, cache: Path, arrays: Sequence[str]) -> str | None:
    meta = _cache.read_meta(_entry(data_sha256, cache))
    if meta is None:
        raise DataError(
            f"the data {data_sha256[:12]} are not in the cache at {cache}. `hpo check STUDY.toml` reads them again on "
            "this machine, or HPO_CACHE names the cache that has them"
        )
    if not meta["test"]:
        return None
    files = {name: meta["test"]["files"][name]["sha256"] for name in arrays}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def open_train(data_sha256: str, cache: Path) -> Part:
    """Everything outside of the test part, memory-mapped and verified.

    Raises:
        DataError: it is not in this cache, or it is damaged.
    """
    entry = _entry(data_sha256, cache)
    problems = _cache.damage(entry)
    if problems:
        raise DataError(f"the data {data_sha256[:12]} cannot be used: {'; '.join(problems)}; launch the study again")
    return _cache.open_part(entry)


def refit(split_sha256: str, cache: Path) -> str:
    """A split of one fold, in which what validated trains too. Only a part that stops epochs stays apart.

    Args:
        split_sha256: of a split in this cache. Its first fold says which part stops the epochs, if one does.
        cache: the cache's root.

    Returns: the hash under which `parts` finds it. The stopping part is its validation part there.

    Raises:
        DataError: the split is not in this cache, it is damaged, or the cache cannot be written.
    """
    fold, *_ = parts(split_sha256, cache)
    known = _cache.read_meta(cache / "splits" / split_sha256) or {}
    sha256 = hashlib.sha256(f"refit {split_sha256}".encode()).hexdigest()

    def write(folder: Path) -> None:
        held = {"train": _joined([_cache.open_part(Path(part)) for part in (fold.train, fold.validation)])}
        if fold.stopping is not None:
            held["validation"] = _cache.open_part(Path(fold.stopping))
        files: _cache.Files = {}
        for name, part in held.items():
            files |= _cache.write_part(folder, part, f"fold-0/{name}/")
        counts = {name: class_counts(part.y, len(known["classes"])) for name, part in held.items()}
        note = {key: known[key] for key in ("data_sha256", "name", "classes", "channels", "shape")}
        _cache.write_meta(folder, sha256, files, {**note, "folds": [counts]})

    _cache.ensure(cache, cache / "splits" / sha256, write)
    return sha256


def _joined(pieces: list[Part]) -> Part:
    groups = [piece.groups for piece in pieces if piece.groups is not None]
    return Part(
        np.concatenate([piece.x for piece in pieces]),
        np.concatenate([piece.y for piece in pieces]),
        np.concatenate(groups) if groups else None,
    )


def _entry(data_sha256: str, cache: Path) -> Path:
    return cache / "data" / _cache.entry_name(data_sha256)
