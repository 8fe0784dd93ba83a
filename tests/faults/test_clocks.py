"""Workers whose clocks are wrong: leases go by the database's."""

import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from hpo.store import tables
from tests.faults.check import look
from tests.faults.conftest import Begin
from tests.faults.fleet import Fleet, keep
from tests.faults.test_storm import CLAIM_SECONDS
from tests.postgres import Server

TRIALS, LEASE, HOUR = 10, 3.0, 3600.0


@pytest.mark.timeout(200)
def test_clocks_that_are_off_by_an_hour(postgres: Server, begin: Begin, tmp_path: Path) -> None:
    """One worker's clock is an hour fast, the other's an hour slow, and each is killed once: neither takes what is
    leased, and what is lost waits no longer than its lease and one claim.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store = begin(address, TRIALS)
    began = time.time()
    fleets = [
        Fleet(
            address,
            postgres,
            tmp_path,
            1,
            lease=LEASE,
            before=f"from tests.faults.clocks import shift; shift({wrong})",
        )
        for wrong in (HOUR, -HOUR)
    ]
    try:
        for fleet in fleets:
            held = False
            while not held:  # what it holds when it is killed
                keep(*fleets, until=lambda: all(each.holds() for each in fleets))
                os.kill(fleet.workers[0].pid, signal.SIGSTOP)
                held = bool(fleet.holds())
                if not held:
                    os.kill(fleet.workers[0].pid, signal.SIGCONT)
            fleet.kill_supervisor()
        keep(*fleets)
    finally:
        for fleet in fleets:
            fleet.close()
    found = look(address, TRIALS, tmp_path / "diary", LEASE)
    assert found.clean, found
    assert len(found.takeovers) >= 2
    waits = [each.waited() for each in found.takeovers]
    assert max(waits) <= LEASE + CLAIM_SECONDS
    assert store.status("s").counts == {"complete": TRIALS, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    with store.rdb.engine.connect() as connection:
        rows = connection.execute(tables.trials.select()).mappings().all()
        asked = connection.exec_driver_sql("select extract(epoch from datetime_start) from trials").scalars().all()
    assert all(began - 60 < row[moment] < time.time() + 60 for row in rows for moment in ("leased_at", "finished_at"))
    # the clocks were wrong indeed: what Optuna writes down goes by them
    assert {round((float(moment) - began) / HOUR) for moment in asked} == {1, -1}
    assert [each.deserted for each in fleets] == [[], []]
    print(f"clocks an hour off: lost 0, recorded twice 0 of {TRIALS} trials; taken over after {sorted(waits)} s")  # noqa: T201 - for those who read the log
