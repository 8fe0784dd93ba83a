"""Claiming with real processes: races, SIGKILL and SIGSTOP inside the claim, creation by six at once."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from hpo import search
from hpo.errors import StorageError
from hpo.store import Claim, Claims, Store, passes
from hpo.store import lock as locks
from hpo.store.lock import LockHeldError, LockLostError
from hpo.store.postgres import AdvisoryLock
from tests.postgres import Server
from tests.support import FAST, TESTS, claimed, create, definition, kill, open_store, work_off

PRELUDE = """
import os, signal, sys
from pathlib import Path
from hpo import search
from hpo import search
from hpo.errors import StorageError
from hpo.store import Claim, Claims, Store, passes
from tests.postgres import Server
from tests.support import *
address = sys.argv[1]
"""


def python(address: str, code: str) -> subprocess.Popen[str]:
    """A process that runs `code` after the prelude above."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), address],
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen[str]) -> str:
    """What a process printed, once it ended well."""
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return out


def test_four_processes_share_forty_trials(address: str) -> None:
    """However many ask at once: exactly the budget, every number once."""
    create(open_store(address), definition(budget={"trials": 40}))
    code = """
    store = open_store(address)
    print(*work_off(Claims(store, "s", f"w{os.getpid()}", Times())))
    """
    outputs = [output(process) for process in [python(address, code) for _ in range(4)]]
    counted = Counter(int(number) for text in outputs for number in text.split())
    assert counted == Counter(range(40))
    assert len(open_store(address).trials("s")) == 40


def test_workers_do_not_count_the_same_seconds(address: str) -> None:
    """Many renewals at once account for each second once, as worked time, and once for each lease, as slot time."""
    store = open_store(address)
    create(store, definition(budget={"trials": 4, "hours": 1}))
    began = time.monotonic()
    workers = [Claims(open_store(address), "s", f"w{n}", FAST) for n in range(4)]
    held = [claimed(worker) for worker in workers]
    until = time.monotonic() + 2

    def renew(worker: Claims, claim: Claim) -> None:
        while time.monotonic() < until:
            worker.renew([claim])

    with ThreadPoolExecutor() as pool:
        list(pool.map(renew, workers, held))
    elapsed = time.monotonic() - began
    used = store.status("s").budget
    assert 1.5 < used["hours"].used * 3600 <= elapsed + 0.1
    assert 6.0 < used["gpu_hours"].used * 3600 <= 4 * elapsed + 0.1


def test_six_processes_create_one_study(address: str) -> None:
    """On an empty folder, six launches at the same moment make one database and one study."""
    code = """
    store = open_store(address)
    create(store, definition())
    print(store.study("s").study_id)
    """
    outputs = {output(process).strip() for process in [python(address, code) for _ in range(6)]}
    assert outputs == {"1"}
    store = open_store(address)
    assert [trial.state for trial in store.trials("s")] == ["waiting"]  # the default, enqueued once


@pytest.mark.parametrize("where", ["hpo.search.suggest", "hpo.store.claims.Claims._lease_out", "optuna.Study.ask"])
def test_sigkill_inside_the_claim(address: str, where: str) -> None:
    """A process killed at any point of a claim frees the lock and leaves no trial behind that nobody takes."""
    create(open_store(address), definition(budget={"trials": 4}))
    code = f"""
    import pydoc
    name, _, attribute = {where!r}.rpartition(".")
    setattr(pydoc.locate(name), attribute, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    Claims(open_store(address), "s", "killed", FAST).claim()
    """
    process = python(address, code)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert work_off(Claims(open_store(address), "s", "next", FAST)) == [0, 1, 2, 3]


def test_sigkill_inside_the_finish(address: str) -> None:
    """Killed between our row and Optuna's: the next claim completes the record, with the value that was recorded."""
    create(open_store(address), definition(budget={"trials": 2}))
    code = """
    import optuna
    claims = Claims(open_store(address), "s", "killed", FAST)
    claim = claimed(claims)
    optuna.Study.tell = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    claims.finish(claim, completed(0.125))
    """
    process = python(address, code)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    store = open_store(address)
    assert work_off(Claims(store, "s", "next", FAST)) == [1]
    assert [trial.value for trial in store.trials("s")] == [0.125, 0.5]


def test_sigstop_inside_the_claim_is_reported_and_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A holder of the lock that stands still is named by pid; when it goes on, nothing was given out twice."""
    create(open_store(tmp_path), definition(budget={"trials": 3}))
    code = """
    suggest = search.suggest
    def stand(*a):
        search.suggest = suggest  # stands still once
        print("stopping", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        return suggest(*a)
    search.suggest = stand
    claims = Claims(open_store(address), "s", "stopped", Times())
    print(claimed(claims).number)
    """
    address = f"sqlite:///{tmp_path / 'hpo.db'}"
    process = python(address, code)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    state = Path(f"/proc/{process.pid}/stat")
    deadline = time.monotonic() + 30
    while state.read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(locks, "REPORT_SECONDS", 0.0)
    waiting = python(
        f"sqlite:///{tmp_path / 'hpo.db'}", 'print(claimed(Claims(open_store(address), "s", "waits", Times())).number)'
    )
    try:
        lock = locks.StudyLock(tmp_path / "hpo.db.locks" / "s.lock", for_seconds=0.6)
        with pytest.raises(StorageError, match=f"process {process.pid} has held"), lock.hold():
            pass
        assert f"process {process.pid} has held the study's lock" in caplog.text
        os.kill(process.pid, signal.SIGCONT)
        numbers = {output(process).split()[-1], output(waiting).strip()}
    finally:
        kill(process.pid)
        kill(waiting.pid)
    assert numbers == {"0", "1"}


def test_who_is_told_to_leave_waits_a_few_seconds_more() -> None:
    """From then on, however long it has waited by then, but never longer than it would have without."""
    now, give_up = 0.0, threading.Event()
    long, short = (locks.Patience(seconds, give_up, lambda: now) for seconds in (600.0, 100.0))
    over = []
    for now in (98.0, 101.0, 104.0):  # noqa: B007 - the clock that both look at
        over.append((long.over, short.over))
        give_up.set()
        over.append((long.over, short.over))
    assert over == [(False, False), (False, False), (False, True), (False, True), (True, True), (True, True)]


def test_a_lock_that_others_hold_is_an_error_of_its_own(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file and of a server, in another process and in this one: who was told to leave takes it for an outage."""
    monkeypatch.setattr(locks, "LEAVING_SECONDS", 0.1)
    give_up = threading.Event()
    give_up.set()
    for where in (tmp_path, postgres.database(f"t{uuid.uuid4().hex}")):
        held, other = open_store(where).lock("s"), open_store(where).lock("s")
        for lock in (held, other):
            with held.hold(), pytest.raises(LockHeldError) as caught, lock.hold(give_up):
                pass
            assert passes(caught.value)


def test_a_lock_whose_file_was_removed_is_lost(tmp_path: Path) -> None:
    """Somebody who deletes the lock's file must not make two holders: the first one notices before it acts."""
    path = tmp_path / "a.lock"
    with locks.StudyLock(path).hold() as still_held:
        still_held()
        path.unlink()
        with locks.StudyLock(path, for_seconds=1).hold():
            pass
        with pytest.raises(LockLostError, match=r"removed|replaced"):
            still_held()


def test_a_session_that_ended_has_lost_its_lock(postgres: Server) -> None:
    """PostgreSQL's lock goes with its session: the holder notices before it acts, and another one may have it."""
    store = open_store(postgres.database(f"t{uuid.uuid4().hex}"))
    with store.lock("s").hold() as still_held:
        still_held()
        with store.rdb.engine.begin() as connection:
            connection.execute(text("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"))
        with store.lock("s").hold():
            pass
        with pytest.raises(LockLostError, match="has ended"):
            still_held()


def test_the_holder_of_a_lock_is_named(postgres: Server) -> None:
    """Whoever waits in vain learns which session stands in the way."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store = open_store(address)
    engine = create_engine(
        address.replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
        connect_args={"options": "-c lock_timeout=200ms"},
    )
    impatient = AdvisoryLock(engine, "s.lock", for_seconds=0.2)
    with (
        store.lock("s").hold(),
        pytest.raises(StorageError, match=r"held for over \d+ s by session \d+ of hpo \S+ \d+ from 127\.0\.0\.1"),
        impatient.hold(),
    ):
        pass
    engine.dispose()


def test_the_lock_of_another_database_is_another_one(postgres: Server) -> None:
    """A study of the same name beside ours stands in nobody's way, and its worker is named to nobody."""
    ours, other = (open_store(postgres.database(f"t{uuid.uuid4().hex}")) for _ in range(2))
    lock = AdvisoryLock(ours.rdb.engine, "s.lock", for_seconds=0.2)
    with other.lock("s").hold(), ours.rdb.engine.connect() as connection:
        assert lock._holder(connection) == "nobody any more"


def test_slots_wait_for_the_lock_in_one_session(postgres: Server) -> None:
    """Connections grow with nodes, not with slots: while eight slots want the lock, one session waits for it."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store, other = open_store(address), open_store(address)
    create(store, definition(budget={"trials": 8}))
    claims = Claims(store, "s", "a", FAST)
    with ThreadPoolExecutor(8) as slots:
        with other.lock("s").hold():
            waiting = [slots.submit(claimed, claims) for _ in range(8)]
            deadline = time.monotonic() + 30
            while _at_the_lock(other) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            with pytest.raises(TimeoutError):
                waiting[0].result(timeout=0.5)
            sessions = _at_the_lock(other)
        assert sorted(slot.result().number for slot in waiting) == list(range(8))
    assert sessions == 2  # who holds it, and one that waits


def _at_the_lock(store: Store) -> int:
    """How many sessions have asked for the lock last."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and query like :asks"
    with store.rdb.engine.begin() as connection:
        return int(connection.execute(text(query), {"asks": "select pg_advisory_lock%"}).scalar_one())


def test_a_claim_that_lost_its_lock_gives_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is checked again before the lease is written; the trial of a claim that lost it is claimed anew."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 2}))
    suggest = search.suggest
    lost: list[bool] = []

    def lose(*arguments: object) -> search.Suggestion:
        if not lost:
            lost.append(True)
            (tmp_path / "hpo.db.locks" / "s.lock").unlink()
        return suggest(*arguments)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(search, "suggest", lose)
    claim = claimed(Claims(store, "s", "a", FAST))
    assert (claim.number, claim.attempt) == (0, 1)
    assert len(store.trials("s")) == 1
