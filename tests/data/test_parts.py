"""Split parts: each in its own folder, verified by workers, mapped by trials, and never the test part."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.artifacts.folder import Folder
from hpo.data import Loaded, Part, open_part, open_test, parts, prepare, share
from hpo.data.split import Split, make_split
from hpo.errors import DataError
from hpo.settings import SHELF
from hpo.trial import FoldParts
from tests.data.files import get, remove, shorten, split_of, spoil

WATCHED = """
import sys
from pathlib import Path
from hpo.data import load, open_part, open_test, parts, prepare, ucr
from hpo.data.split import make_split

opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
pair, cache = map(Path, sys.argv[1:])
data = load(ucr.Options(path=str(pair)), cache)
split = make_split(data.train.y, None, by="stratified", folds=1, validation=0.3, stopping=0.3, seed=0,
                   data_sha256=data.sha256)
prepare(data, split, cache)
for fold in parts(split.sha256, cache):
    for folder in (fold.train, fold.stopping, fold.validation):
        open_part(folder).x.sum()
for folder in ("data", "splits", "test"):
    print(folder, any(name.startswith(str(cache / folder)) for name in opened))
open_test(data.sha256, cache)
print("test", any(name.startswith(str(cache / "test")) for name in opened))
"""


def test_trials_never_open_the_test_part(pair: Path, cache: Path) -> None:
    """Neither a load from the cache, nor preparing, nor verifying, nor opening a split opens a file under test/; the
    audit hook that watches for it sees `open_test` do so.
    """
    get(pair, cache)
    command = [sys.executable, "-c", WATCHED, str(pair), str(cache)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert out.splitlines() == ["data True", "splits True", "test False", "test True"]


def check_parts(folds: tuple[FoldParts, ...], data: Loaded, split: Split) -> None:
    """Asserts that the folders hold the split's samples."""
    assert len(folds) == len(split.folds)
    for fold, indices in zip(folds, split.folds, strict=True):
        for folder, rows in (
            (fold.train, indices.train),
            (fold.stopping, indices.stopping),
            (fold.validation, indices.validation),
        ):
            assert (folder is None) == (rows is None)
            if folder is not None and rows is not None:
                assert Path(folder).is_absolute()
                part = open_part(folder)
                np.testing.assert_array_equal(part.x, data.train.x[rows])
                np.testing.assert_array_equal(part.y, data.train.y[rows])
                assert isinstance(part.x, np.memmap)
                assert not part.x.flags.writeable


@pytest.mark.parametrize("changes", [{}, {"stopping": 0.0}, {"folds": 3, "stopping": 0.0}])
def test_split_parts(pair: Path, cache: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part lies in its own folder, mapped read-only; a worker finds the same folders, from any directory."""
    monkeypatch.chdir(cache.parent)
    data = get(pair, Path("cache"))
    split = split_of(data, **changes)
    folds = prepare(data, split, Path("cache"))
    check_parts(folds, data, split)
    assert parts(split.sha256, cache) == folds
    monkeypatch.chdir("/")
    check_parts(folds, data, split)


def test_groups_go_with_their_samples(cache: Path, tmp_path: Path) -> None:
    """Groups are cut like samples and come back with each part."""
    groups = np.array([1, 1, 2, 2, 3, 3], dtype=np.int64)
    train = Part(np.zeros((6, 2, 1), dtype=np.float32), np.array([0, 1] * 3, dtype=np.int64), groups)
    data = Loaded(
        "tiny", "a" * 64, ("0", "1"), ("c",), (2, 1), train, 0, (3, 3), (), None,
        padded=False, lengths_train=(2, 2), lengths_test=None, cut_test=0,
    )  # fmt: skip
    split = split_of(data, by="group", stopping=0.0)
    (fold,) = prepare(data, split, cache)
    validation = open_part(fold.validation).groups
    assert validation is not None
    assert validation.tolist() == groups[split.folds[0].validation].tolist()


def test_prepare_writes_once(pair: Path, cache: Path) -> None:
    """Preparing again uses what is there, unless it is damaged."""
    data = get(pair, cache)
    split = split_of(data)
    (fold,) = prepare(data, split, cache)
    file = Path(fold.train) / "x.npy"
    before = file.stat().st_ino
    prepare(data, split, cache)
    assert file.stat().st_ino == before
    spoil(file)
    prepare(data, split, cache)
    assert parts(split.sha256, cache) == (fold,)
    check_parts((fold,), data, split)


@pytest.mark.parametrize(
    ("fault", "message"),
    [(remove, r"x\.npy is missing"), (shorten, r"x\.npy has \d+ bytes instead of"), (spoil, "has another content")],
)
def test_worker_refuses_damaged_parts(pair: Path, cache: Path, fault: Callable[[Path], None], message: str) -> None:
    """A worker is told which file of a split is damaged, and ends with the exit code of data."""
    data = get(pair, cache)
    split = split_of(data)
    (fold,) = prepare(data, split, cache)
    fault(Path(fold.validation) / "x.npy")
    with pytest.raises(DataError, match=message) as caught:
        parts(split.sha256, cache)
    assert caught.value.exit_code == 3


def test_worker_refuses_absent_split(cache: Path) -> None:
    """A worker without the arrays is told so; a hash that is none never becomes a path."""
    with pytest.raises(DataError, match=r"meta\.json is missing or damaged.*HPO_CACHE"):
        parts("0" * 64, cache)
    for call in (parts, open_test):
        with pytest.raises(DataError, match="is not a SHA-256"):
            call("../../etc", cache)
    with pytest.raises(DataError, match=r"cannot open .*x\.npy"):
        open_part(str(cache / "nowhere"))


def test_no_pickles(tmp_path: Path) -> None:
    """An array of Python objects, which would run code when it is read, is refused."""
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot open .*x\.npy"):
        open_part(str(tmp_path))


def test_split_of_other_data_is_refused(pair: Path, cache: Path, tmp_path: Path) -> None:
    """A split with another number of samples is not written under this data's name."""
    data = get(pair, cache)
    split = make_split(
        np.arange(10, dtype=np.int64) % 2,
        None,
        by="stratified",
        folds=1,
        validation=0.4,
        stopping=0.0,
        seed=0,
        data_sha256=data.sha256,
    )
    with pytest.raises(DataError, match="is not one of Tiny, which has 12 training samples"):
        prepare(data, split, cache)


def test_another_machine_fetches_a_split_by_its_hash(pair: Path, cache: Path, tmp_path: Path) -> None:
    """A cache that lacks a split, or has it damaged, takes it from the shelf, unless it is damaged there too."""
    data = get(pair, cache)
    split = split_of(data)
    here = prepare(data, split, cache)
    store, other = Folder(tmp_path / "store"), tmp_path / "other"
    shelf = store.root / SHELF
    with pytest.raises(DataError):
        parts(split.sha256, other, store)
    share(split.sha256, cache, store)
    for _ in range(2):
        there = parts(split.sha256, other, store)
        assert there[0].train.startswith(str(other))
        assert np.array_equal(open_part(there[0].train).x, open_part(here[0].train).x)
        spoil(Path(there[0].train) / "x.npy")
    assert not (shelf / "test").exists()
    spoil(shelf / "splits" / split.sha256 / "fold-0" / "train" / "x.npy")
    with pytest.raises(DataError, match="another content"):
        parts(split.sha256, other, store)
    share(split.sha256, cache, store)
    assert parts(split.sha256, other, store)
