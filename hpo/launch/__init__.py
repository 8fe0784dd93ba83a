"""Starting the workers of a study: first a plan, which can be shown, then its start.

One file per place where workers can run; the name in `--on` is a module's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from hpo.artifacts import Artifacts
from hpo.errors import UsageError
from hpo.folders import names
from hpo.gpus import AUTO
from hpo.settings import Times
from hpo.store import Store, has_password, on_server, redacted

REMOTE_WAIT = 600  # seconds; nobody sits beside a worker elsewhere and starts it again


@dataclass(frozen=True)
class Wish:
    """What a person wants to be started.

    Attributes:
        study: name of the study.
        storage: address of its database; may hold a password, so it goes into no script and no message.
        workers: trials at a time on this machine, or workers elsewhere; None means what fits.
        threads: of one trial.
        gpus: "auto", "none", or which ones: see `hpo.gpus.find`.
        slots_per_gpu: trials at a time on one GPU.
        artifacts: the store of the trials' files.
        cache: folder of the arrays, and of files on their way.
        times: that the workers work by.
        wait: seconds that a worker waits at its start for a database that is away.
        metrics_port: where each worker serves health and metrics on its loopback; None for nowhere.
        allow_mixed: train by other versions than those that the study was created with.
        files: that the address or its password came from, by the variables that name them to a worker:
            HPO_STORAGE_FILE, HPO_STORAGE_PASSWORD_FILE. Workers elsewhere read the same files.
    """

    study: str
    storage: str = field(repr=False)
    workers: int | None
    threads: int
    artifacts: Artifacts
    cache: Path
    gpus: str = AUTO
    slots_per_gpu: int = 1
    times: Times = field(default_factory=Times)
    wait: float = 0.0
    metrics_port: int | None = None
    allow_mixed: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a launcher is going to do.

    Attributes:
        wish: what it follows from.
        lines: the plan in words, one per step.
        devices: of workers on this machine: the GPU of each slot, see `hpo.gpus.deal`.
        script: what is handed to a scheduler, whole, as `--dry-run` prints it; empty where there is none.
    """

    wish: Wish
    lines: tuple[str, ...]
    devices: tuple[str | None, ...] = ()
    script: str = ""


class Launcher(Protocol):
    """What a module of this folder offers."""

    def plan(self, wish: Wish) -> Plan:
        """What would be started. Pure: looks at the machine, changes nothing.

        Raises:
            UsageError: it cannot be had in this place; the message says what can.
        """

    def start(self, plan: Plan, store: Store) -> int:
        """Starts it and waits until the study has ended or the workers left. Returns the exit code."""


def remote(wish: Wish, place: str) -> None:
    """Refuses what workers on other machines could not use.

    Raises:
        UsageError: the database is a file on this machine, or its address holds a password that schedulers would keep.
    """
    if not on_server(wish.storage):
        raise UsageError(
            f"--on {place} needs a database on a server, and {redacted(wish.storage)} is a file. "
            "Give a PostgreSQL database with --storage or HPO_STORAGE, and make its tables with `hpo migrate`"
        )
    if has_password(wish.storage) and not wish.files:
        raise UsageError(
            f"the address {redacted(wish.storage)} holds a password, which {place} would keep. Leave it out "
            "of the address, and name a file that the workers can read: PGPASSFILE, HPO_STORAGE_FILE or "
            "HPO_STORAGE_PASSWORD_FILE"
        )


def remote_command(wish: Wish) -> list[str]:
    """The command line of a worker elsewhere, from ``worker`` on; the database comes by the environment."""
    mixed = ["--allow-mixed"] if wish.allow_mixed else []
    mixed += [] if wish.metrics_port is None else ["--metrics-port", str(wish.metrics_port)]
    slots = [] if wish.gpus == AUTO else ["--slots", str(wish.slots_per_gpu)]
    return [
        *("worker", wish.study, "--gpus", wish.gpus, *slots, "--slots-per-gpu", str(wish.slots_per_gpu)),
        *("--artifacts", wish.artifacts.address, "--cache", str(wish.cache.resolve())),
        *("--wait", str(REMOTE_WAIT), "--grace", f"{wish.times.grace:g}"),
        *("--renew", f"{wish.times.renew:g}", "--lease", f"{wish.times.lease:g}"),
        *mixed,
    ]


def launcher_names() -> list[str]:
    """Places where workers can run."""
    return names("launch")


def get(name: str) -> Launcher:
    """The launcher of that name, one of `launcher_names`."""
    return cast(Launcher, import_module(f"hpo.launch.{name}"))
