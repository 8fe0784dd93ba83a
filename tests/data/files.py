"""A made-up data set in files, the ways to damage a file, and short words for what the tests of the cache do."""

from pathlib import Path
from typing import Any

import numpy as np

from hpo.data import Loaded, load, ucr
from hpo.data.split import Split, make_split


def write_pair(folder: Path, seed: int = 0) -> Path:
    """A made-up data set of 12 + 6 samples in the UCR layout; returns its beginning."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("TRAIN", 12), ("TEST", 6)):
        table = np.column_stack([np.arange(n) % 2, rng.normal(size=(n, 8)).round(4)])
        np.savetxt(folder / f"Tiny_{part}.txt", table, fmt="%.4f")
    return folder / "Tiny"


def get(pair: Path, cache: Path) -> Loaded:
    """The data set through the cache."""
    return load(ucr.Options(path=str(pair)), cache)


def split_of(data: Loaded, **changes: Any) -> Split:
    """A stratified split with a stopping part."""
    settings: dict[str, Any] = {"by": "stratified", "folds": 1, "validation": 0.3, "stopping": 0.3, "seed": 0}
    return make_split(data.train.y, data.train.groups, **(settings | changes), data_sha256=data.sha256)


def spoil(file: Path) -> None:
    """Changes one byte; the size stays."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def leftovers(cache: Path) -> list[str]:
    """Temporary files and folders."""
    return [str(p) for p in cache.rglob("*.tmp")]


def remove(file: Path) -> None:
    """The file is gone."""
    file.unlink()


def shorten(file: Path) -> None:
    """The file is cut off."""
    file.write_bytes(file.read_bytes()[:-8])
