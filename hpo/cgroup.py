"""How often the kernel killed a process of this container or job for want of memory.

A SIGKILL alone says nothing: schedulers, people and the kernel all send it. Only the counter of the control group that
this process lives in tells them apart (https://docs.kernel.org/admin-guide/cgroup-v2.html, ``memory.events``).
"""

import threading
from collections.abc import Callable
from pathlib import Path


def oom_kills(process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The counter now, over this control group and those below it; None where the system keeps none that we can read.

    Args:
        process: says which control group the process is in.
        root: where the control groups are mounted.
    """
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            # a container sees its own group as the root
            files = [root / group.lstrip("/") / "memory.events", root / "memory.events"]
        elif "memory" in controllers.split(","):
            files = [root / "memory" / group.lstrip("/") / "memory.oom_control"]
        else:
            continue
        for file in files:
            count = _count(file)
            if count is not None:
                return count
    return None


def _count(file: Path) -> int | None:
    try:
        pairs = dict(line.split(" ", 1) for line in file.read_text().splitlines())
        return int(pairs["oom_kill"])
    except (OSError, KeyError, ValueError):
        return None


class OomKills:
    """The kernel's kills of this control group, each of which explains the end of one trial. One for a worker.

    Thread-safe.

    Args:
        count: the group's counter; tests pass one of their own.
    """

    def __init__(self, count: Callable[[], int | None] = oom_kills) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._told: set[int] = set()  # numbers of the kills that explain a trial

    def so_far(self) -> int:
        """How many there were; 0 where the system keeps no counter."""
        return self._count() or 0

    def explain(self, since: int) -> bool:
        """Whether one that explains no other trial came after the first `since`; from now on it explains this one."""
        with self._lock:
            number = next((n for n in range(since, self.so_far()) if n not in self._told), None)
            if number is not None:
                self._told.add(number)
            return number is not None
