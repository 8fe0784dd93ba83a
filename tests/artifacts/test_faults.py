"""Stores that go away, hang or fill up in the middle of a study: no trial notices, and no file is lost.

Supervisors, children, servers and disks are real; the children train nothing.
"""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo import carrier, data
from hpo.artifacts import s3 as s3_module
from hpo.artifacts.address import open_artifacts
from hpo.trial import Cause
from tests.s3 import CANARY, S3
from tests.worker.bench import Bench

FILES = ["checkpoint-1-0.npz", "curves.json", "report.json"]
KEPT = ["curves.json", "log.txt", "report.json"]


def everything(trials: int) -> list[str]:
    """What the store holds once so many trials have ended."""
    return sorted(f"s/{number}/{name}" for number in range(trials) for name in KEPT)


def stored(bench: Bench) -> list[str]:
    """What the store holds."""
    return [entry.name for entry in open_artifacts(bench.address).entries()]


def spooled(bench: Bench) -> list[str]:
    """The attempts that have files on this node."""
    folders = bench.spooled(0, 1).parent.iterdir()
    return sorted(path.name for path in folders if path.is_dir())


def wait_for(what: Callable[[], object]) -> None:
    """Until it is so."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def beside(work: Callable[[], None]) -> threading.Thread:
    """Does something while the study is worked on."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def said(caplog: pytest.LogCaptureFixture, words: str) -> int:
    """How often the user was told so."""
    return sum(words in record.getMessage() for record in caplog.records)


@pytest.fixture
def hear(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the worker tells the user."""
    caplog.set_level(logging.INFO, "hpo")
    return caplog


def test_a_study_on_s3_whose_server_goes_and_comes_back(bench: Bench, s3: S3, hear: pytest.LogCaptureFixture) -> None:
    """All trials complete, all files are there, no checkpoint and nothing on the node is left, one word each way."""
    bench.address = s3.bucket()
    bench.create(budget={"trials": 6})
    bench.plan(epochs=2, pause=0.3, files=FILES)

    def outage() -> None:
        bench.wait_for_start(1)
        s3.stop()
        bench.wait_for_start(4)
        wait_for(lambda: said(hear, "No trial waits for that"))
        s3.start()

    other = beside(outage)
    assert bench.supervisor().run() == 0
    other.join()
    assert bench.status().counts["complete"] == 6
    assert stored(bench) == everything(6)
    assert spooled(bench) == []
    assert said(hear, "No trial waits for that") == 1
    assert said(hear, "answers again; all files are there") == 1
    assert CANARY not in hear.text


def test_a_silent_server_holds_up_nobody(
    bench: Bench, s3: S3, hear: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes connections and never answers: the study ends meanwhile, the user is told, and the next
    worker on the node carries everything.
    """
    bench.address = s3.bucket()
    bench.create(budget={"trials": 3})
    bench.plan(epochs=2, pause=0.1, files=FILES)
    with monkeypatch.context() as short, s3.silent():  # the next worker has the usual time for what it carries
        short.setattr(s3_module, "ANSWER_SECONDS", 1.0)
        short.setattr(carrier, "HANG", 0.3)
        short.setattr(carrier, "PATIENCE", 0.5)
        assert bench.supervisor(slots=2).run() == 0
    assert bench.status().counts["complete"] == 3
    assert said(hear, "has not answered") + said(hear, "no answer within") == 1
    assert said(hear, "The next worker of this study on this machine carries them over") == 1
    wait_for(lambda: all(thread.name != "carrier" for thread in threading.enumerate()))  # a process would end it
    s3.start()
    assert stored(bench) == []
    assert bench.supervisor().run() == 0
    assert stored(bench) == everything(3)
    assert spooled(bench) == []


def test_a_full_store_costs_no_trial_and_no_file(
    bench: Bench, small_disk: Path, hear: pytest.LogCaptureFixture
) -> None:
    """A disk with no room left, and one that may only be read: trials complete; their files come when they can."""
    (small_disk / "filler").write_bytes(b"x" * 250_000)
    bench.address = str(small_disk / "store")
    Path(bench.address).mkdir()
    bench.create(budget={"trials": 2})
    # so many that there is no room for all
    bench.plan(epochs=1, files=[*FILES, *(f"more-{n}.npy" for n in range(8))])
    assert bench.supervisor().run() == 0
    assert bench.status().counts["complete"] == 2
    assert said(hear, "No space left on device. No trial waits for that") == 1
    assert len(spooled(bench)) == 2
    os.system(f"mount -o remount,ro {small_disk}")  # noqa: S605 - a folder of our own
    hear.clear()
    assert bench.supervisor().run() == 0
    assert said(hear, "Read-only file system. No trial waits for that") == 1
    os.system(f"mount -o remount,rw {small_disk}")  # noqa: S605 - a folder of our own
    (small_disk / "filler").unlink()
    assert bench.supervisor().run() == 0
    assert set(stored(bench)) > set(everything(2))
    assert [name for name in stored(bench) if "checkpoint" in name or name.endswith(".tmp")] == []
    assert spooled(bench) == []


def test_what_a_killed_worker_left_is_carried_by_the_next(bench: Bench, s3: S3) -> None:
    """SIGKILL while the store is down: the next worker on the node goes on from the checkpoint that lies there, and
    carries the files of trials that had ended.
    """
    bench.address = s3.bucket()
    s3.stop()
    bench.create(budget={"trials": 2})
    bench.plan(epochs=1, files=FILES, stuck=[1])
    process = bench.process()
    bench.wait_for_start(1)
    wait_for(lambda: (bench.spooled(1, 1) / FILES[0]).exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert spooled(bench) == ["0-1", "1-1"]
    s3.start()
    assert bench.supervisor().run() == 0
    assert bench.store.trial("s", 1).attempt == 2
    assert stored(bench) == everything(2)
    assert spooled(bench) == []
    copy = bench.folder / "log"
    assert open_artifacts(bench.address).get("s/1/log.txt", copy)
    assert [line for line in copy.read_text().splitlines() if line.startswith("found")] == [
        "found",
        f"found {FILES[0]}",
    ]


def test_a_trial_goes_on_on_another_node(bench: Bench, s3: S3, tmp_path: Path) -> None:
    """Killed on one node, it finds its arrays, its checkpoint and its log on another, by way of the store."""
    bench.address = s3.bucket()
    bench.create(budget={"trials": 1})
    data.share(bench.record.split_sha256, bench.cache, open_artifacts(bench.address))
    bench.plan(epochs=1, files=FILES[:1], stuck=[0])
    process = bench.process()
    wait_for(lambda: {f"s/0/{FILES[0]}", "s/0/log.txt"} <= set(stored(bench)))
    early = tmp_path / "early"
    wait_for(lambda: open_artifacts(bench.address).get("s/0/log.txt", early) and "found" in early.read_text())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    bench.plan(epochs=1, files=FILES)
    node, bench.cache = bench.cache, tmp_path / "other"
    assert bench.supervisor().run() == 0
    assert [name for name in stored(bench) if not name.startswith(".data/")] == everything(1)
    assert open_artifacts(bench.address).get("s/0/log.txt", tmp_path / "log")
    words = (tmp_path / "log").read_text()
    assert words.count("--- trial 0, attempt") == 2
    assert f"found {FILES[0]}" in words
    # the first node learns of it when somebody works there again
    bench.cache = node
    assert spooled(bench) == ["0-1"]
    assert bench.supervisor().run() == 0
    assert spooled(bench) == []
    assert [name for name in stored(bench) if not name.startswith(".data/")] == everything(1)


def test_a_store_that_is_away_delays_no_take_over(bench: Bench, s3: S3, hear: pytest.LogCaptureFixture) -> None:
    """The files of the attempt before cannot be had: the trial begins anew, and says why."""
    bench.address = s3.bucket()
    bench.create(budget={"trials": 1})
    bench.plan(epochs=1, die=[0], files=FILES)
    node = bench.spooled(0, 1)
    s3.stop()
    release = carrier.Carrier.leave

    def gone(self: carrier.Carrier, claim: object) -> None:
        release(self, claim)  # type: ignore[arg-type] # a claim, as the method has it
        shutil.rmtree(node)

    bench.patch.setattr(carrier.Carrier, "leave", gone)
    assert bench.supervisor().run() == 0
    assert bench.store.trial("s", 0).cause is Cause.COMPLETED
    assert said(hear, "trial 0 may begin anew, because its files cannot be had") == 1
