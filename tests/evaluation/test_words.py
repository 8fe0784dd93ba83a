"""What people read: the right sentence for what was found, from made-up predictions of a test part."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from hpo.evaluation import report as reporting
from hpo.evaluation.page import page
from hpo.evaluation.words import sentences
from tests.evaluation.made import PEOPLE, report


def said(found: Any) -> str:
    """All of its sentences."""
    return "\n".join(sentences(found))


@pytest.mark.parametrize(
    ("ours", "best", "words"),
    [
        (0.95, 0.6, ["The winner beats the best baseline, MiniRocket", "It has learnt something"]),
        (0.9, 0.91, ["does not beat the best baseline, MiniRocket", "not distinguishable", "It has learnt something"]),
        (0.6, 0.97, ["does not beat the best baseline, MiniRocket", "the baseline is better"]),
        (0.5, 0.97, ["It does not beat always saying the most frequent class", "; MiniRocket did."]),
        (0.5, 0.5, ["Nothing here beats always saying the most frequent class, neither the winner", "nor a baseline"]),
    ],
)
def test_the_verdict_on_baselines(ours: float, best: float, words: list[str]) -> None:
    """Better, as good as can be told, worse, and whether anything beats the most frequent class."""
    text = said(report(ours, best))
    for word in words:
        assert word in text


def test_the_comparison_on_validation() -> None:
    """Better or not distinguishable, with the interval; nothing is claimed from one seed or without a runner-up."""
    better = report(0.9, 0.9)
    assert "better than the runner-up, trial 3: by 0.1000, 95 % interval 0.0500 to 0.1500, 3 common seeds" in said(
        better
    )
    same = better["comparison"] | {"low": -0.1, "verdict": "not distinguishable"}
    assert "not distinguishable from the runner-up, trial 3" in said(better | {"comparison": same})
    one = better["comparison"] | {"n": 1, "low": None, "high": None}
    assert "cannot be said from 1 seed" in said(better | {"comparison": one})
    assert "one configuration only" in said(better | {"comparison": None})


def test_chance_is_not_called_a_leak() -> None:
    """A validation score within the test's interval is reported, and no more is made of it."""
    assert "more than chance explains" not in said(report(0.9, 0.9))
    assert "more than chance explains" in said(report(0.6, 0.9))
    text = said(report(0.9, 0.9, optimism={"search": 0.05, "validation": -0.01, "beyond": False}))
    assert "0.0500 too good" in text
    assert "0.0100 too modest" in text
    exact = said(report(0.9, 0.9, optimism={"search": 0.0, "validation": -0.00001, "beyond": False}))
    assert exact.count("neither too good nor too modest") == 2


def test_a_small_validation_part_may_be_far_off() -> None:
    """The same gap that is more than chance among as many people is none if only one validated."""
    test = report(0.75, 0.9)["test"]
    validation = test["mean"] + 2 * (test["interval"]["high"] - test["mean"])
    far, near = (reporting.optimism(None, validation, units, test, "accuracy") for units in (8, 1))
    assert far["validation"] == near["validation"]
    assert far["chance"] == pytest.approx(near["chance"] / 3 * 2**0.5)
    assert (far["beyond"], near["beyond"]) == (True, False)
    alone = test | {"interval": test["interval"] | {"low": None, "high": None}}
    assert not reporting.optimism(None, 1.0, 8, alone, "accuracy")["beyond"]


def test_less_loss_than_promised_is_modest() -> None:
    """For a metric of which less is better, optimism turns round; baselines are then compared by their accuracy."""
    found = report(0.9, 0.5, metric="loss")
    assert found["optimism"]["search"] == pytest.approx(found["test"]["mean"] - 0.95)
    assert found["optimism"]["search"] < 0
    assert found["against"][0]["metric"] == "accuracy"
    assert found["against"][0]["verdict"] == "better"


def test_every_look_is_listed() -> None:
    """More than one are counted, with who and when."""
    found = report(0.9, 0.9)
    assert "opened once" in said(found)
    looks = [*found["test"]["openings"], {"study": "t", "who": "you@there", "at": "2026-02-03T04:05:06+00:00"}]
    text = said(found | {"test": found["test"] | {"openings": looks}})
    assert "opened 2 times: s, me@here, 2026-01-02 03:04 UTC; t, you@there, 2026-02-03 04:05 UTC." in text


def test_without_a_test_part_there_is_no_honest_figure() -> None:
    """It says so, and why."""
    text = said(report(0.9, 0.9, test=None, why_no_test="the data set has no test part"))
    assert "not opened: the data set has no test part. So there is no honest figure here" in text


@pytest.mark.parametrize("groups", [PEOPLE, None])
def test_the_page_holds_all_tables(groups: NDArray[np.int64] | None) -> None:
    """Seeds with mean and spread, classes as they are called, groups if there are any, the matrix, the baselines."""
    console = Console(width=200, record=True, file=None, markup=False)
    with console.capture() as captured:
        console.print(page(report(0.9, 0.9, groups=groups)))
    text = captured.get()
    for words in (
        "the winner's seed",
        "mean +- sd",
        "[b]move[/b]",
        "true class, all 3 seeds",
        "left out: too many cells",
    ):
        assert words in text
    assert ("group (test)" in text) == (groups is not None)
