"""A worker that really trains is really killed: the next one goes on from its checkpoint, to the same bits."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpo import data, once
from hpo.child import ForkServer
from hpo.specify import recorded, specify
from hpo.store import Claim, Claims
from hpo.trial import Result
from tests.support import FAST, TESTS, alive
from tests.worker.bench import Bench

MORTAL = """
import os, signal, sys
from pathlib import Path
import hpo.worker
from tests.support import *

class Mortal(Claims):
    def report(self, claim, epoch):
        if epoch.step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().report(claim, epoch)

hpo.worker.Claims = Mortal
folder, cache = map(Path, sys.argv[1:])
hpo.worker.Supervisor(
    open_store(folder), "s", devices=[None], artifacts=Folder(folder / "artifacts"), cache=cache,
    times=Times(lease=3.0, renew=0.3, idle=0.05, start=120.0, carry=0.2),
).run()
"""


def steps(folder: Path) -> list[int]:
    """Of the checkpoints in a trial's folder."""
    return [int(path.stem.rpartition("-")[2]) for path in folder.glob("checkpoint-*.npz")]


@pytest.mark.timeout(300)  # TensorFlow is imported twice
def test_a_killed_worker_is_taken_over_from_its_checkpoint(bench: Bench) -> None:
    """SIGKILL when the sixth epoch of twelve is reported; another worker's attempt begins after the last checkpoint and
    ends with weights, curve and score of a training that nobody killed. No checkpoint is left.
    """
    bench.create(budget={"trials": 1}, train={"max_epochs": 12, "patience": 12})
    folder = bench.folder / "artifacts" / "s" / "0"
    killed = subprocess.run(
        [sys.executable, "-c", MORTAL, str(bench.folder), str(bench.cache)],
        cwd=TESTS.parent,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    left_here = bench.spooled(0, 1)
    pid = int(re.findall(r"pid (\d+)", (left_here / "log.txt").read_text())[0])
    while alive(pid):  # its child ends when it sees that it is alone
        time.sleep(0.01)
    left = max(steps(left_here))
    store, record = bench.store, bench.store.study("s")
    lost = store.trial("s", 0)
    assert (lost.state, lost.attempt) == ("running", 1)

    server = ForkServer(log=bench.folder / "server.log")
    claim = recorded(record, lost)
    spec = specify(record, claim, data.parts(record.data.split_sha256, bench.cache), bench.folder / "unkilled")
    whole = once.run(spec, bench.folder / "log.txt", server=server)
    assert bench.supervisor(server=server, times=replace(FAST, start=120.0)).run() == 0
    trial = store.trial("s", 0)
    log = (folder / "log.txt").read_text()
    assert f"--- going on after step {left} of attempt 1, from checkpoint-1-{left}.npz" in log
    assert trial.attempt == 2
    result = trial.outcome
    assert result is not None
    assert (result.value, result.epochs) == (whole.value, 12)
    assert (result.weights_sha256, result.curve_sha256) == (whole.weights_sha256, whole.curve_sha256)
    assert not left_here.exists()
    assert steps(folder) == []


def test_a_result_that_waited_too_long_brings_no_files(bench: Bench) -> None:
    """The trial ended while its worker heard nothing of its leases, and another worker has it by then.

    Until the worker tries to record the end, and learns it from that, nothing of the attempt is carried: it would lie
    over the files of the one that counts.
    """
    bench.create(budget={"trials": 1})
    bench.plan(epochs=1, files=["checkpoint-1-0.npz"])
    finish, take_over = Claims.finish, bench.hearing()
    supervisor = bench.supervisor(times=replace(FAST, lease=60.0, renew=0.05))
    stored = bench.folder / "artifacts" / "s" / "0" / "checkpoint-1-0.npz"
    found = []

    def late(claims: Claims, claim: Claim, result: Result) -> bool:
        take_over()
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text("of the other worker")
        (bench.spooled(0, 1) / "checkpoint-1-0.npz").write_text("of this one, and newer")
        supervisor._carrier.settle(60)
        found.append(stored.read_text())
        bench.store.request_stop("s")
        return finish(claims, claim, result)

    bench.patch.setattr(Claims, "finish", late)
    assert supervisor.run() == 0
    assert found == ["of the other worker"]
    assert stored.read_text() == "of the other worker"
    assert not bench.spooled(0, 1).exists()
