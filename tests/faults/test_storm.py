"""The promise under faults: a trial runs at least once and is recorded at most once, and nothing that ended is lost."""

from pathlib import Path

import pytest

from tests.faults.check import LEASE
from tests.faults.storm import Storm, rage
from tests.postgres import Server

# In which some slot becomes free (a trial takes two seconds) and its claim gets its turn, on a busy machine.
CLAIM_SECONDS = 20.0
STORM = Storm(trials=110, kills=30, stops=5, outages=3)


@pytest.mark.timeout(400)
def test_a_fleet_loses_nothing_in_a_storm(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight workers, 30 kills, 5 stops past the lease, 3 outages: exactly the budget, each trial recorded once, no
    trial orphaned longer than its lease and one claim, no worker lost to an outage, and no training begun without a
    fault that cost one.
    """
    monkeypatch.setenv("FAKE", '{"epochs": 4, "pause": 0.5}')
    monkeypatch.setenv("FAKE_DIARY", str(tmp_path / "diary"))
    verdict = rage(postgres, tmp_path, STORM)
    print("\n".join(verdict.lines(STORM)))  # noqa: T201 - n beside every zero, for those who read the log
    assert verdict.deserted == []
    assert verdict.findings.clean, verdict.findings
    assert verdict.counts == {"complete": STORM.trials, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    kinds = verdict.history
    assert sum(n for what, n in kinds.items() if "killed" in what) == STORM.kills
    assert kinds["stopped past the lease"] == STORM.stops
    assert sum(n for what, n in kinds.items() if "outage" in what) == STORM.outages
    assert verdict.findings.takeovers
    assert max(verdict.waits()) <= LEASE + CLAIM_SECONDS
    assert verdict.starts - STORM.trials <= STORM.kills + STORM.stops
