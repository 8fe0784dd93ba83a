"""What an evaluation asks of the cache: the name of a test part, and all data outside of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data import load, open_part, open_train, parts, prepare, refit, sha256_of_test
from hpo.data.npz import Options
from hpo.errors import DataError
from tests.data.files import split_of, spoil

Arrays = dict[str, Any]


def arrays(seed: int = 0, n: int = 24, test_seed: int = 9) -> Arrays:
    """A made-up data set with people in it."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(test_seed)
    return {
        "X": rng.normal(size=(n, 8, 2)),
        "y": np.arange(n) % 2,
        "groups": np.arange(n) // 4,
        "X_test": other.normal(size=(6, 8, 2)),
        "y_test": np.arange(6) % 2,
    }


def hashed(folder: Path, name: str, content: Arrays) -> str | None:
    """The hash of its test part."""
    np.savez(folder / f"{name}.npz", **content)
    loaded = load(Options(path=str(folder / f"{name}.npz")), folder / "cache")
    return sha256_of_test(loaded.sha256, folder / "cache")


def test_a_test_part_is_known_by_itself(tmp_path: Path) -> None:
    """Under another name, beside other training data and classes, with other groups and labels it is the same.

    One number in a window makes another.
    """
    first = hashed(tmp_path, "a", arrays())
    assert first is not None
    assert hashed(tmp_path, "b", arrays(seed=1, n=30)) == first
    assert hashed(tmp_path, "c", arrays() | {"groups_test": np.arange(6)}) == first
    assert hashed(tmp_path, "d", arrays(test_seed=8)) != first
    changed = arrays()
    changed["y_test"] = 1 - changed["y_test"]
    assert hashed(tmp_path, "e", changed) == first, "whose labels were corrected, say"
    assert hashed(tmp_path, "f", arrays() | {"y": np.arange(24) % 3 - 1}) == first, "class -1 is in training only"
    assert hashed(tmp_path, "g", arrays() | {"y": np.arange(24) % 3}) == first


def test_no_test_part_has_no_name(tmp_path: Path) -> None:
    """None, and data that are not in the cache are an error that says what to do."""
    content = {name: array for name, array in arrays().items() if not name.endswith("_test")}
    assert hashed(tmp_path, "a", content) is None
    with pytest.raises(DataError, match=r"are not in the cache at .* `hpo check STUDY\.toml` reads them again"):
        sha256_of_test("0" * 64, tmp_path / "cache")


@pytest.mark.parametrize("stopping", [0.0, 0.3])
@pytest.mark.parametrize("folds", [1, 3])
def test_a_refit_trains_on_all_but_what_stops(tmp_path: Path, folds: int, stopping: float) -> None:
    """Every window outside of the test part once; a stopping part stays apart, with its people."""
    np.savez(tmp_path / "a.npz", **arrays())
    cache = tmp_path / "cache"
    loaded = load(Options(path=str(tmp_path / "a.npz")), cache)
    split = split_of(loaded, by="group", folds=folds, stopping=stopping)
    prepare(loaded, split, cache)
    sha256 = refit(split.sha256, cache)
    assert refit(split.sha256, cache) == sha256
    (fold,) = parts(sha256, cache)
    train, held = open_part(fold.train), open_part(fold.validation)
    assert fold.stopping is None
    if stopping:
        indices = split.folds[0].stopping
        assert indices is not None
        assert np.array_equal(held.x, loaded.train.x[indices])
        assert not set(train.groups.tolist()) & set(held.groups.tolist())  # type: ignore[union-attr] # it has groups
    else:
        assert fold.validation == fold.train
    used = np.concatenate([train.x, held.x]) if stopping else np.asarray(train.x)
    everything = open_train(loaded.sha256, cache)
    assert np.array_equal(np.sort(used.reshape(-1)), np.sort(np.asarray(everything.x).reshape(-1)))
    assert len(used) == len(loaded.train.y)


def test_damaged_training_data_are_not_used(tmp_path: Path) -> None:
    """They are verified by their hash."""
    np.savez(tmp_path / "a.npz", **arrays())
    loaded = load(Options(path=str(tmp_path / "a.npz")), tmp_path / "cache")
    spoil(tmp_path / "cache" / "data" / loaded.sha256 / "x.npy")
    with pytest.raises(DataError, match=r"cannot be used: .*another content"):
        open_train(loaded.sha256, tmp_path / "cache")
