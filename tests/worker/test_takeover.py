"""A worker that really trains is really killed: the next one goes on from its checkpoint, to the same bits."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpo import data, once
from hpo.child import ForkServer
from hpo.specify import recorded, specify
from tests.support import FAST, TESTS, kill
from tests.worker.bench import Bench

REAL = """
import sys; from pathlib import Path; from tests.support import *; from hpo.worker import Supervisor
folder, cache = map(Path, sys.argv[1:])
Supervisor(open_store(folder), 's', devices=[None], artifacts=folder / 'artifacts', cache=cache, times=FAST).run()
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + 90
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def steps(folder: Path) -> list[int]:
    """Of the checkpoints in a trial's folder."""
    return [int(path.stem.rpartition("-")[2]) for path in folder.glob("checkpoint-*.npz")]


def test_a_killed_worker_is_taken_over_from_its_checkpoint(bench: Bench) -> None:
    """SIGKILL in the middle of a trial; another worker's attempt begins after the checkpoint and ends with weights,
    curve and score of a training that nobody killed. No checkpoint is left.
    """
    bench.create(budget={"trials": 1}, train={"max_epochs": 150, "patience": 150})
    folder = bench.folder / "artifacts" / "s" / "0"
    worker = subprocess.Popen(
        [sys.executable, "-c", REAL, str(bench.folder), str(bench.cache)], cwd=TESTS.parent, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: max(steps(folder), default=0) > 0, "no checkpoint")
    kill(worker.pid)
    worker.wait()
    left = max(steps(folder))
    store, record = bench.store, bench.store.study("s")
    lost = store.trial("s", 0)
    assert (lost.state, lost.attempt) == ("running", 1)

    server = ForkServer(log=bench.folder / "server.log")
    claim = recorded(record, lost)
    spec = specify(record, claim, data.parts(record.data.split_sha256, bench.cache), bench.folder / "unkilled")
    whole = once.run(spec, bench.folder / "log.txt", server=server)
    assert bench.supervisor(server=server, times=FAST).run() == 0
    trial = store.trial("s", 0)
    log = (folder / "log.txt").read_text()
    assert f"--- going on after step {left} of attempt 1, from checkpoint-1-{left}.npz" in log
    assert trial.attempt == 2
    result = trial.outcome
    assert result is not None
    assert (result.value, result.epochs) == (whole.value, 150)
    assert (result.weights_sha256, result.curve_sha256) == (whole.weights_sha256, whole.curve_sha256)
    assert steps(folder) == []
