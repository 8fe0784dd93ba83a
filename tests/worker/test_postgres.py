"""Supervisors in processes of their own on one PostgreSQL: they share a study, and a stopped server costs nothing."""

import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from hpo.settings import Times
from hpo.store import Claims, Roles, Store
from tests.postgres import Server
from tests.support import TESTS, create, definition, kill, open_store, prepared_record, work_off

CODE = """
import sys; from dataclasses import replace; from pathlib import Path
from tests.support import *; from hpo.worker import Supervisor
address, folder, cache = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
times = Times(lease=8.0, renew=0.5, idle=0.1, start=20.0, obey=1.0, grace=0.5)
if len(sys.argv) > 4: times = replace(times, lease=float(sys.argv[4]))
sys.exit(Supervisor(open_store(address), 's', devices=[None] * 2, artifacts=Folder(folder / 'artifacts'), cache=cache,
    times=times, server=fake_server()).run())
"""


def supervisor(address: str, folder: Path, cache: Path, *lease: float) -> subprocess.Popen[bytes]:
    """One with two slots, and leases of eight seconds or as long as is said."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, address, str(folder), str(cache), *map(str, lease)],
        cwd=TESTS.parent,
        stderr=subprocess.DEVNULL,
    )


def starts(folder: Path) -> list[int]:
    """Numbers of the trials that were started, in order."""
    diary = folder / "diary"
    return [int(line.split()[0]) for line in diary.read_text().splitlines()] if diary.exists() else []


def wait_for(folder: Path, number: int) -> None:
    """Waits until so many trials were started."""
    deadline = time.monotonic() + 60
    while len(starts(folder)) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(starts(folder))} of {number} trials started")
        time.sleep(0.05)


@pytest.fixture
def address(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, and children that take half a second."""
    monkeypatch.setenv("FAKE", '{"epochs": 5, "pause": 0.1}')
    monkeypatch.setenv("FAKE_DIARY", str(tmp_path / "diary"))
    return postgres.database(f"t{uuid.uuid4().hex}")


def test_two_supervisors_share_a_study(address: str, tmp_path: Path) -> None:
    """Exactly the budget between them, every trial started and recorded once."""
    store = open_store(address)
    create(store, definition(budget={"trials": 16}), prepared_record(tmp_path / "cache"))
    processes = [supervisor(address, tmp_path, tmp_path / "cache", 60.0) for _ in range(2)]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    assert Counter(starts(tmp_path)) == Counter(range(16))
    assert store.status("s").counts == {"complete": 16, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}


def test_an_outage_before_the_first_look(address: str, postgres: Server, tmp_path: Path) -> None:
    """A worker that has reached the database once waits for it, also where it has not read its study yet."""
    store = open_store(address)
    create(store, definition(), prepared_record(tmp_path / "cache"))
    postgres.stop("fast")
    back = threading.Timer(1.0, postgres.start)
    back.start()
    try:
        assert Claims(store, "s", "worker", Times()).record.name == "s"
    finally:
        back.join()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_server_costs_nothing(address: str, postgres: Server, tmp_path: Path, mode: str) -> None:
    """The server is away for a moment, in order or by a crash: no worker dies, no trial is lost or trained twice."""
    store = open_store(address)
    create(store, definition(budget={"trials": 16}), prepared_record(tmp_path / "cache"))
    processes = [supervisor(address, tmp_path, tmp_path / "cache") for _ in range(2)]
    try:
        wait_for(tmp_path, 6)
        postgres.stop(mode)
        time.sleep(2)  # the outage itself
        postgres.start()
        assert [process.wait(timeout=100) for process in processes] == [0, 0]
    finally:
        for process in processes:
            kill(process.pid)
            process.wait()
    trials = store.trials("s")
    assert [trial.state for trial in trials] == ["complete"] * 16
    assert Counter(starts(tmp_path)) == Counter(range(16))


def test_told_to_leave_while_the_database_is_away(
    address: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes with 75 and soon, for its scheduler to start it again: its trials are taken over after their leases."""
    monkeypatch.setenv("FAKE", '{"epochs": 1000, "pause": 0.1}')
    store = open_store(address)
    create(store, definition(budget={"trials": 2}), prepared_record(tmp_path / "cache"))
    process = supervisor(address, tmp_path, tmp_path / "cache")
    wait_for(tmp_path, 2)
    postgres.stop()
    try:
        process.terminate()
        assert process.wait(timeout=60) == 75  # not ten minutes
    finally:
        postgres.start()
        kill(process.pid)


def test_a_worker_waits_for_a_database_where_it_is_told_to(address: str, postgres: Server, tmp_path: Path) -> None:
    """`hpo worker --wait`: a server that is away at the start is waited for; without it that is exit code 4."""
    store = open_store(address)
    create(store, definition(budget={"trials": 1}), prepared_record(tmp_path / "cache"))
    work_off(Claims(store, "s", "worker", Times()))  # nothing is left but to say so
    folders = ("--artifacts", str(tmp_path / "artifacts"), "--cache", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "hpo.cli", "worker", "s", "--storage", address, "--allow-mixed", *folders]
    postgres.stop("fast")
    try:
        patient = subprocess.Popen([*command, "--wait", "60"], stderr=subprocess.PIPE, text=True)
        hasty = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        postgres.start()
    assert hasty.returncode == 4
    assert "cannot reach the database" in hasty.stderr
    said = patient.communicate(timeout=60)[1]
    assert patient.returncode == 0, said


def test_connections_run_out(
    address: str, postgres: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that has no connection left for a worker's slots is waited for, as one that is away."""
    store = open_store(address)
    create(store, definition(budget={"trials": 12}))
    store.grant(Roles("hpo_owner", "hpo_worker", "hpo_viewer", {}))
    monkeypatch.setenv("PGPASSWORD", "pw")
    few = Store(postgres.login(address, "pw", "hpo_worker", options="connection limit 2"))
    claims = Claims(few, "s", "worker", Times())
    told = []
    slots = [threading.Thread(target=lambda: told.extend(work_off(claims))) for _ in range(6)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join(timeout=100)
    few.close()
    assert "too many connections" in caplog.text
    assert sorted(told) == list(range(12))
    assert store.status("s").counts["complete"] == 12
