"""The supervisor with real processes that train nothing: budgets and faults. See fake_server.py for the plans."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from hpo import data
from hpo.artifacts.folder import Folder
from hpo.child import ChildStartError, ChildStuckError, ForkServer
from hpo.errors import DataError, StudyFailedError
from hpo.space import Space, choice, fixed
from hpo.spool import Held, Key, Spool
from hpo.store import Claim, Claims, Orders
from hpo.trial import Cause, Epoch
from tests.support import (
    FAST,
    children,
    definition,
    fake_server,
    kill,
)
from tests.worker.bench import Bench


def test_four_slots_and_forty_trials_give_exactly_forty(bench: Bench) -> None:
    """Each trial is started once and recorded once, whichever slot takes it."""
    bench.create(budget={"trials": 40})
    assert bench.supervisor(slots=4).run() == 0
    assert Counter((n, a) for n, a, _ in bench.starts()) == Counter((n, 1) for n in range(40))
    assert bench.status().counts == {"complete": 40, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert bench.status().state == "ended"


def test_a_grid_ends_before_its_budget(bench: Bench) -> None:
    """When every setting was tried the worker leaves as after any end of a study, exit code 0."""
    rates: Space = {"learning_rate": choice(1e-3, 1e-2, default=1e-3), "batch_size": fixed(16)}
    study = definition(budget={"trials": 40}, search={"sampler": "grid", "pruner": "none"})
    bench.store.create(study, spaces={"lstm": rates}, data=bench.record, versions={})
    assert bench.supervisor(slots=2).run() == 0
    assert sorted(n for n, _, _ in bench.starts()) == [0, 1]
    assert bench.status().ending == "space exhausted"


def test_a_killed_child_is_trained_again_with_its_seed(bench: Bench) -> None:
    """SIGKILL of a child loses nothing: the same number, the next attempt, the same seed and settings."""
    bench.create(budget={"trials": 3})
    bench.plan(die=[1])
    assert bench.supervisor().run() == 0
    assert [(n, a) for n, a, _ in bench.starts()] == [(0, 1), (1, 1), (1, 2), (2, 1)]
    seeds = {line.split()[3] for line in bench.diary.read_text().splitlines() if line.startswith("1 ")}
    assert len(seeds) == 1
    assert bench.status().counts["complete"] == 3
    assert bench.store.trial("s", 1).losses == 1


def test_a_child_that_always_dies_is_poison(bench: Bench) -> None:
    """It ends as infeasible after its retries, and the study goes on."""
    bench.create(budget={"trials": 3, "retries": 2})
    bench.plan(poison=[1])
    assert bench.supervisor().run() == 0
    assert [a for n, a, _ in bench.starts() if n == 1] == [1, 2, 3]
    assert bench.status().failures == {"poison": 1}
    assert bench.status().counts["complete"] == 2


def test_a_bug_is_a_fail_with_its_traceback_and_costs_no_budget(bench: Bench) -> None:
    """The trial's traceback is kept; another trial takes its place."""
    bench.create(budget={"trials": 2})
    bench.plan(bug=[0])
    assert bench.supervisor().run() == 0
    assert bench.status().counts == {"complete": 2, "pruned": 0, "fail": 1, "running": 0, "waiting": 0}
    outcome = bench.store.trial("s", 0).outcome
    assert outcome is not None
    assert "RuntimeError: planted bug" in outcome.detail
    assert "planted bug" in (bench.folder / "artifacts" / "s" / "0" / "log.txt").read_text()


def test_bugs_in_a_row_stop_the_study(bench: Bench) -> None:
    """After `max_consecutive_failures` the worker stops with the last reason, exit code 5."""
    bench.create(budget={"trials": 9, "max_consecutive_failures": 3})
    bench.plan(bug=list(range(9)))
    with pytest.raises(StudyFailedError, match=r"(?s)3 trials in a row failed.*planted bug") as caught:
        bench.supervisor().run()
    assert caught.value.exit_code == 5
    assert bench.status().state == "failed"
    assert len(bench.starts()) == 3


@pytest.mark.parametrize("deaf", [False, True])
def test_a_trial_over_its_time_ends_as_timed_out(bench: Bench, deaf: bool) -> None:
    """It is asked to end, and killed if it does not; either way the sampler learns, and the slot is free again."""
    bench.create(budget={"trials": 1, "trial_minutes": 0.5 / 60})
    bench.plan(epochs=1000, pause=0.1, deaf=[0] if deaf else [])
    assert bench.supervisor().run() == 0
    assert bench.store.trial("s", 0).cause is Cause.TIMED_OUT
    assert bench.status().counts["pruned"] == 1


def test_a_silent_child_is_stalled(bench: Bench) -> None:
    """A child that says nothing for `stall_minutes` is killed, and its trial ends as stalled."""
    bench.create(budget={"trials": 1}, train={"stall_minutes": 0.5 / 60})
    bench.plan(epochs=1000, pause=0.1, mute=[0])
    assert bench.supervisor().run() == 0
    assert bench.store.trial("s", 0).cause is Cause.STALLED


def test_when_the_hours_end_running_trials_end_as_budget(bench: Bench) -> None:
    """The wall-clock budget ends the trials that run then, in order, as pruned, however rarely leases are renewed."""
    bench.create(budget={"hours": 3 / 3600})
    bench.plan(epochs=1000, pause=0.1)
    assert bench.supervisor(slots=2, times=replace(FAST, lease=240.0, renew=60.0)).run() == 0
    assert bench.status().failures == {"budget": 2}
    assert bench.status().counts["running"] == 0
    assert 2.9 <= bench.status().budget["hours"].used * 3600 < 30


def test_only_the_books_end_a_trial_as_budget(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that was left passes in outages, in stops and between trials too, and these the books do not count."""
    bench.create(budget={"trials": 2})
    bench.plan(epochs=20, pause=0.05)
    renew = Claims.renew

    def answer(claims: Claims, wanted: Iterable[Claim]) -> Orders:
        held = list(wanted)
        left = 0.0 if any(claim.number == 0 for claim in held) else 0.1  # again and again: the books stand still
        return renew(claims, held).model_copy(update={"seconds_left": left})

    monkeypatch.setattr(Claims, "renew", answer)
    assert bench.supervisor().run() == 0
    assert [trial.cause for trial in bench.store.trials("s")] == [Cause.BUDGET, Cause.COMPLETED]


def test_a_dead_fork_server_is_replaced(bench: Bench) -> None:
    """The fork server's end takes its children with it; their trials run again under another one."""
    bench.create(budget={"trials": 2})
    bench.plan(stuck=[0])
    process = bench.process()
    child = bench.wait_for_start(0)
    (server,) = [pid for pid in children(process.pid) if pid != child]
    kill(server)
    assert process.wait(timeout=60) == 0
    assert bench.status().counts["complete"] == 2
    assert bench.store.trial("s", 0).attempt == 2


def test_a_fork_server_that_stands_still_is_replaced(bench: Bench) -> None:
    """It tells of no child's end: the result that came before counts all the same, and the next trial is trained."""
    bench.patch.setattr("hpo.slot.END_SECONDS", 0.5)
    bench.patch.setattr("hpo.child.END_SECONDS", 2.0)
    bench.create(budget={"trials": 2})
    bench.plan(epochs=10, pause=0.05)
    server = fake_server()
    report = Claims.report

    def stopping(claims: Claims, claim: Claim, epoch: Epoch) -> bool:
        if (claim.number, epoch.step) == (0, 0):
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
        return report(claims, claim, epoch)

    bench.patch.setattr(Claims, "report", stopping)
    assert bench.supervisor(server=server).run() == 0
    assert [(t.cause, t.attempt) for t in bench.store.trials("s")] == [(Cause.COMPLETED, 1)] * 2


def test_a_child_that_cannot_be_killed_ends_the_worker(bench: Bench) -> None:
    """As one that waits for a driver: its trial is recorded and its lease ends, but nothing is trained beside it."""
    bench.patch.setattr("hpo.child.END_SECONDS", 0.2)
    bench.patch.setattr("hpo.child._kill", lambda pid: None)
    bench.create(budget={"trials": 2}, train={"stall_minutes": 0.5 / 60})
    bench.plan(stuck=[0])
    with pytest.raises(ChildStuckError, match=r"process \d+ of trial 0 was killed and does not end"):
        bench.supervisor().run()
    assert [trial.cause for trial in bench.store.trials("s")] == [Cause.STALLED]


def test_children_that_never_come_to_work_are_the_machines_fault(bench: Bench) -> None:
    """A broken driver or a full machine must not burn the study as poison: three tries, then the worker leaves."""
    bench.create(budget={"trials": 5, "retries": 0})
    bench.plan(stillborn=True)
    with pytest.raises(ChildStartError, match=r"ended with status 3 before it came to work; see .*log\.txt"):
        bench.supervisor().run()
    assert bench.status().counts["pruned"] == 0
    assert bench.store.trial("s", 0).losses == 0


def test_a_log_that_cannot_be_written_costs_nothing(bench: Bench) -> None:
    """What a trial prints is a courtesy; its result counts."""
    bench.create(budget={"trials": 1})
    fill = Spool.make

    def in_the_way(spool: Spool, key: Key, *_: object) -> Held:
        return fill(spool, key, lambda folder: (folder / "log.txt").mkdir())

    bench.patch.setattr(Spool, "make", in_the_way)
    assert bench.supervisor().run() == 0
    assert bench.status().counts["complete"] == 1


def test_a_database_that_answers_late_is_not_the_childs_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that wait for the database, longer than a child may be silent, neither stall a trial nor time it out."""
    bench.create(budget={"trials": 1, "trial_minutes": 5 / 60}, train={"stall_minutes": 3 / 60})
    report = Claims.report

    def late(claims: Claims, claim: Claim, epoch: Epoch) -> bool:
        if epoch.step == 1:
            time.sleep(6)  # the outage itself
        return report(claims, claim, epoch)

    monkeypatch.setattr(Claims, "report", late)
    assert bench.supervisor().run() == 0
    assert bench.store.trial("s", 0).cause is Cause.COMPLETED


def test_a_fork_server_that_never_starts_ends_the_worker(bench: Bench) -> None:
    """Three tries to get a process, then the worker says why it leaves; the trial is nobody's, and not lost."""
    bench.create(budget={"trials": 2})
    broken = ForkServer([sys.executable, "-c", "raise SystemExit('no TensorFlow')"], log=bench.folder / "server.log")
    with pytest.raises(ChildStartError, match="no TensorFlow"):
        bench.supervisor(server=broken).run()
    trial = bench.store.trial("s", 0)
    assert (trial.state, trial.worker, trial.attempt, trial.losses) == ("running", None, 3, 0)


def test_a_second_worker_shares_the_budget(bench: Bench) -> None:
    """Two supervisors on one study: exactly the budget between them."""
    bench.create(budget={"trials": 12})
    bench.plan(epochs=3, pause=0.05)
    processes = [bench.process(slots=2, lease=60) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert Counter(n for n, _, _ in bench.starts()) == Counter(range(12))
    assert bench.status().counts["complete"] == 12


def test_without_the_arrays_a_worker_claims_nothing(bench: Bench, tmp_path: Path) -> None:
    """A machine that does not have the study's data refuses to start, exit code 3."""
    bench.create()
    bench.cache = tmp_path / "empty"
    with pytest.raises(DataError):
        bench.supervisor()
    assert bench.status().counts["running"] == 0


def test_arrays_come_from_where_all_workers_can_fetch_them(bench: Bench, tmp_path: Path) -> None:
    """A machine without the study's data takes the arrays from the artifacts, by their hash, and works."""
    bench.create(budget={"trials": 1})
    data.share(bench.record.split_sha256, bench.cache, Folder(bench.folder / "artifacts"))
    bench.cache = tmp_path / "empty"
    assert bench.supervisor().run() == 0
    assert data.parts(bench.record.split_sha256, bench.cache)


def test_children_know_no_database(bench: Bench) -> None:
    """Nothing of a database or an artifact store is in the environment of the fork server or of a trial."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=100, pause=0.05)
    store = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL")
    for name in ("HPO_STORAGE", "PGPASSWORD", "PGPASSFILE", "DATABASE_URL", *store):
        bench.patch.setenv(name, "canary-7f3a")
    process = bench.process()
    child = bench.wait_for_start(0)
    try:
        for pid in (child, *children(process.pid)):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"FAKE" in environment
            assert b"canary-7f3a" not in environment
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_checkpoints_go_when_the_trial_has_ended(bench: Bench) -> None:
    """A trial that was recorded needs them no more; other files of it stay."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=1, files=["checkpoint-1-0.npz", ".checkpoint-1-1.npz.77", "curves.json"])
    folder = bench.folder / "artifacts" / "s" / "0"
    folder.mkdir(parents=True)
    (folder / "checkpoint-1-9.npz").touch()  # of a worker that died in between
    assert bench.supervisor().run() == 0
    assert sorted(path.name for path in folder.iterdir()) == ["curves.json", "log.txt"]
    assert not bench.spooled(0, 1).exists()
