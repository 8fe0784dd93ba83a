"""Splits: nothing leaks from part to part, and the hash says exactly what a split is made of."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hpo.data._dataset import IntArray
from hpo.data.split import By, Fold, Split, make_split
from hpo.errors import DataError

DATA = "d" * 64


def ints(values: Any) -> IntArray:
    """The values as int64."""
    return np.asarray(values, dtype=np.int64)


def draw(**changes: Any) -> Split:
    """A split of 60 samples, 3 classes and 12 groups, each setting changeable."""
    settings: dict[str, Any] = {
        "y": ints(np.arange(60) % 3),
        "groups": ints(np.arange(60) // 5),
        "by": "group",
        "folds": 1,
        "validation": 0.25,
        "stopping": 0.0,
        "seed": 0,
        "data_sha256": DATA,
    }
    settings |= changes
    return make_split(settings.pop("y"), settings.pop("groups"), **settings)


def check_fold(fold: Fold, n: int, groups: IntArray | None) -> None:
    """Asserts that the parts are sorted, disjoint, cover everything and share no group."""
    parts = list(fold.parts().values())
    for part in parts:
        assert part.dtype == np.int64
        assert len(part) > 0
        assert np.all(np.diff(part) > 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    if groups is not None:
        owners = [set(groups[part].tolist()) for part in parts]
        assert sum(map(len, owners)) == len(set.union(*owners))


@settings(max_examples=300)
@given(
    n=st.integers(2, 80),
    classes=st.integers(1, 3),
    owners=st.integers(1, 15),
    by=st.sampled_from(get_args(By)),
    folds=st.integers(1, 4),
    repeats=st.integers(1, 3),
    validation=st.floats(0.05, 0.6),
    stopping=st.sampled_from([0.0, 0.2, 0.5]),
    overlap=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_no_leak(
    n: int,
    classes: int,
    owners: int,
    by: By,
    folds: int,
    repeats: int,
    validation: float,
    stopping: float,
    overlap: bool,
    seed: int,
) -> None:
    """Whatever the data, a split is refused, or no sample, no group and no recording of overlapping windows lies in two
    parts, every sample lies in one, every class is trained, the folds of a round together validate each sample once,
    and asking again gives the same hash.
    """
    rng = np.random.default_rng(seed)
    y = ints(np.unique(rng.integers(classes, size=n), return_inverse=True)[1])
    groups = ints(rng.integers(owners, size=n) * 10)
    # recordings lie within groups
    recordings = ints(groups * 100 + rng.integers(4, size=n)) if overlap else None
    own = ints(rng.integers(-1, folds, size=n) if recordings is None else recordings % (folds + 1) - 1)

    def make() -> Split:
        return make_split(
            y,
            groups,
            by=by,
            folds=folds,
            validation=validation,
            stopping=stopping,
            seed=seed,
            data_sha256=DATA,
            repeats=repeats,
            predefined=own,
            recordings=recordings,
        )

    try:
        split = make()
    except DataError:
        event("refused")
        return
    event(f"split {by}")
    grouped = by in ("group", "leave-one-group-out")
    for fold in split.folds:
        check_fold(fold, n, groups if grouped else None)
        check_fold(fold, n, recordings)
        assert (fold.stopping is not None) == (stopping > 0)
        assert set(y[fold.train].tolist()) == set(y.tolist())
    if by == "predefined":
        assert [fold.validation.tolist() for fold in split.folds] == [
            np.flatnonzero(own == k).tolist() for k in range(folds) if (own == k).any()
        ]
    elif by == "leave-one-group-out":
        assert [set(groups[fold.validation].tolist()) for fold in split.folds] == [{g} for g in np.unique(groups)]
    else:
        assert len(split.folds) == folds * repeats
        rounds = [split.folds[k * folds : (k + 1) * folds] for k in range(repeats)]
        validated = [sorted(np.concatenate([fold.validation for fold in one]).tolist()) for one in rounds]
        assert folds == 1 or validated == [list(range(n))] * repeats
    assert make().sha256 == split.sha256


@pytest.mark.parametrize("by", ["group", "stratified"])
@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("stopping", [0.0, 0.3])
def test_ordinary_settings_are_possible(by: str, folds: int, stopping: float) -> None:
    """The settings that people use give a split with nothing refused, of about the sizes that were asked for."""
    split = draw(by=by, folds=folds, stopping=stopping)
    for fold in split.folds:
        check_fold(fold, 60, ints(np.arange(60) // 5) if by == "group" else None)
        assert abs(len(fold.validation) - (15 if folds == 1 else 20)) <= 5
        if fold.stopping is not None:
            assert abs(len(fold.stopping) - 0.3 * (60 - len(fold.validation))) <= 5


def test_stratified_keeps_class_shares() -> None:
    """A stratified holdout has the class shares of the whole."""
    y = ints([0] * 80 + [1] * 20)
    fold = draw(y=y, groups=None, by="stratified", validation=0.2, stopping=0.25).folds[0]
    assert np.bincount(y[fold.validation]).tolist() == [16, 4]
    assert fold.stopping is not None
    assert np.bincount(y[fold.stopping]).tolist() == [16, 4]
    assert np.bincount(y[fold.train]).tolist() == [48, 12]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data_sha256": "e" * 64},
        {"by": "stratified"},
        {"folds": 3},
        {"validation": 0.5},
        {"validation": 0.24},  # as many groups as with 0.25: the same indices, another setting
        {"stopping": 0.25},
    ],
    ids=str,
)
def test_hash_changes_with_what_matters(change: dict[str, Any]) -> None:
    """Another seed, other data or another setting gives another hash."""
    assert draw(**change).sha256 != draw().sha256


def test_hash_is_the_same_for_the_same() -> None:
    """The same seed, data and settings give the same hash, and what a split does not look at does not matter."""
    assert draw().sha256 == draw().sha256
    assert draw(validation=0.25, stopping=0).sha256 == draw(stopping=0.0).sha256
    other_groups = {"by": "stratified", "groups": None}
    assert draw(**other_groups).sha256 == draw(by="stratified").sha256, "groups do not matter to a stratified split"


def test_seed_moves_samples() -> None:
    """Seeds are not only part of the hash: they draw different samples."""
    validations = {tuple(draw(by="stratified", seed=seed).folds[0].validation.tolist()) for seed in range(5)}
    assert len(validations) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": None}, "the data have no groups"),
        ({"groups": ints(np.arange(59))}, "60 samples but 59 groups"),
        ({"groups": ints(np.arange(60) % 2), "folds": 3}, r"2 groups are fewer than 3 folds need \(3\)"),
        ({"groups": ints(np.zeros(60))}, r"1 groups are fewer than a training and a validation part need \(2\)"),
        (
            {"groups": ints(np.arange(60) % 2), "stopping": 0.2},
            r"2 groups are fewer than a training and a validation part and a stopping part need \(3\)",
        ),
        (
            {"y": ints([0, 1]), "groups": None, "by": "stratified", "folds": 3},
            r"2 samples are fewer than 3 folds need \(3\)",
        ),
        (
            {"y": ints([0] * 55 + [1] * 4 + [2]), "by": "stratified", "folds": 5},
            "at least 5 members for 5 folds, but class 1 has 4, class 2 has 1",
        ),
        ({"y": ints([0] * 59 + [1]), "by": "stratified"}, "but class 1 has 1"),
        ({"y": ints([0] * 55 + [1] * 5), "folds": 3}, "the training part lacks class 1; use another seed, fewer folds"),
        (
            {"y": ints([0] * 55 + [1] * 5), "folds": 3, "classes": ["no", "yes"]},
            "the training part lacks class yes; use",
        ),
        ({"y": ints([0] * 59 + [1]), "by": "stratified", "classes": ["no", "yes"]}, "but class yes has 1"),
        ({"by": "time"}, "by is 'time', known: group, stratified, leave-one-group-out, predefined"),
        ({"repeats": 0}, "repeats is 0"),
        ({"by": "leave-one-group-out", "groups": None}, "the data have no groups"),
        ({"by": "leave-one-group-out", "groups": ints(np.zeros(60))}, r"1 groups are fewer than .* need \(2\)"),
        ({"by": "leave-one-group-out", "y": ints([1] * 5 + [0] * 55)}, "the training part lacks class 1$"),
        ({"by": "predefined"}, "the source brings no split; give csv and parquet a column part"),
        ({"by": "predefined", "predefined": ints([-1] * 60)}, "puts no sample into a validation part"),
        ({"by": "predefined", "predefined": ints([-2] * 60)}, "folds go down to -2"),
        ({"by": "predefined", "predefined": ints([0] * 60)}, "fold 0: the train part is empty"),
        (
            {"by": "predefined", "predefined": ints(np.arange(60) % 2 - 1), "recordings": ints(np.arange(60) // 5)},
            "fold 0: recording 0 lies in the train and the validation part",
        ),
        (
            {"by": "stratified", "recordings": ints(np.arange(60) // 30), "folds": 3},
            r"windows that overlap stay together, and 2 recordings are fewer than 3 folds need \(3\); blocks in",
        ),
        ({"folds": 0}, "folds is 0"),
        ({"validation": 1.0}, r"validation is 1\.0"),
        ({"stopping": 1.0, "seed": -1}, r"stopping is 1\.0.*seed is -1"),
        ({"validation": 0.999}, "this group split is not possible"),
        ({"by": "stratified", "validation": 0.01}, "this stratified split is not possible"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    """What cannot be split is refused with the reason, before anything is trained."""
    with pytest.raises(DataError, match=message) as caught:
        draw(**change)
    assert caught.value.exit_code == 3


def test_overlapping_windows_keep_class_shares() -> None:
    """Where recordings are drawn, the parts have the class shares as well as recordings allow."""
    recordings = ints(np.repeat(np.arange(30), 7))
    y = ints((recordings % 3 == 0) | (recordings % 7 == 0))
    fold = draw(y=y, groups=None, by="stratified", recordings=recordings, validation=0.3, stopping=0.3).folds[0]
    for part in fold.parts().values():
        assert abs(y[part].mean() - y.mean()) < 0.1


def test_repeats_draw_anew() -> None:
    """The first round is the split without repeats; each further one is another."""
    once = draw(by="stratified", folds=3).folds
    split = draw(by="stratified", folds=3, repeats=3)
    assert [fold.validation.tolist() for fold in split.folds[:3]] == [fold.validation.tolist() for fold in once]
    assert len({tuple(fold.validation.tolist()) for fold in split.folds}) == 9
    assert split.sha256 != draw(by="stratified", folds=3).sha256


def test_the_hash_of_a_split_stays() -> None:
    """A study from before there were repeats goes on: its split has the hash it had (with the locked scikit-learn)."""
    assert draw(by="stratified", folds=3).sha256.startswith("7ea7577bfa16")
    assert draw(stopping=0.2).sha256.startswith("675777abe9be")


class LeakyLibrary:
    """Stands for a scikit-learn whose group splitter puts the wrong samples into both parts."""

    def __init__(self, rest: list[int], held: list[int]) -> None:
        self._pair = np.array(rest), np.array(held)

    def __call__(self, **_: Any) -> "LeakyLibrary":
        """The splitter is the library itself."""
        return self

    def split(self, *_: Any) -> list[Any]:
        """The one wrong pair."""
        return [self._pair]

    GroupShuffleSplit = property(lambda self: self)


@pytest.mark.parametrize(
    ("rest", "held", "message"),
    [
        ([0, 1, 2], [3, 4, 5], "group 1 lies in the train and the validation part"),
        ([0, 1, 2, 3], [3, 4, 5], "the parts overlap"),
        ([0, 1], [4, 5], "leave samples out"),
        ([0, 1, 2, 3, 4, 5], [], "the validation part is empty"),
    ],
)
def test_library_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, rest: list[int], held: list[int], message: str
) -> None:
    """A leak is refused even where the library draws it."""
    monkeypatch.setattr("hpo.data.split.library", lambda *_: LeakyLibrary(rest, held))
    with pytest.raises(DataError, match=message):
        draw(y=ints([0, 1, 0, 1, 0, 1]), groups=ints([0, 0, 1, 1, 2, 2]))
