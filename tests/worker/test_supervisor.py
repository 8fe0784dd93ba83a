"""The supervisor with real processes that train nothing: budgets, faults, signals. See fake_server.py for the plans."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hpo.child import ChildStartError, ForkServer
from hpo.errors import DataError, StudyFailedError
from hpo.settings import Times
from hpo.store import Claim, Claims, DataRecord, Status, Store
from hpo.trial import Cause, Epoch
from hpo.worker import Supervisor
from tests.support import (
    FAST,
    TESTS,
    alive,
    children,
    create,
    definition,
    fake_server,
    kill,
    open_store,
    prepared_record,
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data cache with one small real data set."""
    folder = tmp_path_factory.mktemp("cache")
    prepared_record(folder)
    return folder


@pytest.fixture(scope="session")
def data_record(cache: Path) -> DataRecord:
    """What the store keeps of it."""
    return prepared_record(cache)


class Bench:
    """A study in a folder, and supervisors for it in this process or in another."""

    def __init__(self, folder: Path, cache: Path, record: DataRecord, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.record, self.patch = folder, cache, record, patch
        self.store: Store = open_store(folder)
        self.diary = folder / "diary"
        patch.setenv("FAKE_DIARY", str(self.diary))

    def create(self, *, budget: dict[str, Any] | None = None, train: dict[str, Any] | None = None) -> None:
        """The study in the store."""
        create(self.store, definition(budget=budget, train=train or {}), self.record)

    def plan(self, **plan: object) -> None:
        """What the children of supervisors made after this do."""
        self.patch.setenv("FAKE", json.dumps(plan))

    def supervisor(self, *, slots: int = 1, times: Times = FAST, server: ForkServer | None = None) -> Supervisor:
        """One in this process."""
        return Supervisor(
            self.store,
            "s",
            slots=slots,
            artifacts=self.folder / "artifacts",
            cache=self.cache,
            times=times,
            server=server or fake_server(),
        )

    def process(self, *, slots: int = 1) -> subprocess.Popen[bytes]:
        """A supervisor in a process and a process group of its own."""
        code = (
            "import sys; from pathlib import Path; from tests.support import *; from hpo.worker import Supervisor\n"
            "folder, cache = map(Path, sys.argv[1:3])\n"
            "sys.exit(Supervisor(open_store(folder), 's', slots=int(sys.argv[3]), artifacts=folder / 'artifacts',\n"
            "    cache=cache, times=FAST, server=fake_server()).run())"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.folder), str(self.cache), str(slots)],
            cwd=TESTS.parent,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )

    def starts(self) -> list[tuple[int, int, int]]:
        """(number, attempt, pid) of every start of a child, in order."""
        if not self.diary.exists():
            return []
        lines = self.diary.read_text().splitlines()
        return [(int(n), int(a), int(p)) for n, a, p, _ in (line.split() for line in lines)]

    def wait_for_start(self, number: int, attempt: int = 1) -> int:
        """Waits for a child and returns its pid."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for n, a, pid in self.starts():
                if (n, a) == (number, attempt):
                    return pid
            time.sleep(0.02)
        raise TimeoutError(f"trial {number} did not start: {self.starts()}")

    def status(self) -> Status:
        """The study now."""
        return self.store.status("s")


@pytest.fixture
def bench(tmp_path: Path, cache: Path, data_record: DataRecord, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An empty folder and a data cache."""
    return Bench(tmp_path, cache, data_record, monkeypatch)


def test_four_slots_and_forty_trials_give_exactly_forty(bench: Bench) -> None:
    """Each trial is started once and recorded once, whichever slot takes it."""
    bench.create(budget={"trials": 40})
    assert bench.supervisor(slots=4).run() == 0
    assert Counter((n, a) for n, a, _ in bench.starts()) == Counter((n, 1) for n in range(40))
    assert bench.status().counts == {"complete": 40, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert bench.status().state == "ended"


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
    """The wall-clock budget ends the trials that run then, in order, as pruned."""
    bench.create(budget={"hours": 1.5 / 3600})
    bench.plan(epochs=1000, pause=0.1)
    assert bench.supervisor(slots=2).run() == 0
    assert bench.status().failures == {"budget": 2}
    assert bench.status().counts["running"] == 0
    assert 1.4 <= bench.status().budget["hours"].used * 3600 <= 4.0


def test_sigkill_of_the_supervisor_leaves_no_child(bench: Bench) -> None:
    """Five seconds after the supervisor is killed, the fork server and all children are gone; nothing is lost."""
    bench.create(budget={"trials": 3})
    bench.plan(epochs=1000, pause=0.1, deaf=[0, 1])
    process = bench.process(slots=2)
    family = [bench.wait_for_start(0), bench.wait_for_start(1)]
    family += children(process.pid)
    assert len(set(family)) == 3  # two children and their fork server
    kill(process.pid)
    process.wait()
    deadline = time.monotonic() + 5
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in family if alive(pid)] == []
    bench.plan()
    assert bench.supervisor(slots=2).run() == 0
    assert [bench.store.trial("s", n).attempt for n in range(3)] == [2, 2, 1]
    assert bench.status().counts["complete"] == 3


def test_a_dead_fork_server_is_replaced(bench: Bench) -> None:
    """The fork server's end takes its children with it; their trials run again under another one."""
    bench.create(budget={"trials": 2})
    bench.plan(epochs=20, pause=0.05)
    process = bench.process()
    child = bench.wait_for_start(0)
    (server,) = [pid for pid in children(process.pid) if pid != child]
    kill(server)
    assert process.wait(timeout=60) == 0
    assert bench.status().counts["complete"] == 2
    assert bench.store.trial("s", 0).attempt == 2


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
    (bench.folder / "artifacts" / "s" / "0" / "log.txt").mkdir(parents=True)
    assert bench.supervisor().run() == 0
    assert bench.status().counts["complete"] == 1


def test_a_signal_is_heard_while_the_database_is_away(bench: Bench) -> None:
    """A worker that is told to leave does not wait ten minutes for a database that nobody can write."""
    bench.create(budget={"trials": 5})
    bench.plan(epochs=1000, pause=0.1)
    process = bench.process(slots=2)
    bench.wait_for_start(1)
    with sqlite3.connect(bench.folder / "hpo.db", isolation_level=None) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        elsewhere.execute("ROLLBACK")
    elsewhere.close()
    bench.plan()
    assert bench.supervisor(slots=2).run() == 0
    assert bench.status().counts["complete"] == 5


def test_a_database_that_answers_late_is_not_the_childs_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that wait for the database, longer than a child may be silent, neither stall a trial nor time it out."""
    bench.create(budget={"trials": 1, "trial_minutes": 3 / 60}, train={"stall_minutes": 1 / 60})
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


def test_ctrl_c_finishes_what_runs(bench: Bench) -> None:
    """One Ctrl-C: running trials end as they would have, nothing new starts, exit code 130, work is left."""
    bench.create(budget={"trials": 9})
    bench.plan(epochs=5, pause=0.1)
    process = bench.process(slots=2)
    bench.wait_for_start(0)
    bench.wait_for_start(1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert bench.status().counts["complete"] == 2
    assert len(bench.starts()) == 2
    assert bench.status().state == "interrupted"


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(bench: Bench) -> None:
    """Two: running trials are given back, not lost; the next worker takes them up under their numbers."""
    bench.create(budget={"trials": 2, "retries": 0})
    bench.plan(epochs=1000, pause=0.1)
    process = bench.process(slots=2)
    bench.wait_for_start(0)
    bench.wait_for_start(1)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.1)  # two signals at the same moment would arrive as one
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert bench.status().counts["running"] == 2
    bench.plan()
    assert bench.supervisor(slots=2).run() == 0
    assert [(t.state, t.attempt, t.losses) for t in bench.store.trials("s")] == [("complete", 2, 0)] * 2


def test_sigterm_gives_back_what_does_not_finish_in_time(bench: Bench) -> None:
    """A scheduler's SIGTERM: a grace, then the trials are given back; 75 says that work is left."""
    bench.create(budget={"trials": 2})
    bench.plan(epochs=1000, pause=0.1)
    process = bench.process()
    bench.wait_for_start(0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 75
    assert bench.store.trial("s", 0).losses == 0
    assert bench.status().counts["running"] == 1


def test_stop_from_elsewhere_drains(bench: Bench) -> None:
    """`hpo stop`: what runs is finished, the exit code is 0 so that no scheduler starts the worker again."""
    bench.create(budget={"trials": 50})
    bench.plan(epochs=10, pause=0.05)
    process = bench.process()
    bench.wait_for_start(1)
    bench.store.request_stop("s")
    assert process.wait(timeout=30) == 0
    assert bench.status().state == "stopped"
    assert bench.status().counts["running"] == 0
    assert 2 <= bench.status().counts["complete"] < 50


def test_a_stopped_supervisor_drops_what_was_taken_over(bench: Bench) -> None:
    """SIGSTOP beyond the lease: another worker takes over; the first one, continued, records nothing twice."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=60, pause=0.1)
    first = bench.process()
    bench.wait_for_start(0)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = bench.process()
        bench.wait_for_start(0, attempt=2)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=60) == 0
    assert second.wait(timeout=60) == 0
    trial = bench.store.trial("s", 0)
    assert (trial.state, trial.attempt) == ("complete", 2)
    assert len(bench.store.trials("s")) == 1


def test_a_second_worker_shares_the_budget(bench: Bench) -> None:
    """Two supervisors on one study: exactly the budget between them."""
    bench.create(budget={"trials": 12})
    bench.plan(epochs=3, pause=0.05)
    processes = [bench.process(slots=2) for _ in range(2)]
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


def test_children_know_no_database(bench: Bench) -> None:
    """No address and no password of a database is in the environment of the fork server or of a trial."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=100, pause=0.05)
    for name in ("HPO_STORAGE", "PGPASSWORD", "PGPASSFILE", "DATABASE_URL"):
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
