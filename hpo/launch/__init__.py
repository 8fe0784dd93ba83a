"""Starting the workers of a study: first a plan, which can be shown, then its start.

One file per place where workers can run; the name in `--on` is a module's name.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from hpo.folders import names
from hpo.settings import Times
from hpo.store import Store


@dataclass(frozen=True)
class Plan:
    """What a launcher is going to do.

    Attributes:
        study: name of the study.
        slots: trials at a time, over all workers that this launch starts.
        artifacts, cache: folders of the trials' files and of the arrays.
        lines: the plan in words, one per step, as `--dry-run` prints it.
    """

    study: str
    slots: int
    artifacts: Path
    cache: Path
    lines: tuple[str, ...]


class Launcher(Protocol):
    """What a module of this folder offers."""

    def plan(self, study: str, *, slots: int | None, threads: int, artifacts: Path, cache: Path) -> Plan:
        """What would be started. Pure: looks at the machine, changes nothing."""

    def start(self, plan: Plan, store: Store, times: Times) -> int:
        """Starts it and waits until the workers leave. Returns the exit code."""


def launcher_names() -> list[str]:
    """Places where workers can run."""
    return names("launch")


def get(name: str) -> Launcher:
    """The launcher of that name, one of `launcher_names`."""
    return cast(Launcher, import_module(f"hpo.launch.{name}"))
