"""What people read: the right sentence for what was found, from made-up predictions of a test part."""

from io import StringIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from hpo.data import Part
from hpo.evaluation import report as reporting
from hpo.evaluation.baselines import MAJORITY
from hpo.evaluation.look import Seen
from hpo.evaluation.page import page
from hpo.evaluation.words import sentences
from hpo.formats import finite
from hpo.plots.picture import picture
from hpo.report import evaluation as figures
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


def unanimous(people: int, metric: str = "accuracy") -> Any:
    """What is said of a winner without a mistake and a most frequent class that is right in every second window."""
    y = np.tile(np.array([0, 1], dtype=np.int64), people)
    half = np.tile(np.array([0.6, 0.4], np.float32), (2 * people, 1))
    seen = Seen(
        y=y, groups=np.repeat(np.arange(people), 2), models=[np.eye(2, dtype=np.float32)[y]] * 3,
        baselines={MAJORITY: half, "MiniRocket": half}, left_out={}, seconds={},
    )  # fmt: skip
    found = finite(reporting.tested(seen, metric, ["rest", "move"]))
    found["test"]["openings"] = report(0.9, 0.9)["test"]["openings"]
    return found | {"optimism": reporting.optimism(0.95, 0.9, 8, found["test"], metric)}


def test_no_interval_is_no_defeat() -> None:
    """Where every draw says the same: of few people nothing can be said, of six it is better; never "does not beat"."""
    few, many = (said(report(0.9, 0.9) | unanimous(people)) for people in (4, 6))
    assert "Whether the winner beats the best baseline, majority class" in few
    assert "Whether it beats always saying the most frequent class (accuracy 0.5000, difference +0.5000" in few
    assert "The winner beats the best baseline" in many
    assert "It has learnt something" in many
    for text in (few, many):
        assert "does not beat" not in text
        assert "Nothing here beats" not in text


def test_baselines_of_which_nothing_can_be_said_are_not_called_beaten() -> None:
    """Where the winner is no better than the most frequent class, and no interval tells of the others."""
    found = report(0.5, 0.5)
    for row in found["baselines"]:
        if "over_majority" in row:
            row["over_majority"] |= {"low": None, "high": None, "verdict": "cannot be said"}
    assert "whether a baseline does cannot be said" in said(found)


@pytest.mark.parametrize("metric", ["accuracy", "auroc"])
@pytest.mark.parametrize("models", [1, 3])
def test_scores_that_the_test_part_does_not_have(metric: str, models: int) -> None:
    """A test part of one class has no AUROC: everything else is told, in words, tables and figures, and no NaN."""
    y = np.zeros(20, dtype=np.int64)
    half = np.tile(np.array([0.6, 0.4], np.float32), (20, 1))
    seen = Seen(y=y, groups=None, models=[half] * models, baselines={MAJORITY: half}, left_out={}, seconds={})
    found = reporting.tested(seen, metric, ["rest", "move"])
    found["test"]["openings"] = report(0.9, 0.9)["test"]["openings"]
    optimism = reporting.optimism(0.95, 0.9, 8, found["test"], metric)
    rows = [{"seed": i, "validation": 0.9, "epochs": 4, "test": v} for i, v in enumerate(found["test"]["values"])]
    whole = finite(report(0.9, 0.9, metric) | found | {"optimism": optimism, "per_seed": rows})
    text = said(whole)
    assert ("nobody can say whether validation was too kind" in text) == (metric == "auroc")
    assert "nan" not in text.lower()
    Console(file=StringIO()).print(page(whole))
    html = [*figures.outcomes(whole), figures.promise(whole), figures.ahead(whole)]
    assert all(figure is not None and "<svg" in picture(figure) for figure in html)


@pytest.mark.parametrize(("rare", "metric", "told"), [(5, "auroc", True), (20, "auroc", False), (5, "accuracy", False)])
def test_too_narrow_an_interval_is_called_so(rare: int, metric: str, told: bool) -> None:
    """Where a class is rare that of an AUROC holds the truth less often than it promises, and nothing simple helps."""
    y = np.repeat(np.array([0, 1], dtype=np.int64), [40, rare])
    p = np.random.default_rng(0).random((len(y), 2)).astype(np.float32)
    seen = Seen(y=y, groups=None, models=[p], baselines={}, left_out={}, seconds={})
    found = finite(reporting.tested(seen, metric, ["rest", "move"]))
    found["test"]["openings"] = report(0.9, 0.9)["test"]["openings"]
    text = said(report(0.9, 0.9, metric) | found)
    assert (f"The rarest class has {rare} windows. Of so few the interval of an AUROC is too narrow" in text) == told


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


@pytest.mark.parametrize("mistakes", [0, 1])
def test_a_nearly_perfect_test_leaves_room_below_it(mistakes: int) -> None:
    """Its interval ends at 1, and how far validation may lie below follows from the interval's other end."""
    y = np.arange(40, dtype=np.int64) % 2
    p = np.eye(2, dtype=np.float32)[y]
    p[:mistakes] = p[:mistakes, ::-1]
    seen = Seen(y=y, groups=None, models=[p] * 3, baselines={}, left_out={}, seconds={})
    test = reporting.tested(seen, "accuracy", ["rest", "move"])["test"]
    found = reporting.optimism(0.975, 0.95, 40, test, "accuracy")
    assert found["validation"] < 0
    assert found["chance"] == pytest.approx((test["mean"] - test["interval"]["low"]) * 2**0.5)
    assert abs(found["validation"]) < found["chance"]


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


def test_a_look_without_scores_is_not_denied() -> None:
    """Where others opened the test part of a ranking that was not scored on it, they are named."""
    found = report(0.9, 0.9)
    looks = found["test"]["openings"]
    text = said(found | {"test": None, "why_no_test": "not asked for", "openings": looks})
    assert "not opened" not in text
    assert "Nothing here was scored on the test part: not asked for." in text
    assert "The test part was opened once: s, me@here, 2026-01-02 03:04 UTC." in text


def test_the_promise_is_the_searchs_best() -> None:
    """Also where another configuration won over fresh seeds; an older hpo's report knows the winner's value alone."""
    found = report(0.9, 0.9)
    assert "the search had promised 0.9500, " in said(found)
    promised = found | {"optimism": found["optimism"] | {"promised": 0.99}}
    assert "the search had promised 0.9900, " in said(promised)


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


def test_a_model_without_a_score_is_left_out_everywhere() -> None:
    """One of five gave NaN: mean, interval and differences are those of the other four, as if it were not there."""
    y = np.arange(40, dtype=np.int64) % 2
    p = np.eye(2, dtype=np.float32)[y]
    wrong, broken = p.copy(), p.copy()
    wrong[:4], broken[0] = wrong[:4, ::-1], np.nan
    baselines = {MAJORITY: np.tile(np.array([0.6, 0.4], np.float32), (40, 1))}
    four, five = (
        reporting.tested(Seen(y, None, models, baselines, {}, {}), "accuracy", ["rest", "move"])
        for models in ([wrong, p, wrong, p], [wrong, p, wrong, p, broken])
    )
    assert (five["test"]["n"], five["test"]["mean"], five["test"]["interval"]["seeds"]) == (4, 0.95, 4)
    assert np.isnan(five["test"]["values"][4])
    assert five["against"] == four["against"]
    assert five["against"][0]["verdict"] == "better"
    assert five["test"]["confusion_matrix"] == four["test"]["confusion_matrix"]


def test_windows_are_not_compared_with_people() -> None:
    """Where the test part has groups and validation has none, nobody knows how far chance goes."""
    test = report(0.6, 0.9)["test"]
    found = reporting.optimism(None, 0.9, None, test, "accuracy")
    assert (found["chance"], found["beyond"]) == (None, False)
    assert found["validation"] == pytest.approx(0.9 - test["mean"])
    parts = [
        Part(np.zeros((4, 2, 1), np.float32), np.zeros(4, np.int64), groups) for groups in (None, np.arange(4) // 2)
    ]
    assert [reporting.validated([part], grouped) for part in parts for grouped in (False, True)] == [4, None, 4, 2]
