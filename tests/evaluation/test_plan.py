"""Which configurations and seeds an evaluation trains."""

from itertools import islice

import pytest

from hpo.errors import UsageError
from hpo.evaluation.plan import configurations, fresh_seeds, given_trials, make_plan
from hpo.space import Choice, Fixed, Float, Scalar, Space
from hpo.store import StudyRecord, TrialRecord
from hpo.store.proposals import derive_seed
from tests.support import SPACES, definition, record

CONDITIONAL: dict[str, Space] = {
    "lstm": {
        "cell": Choice(values=("lstm", "gru"), default="lstm"),
        "dropout": Float(low=0.0, high=0.5, default=0.1, when={"cell": ("lstm",)}),
    }
}


def trial(number: int, value: float | None, state: str = "complete", **params: Scalar) -> TrialRecord:
    """A trial of a search."""
    return TrialRecord(number=number, state=state, value=value, params=params, seed=derive_seed(0, number))


def study(spaces: dict[str, Space] = SPACES, metric: str = "accuracy") -> StudyRecord:
    """A study that searches the learning rate."""
    return StudyRecord(
        study_id=1, name="s", definition=definition(train={"metric": metric}), digest="", spaces=spaces,
        data=record(), versions={}, created_at=0.0, stop_requested=False,
    )  # fmt: skip


def test_the_best_distinct_configurations_come_first() -> None:
    """Equal settings count once, with their best value; pruned and failed trials do not count."""
    trials = [
        trial(0, 0.8, learning_rate=0.1),
        trial(1, 0.9, learning_rate=0.2),
        trial(2, 0.95, learning_rate=0.1),
        trial(3, 0.99, "pruned", learning_rate=0.3),
        trial(4, None, "fail", learning_rate=0.4),
        trial(5, 0.7, learning_rate=0.5),
    ]
    plan = make_plan(study(), trials, top=2, seeds=1)
    assert [(c.trial, c.value, c.params) for c in plan.configurations] == [
        (2, 0.95, {"learning_rate": 0.1}),
        (1, 0.9, {"learning_rate": 0.2}),
    ]


def test_less_loss_is_better() -> None:
    """The metric's direction decides what is best, and of equals the earlier trial stands first."""
    trials = [trial(0, 0.8, learning_rate=0.1), trial(1, 0.2, learning_rate=0.2), trial(2, 0.2, learning_rate=0.3)]
    plan = make_plan(study(metric="loss"), trials, top=3, seeds=1)
    assert [c.trial for c in plan.configurations] == [1, 2, 0]


def test_only_what_counts_tells_configurations_apart() -> None:
    """Optuna's parameters of a trial are those that count: with and without a conditional one they differ."""
    trials = [trial(0, 0.5, cell="gru"), trial(1, 0.6, cell="gru"), trial(2, 0.4, cell="lstm", dropout=0.1)]
    found = configurations(trials, CONDITIONAL, ["accuracy"])
    assert [c.trial for c in found] == [1, 2]
    assert len({c.key for c in found}) == 2


def test_no_seed_of_the_search_comes_again() -> None:
    """Neither a seed that a trial had nor one that a later trial of the search would get; all are different."""
    trials = [trial(n, 0.5, learning_rate=0.1) for n in range(50)]
    seeds = make_plan(study(), trials, top=1, seeds=200).seeds
    assert len(set(seeds)) == 200
    assert not set(seeds) & {derive_seed(0, number) for number in range(2000)}
    first = list(islice(fresh_seeds(0, ()), 3))
    assert list(islice(fresh_seeds(0, first[:2]), 1)) == first[2:], "used ones are passed over"


def test_every_configuration_gets_every_seed() -> None:
    """All pairs once, and a seed is the same for all configurations, so that they can be compared in pairs."""
    trials = [trial(0, 0.8, learning_rate=0.1), trial(1, 0.9, learning_rate=0.2)]
    plan = make_plan(study(), trials, top=5, seeds=3)
    given = [g for g, _ in given_trials(plan)]
    assert len({g.key for g in given}) == len(given) == 6
    assert {(g.index, g.seed) for g in given} == set(enumerate(plan.seeds))


def test_a_study_without_a_completed_trial() -> None:
    """There is nothing to evaluate, unless nothing was searched: then its one setting is known."""
    with pytest.raises(UsageError, match=r"no trial completed yet.*hpo launch"):
        make_plan(study(), [trial(0, None, "fail", learning_rate=0.1)], top=1, seeds=1)
    fixed: dict[str, Space] = {"lstm": {"units": Fixed(default=8), "batch_size": Fixed(default=16)}}
    (only,) = make_plan(study(fixed), [], top=3, seeds=1).configurations
    assert (only.trial, only.params) == (None, {})
