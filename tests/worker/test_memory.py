"""Trials that take more memory than there is: ended by the kernel, for real, in a control group of their own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.cgroup import oom_kills
from tests.conftest import Require
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
