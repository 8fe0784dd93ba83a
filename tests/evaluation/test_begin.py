"""Whether an evaluation begins anew, goes on or is shown, by all that earlier ones may have left."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from hpo.evaluation.begin import NO_TEST_PART, NOT_ASKED, Asked, due
from hpo.evaluation.plan import make_plan
from hpo.store import Claims, Evaluations, Plan, Store, open_once
from tests.support import FAST, create, definition, work_off

TEST = "f" * 64
# state -> its report, and whether the test part was opened for it
STATES: dict[str, tuple[dict[str, Any] | None, bool]] = {
    "begun": (None, False),
    "looked": (None, True),  # killed between the opening and the report
    "ranked": ({"test": None, "why_no_test": NOT_ASKED, "test_sha256": TEST}, False),
    "ranked, looked": ({"test": None, "why_no_test": NOT_ASKED, "test_sha256": TEST}, True),
    "no test part": ({"test": None, "why_no_test": NO_TEST_PART, "test_sha256": None}, False),
    "tested": ({"test": {"sha256": TEST}}, True),
}
ASKED = (Asked(1, 2), Asked(1, 2, test=False), Asked(1, 2, again=True))
# what there is, the oldest first; "old": the search has found something better since
#                                                   evaluate  --no-test  --again
TABLE: list[tuple[list[str], tuple[str, str, str]]] = [
    ([], ("new", "new", "new")),
    (["begun"], ("go on 0", "go on 0", "go on 0")),
    (["old begun"], ("go on 0", "go on 0", "go on 0")),
    (["looked"], ("finish 0", "finish 0", "finish 0")),
    (["old looked"], ("finish 0", "finish 0", "finish 0")),
    (["ranked"], ("go on 0", "show 0", "go on 0")),
    (["old ranked"], ("new", "new", "new")),
    (["ranked, looked"], ("finish 0", "finish 0", "finish 0")),
    (["old ranked, looked"], ("finish 0", "finish 0", "finish 0")),
    (["no test part"], ("show 0", "show 0", "show 0")),
    (["old no test part"], ("new", "new", "new")),
    (["tested"], ("show 0", "show 0", "new")),
    (["old tested"], ("new", "new", "new")),
    (["old ranked", "ranked"], ("go on 1", "show 1", "go on 1")),
    (["old ranked", "tested"], ("show 1", "show 1", "new")),
    (["old ranked", "old tested"], ("new", "new", "new")),
    (["old tested", "ranked"], ("go on 1", "show 1", "go on 1")),
    (["old ranked", "begun"], ("go on 1", "go on 1", "go on 1")),
    (["tested", "begun"], ("show 0", "show 0", "go on 1")),
    (["old tested", "begun"], ("go on 1", "go on 1", "go on 1")),
    (["tested", "looked"], ("show 0", "show 0", "finish 1")),
    (["old tested", "looked"], ("finish 1", "finish 1", "finish 1")),
    (["old tested", "old looked"], ("finish 1", "finish 1", "finish 1")),
    (["old ranked", "old looked"], ("finish 1", "finish 1", "finish 1")),
    (["tested", "tested"], ("show 1", "show 1", "new")),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all rows of the table."""
    folder = tmp_path_factory.mktemp("begin")
    with Store(f"sqlite:///{folder / 'hpo.db'}", create=True) as made:
        yield made


def study(store: Store, name: str) -> Plan:
    """A study whose search has ended; what it would evaluate now."""
    create(store, definition(name, budget={"trials": 1}))
    work_off(Claims(store, name, "a", FAST))
    return today(store, name)


def today(store: Store, name: str) -> Plan:
    """What an evaluation would train that begins now."""
    return make_plan(store.study(name), store.trials(name), top=1, seeds=2)


def improve(store: Store, name: str) -> None:
    """The search finds something better."""
    trials = store.optuna_study(store.study(name))
    better = trials.ask()
    better.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    trials.tell(better, 0.999)


def leave(store: Store, name: str, plan: Plan, states: Sequence[str]) -> None:
    """Evaluations that got so far, one after the other."""
    evaluations = Evaluations(store, store.study(name))
    for state in states:
        report, opened = STATES[state.removeprefix("old ")]
        evaluation = evaluations.begin(plan)
        if opened:
            purpose = evaluations.purpose(evaluation)
            open_once(store, TEST, study=name, purpose=purpose, who="me@here", again=True)
        if report is not None:
            evaluations.finish(evaluation.number, report)


def said(store: Store, name: str, asked: Asked) -> str:
    """What is due, in two words."""
    found = due(store, store.study(name), asked)
    if found.evaluation is None:
        assert found.plan == today(store, name)
        return "new"
    assert found.plan == found.evaluation.plan
    word = "finish" if found.spent else "go on" if found.shown is None else "show"
    return f"{word} {found.evaluation.number}"


@pytest.mark.parametrize(("there", "wanted"), TABLE, ids=lambda value: "+".join(value) or "nothing")
def test_what_is_due(store: Store, there: list[str], wanted: tuple[str, str, str]) -> None:
    """The one look never goes to a winner of yesterday, a look that was begun is finished, what was found is shown."""
    name = f"s{TABLE.index((there, wanted))}"
    plan = study(store, name)
    old = [state for state in there if state.startswith("old ")]
    leave(store, name, plan, old)
    if old:
        improve(store, name)
        plan = today(store, name)
    leave(store, name, plan, there[len(old) :])
    assert tuple(said(store, name, asked) for asked in ASKED) == wanted


@pytest.mark.parametrize(
    ("there", "counts"),
    [
        ([], None),
        (["begun"], None),
        (["ranked", "ranked"], 1),
        (["tested", "ranked"], 0),
        (["tested", "no test part"], 0),
        (["ranked", "tested", "begun"], 1),
        (["tested", "tested"], 1),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_a_later_ranking_hides_no_test_score(store: Store, there: list[str], counts: int | None) -> None:
    """Of several evaluations other commands tell the last one that was tested, else the last one that ended."""
    name = f"l-{len(store.names())}"
    leave(store, name, study(store, name), there)
    latest = Evaluations(store, store.study(name)).latest()
    assert (latest and latest.number) == counts


def test_of_two_rankings_the_one_that_ended_last_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever was begun first: one that was interrupted may end after a later one."""
    plan = study(store, "late")
    evaluations = Evaluations(store, store.study("late"))
    first, second = evaluations.begin(plan), evaluations.begin(plan.model_copy(update={"seeds": (1,)}))
    for evaluation, moment in ((second, 1e9), (first, 1e9 + 1)):
        monkeypatch.setattr(store, "now", lambda _, at=moment: at)
        evaluations.finish(evaluation.number, STATES["ranked"][0] or {})
    latest = evaluations.latest()
    assert latest is not None
    assert latest.number == first.number == 0
