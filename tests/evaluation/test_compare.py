"""What is said of scores over seeds, against SciPy and by hand."""

import pytest
from scipy import stats

from hpo.evaluation.compare import paired, spread


def test_the_paired_interval_is_students() -> None:
    """The same numbers as scipy's t test of pairs."""
    first, second = [0.91, 0.93, 0.95, 0.90, 0.94], [0.90, 0.90, 0.93, 0.91, 0.90]
    found = paired(first, second, "accuracy")
    theirs = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.low == pytest.approx(theirs.low)
    assert found.high == pytest.approx(theirs.high)
    assert found.mean == pytest.approx(0.018)
    assert not found.better


@pytest.mark.parametrize(
    ("first", "second", "metric", "better"),
    [
        ([0.95, 0.96, 0.94], [0.80, 0.82, 0.78], "accuracy", True),
        ([0.80, 0.82, 0.78], [0.95, 0.96, 0.94], "accuracy", False),
        ([0.10, 0.12, 0.11], [0.50, 0.55, 0.51], "loss", True),
        ([0.95, 0.60, 0.94], [0.80, 0.82, 0.78], "accuracy", False),
        ([0.9], [0.1], "accuracy", False),
        ([], [], "accuracy", False),
        ([0.9] * 5, [0.8] * 5, "accuracy", False),
        ([0.95, 0.85, 0.9], [0.9, 0.8, 0.85], "accuracy", False),  # equal but for rounding
        ([0.9] * 6, [0.8] * 6, "accuracy", True),
        ([0.9] * 9, [0.9] * 9, "accuracy", False),
    ],
)
def test_better_is_said_only_of_what_seeds_do_not_explain(
    first: list[float], second: list[float], metric: str, better: bool
) -> None:
    """A clear difference the right way round; never from one pair, and from equal differences only if there are six."""
    assert paired(first, second, metric).better is better


def test_of_two_alike_one_is_seldom_called_better() -> None:
    """Over many comparisons of equals about 2.5 % are wrong, as an interval of 95 % promises on one side."""
    rng = stats.norm(0.9, 0.01)
    draws = rng.rvs(size=(4000, 2, 5), random_state=1)
    wrong = sum(paired(a.tolist(), b.tolist(), "accuracy").better for a, b in draws)
    assert 60 < wrong < 145


def test_spread_of_few() -> None:
    """One value has no spread, none has no mean."""
    assert (spread([]).mean, spread([0.5]).mean, spread([0.5]).sd) == (None, 0.5, None)
    assert spread([0.4, 0.6]).sd == pytest.approx(0.1414, abs=1e-4)


def test_equal_differences_have_no_interval() -> None:
    """One of width nothing would claim what a few seeds cannot show."""
    few, many = (paired([0.95, 0.85, 0.9] * n, [0.9, 0.8, 0.85] * n, "accuracy") for n in (1, 2))
    assert (few.low, few.high, few.better) == (None, None, False)
    assert many.better


def test_scores_that_could_not_be_computed_do_not_count() -> None:
    """An AUROC of one class is NaN: the others have a mean, and alone it has none."""
    assert (spread([float("nan"), 0.4, 0.6]).n, spread([float("nan"), 0.4, 0.6]).mean) == (2, 0.5)
    assert (spread([float("nan")] * 3).n, spread([float("nan")] * 3).mean) == (0, None)
