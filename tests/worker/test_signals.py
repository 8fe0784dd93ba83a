"""Signals to a supervisor, and orders from elsewhere: what is finished, what is given back, what remains."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import (
    alive,
    children,
    kill,
)
from tests.worker.bench import Bench


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


def test_told_to_leave_while_somebody_else_holds_the_lock(bench: Bench) -> None:
    """As in an outage it leaves soon, and with 75, for its scheduler to start it again; its trial is taken over."""
    bench.create(budget={"trials": 1, "retries": 1})
    bench.plan(epochs=10, pause=0.5)
    process = bench.process()
    child = bench.wait_for_start(0)
    with bench.store.lock("s").hold():
        while alive(child):  # its result waits for the lock
            time.sleep(0.02)
        process.terminate()
        assert process.wait(timeout=60) == 75
    bench.plan()
    assert bench.supervisor().run() == 0
    assert bench.status().counts["complete"] == 1


def test_ctrl_c_finishes_what_runs(bench: Bench) -> None:
    """One Ctrl-C: running trials end as they would have, nothing new starts, exit code 130, work is left."""
    bench.create(budget={"trials": 9})
    bench.plan(epochs=5, pause=1.0)
    process = bench.process(slots=2)
    bench.wait_for_start(0)
    bench.wait_for_start(1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert bench.status().counts["complete"] == 2
    assert len(bench.starts()) == 2
    assert bench.status().state == "interrupted"


def test_a_second_ctrl_c_leaves_at_once_and_loses_nothing(bench: Bench) -> None:
    """Two: running trials are given back, not lost; the next worker takes them up under their numbers."""
    bench.create(budget={"trials": 2, "retries": 0})
    bench.plan(epochs=1000, pause=0.1)
    process = bench.process(slots=2, stderr=subprocess.PIPE)
    bench.wait_for_start(0)
    bench.wait_for_start(1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    with process.stderr as said:  # two signals at the same moment would arrive as one
        while b"press Ctrl-C again" not in (line := said.readline()):
            assert line
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert bench.status().counts["running"] == 2
    assert bench.status().interrupted == {"cancelled": 2}
    bench.plan()
    assert bench.supervisor(slots=2).run() == 0
    assert [(t.state, t.attempt, t.losses) for t in bench.store.trials("s")] == [("complete", 2, 0)] * 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_gives_back_what_does_not_finish_in_time(bench: Bench, signum: int) -> None:
    """A scheduler's SIGTERM, or a terminal that closes: a grace, then the trials are given back; 75: work is left."""
    bench.create(budget={"trials": 2})
    bench.plan(epochs=1000, pause=0.1)
    process = bench.process()
    bench.wait_for_start(0)
    process.send_signal(signum)
    assert process.wait(timeout=60) == 75
    assert bench.status().counts["running"] == 1
    assert bench.status().interrupted == {"preempted": 1}


def test_sigterm_while_the_fork_server_starts(bench: Bench) -> None:
    """Its imports may take minutes, on a cold disk: nobody waits for them who has to leave."""
    bench.create(budget={"trials": 3, "retries": 0})
    bench.plan(imports=1000)
    process = bench.process(slots=3)
    while not (family := children(process.pid)):
        time.sleep(0.02)
    while bench.status().counts["running"] < 3:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=60) == 75
    assert not any(map(alive, family))
    assert [(t.worker, t.losses) for t in bench.store.trials("s")] == [(None, 0)] * 3


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_leave_while_it_waits_for_the_database(tmp_path: Path, signum: int) -> None:
    """`hpo worker --wait`: 75 as ever, for its scheduler to start it again. As the first process of a container, which
    no signal ends by itself, it would stay.
    """
    command = ("worker", "s", "--storage", "postgresql://hpo@127.0.0.1:1/hpo", "--wait", "600")
    process = subprocess.Popen([sys.executable, "-m", "hpo.cli", *command], cwd=tmp_path, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr as said:
        assert b"trying again" in said.readline()
        process.send_signal(signum)
        assert process.wait(timeout=60) == 75


JOINS = """
import sys
from hpo.cli import main
from hpo.store.roster import Roster
join = Roster.join
def late(*arguments, **entry):
    print("joins", flush=True)
    sys.stdin.readline()
    join(*arguments, **entry)
Roster.join = late
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_told_to_leave_before_it_has_joined(bench: Bench, signum: int, code: int) -> None:
    """The database is away, or locked, when a worker enters itself: it leaves all the same, and has claimed nothing."""
    bench.create()
    database = bench.folder / "hpo.db"
    places = ("--storage", f"sqlite:///{database}", "--artifacts", bench.address, "--cache", str(bench.cache))
    process = subprocess.Popen(
        [sys.executable, "-c", JOINS, "worker", "s", "--allow-mixed", *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout, closing(sqlite3.connect(database, isolation_level=None)) as elsewhere:
        assert process.stdout.readline() == b"joins\n"
        elsewhere.execute("BEGIN IMMEDIATE")
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.send_signal(signum)
        assert process.wait(timeout=60) == code
    assert bench.status().counts["running"] == 0


def test_stop_from_elsewhere_drains(bench: Bench) -> None:
    """`hpo stop`: what runs is finished, the exit code is 0 so that no scheduler starts the worker again."""
    bench.create(budget={"trials": 50})
    bench.plan(epochs=10, pause=0.05)
    process = bench.process()
    bench.wait_for_start(1)
    bench.store.request_stop("s")
    assert process.wait(timeout=60) == 0
    assert bench.status().state == "stopped"
    assert bench.status().counts["running"] == 0
    assert 2 <= bench.status().counts["complete"] < 50


def test_a_stopped_supervisor_drops_what_was_taken_over(bench: Bench) -> None:
    """SIGSTOP beyond the lease: another worker takes over; the first one, continued, records nothing twice."""
    bench.create(budget={"trials": 1})
    bench.plan(epochs=60, pause=0.1)
    first = bench.process()
    bench.wait_for_start(0)
    bench.stop(first)
    try:
        second = bench.process(lease=60)
        bench.wait_for_start(0, attempt=2)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=60) == 0
    assert second.wait(timeout=60) == 0
    trial = bench.store.trial("s", 0)
    assert (trial.state, trial.attempt) == ("complete", 2)
    assert len(bench.store.trials("s")) == 1
