"""A disk that refuses: the error says what to do, and nothing half-written stays."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data import bundled, cached, load
from hpo.errors import DataError
from tests.conftest import Require
from tests.data.files import get, leftovers, spoil, write_pair


def test_unwritable_cache(pair: Path, tmp_path: Path) -> None:
    """A cache that cannot be made is named, with what to do."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot write the data cache at .*file/cache: .*HPO_CACHE or --cache"):
        get(pair, tmp_path / "file" / "cache")


def test_read_only_cache(pair: Path, cache: Path, require: Require) -> None:
    """A cache without write permission serves what it has, and names itself for what it has not."""
    require(os.geteuid() != 0, "root may write everywhere", optional=True)
    data = get(pair, cache)
    folders = [cache, *(p for p in cache.rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert get(pair, cache).sha256 == data.sha256
        with pytest.raises(DataError, match="cannot write the data cache at"):
            get(write_pair(pair.parent, seed=1), cache)
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_failing_write_leaves_nothing(pair: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a write fails halfway, the error says what to do, no half entry stays, and the next try succeeds."""
    save = np.save

    def refuse(path: Path, array: Any, **options: Any) -> None:
        save(path, array[: len(array) // 2], **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(np, "save", refuse)
        with pytest.raises(DataError, match=r"cannot write the data cache at .*No space left.*Free some space"):
            get(pair, cache)
    assert leftovers(cache) == []
    assert not list(cache.glob("*/*/*.npy"))
    assert get(pair, cache).n_test == 6


def test_killed_writer_leaves_nothing(pair: Path, cache: Path) -> None:
    """What a killed process left half-written is cleared away by the next one that writes the entry."""
    data = get(pair, cache)
    folder = cache / "data"
    half = folder / f".{data.sha256}.0badc0de.tmp"
    half.mkdir()
    (half / "x.npy").write_bytes(b"half")
    spoil(folder / data.sha256 / "x.npy")
    get(pair, cache)
    assert leftovers(cache) == []


def test_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """A disk that fills up gives an error with the path and what to do, leaves nothing behind, and recovers."""
    cache = small_disk / "cache"
    load(bundled.Options(name="UnitTest"), cache)
    with pytest.raises(DataError, match=rf"cannot write the data cache at {cache}: .*HPO_CACHE or --cache"):
        load(bundled.Options(name="ACSF1"), cache)
    assert leftovers(cache) == []
    assert [entry.name for entry in cached(cache)] == ["UnitTest"]
    load(bundled.Options(name="ItalyPowerDemand"), tmp_path)
    assert load(bundled.Options(name="UnitTest"), cache).n_test == 22
