"""Small real things that several tests need: a definition, a database, a fork server that trains nothing."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpo import data
from hpo.artifacts.copies import Copies
from hpo.artifacts.folder import Folder
from hpo.child import ForkServer
from hpo.data import bundled
from hpo.data.split import make_split
from hpo.settings import Times
from hpo.space import Fixed, Float, Space
from hpo.store import Claim, Claims, DataRecord, Idle, Over, Store
from hpo.study import StudyDef, from_json
from hpo.trial import Cause, Result

TESTS = Path(__file__).resolve().parent
SPACES: dict[str, Space] = {
    "lstm": {
        "units": Fixed(default=8),
        "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
        "batch_size": Fixed(default=16),
    }
}
OPEN: list[Store] = []
FAST = Times(lease=3.0, renew=0.3, idle=0.05, start=20.0, obey=1.0, grace=0.5, notice=0.5, deliver=1.0, carry=0.2)


def definition(name: str = "s", *, budget: dict[str, Any] | None = None, **tables: dict[str, Any]) -> StudyDef:
    """A valid definition; keyword arguments replace whole tables."""
    raw = {
        "name": name,
        "data": {"source": "bundled", "name": "ItalyPowerDemand"},
        "split": {"by": "stratified"},
        "model": {"family": "lstm"},
        "search": {"sampler": "random", "pruner": "none"},
        "budget": budget or {"trials": 5},
        **tables,
    }
    return from_json(json.dumps(raw))


def record(sha256: str = "d" * 64, split: str = "e" * 64) -> DataRecord:
    """Data that need not exist: the store only keeps their hashes."""
    return DataRecord(name="toy", sha256=sha256, split_sha256=split, shape=(24, 1), n_train=67, classes=("a", "b"))


def create(store: Store, study: StudyDef, data_record: DataRecord | None = None) -> None:
    """The study in the store, with a space of one searched hyperparameter."""
    store.create(study, spaces=SPACES, data=data_record or record(), versions={})


def open_store(where: Path | str, clock: Callable[[], float] | None = None) -> Store:
    """The database of an address, or a file in a folder; made when missing. Closed when the test ends."""
    address = f"sqlite:///{where / 'hpo.db'}" if isinstance(where, Path) else where
    OPEN.append(Store(address, create=True, clock=clock))
    return OPEN[-1]


def claimed(claims: Claims) -> Claim:
    """A claim, where there must be one."""
    found = claims.claim()
    if not isinstance(found, Claim):
        raise TypeError(f"no claim but {found!r}")
    return found


def completed(value: float = 0.5) -> Result:
    """How a trial ends that went well."""
    return Result(cause=Cause.COMPLETED, value=value, seconds={"fit": 1.0, "total": 2.0})


def work_off(claims: Claims, *, most: int = 1000) -> list[int]:
    """Claims and finishes until there is nothing left; returns the numbers in order."""
    numbers: list[int] = []
    while len(numbers) < most:
        found = claims.claim()
        if isinstance(found, Over | Idle):
            break
        numbers.append(found.number)
        claims.finish(found, completed())
    return numbers


def prepared_record(cache: Path) -> DataRecord:
    """A small real data set in the cache, so that a supervisor finds its arrays."""
    loaded = data.load(bundled.Options(name="ItalyPowerDemand"), cache)
    split = make_split(
        loaded.train.y, None, by="stratified", folds=1, validation=0.2, stopping=0.0, seed=0, data_sha256=loaded.sha256
    )
    data.prepare(loaded, split, cache)
    return record(loaded.sha256, split.sha256)


def fake_server() -> ForkServer:
    """A real fork server and real processes that train nothing; see fake_server.py for what they do instead."""
    return ForkServer([sys.executable, str(TESTS / "fake_server.py")])


def every_epoch() -> ForkServer:
    """The real one, whose trainings write a checkpoint after every epoch; see faults/every_epoch.py."""
    return ForkServer([sys.executable, "-m", "tests.faults.every_epoch"])


def copies(folder: Path) -> Copies:
    """A folder as artifact store, for those who read."""
    return Copies(Folder(folder), folder)


def alive(pid: int) -> bool:
    """Whether a process runs (one that ended and was not waited for does not)."""
    with contextlib.suppress(OSError, IndexError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in ("Z", "X")
    return False


def children(pid: int) -> list[int]:
    """Pids of a process's children, and of theirs."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(folder.name), *children(int(folder.name))]
    return found


def kill(pid: int) -> None:
    """SIGKILL; harmless when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
