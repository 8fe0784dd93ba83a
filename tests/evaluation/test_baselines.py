"""What a search has to beat: each learns what it can, and says why it is left out where it cannot."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from hpo.evaluation.baselines import BASELINES, MAJORITY, Task, scale
from hpo.scores import score

pytestmark = pytest.mark.timeout(400)  # numba compiles, once in each environment

BY_NAME = {baseline.name: baseline for baseline in BASELINES}
DTW, EUCLIDEAN, MINIROCKET = "1-nearest neighbour, DTW", "1-nearest neighbour, Euclidean", "MiniRocket"


def waves(n: int, shift: int, seed: int) -> tuple[Any, Any]:
    """Three classes of waves that begin anywhere within `shift` steps, float32 (n, 32, 2)."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % 3
    begins = rng.integers(0, shift + 1, size=n)
    x = rng.normal(scale=0.05, size=(n, 32, 2))
    for i, (label, begin) in enumerate(zip(y, begins, strict=True)):
        x[i, begin : begin + 12, 0] += np.sin(np.linspace(0, (label + 1) * np.pi, 12))
    x[:, :, 1] += 100
    return x.astype(np.float32), y


def task(shift: int = 3, scaling: str = "channel") -> tuple[Task, Any]:
    """A task, and the labels of what it asks."""
    (x, y), (asked, truth) = waves(30, shift, 0), waves(15, shift, 1)
    x, asked = scale(x, asked, scaling)
    return Task(x=x, y=y, asked=asked, classes=3), truth


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != MAJORITY])
def test_it_learns(name: str) -> None:
    """Waves are told apart, and what comes back are probabilities."""
    problem, truth = task()
    assert BY_NAME[name].refuse(problem) is None
    p = BY_NAME[name].predict(problem)
    assert p.shape == (15, 3)
    assert np.allclose(p.sum(axis=1), 1)
    assert score(truth, p)["accuracy"] > 0.9


def test_warping_forgives_a_shift() -> None:
    """Waves that begin late are nearest neighbours by time warping, but not by plain distance."""
    problem, truth = task(shift=16)
    by = {name: score(truth, BY_NAME[name].predict(problem))["accuracy"] for name in (DTW, EUCLIDEAN)}
    assert by[DTW] > by[EUCLIDEAN]


def test_the_plain_neighbour_is_scikit_learns() -> None:
    """The same labels, over all steps and channels."""
    problem, _ = task()
    theirs = KNeighborsClassifier(1).fit(problem.x.reshape(30, -1), problem.y).predict(problem.asked.reshape(15, -1))
    assert BY_NAME[EUCLIDEAN].predict(problem).argmax(axis=1).tolist() == theirs.tolist()


def test_the_majority_has_seen_only_labels() -> None:
    """The shares of the classes, for every window alike."""
    x = np.zeros((4, 8, 1), np.float32)
    p = BY_NAME[MAJORITY].predict(Task(x=x, y=np.array([0, 2, 2, 2]), asked=x[:2], classes=3))
    assert p.tolist() == [[0.25, 0.0, 0.75]] * 2


@pytest.mark.parametrize("scaling", ["channel", "sample", "none"])
def test_scaling_is_learnt_outside_of_the_test_part(scaling: str) -> None:
    """Each channel by what was seen before, or each window by itself; padded steps become 0."""
    rng = np.random.default_rng(0)
    x, asked = rng.normal(5, 3, size=(20, 8, 2)).astype(np.float32), rng.normal(9, 1, size=(4, 8, 2)).astype(np.float32)
    asked[0, 5:] = np.nan
    known, changed = scale(x, asked, scaling)
    if scaling == "sample":
        assert np.allclose(known.mean(axis=1), 0, atol=1e-5)
        assert np.allclose(changed[1:].std(axis=1), 1, atol=1e-4)
        assert np.allclose(changed[0, :5].mean(axis=0), 0, atol=1e-5)
    else:
        assert np.allclose(known.mean(axis=(0, 1)), 0, atol=1e-5)
        expected = (asked[1:] - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
        assert np.allclose(changed[1:], expected, atol=1e-4)
    assert (changed[0, 5:] == 0).all()


def test_what_is_too_much_is_left_out() -> None:
    """Judged by shapes, with the number that is too large."""
    long = np.broadcast_to(np.float32(0), (7000, 128, 9))
    problem = Task(x=long, y=np.zeros(7000, np.int64), asked=long[:3000], classes=6)
    assert "cells to fill for all pairs" in (BY_NAME[DTW].refuse(problem) or "")
    assert BY_NAME[MINIROCKET].refuse(problem) is None
    many = Task(x=np.broadcast_to(np.float32(0), (30_000, 16, 1)), y=problem.y, asked=long[:1], classes=6)
    assert "30000 windows" in (BY_NAME[MINIROCKET].refuse(many) or "")
