"""Studies beside another one: their trials are given, each once, and nothing else is ever trained in them."""

from collections.abc import Callable
from itertools import count

import optuna
import pytest
from sqlalchemy import event

from hpo.errors import UsageError
from hpo.evaluation.plan import sibling
from hpo.settings import Times
from hpo.space import Params
from hpo.store import (
    Claims,
    Evaluations,
    Given,
    Idle,
    Over,
    Plan,
    Store,
    give,
    open_once,
    openings,
    refuse_second,
    unite,
)
from hpo.trial import Cause, Result
from tests.support import SPACES, claimed, completed, create, definition, open_store, record, work_off

Give = Callable[[int], None]
RATES = (0.01, 0.02)


@pytest.fixture
def store(address: str) -> Store:
    """A database of each kind with a study in it, of which two trials ended."""
    store = open_store(address)
    create(store, definition(budget={"trials": 2}))
    work_off(Claims(store, "s", "a", Times()))
    return store


@pytest.fixture
def gives(store: Store) -> Give:
    """Gives two configurations, each with so many seeds."""

    def give_them(seeds: int) -> None:
        wanted: list[tuple[Given, Params]] = [
            (Given(configuration=f"c{rate}", index=index, seed=1000 + index), {"learning_rate": rate})
            for index in range(seeds)
            for rate in RATES
        ]
        give(store, sibling(store.study("s"), "evaluate"), wanted, spaces=SPACES, data=record(), versions={})

    return give_them


def given_keys(store: Store) -> list[tuple[str, int]]:
    """What was given, in order."""
    return [trial.given.key for trial in store.trials("s/evaluate") if trial.given]


def test_each_trial_is_given_once(store: Store, gives: Give) -> None:
    """Given again, before and after it was trained, it is not trained again; more seeds add to them."""
    gives(2)
    gives(2)
    assert work_off(Claims(store, "s/evaluate", "a", Times())) == [0, 1, 2, 3]
    gives(2)
    assert store.status("s/evaluate").state == "ended"
    gives(3)
    assert work_off(Claims(store, "s/evaluate", "b", Times())) == [4, 5]
    assert len(set(given_keys(store))) == len(given_keys(store)) == 6


def test_a_given_trial_has_its_seed_and_parameters(store: Store, gives: Give) -> None:
    """Both configurations get the same seeds, and complete settings."""
    gives(1)
    claims = Claims(store, "s/evaluate", "a", Times())
    first, second = claimed(claims), claimed(claims)
    assert (first.seed, second.seed) == (1000, 1000)
    assert [claim.training["learning_rate"] for claim in (first, second)] == list(RATES)
    assert first.model == {"units": 8}
    assert store.trial("s/evaluate", 0).seed == 1000


def test_nothing_is_ever_sampled(store: Store, gives: Give) -> None:
    """A worker that comes early finds nothing to do; a bug is made good by a new gift, not by a random trial."""
    definition_ = sibling(store.study("s"), "refit")
    give(store, definition_, [], spaces=SPACES, data=record(), versions={})
    assert Claims(store, "s/refit", "a", Times()).claim() == Over(reason="trials")
    gives(1)
    claims = Claims(store, "s/evaluate", "a", Times())
    broken, other = claimed(claims), claimed(claims)
    claims.finish(broken, Result(cause=Cause.BUG, detail="broken"))
    assert claims.claim() == Idle(), "the other one may yet be lost"
    claims.finish(other, completed())
    assert claims.claim() == Over(reason="trials")
    gives(1)
    again = claimed(claims)
    assert (again.number, again.given) == (2, broken.given)


def test_the_study_itself_stays_as_it_was(store: Store, gives: Give) -> None:
    """Its counts, its budget and its best do not change, and the sibling has no first trial of its own."""
    before = store.status("s"), store.trials("s"), store.study("s")
    gives(2)
    work_off(Claims(store, "s/evaluate", "a", Times()))
    now = store.status("s").model_copy(update={"at": before[0].at})
    assert (now, store.trials("s"), store.study("s")) == before
    assert store.names() == ["s", "s/evaluate"]
    found = optuna.load_study(study_name="s/evaluate", storage=store.rdb)
    assert len(found.trials) == 4


def test_more_seeds_never_make_it_look_done(store: Store, gives: Give, address: str) -> None:
    """At no moment while trials are given again, where a kill may come, is the budget less than what was given."""
    gives(2)
    assert store.study("s/evaluate").definition.budget.trials == 4
    seen = set()
    with Store(address, read_only=True) as other:

        @event.listens_for(store.rdb.engine, "before_cursor_execute")
        def look(*args: object) -> None:
            seen.add(other.study("s/evaluate").definition.budget.trials)

        gives(2)
        gives(3)
        event.remove(store.rdb.engine, "before_cursor_execute", look)
    assert seen == {4, 6}


def test_a_stopped_evaluation_goes_on(store: Store, gives: Give) -> None:
    """Whoever gives again lifts the request to stop, as a launch does."""
    gives(1)
    store.request_stop("s/evaluate")
    claims = Claims(store, "s/evaluate", "a", Times())
    assert claims.claim() == Over(reason="stop")
    gives(1)
    assert claimed(claims).number == 0


def test_evaluations_are_kept(store: Store) -> None:
    """The last one that has ended comes back as it was; the same plan begun twice at once is one evaluation."""
    evaluations = Evaluations(store, store.study("s"))
    assert evaluations.latest() is None
    plan, other = Plan(top=1, seeds=(5, 6), configurations=()), Plan(top=1, seeds=(5,), configurations=())
    begun = evaluations.begin(plan)
    assert evaluations.begin(other).number == 1
    assert evaluations.begin(plan) == begun
    evaluations.choose(begun.number, "c")
    evaluations.finish(begun.number, {"mean": 0.5})
    latest = evaluations.latest()
    assert latest is not None
    assert (latest.plan, latest.winner, latest.report) == (plan, "c", {"mean": 0.5})
    assert (latest.finished_at or 0) >= latest.created_at
    assert evaluations.begin(plan).number == 2
    assert [evaluation.plan for evaluation in evaluations.all()] == [plan, other, plan]


def test_a_look_is_known_under_every_name_of_the_test_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older hpo named it otherwise: what it opened is refused now, and its reports count what comes now."""
    clock = count(1e9)
    monkeypatch.setattr(store, "now", lambda _: next(clock))
    old, other, new = (letter * 64 for letter in "abc")

    def look(name: str, purpose: str) -> list[str]:
        opened = open_once(store, name, study="s", purpose=purpose, who="me@here", again=True)
        return [opening.purpose for opening in opened]

    def known(name: str) -> list[str]:
        return [opening.purpose for opening in openings(store, name)]

    unite(store, new, old)
    assert known(new) == []
    look(old, "p"), look(old, "q"), look(other, "r")
    unite(store, new, old)
    assert known(new) == known(old) == ["p", "q"]
    with pytest.raises(UsageError, match="was opened before, by study 's'"):
        refuse_second(openings(store, new), "t")
    assert look(new, "t") == ["p", "q", "t"]
    assert look(new, "t") == known(old) == ["p", "q", "t"]
    assert known(other) == ["r"]
    unite(store, new, other)
    assert known(new) == known(old) == known(other) == ["p", "q", "r", "t"], "in the order in which they were made"


def test_a_look_after_which_nobody_had_looked_is_known_to_older_reports(store: Store) -> None:
    """They have the old name, under which there was nothing to share."""
    old, new = "d" * 64, "e" * 64
    unite(store, new, old)
    open_once(store, new, study="s", purpose="p", who="me@here", again=False)
    unite(store, new, old)
    assert openings(store, old) == openings(store, new) != []
