"""Trials that take more memory than there is: ended by the kernel, for real, in a control group of their own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.cgroup import OomKills, oom_kills
from hpo.trial import Cause
from tests.conftest import Require
from tests.support import kill
from tests.worker.bench import Bench

LIMIT = 700 << 20  # bytes: enough for a supervisor and a fork server that trains nothing


@pytest.fixture
def control_group(require: Require) -> Iterator[Path]:
    """A control group with a limit of memory."""
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    parent = root if unified else root / "memory"
    if not unified:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        parent /= next((g.lstrip("/") for _, controllers, g in lines if "memory" in controllers.split(",")), "")
    group = parent / "hpo-test"
    file = group / ("memory.max" if unified else "memory.limit_in_bytes")
    try:
        group.mkdir(exist_ok=True)
        file.write_text(str(LIMIT))
    except OSError:
        require(False, "may not make control groups here", optional=True)
    yield group
    with contextlib.suppress(OSError):
        group.rmdir()


def test_the_kernels_kill_is_told_from_any_other(bench: Bench, control_group: Path) -> None:
    """A trial that the kernel ends for its memory is infeasible at once; one that somebody kills is trained again."""
    bench.create(budget={"trials": 3})
    bench.plan(hog=[1], die=[2])
    supervisor = bench.process()
    (control_group / "cgroup.procs").write_text(str(supervisor.pid))
    assert supervisor.wait(60) == 0
    assert bench.status().failures == {"out of memory": 1}
    assert [(n, a) for n, a, _ in bench.starts()] == [(0, 1), (1, 1), (2, 1), (2, 2)]


def test_a_kill_explains_one_trial(bench: Bench) -> None:
    """The counter is the whole group's: what the kernel did to one slot's trial says nothing of another slot's end."""
    bench.create(budget={"trials": 2})
    bench.plan(stuck=[0, 1])
    count = 0
    bench.patch.setattr("hpo.worker.OomKills", lambda: OomKills(lambda: count))

    def hurt() -> None:
        nonlocal count
        first, second = bench.wait_for_start(0), bench.wait_for_start(1)
        count += 1  # before the signal, as the kernel does
        kill(first)
        while not bench.status().failures:
            time.sleep(0.02)
        kill(second)  # somebody else did that

    threading.Thread(target=hurt, daemon=True).start()
    assert bench.supervisor(slots=2).run() == 0
    trials = bench.store.trials("s")
    assert [(t.cause, t.attempt) for t in trials] == [(Cause.OUT_OF_MEMORY, 1), (Cause.COMPLETED, 2)]


def test_kills_are_dealt_out_one_by_one() -> None:
    """A trial is explained by a kill since it began that explains no other one, whatever the order."""
    count: int | None = 3
    kills = OomKills(lambda: count)
    old = kills.so_far()
    assert not kills.explain(old)
    count = 4
    young = kills.so_far()  # its trial began after the first kill
    assert not kills.explain(young)
    count = 5
    assert kills.explain(young)
    assert kills.explain(old)
    assert not kills.explain(old)
    count = None
    assert not OomKills(lambda: count).explain(0)


def test_the_counter_is_found_in_either_version(tmp_path: Path) -> None:
    """Version 2, where a container sees its group as the root, and version 1; None where there is neither."""
    process, root = tmp_path / "cgroup", tmp_path / "fs"
    assert oom_kills(process, root) is None
    process.write_text("0::/job\n")
    assert oom_kills(process, root) is None
    root.mkdir()
    (root / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert oom_kills(process, root) == 2
    (root / "job").mkdir()
    (root / "job" / "memory.events").write_text("oom_kill 5\n")
    assert oom_kills(process, root) == 5
    process.write_text("7:cpu:/\n4:memory:/batch\n")
    (root / "memory" / "batch").mkdir(parents=True)
    (root / "memory" / "batch" / "memory.oom_control").write_text("under_oom 0\noom_kill 7\n")
    assert oom_kills(process, root) == 7
