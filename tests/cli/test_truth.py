"""Commands say what is so: nothing of trials that have not begun, of workers that are not there, of work not begun."""

from pathlib import Path

import pytest

from hpo.settings import Times
from hpo.store import Claims
from tests.cli.run import call
from tests.support import claimed, completed, create, definition, open_store, work_off


def test_the_log_of_a_trial_that_waits(tmp_path: Path) -> None:
    """It has not started, and no place is named where its log would be."""
    store = open_store(tmp_path)
    create(store, definition())
    run = call("logs", "s", "0", "--storage", store.url)
    assert (run.code, run.out) == (2, "")
    assert run.err == "Error: trial 0 of study 's' has no log: it has not started yet\n"


def test_the_log_of_a_trial_that_runs_elsewhere(tmp_path: Path) -> None:
    """The file that is missing is named."""
    store = open_store(tmp_path)
    create(store, definition())
    claimed(Claims(store, "s", "a", Times()))
    run = call("logs", "s", "0", "--storage", store.url, "--artifacts", tmp_path / "artifacts")
    assert run.code == 2
    assert f"has no log at {tmp_path}/artifacts/s/0/log.txt: it ran elsewhere" in run.err


def test_a_stop_tells_who_works(tmp_path: Path) -> None:
    """Whether workers finish what runs, nobody works on it, or it has ended."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}))
    claims = Claims(store, "s", "a", Times())

    def said() -> str:
        run = call("stop", "s", "--storage", store.url)
        assert (run.code, run.out) == (0, "")
        return run.err

    assert said() == "study s: nobody works on it; workers that come leave at once, until `hpo launch`\n"
    create(store, definition(budget={"trials": 1}))
    claims.roster.join(host="h", pid=1, slots=1, lease=600.0)
    claim = claimed(claims)
    assert said() == "study s: its workers finish what runs and leave\n"
    claims.finish(claim, completed())
    claims.roster.leave()
    assert work_off(claims) == []
    assert said() == "study s has ended, and nobody works on it\n"


@pytest.mark.parametrize("number", [0, 7])
def test_a_rerun_that_is_refused(tmp_path: Path, number: int) -> None:
    """Nothing is said of a training that was never begun."""
    store = open_store(tmp_path)
    create(store, definition())
    run = call("rerun", "s", str(number), "--storage", store.url, "--cache", tmp_path)
    assert run.code == 2
    assert "training" not in run.err
