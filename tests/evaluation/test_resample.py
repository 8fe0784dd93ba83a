"""Intervals over people and seeds: they cover what they promise, and are as wide as what was drawn is few."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.evaluation.resample import Resampled

Floats = NDArray[np.float32]
WINDOWS = 10  # of one person


def predicted(right: NDArray[np.bool_]) -> Floats:
    """Probabilities of two classes for windows of class 1, right or wrong."""
    return np.stack([~right, right], axis=1).astype(np.float32)


def worlds(groups: int, seeds: int, between: float, draws: int) -> Iterator[list[Floats]]:
    """Models that are right in 0.7 of all windows, more with some people than with others, and mostly in the same."""
    rng = np.random.default_rng(1)
    for _ in range(draws):
        hard = rng.random(groups * WINDOWS) - np.repeat(rng.normal(0, between, size=groups), WINDOWS)
        yield [predicted(hard + rng.normal(0, 0.05) < 0.7) for _ in range(seeds)]


@pytest.mark.parametrize(("groups", "between"), [(4, 0.1), (9, 0.15)])
def test_the_interval_covers_the_truth(groups: int, between: float) -> None:
    """In about 95 of 100 such evaluations, even of very few people: plain percentiles would in 83 and in 91."""
    y = np.ones(groups * WINDOWS, dtype=np.int64)
    people = np.repeat(np.arange(groups), WINDOWS)
    found = [
        Resampled(y, people, {"m": models}, "accuracy", draws=100).mean("m")
        for models in worlds(groups, 3, between, 150)
    ]
    told = [(i.low, i.high) for i in found if i.low is not None and i.high is not None]
    assert len(told) >= 148, "people who all have the same score are rare"
    assert 0.9 <= np.mean([low <= 0.7 <= high for low, high in told]) <= 0.98


def test_people_are_drawn_whole() -> None:
    """Where a person's windows are all right or all wrong, the interval is far wider than windows alone would say."""
    right = np.repeat([True, False, True, True, False, True, True, True], 20)
    y, people = np.ones(160, dtype=np.int64), np.repeat(np.arange(8), 20)
    by_people = Resampled(y, people, {"m": [predicted(right)]}, "accuracy", draws=500).mean("m")
    by_windows = Resampled(y, None, {"m": [predicted(right)]}, "accuracy", draws=500).mean("m")
    assert (by_people.over, by_people.units) == ("groups", 8)
    assert (by_windows.over, by_windows.units) == ("windows", 160)
    widths = [(i.high or 0) - (i.low or 0) for i in (by_people, by_windows)]
    assert widths[0] > 3 * widths[1]


def test_seeds_widen_it() -> None:
    """Models that differ from seed to seed leave more open than equal ones with the same mean."""
    rng = np.random.default_rng(0)
    y = np.ones(400, dtype=np.int64)
    alike = [predicted(rng.random(400) < 0.7) for _ in range(3)]
    apart = [predicted(rng.random(400) < p) for p in (0.5, 0.7, 0.9)]
    widths = []
    for models in (alike, apart):
        found = Resampled(y, None, {"m": models}, "accuracy", draws=500).mean("m")
        widths.append((found.high or 0) - (found.low or 0))
    assert widths[1] > 2 * widths[0]


def test_differences_are_paired() -> None:
    """Two that are right and wrong together differ by what 100 windows cannot show, however much both depend on it."""
    rng = np.random.default_rng(0)
    right = rng.random(100) < 0.6
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True
    y = np.ones(100, dtype=np.int64)
    resampled = Resampled(
        y, None, {"a": [predicted(better)], "b": [predicted(right)], "c": [predicted(right)]}, "accuracy", draws=500
    )
    same = resampled.difference("b", "c")
    assert [same.low, same.high] == pytest.approx([-0.0362, 0.0362], abs=1e-4)
    found = resampled.difference("a", "b")
    assert 0 < (found.low or 0) < 0.2 < (found.high or 0) < 0.35


def test_no_mistake_is_no_proof() -> None:
    """Without a mistake in 40 windows the accuracy is above 0.91 only (Clopper and Pearson), not 1; no draw shows that.

    Of the balanced accuracy it is class by class. Of people who all have the same score, or of another metric, nothing
    is said.
    """
    y = np.array([0, 1] * 20)
    right = np.eye(2, dtype=np.float32)[y]
    resampled = Resampled(y, None, {"m": [right] * 3, "same": [right]}, "accuracy", draws=50)
    found = resampled.mean("m")
    assert [found.low, found.high] == pytest.approx([0.9119, 1.0], abs=1e-4)
    apart = resampled.difference("m", "same")
    assert [apart.low, apart.high] == pytest.approx([-0.0881, 0.0881], abs=1e-4)
    balanced = Resampled(y, None, {"m": [right]}, "balanced_accuracy", draws=50).mean("m")
    assert [balanced.low, balanced.high] == pytest.approx([0.8316, 1.0], abs=1e-4)  # 20 windows of each class
    people = np.repeat([0, 1, 2, 3], 10)
    for groups, metric in ((people, "accuracy"), (None, "auroc")):
        nothing = Resampled(y, groups, {"m": [right]}, metric, draws=50).mean("m")
        assert (nothing.low, nothing.high) == (None, None)


def test_a_rare_class_without_a_mistake_leaves_room() -> None:
    """Five windows that are all right show nothing in any draw; the balanced accuracy may be lower by half of 0.52.

    Of what is all wrong it may be higher; of their difference both count; of plain accuracy nothing changes.
    """
    y = np.repeat(np.arange(2), [35, 5])
    eye = np.eye(2, dtype=np.float32)
    right = eye[np.where(np.arange(40) < 7, 1, y)]  # seven mistakes, all in the frequent class
    wrong = eye[np.where(np.arange(40) < 5, 1, 0)]
    found = Resampled(y, None, {"right": [right], "wrong": [wrong]}, "balanced_accuracy", draws=500)
    room = (1 - 0.025**0.2) / 2
    top, bottom = found.mean("right"), found.mean("wrong")
    assert top.low is not None
    assert bottom.high is not None
    assert 0.9 - room - 0.1 < top.low < 0.9 - room
    assert 3 / 7 + room < bottom.high < 3 / 7 + room + 0.1
    apart, middle = found.difference("right", "wrong"), 0.9 - 3 / 7
    assert apart.low is not None
    assert apart.high is not None
    assert middle - room - 0.1 < apart.low < middle - room
    assert middle < apart.high < middle + 0.1
    plain = Resampled(y, None, {"right": [right]}, "accuracy", draws=500).mean("right")
    assert plain.low == pytest.approx(0.825 - 0.12, abs=0.03)


@pytest.mark.parametrize(("people", "sign"), [(5, 0), (6, 1)])
def test_enough_people_who_all_say_the_same_are_more_than_chance(people: int, sign: int) -> None:
    """Six at least, as with seeds; nobody can tell from fewer, and nothing where there is no difference."""
    y = np.tile([0, 1], people)
    right, half = np.eye(2, dtype=np.float32)[y], np.tile(np.array([0.6, 0.4], np.float32), (2 * people, 1))
    groups = np.repeat(np.arange(people), 2)
    found = Resampled(y, groups, {"m": [right], "half": [half], "same": [right]}, "accuracy", draws=50)
    assert (found.difference("m", "half").low, found.difference("m", "half").high) == (None, None)
    assert (found.sign("m", "half"), found.sign("half", "m"), found.sign("m", "same")) == (sign, -sign, 0)


def test_enough_windows_of_every_class_are_more_than_chance() -> None:
    """For a metric without an interval, too: six of the rarest class at least."""
    for rarest, sign in ((5, 0), (6, 1)):
        y = np.repeat([0, 1], [20, rarest])
        right, half = np.eye(2, dtype=np.float32)[y], np.tile(np.array([0.6, 0.4], np.float32), (len(y), 1))
        found = Resampled(y, None, {"m": [right], "half": [half]}, "balanced_accuracy", draws=50)
        assert found.sign("m", "half") == sign


def test_what_cannot_be_said_is_not_said() -> None:
    """One person alone has no interval; nor has a metric that most draws cannot compute."""
    y = np.array([0, 1] * 10)
    p = predicted(np.ones(20, dtype=bool))
    alone = Resampled(y, np.zeros(20, dtype=np.int64), {"m": [p]}, "accuracy", draws=50).mean("m")
    assert (alone.low, alone.high) == (None, None)
    people = np.repeat([0, 1], 10)
    y = np.repeat([0, 1], 10)
    ranked = Resampled(y, people, {"m": [p]}, "auroc", draws=50).mean("m")
    assert ranked.low is None, "half of the draws have one class only"


def test_it_is_the_same_every_time() -> None:
    """The draws have a seed of their own."""
    y = np.array([0, 1] * 20)
    p = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    first, second = (Resampled(y, None, {"m": [p]}, "loss", draws=50).mean("m") for _ in range(2))
    assert first == second
