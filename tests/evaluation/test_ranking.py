"""What becomes of configurations that lose seeds: in the ranking, in the comparison, and in the words for both."""

from collections.abc import Sequence
from typing import Any

import pytest

from hpo.evaluation.ranking import Ranked, comparison, rank
from hpo.evaluation.report import per_seed
from hpo.evaluation.words import sentences
from hpo.report import evaluation as figures
from hpo.store import Configuration, Given, Plan, TrialRecord
from tests.evaluation import made

LOST = None


def ranking(*scores: Sequence[float | None]) -> list[Ranked]:
    """Configurations 0, 1, ... with these scores over their seeds, ranked."""
    plan = Plan(
        top=len(scores),
        seeds=tuple(range(len(scores[0]))),
        configurations=tuple(Configuration(key=str(n), trial=n, value=0.8, params={}) for n in range(len(scores))),
    )
    return rank(
        plan, [trial(str(n), i, value) for n, row in enumerate(scores) for i, value in enumerate(row)], "accuracy"
    )


def trial(configuration: str, index: int, value: float | None) -> TrialRecord:
    """A training on a seed; one that was lost had reported a good score before it diverged."""
    return TrialRecord(
        number=index,
        state="pruned" if value is LOST else "complete",
        value=0.99 if value is LOST else value,
        params={},
        given=Given(configuration=configuration, index=index, seed=index),
    )


def report(found: Sequence[Ranked]) -> Any:
    """A report with this comparison."""
    whole = made.report(0.9, 0.9)
    rows = [
        row | {"trial": one.configuration.trial, "lacking": ["diverged"] * len(one.lacking)}
        for row, one in zip(whole["configurations"], found, strict=True)
    ]
    return whole | {"configurations": rows, "comparison": comparison(found, "accuracy"), "seeds": [0, 1, 2]}


def test_what_lost_a_seed_ranks_behind() -> None:
    """However good its other seeds are: its mean leaves out its worst one."""
    found = ranking([0.9, 0.91, LOST], [0.7, 0.71, 0.69])
    assert [one.configuration.trial for one in found] == [1, 0]


def test_a_winner_that_is_worse_is_called_worse() -> None:
    """Where both have a score: in sentences and in the figure's text, with the reason why it won all the same."""
    found = report(ranking([0.90, 0.91, 0.90, 0.90, LOST], [0.70, 0.71, 0.69, 0.70, 0.70]))
    assert (found["comparison"]["verdict"], found["comparison"]["n"]) == ("worse", 4)
    assert found["comparison"]["high"] < 0
    said = "\n".join(sentences(found))
    assert "it is worse than the runner-up, trial 0: difference -0.2025, 95 % interval -0.2105 to -0.1945" in said
    assert "It won because the other one lost 1 more seed" in said
    assert "not distinguishable from the runner-up" not in said
    assert "The first one is worse than the second." in figures.configurations(found).alt


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([0.95, 0.96, 0.94], [0.80, 0.82, 0.78], "better"),
        ([0.95, 0.80, 0.90], [0.80, 0.82, 0.78], "not distinguishable"),
        ([0.70, 0.71, 0.69], [0.71, 0.69, LOST], "not distinguishable"),
        ([0.70, 0.71, 0.69], [0.90, LOST, LOST], "cannot be said"),
        ([LOST, 0.71, 0.69], [0.90, LOST, LOST], "cannot be said"),
    ],
)
def test_the_other_verdicts(first: Sequence[float | None], second: Sequence[float | None], verdict: str) -> None:
    """Nothing is claimed beyond what seeds explain, either way."""
    found = comparison(ranking(first, second), "accuracy")
    assert found is not None
    assert (found["winner"], found["verdict"]) == (0, verdict)


def test_a_lost_seed_has_no_validation_score() -> None:
    """Neither where it never began, nor what it had last reported: the mean beside the table leaves it out, too."""
    (winner,) = ranking([0.9, LOST, 0.8])
    rows = per_seed([5, 6, 7, 8], [*winner.trials, None], {}, [])
    assert [(row["seed"], row["validation"]) for row in rows] == [(5, 0.9), (6, None), (7, 0.8), (8, None)]
    assert winner.score.mean == pytest.approx(0.85)
