"""Claiming, leasing and finishing: what must hold however workers come and go. Time is an argument here."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from hpo.store import Claim, Claims, Idle, Over, Store
from hpo.store.books import account
from hpo.store.connect import backend, open_storage
from hpo.trial import Cause, Interruption, Result
from tests.store.conftest import LEASE, Clock, Worker, frozen
from tests.support import FAST, claimed, completed, create, definition, work_off


def test_a_budget_of_n_trials_gives_exactly_n(store: Store, worker: Worker) -> None:
    """N trials means exactly N, whoever asks again and again."""
    create(store, definition(budget={"trials": 7}))
    assert work_off(worker("a")) == list(range(7))
    assert worker("b").claim() == Over(reason="trials")
    assert len(frozen(store)) == 7


def test_a_worker_waits_while_the_last_trials_run(store: Store, worker: Worker) -> None:
    """A handed-out budget has not ended: the last trial may still be lost, or fail without counting."""
    create(store, definition(budget={"trials": 2}))
    a, b = worker("a"), worker("b")
    claim, _ = claimed(a), claimed(a)
    assert b.claim() == Idle()
    a.finish(claim, Result(cause=Cause.BUG, detail="broken"))
    assert claimed(b).number == 2


def test_the_first_trial_is_the_published_default(store: Store, worker: Worker) -> None:
    """The default settings of the family are tried before the sampler has a say."""
    create(store, definition())
    assert claimed(worker("a")).training == {"learning_rate": 1e-3, "batch_size": 16}


def test_seeds_differ_by_trial_and_stay_with_it(store: Store, worker: Worker, clock: Clock) -> None:
    """A trial's seed is its own in every attempt."""
    create(store, definition())
    a = worker("a")
    first, second = claimed(a), claimed(a)
    assert first.seed != second.seed
    clock.now += LEASE + 1
    assert claimed(worker("b")).seed == first.seed


def test_who_lost_the_lock_proposes_nothing_twice(
    store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna itself tries for seconds to make a trial; others make theirs meanwhile, and then it has another number.

    Sampled by the number that it should have had it would repeat somebody's parameters, and never be trained.
    """
    create(store, definition(budget={"trials": 4}))
    a = worker("a")
    work_off(a, most=1)
    make = type(store.rdb)._create_new_trial
    made: list[FrozenTrial] = []

    def late(self: RDBStorage, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if not made:
            made.append(make(self, study_id))  # somebody else's, who has not come to its parameters yet
        return make(self, study_id, template_trial)

    monkeypatch.setattr(type(store.rdb), "_create_new_trial", late)
    assert work_off(a) == [1, 2, 3]
    trials = store.trials("s")
    assert [trial.same_as for trial in trials] == [None] * 4
    assert len({str(trial.params) for trial in trials}) == 4


def test_a_lost_trial_keeps_its_number_and_parameters(store: Store, worker: Worker, clock: Clock) -> None:
    """After its lease ran out a trial is taken over: same number, same settings, next attempt, still RUNNING."""
    create(store, definition())
    work_off(worker("z"), most=1)
    lost = claimed(worker("a"))
    assert claimed(worker("b")).number == lost.number + 1
    clock.now += LEASE - 1
    assert claimed(worker("b")).number == lost.number + 2
    clock.now += 2
    again = claimed(worker("c"))
    assert (again.number, again.attempt, again.taken_over) == (lost.number, 2, True)
    assert (again.model, again.training) == (lost.model, lost.training)
    assert frozen(store)[lost.number].state is optuna.trial.TrialState.RUNNING


def test_a_renewed_lease_is_not_taken_over(store: Store, worker: Worker, clock: Clock) -> None:
    """A trial whose worker renews in time stays its own."""
    create(store, definition(budget={"trials": 1}))
    a, b = worker("a"), worker("b")
    claim = claimed(a)
    for _ in range(10):
        clock.now += LEASE - 1
        assert a.renew([claim]).lost == ()
        assert b.claim() == Idle()
    assert a.finish(claim, completed())


def test_a_worker_that_lost_its_trial_is_told_so(store: Store, worker: Worker, clock: Clock) -> None:
    """Fencing: after a take-over neither renewal, nor finish, nor release of the old claim has an effect."""
    create(store, definition(budget={"trials": 1}))
    a, b = worker("a"), worker("b")
    old = claimed(a)
    clock.now += LEASE + 1
    new = claimed(b)
    assert a.renew([old]).lost == (old.key,)
    assert not a.finish(old, completed(0.9))
    assert not a.release(old, lost=True)
    assert b.finish(new, completed(0.2))
    assert not a.finish(old, completed(0.9))
    assert [t.value for t in frozen(store)] == [0.2]


def test_a_worker_does_not_take_over_its_own_running_trial(store: Store, worker: Worker, clock: Clock) -> None:
    """After a pause a worker's leases have run out, but it still trains: its other slots leave those trials alone."""
    create(store, definition(budget={"trials": 2}))
    a = worker("a")
    first = claimed(a)
    clock.now += LEASE + 1
    second = claimed(a)
    assert second.number == 1
    assert a.claim() == Idle()
    assert a.renew([first, second]).lost == ()
    assert a.finish(first, completed())


def test_a_result_that_comes_after_the_trial_was_ended_is_refused(store: Store, worker: Worker, clock: Clock) -> None:
    """A trial that ended as poison or by the budget is nobody's: a late result is dropped, and its worker knows."""
    create(store, definition(budget={"trials": 1, "retries": 0}))
    a, b = worker("a"), worker("b")
    late = claimed(a)
    clock.now += LEASE + 1
    assert b.claim() == Over(reason="trials")
    assert not a.finish(late, completed())
    assert store.trial("s", 0).cause is Cause.POISON


def test_finishing_twice_keeps_the_first_result(store: Store, worker: Worker) -> None:
    """A finish whose acknowledgement was lost may be repeated: it is acknowledged, and changes nothing."""
    create(store, definition())
    a = worker("a")
    claim = claimed(a)
    assert a.finish(claim, completed(0.25))
    assert a.finish(claim, completed(0.75))
    assert frozen(store)[0].value == 0.25
    assert store.trial("s", 0).outcome == completed(0.25)


def test_a_result_is_safe_once_it_is_in_our_row(store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies between recording a result and telling Optuna loses nothing: the next claim tells it."""
    create(store, definition(budget={"trials": 1}))
    a = worker("a")
    claim = claimed(a)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", die)
        with pytest.raises(SystemExit):
            a.finish(claim, completed(0.25))
    assert frozen(store)[0].state is optuna.trial.TrialState.RUNNING
    assert worker("b").claim() == Over(reason="trials")
    assert frozen(store)[0].value == 0.25


def test_a_claim_that_died_before_its_row_is_taken_over(
    store: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that Optuna knows and no lease speaks of is a claim that died; its number is not wasted."""
    create(store, definition(budget={"trials": 2}))

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("hpo.search.suggest", die)
        with pytest.raises(SystemExit):
            worker("a").claim()
    assert len(frozen(store)) == 1
    assert work_off(worker("b")) == [0, 1]


def test_given_back_is_not_lost(store: Store, worker: Worker) -> None:
    """A worker that leaves in order gives its trial back at once, and that counts as no loss."""
    create(store, definition(budget={"trials": 1, "retries": 0}))
    a = worker("a")
    for attempt in range(1, 6):
        claim = claimed(a)
        assert (claim.number, claim.attempt) == (0, attempt)
        assert a.release(claim, lost=False)
    assert store.status("s").interrupted == {}


def test_why_attempts_ended_is_counted(store: Store, worker: Worker, clock: Clock) -> None:
    """Losses, told or not, and whoever ended a worker in order; what is no longer a worker's is not counted for it."""
    create(store, definition(budget={"trials": 1, "retries": 9}))
    for why in (Interruption.PREEMPTED, Interruption.CANCELLED, Interruption.PREEMPTED):
        a = worker("a")
        a.release(claimed(a), lost=False, why=why)
    a.release(claimed(a), lost=True)
    late = claimed(a)
    clock.now += LEASE + 1
    b = worker("b")
    last = claimed(b)
    assert not a.release(late, lost=False, why=Interruption.PREEMPTED)
    assert b.finish(last, completed())
    assert store.status("s").interrupted == {"lost": 2, "preempted": 2, "cancelled": 1}


@pytest.mark.parametrize("by", ["expiry", "report"])
def test_a_trial_that_is_lost_too_often_is_poison(store: Store, worker: Worker, clock: Clock, by: str) -> None:
    """After `retries` take-overs the next loss ends a trial, as infeasible, so that the sampler learns from it."""
    create(store, definition(budget={"trials": 1, "retries": 2}))
    for attempt in (1, 2, 3):
        a = worker(f"a{attempt}")
        claim = claimed(a)
        assert (claim.number, claim.attempt) == (0, attempt)
        if by == "report":
            a.release(claim, lost=True)
        else:
            clock.now += LEASE + 1
    assert worker("b").claim() == Over(reason="trials")
    trial = store.trial("s", 0)
    assert (trial.cause, trial.state, trial.losses) == (Cause.POISON, "pruned", 3)
    assert frozen(store)[0].constraints


def test_infeasible_ends_violate_a_constraint_and_good_ones_do_not(store: Store, worker: Worker) -> None:
    """Optuna ignores FAIL; what cannot be trained ends as PRUNED with a violated constraint and counts as a trial."""
    create(store, definition(budget={"trials": 3}))
    a = worker("a")
    for cause in (Cause.DIVERGED, Cause.TOO_LARGE):
        a.finish(claimed(a), Result(cause=cause))
    a.finish(claimed(a), completed(0.1))
    assert a.claim() == Over(reason="trials")
    diverged, large, good = frozen(store)
    for trial in (diverged, large):
        assert trial.state is optuna.trial.TrialState.PRUNED
        assert max(trial.constraints.values()) > 0
    assert all(value <= 0 for value in good.constraints.values())
    assert optuna.load_study(study_name="s", storage=store.rdb).best_trial.number == 2


def test_failures_in_a_row_stop_the_study_until_it_is_launched_again(
    store: Store, worker: Worker, clock: Clock
) -> None:
    """So many bugs in a row are the study's fault: everybody stops with the last reason; a new launch clears it."""
    study = definition(budget={"trials": 9, "max_consecutive_failures": 2})
    create(store, study)
    a = worker("a")
    a.finish(claimed(a), Result(cause=Cause.BUG, detail="first"))
    a.finish(claimed(a), completed())
    for text in ("second", "third"):
        clock.now += 1
        a.finish(claimed(a), Result(cause=Cause.BUG, detail=text))
    assert a.claim() == Over(reason="failed", detail="third")
    assert store.status("s").state == "failed"
    clock.now += 1
    create(store, study)
    assert isinstance(a.claim(), Claim)


def test_stop_reaches_everybody_and_a_launch_clears_it(store: Store, worker: Worker) -> None:
    """`hpo stop` asks all workers to drain; the next launch takes up again."""
    create(store, definition())
    a = worker("a")
    claim = claimed(a)
    store.request_stop("s")
    assert a.claim() == Over(reason="stop")
    assert a.renew([claim]).stop
    create(store, definition())
    assert not a.renew([claim]).stop
    assert isinstance(a.claim(), Claim)


def test_hours_count_only_while_a_lease_is_live(store: Store, worker: Worker, clock: Clock) -> None:
    """The budget's hours are time with at least one live lease: a pause of the whole fleet costs nothing."""
    create(store, definition(budget={"hours": 1.0}))
    a, b = worker("a"), worker("b")
    first, second = claimed(a), claimed(b)
    for _ in range(30):
        clock.now += 50
        a.renew([first])
        b.renew([second])
    assert store.status("s").budget["hours"].used == pytest.approx(1500 / 3600)
    assert store.status("s").budget["gpu_hours"].used == pytest.approx(3000 / 3600)
    a.finish(first, completed())
    b.finish(second, completed())
    clock.now += 100_000
    third = claimed(a)
    assert a.renew([third]).seconds_left == pytest.approx(2100)
    clock.now += 100_000  # lost: only the lease itself counts
    fourth = claimed(b)
    assert (fourth.number, fourth.attempt) == (third.number, 2)
    assert store.status("s").budget["hours"].used == pytest.approx((1500 + LEASE) / 3600)


def test_when_the_hours_end_lost_trials_end_too(store: Store, worker: Worker, clock: Clock) -> None:
    """Nothing stays RUNNING after the time budget: what nobody owns ends as pruned, cause budget."""
    create(store, definition(budget={"hours": 0.01}))
    claimed(worker("a"))
    clock.now += 3600
    assert worker("b").claim() == Over(reason="hours")
    assert (store.trial("s", 0).state, store.trial("s", 0).cause) == ("pruned", Cause.BUDGET)


def test_nobody_leaves_at_the_end_of_the_hours_before_all_trials_have_ended(
    store: Store, worker: Worker, clock: Clock
) -> None:
    """A worker may have died less than a lease before, and nobody would ever come for its trial."""
    create(store, definition(budget={"hours": 50 / 3600}))
    a, b = worker("a"), worker("b")
    own, others = claimed(a), claimed(b)
    clock.now += LEASE - 1
    assert a.renew([own]).seconds_left == 0
    assert a.finish(own, Result(cause=Cause.BUDGET))
    assert a.claim() == Idle()
    clock.now += 2
    assert a.claim() == Over(reason="hours")
    trial = store.trial("s", others.number)
    assert (trial.state, trial.cause) == ("pruned", Cause.BUDGET)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6), st.integers(0, 50), st.integers(0, 50))
def test_time_is_accounted_as_a_count_of_seconds_would(spans: list[tuple[int, int]], a: int, b: int) -> None:
    """Union and sum of leases agree with counting every second."""
    since, now = min(a, b), max(a, b)
    leases = [(float(begin), float(begin + length)) for begin, length in spans]
    seconds = [sum(begin <= t and t + 1 <= end for begin, end in leases) for t in range(since, now)]
    assert account(leases, float(since), float(now)) == (sum(n > 0 for n in seconds), sum(seconds))


def test_optuna_reads_the_same_study(store: Store, worker: Worker) -> None:
    """Anything that speaks Optuna sees the same trials and the same best."""
    create(store, definition())
    work_off(worker("a"))
    database = backend(store.url)
    bare = open_storage(database, create=False)
    study = optuna.load_study(study_name="s", storage=bare)
    status = store.status("s")
    assert status.best is not None
    assert (study.best_trial.number, study.best_value) == (status.best.trial, status.best.value)
    assert [t.number for t in study.trials] == [t.number for t in store.trials("s")]
    bare.remove_session()
    bare.engine.dispose()
    database.close()


def test_workers_join_and_leave(store: Store, clock: Clock) -> None:
    """A worker is alive while it renews, and gone when it left or was silent for a lease."""
    create(store, definition())
    a, b = Claims(store, "s", "a", FAST), Claims(store, "s", "b", FAST)
    a.roster.join(host="h", pid=1, slots=2, lease=60)
    b.roster.join(host="h", pid=2, slots=2, lease=60)
    assert [w.alive for w in store.workers("s")] == [True, True]
    a.roster.leave()
    assert [w.alive for w in store.workers("s")] == [False, True]
    clock.now += 61
    assert [w.alive for w in store.workers("s")] == [False, False]
    b.renew([])
    assert [w.alive for w in store.workers("s")] == [False, True]
