"""The metrics equal scikit-learn's where both are defined, and say what they do where it is not."""

import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from hpo.scores import METRICS, confusion, per_class, per_group, score


def draw(n: int, k: int, seed: int, decimals: int = 8) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels with every class present, and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)]).astype(np.int64)
    logits = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return y, np.round(p, decimals).astype(np.float32)


@pytest.mark.parametrize("decimals", [8, 1], ids=["distinct", "many-equal"])
@pytest.mark.parametrize(("n", "k"), [(40, 2), (200, 3), (300, 6)])
def test_equal_to_scikit_learn(n: int, k: int, decimals: int) -> None:
    """With all classes present, every metric is scikit-learn's, also where many probabilities are equal."""
    y, p = draw(n, k, seed=n, decimals=decimals)
    found = score(y, p)
    assert set(found) == set(METRICS)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, p.argmax(1)))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(y, p.argmax(1)))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, p.argmax(1), average="macro"))
    ranked = [metrics.roc_auc_score(y == c, p[:, c]) for c in range(k)]
    assert found["auroc"] == pytest.approx(ranked[1] if k == 2 else np.mean(ranked))
    if decimals == 8:  # rounded ones do not sum to 1, which scikit-learn takes for a mistake
        exact = p.astype(np.float64)
        assert found["loss"] == pytest.approx(metrics.log_loss(y, exact / exact.sum(1, keepdims=True)), rel=1e-5)


def test_absent_class_is_left_out() -> None:
    """A class without windows counts in no average, but what is predicted as it still counts against the others."""
    y = np.array([0, 0, 1, 1])
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    found = score(y, p)
    assert found["balanced_accuracy"] == pytest.approx((0.5 + 1.0) / 2)
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, p.argmax(1), average="macro", labels=[0, 1]))
    expected = np.mean([metrics.roc_auc_score(y == c, p[:, c]) for c in (0, 1)])
    assert found["auroc"] == pytest.approx(expected)


@pytest.mark.parametrize("k", [2, 3])
def test_one_class_has_no_ranking(k: int) -> None:
    """With one class only, the area under the curve is NaN, and everything else is a number."""
    found = score(np.ones(5, dtype=np.int64), np.full((5, k), 1 / k))
    assert math.isnan(found.pop("auroc"))
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_no_score(bad: float) -> None:
    """One probability that is no number makes every metric NaN: it must not pass for class 0."""
    y, p = draw(20, 3, seed=0)
    p[7, 1] = bad
    assert all(math.isnan(value) for value in score(y, p).values())


def test_certain_mistake_stays_finite() -> None:
    """A probability of zero for the true class costs -log(1e-7), not infinity."""
    assert score(np.array([0]), np.array([[0.0, 1.0]]))["loss"] == pytest.approx(-math.log(1e-7))
    assert score(np.array([1]), np.array([[0.0, 1.0]]))["loss"] == 0.0


def test_confusion_rows_are_true_classes() -> None:
    """Rows are true classes, columns predicted ones, and classes that do not occur have zeros."""
    y = np.array([0, 0, 2])
    p = np.eye(4)[[0, 1, 2]]
    assert confusion(y, p, 4).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert confusion(y, p, 4).dtype == np.int64


def test_per_class_equals_scikit_learn() -> None:
    """Each class has its windows, precision, recall, F1 and area under the curve."""
    y, p = draw(90, 3, seed=5)
    found = per_class(y, p, ("walk", "sit", "lie"))
    expected = metrics.precision_recall_fscore_support(y, p.argmax(1))
    for c, name in enumerate(("walk", "sit", "lie")):
        assert (found[name]["precision"], found[name]["recall"], found[name]["f1"], found[name]["windows"]) == (
            pytest.approx(tuple(row[c] for row in expected))
        )
        assert found[name]["auroc"] == pytest.approx(metrics.roc_auc_score(y == c, p[:, c]))


def test_per_class_without_windows_is_undefined() -> None:
    """A class without windows has no recall, one never predicted no precision: NaN, not 0."""
    found = per_class(np.array([0, 0]), np.eye(3)[[0, 1]], ("a", "b", "c"))
    assert math.isnan(found["c"]["recall"])
    assert math.isnan(found["c"]["precision"])
    assert math.isnan(found["c"]["f1"])
    assert math.isnan(found["b"]["recall"])
    assert found["b"]["precision"] == 0.0


def test_per_group_scores_each_group() -> None:
    """Each group is scored by its own windows; without groups there is nothing."""
    y, p = draw(30, 3, seed=2)
    groups = np.arange(30) % 2 + 7
    found = per_group(y, p, groups)
    assert list(found) == ["7", "8"]
    assert found["7"] == {"windows": 15, **score(y[::2], p[::2])}
    assert per_group(y, p, None) == {}


@pytest.mark.parametrize(
    ("y", "shape", "message"),
    [
        ([], (0, 3), "n >= 1"),
        ([0, 1], (3, 2), r"labels of shape \(2,\)"),
        ([0, 1], (2,), r"got \(2,\)"),
        ([0, 3], (2, 3), r"0\.\.2"),
        ([-1, 0], (2, 3), r"got -1\.\.0"),
    ],
)
def test_shapes_that_do_not_fit(y: list[int], shape: tuple[int, ...], message: str) -> None:
    """Labels and probabilities that do not belong together are refused with both shapes."""
    with pytest.raises(ValueError, match=message):
        score(np.array(y, dtype=np.int64), np.full(shape, 0.5))


def test_metrics_are_named_without_heavy_imports() -> None:
    """A study file can be checked without Keras, TensorFlow or scikit-learn."""
    code = "import sys, hpo.scores; print(sorted({'keras', 'tensorflow', 'sklearn', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert METRICS["loss"] == "minimize"
    assert {METRICS[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc")} == {"maximize"}


def test_no_loss_is_plain_zero() -> None:
    """Of probabilities that are certain and right: tables would show a minus before the zero."""
    assert str(score(np.array([0, 1]), np.eye(2))["loss"]) == "0.0"
