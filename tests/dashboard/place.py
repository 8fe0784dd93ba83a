"""A study with a trial of each kind, its files, and the dashboard on it: ours, and Optuna's own as people start it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import optuna_dashboard
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import get_storage

from hpo import curves
from hpo.dashboard import accounts
from hpo.dashboard.accounts import Accounts, Role, hash_password
from hpo.dashboard.audit import Audit
from hpo.dashboard.gate import Door, Gate
from hpo.dashboard.headers import Hosts
from hpo.dashboard.house import House
from hpo.dashboard.limits import Throttle
from hpo.dashboard.sessions import Sessions
from hpo.data import Part
from hpo.store import Claims, Store
from hpo.trial import Cause, FoldParts, Result, TrainSettings, TrialSpec
from tests.dashboard.client import App, Client
from tests.support import FAST, claimed, copies, create, definition, record

USERS = {"anna": "a long password", "vera": "another password"}
ROLES: dict[str, Role] = {"anna": "editor", "vera": "viewer"}
TOKEN = "token-of-sixteen-letters-and-more"
REAL_COST = accounts.COST  # tests take a smaller one
STUDY, ENDED, PRUNED, RUNNING = 1, 0, 1, 2  # id of the study, numbers of its trials; ids of trials are one higher
RESULT = Result(
    cause=Cause.COMPLETED,
    value=0.875,
    metrics={"accuracy": 0.875, "loss": 0.3},
    parameters=1234,
    epochs=2,
    best_epochs=(2,),
    seconds={"fit": 1.0, "total": 2.0},
    peak_memory=300 * 2**20,
)


def make_study(folder: Path, name: str = "s") -> None:
    """In `folder`: hpo.db with a study of a completed, a pruned and a running trial, and artifacts of the first."""
    with Store(f"sqlite:///{folder / 'hpo.db'}", create=True) as store:
        create(store, definition(name), record())
        claims = Claims(store, name, "worker", FAST)
        claims.roster.join(host="node", pid=1, slots=2, lease=1e9)
        first, second, _ = claimed(claims), claimed(claims), claimed(claims)
        claims.finish(first, RESULT)
        claims.finish(second, Result(cause=Cause.OUT_OF_MEMORY, detail="no memory for `this`\n| at all |"))
        write_files(folder / "artifacts" / first.artifacts, name, first.number)
        (folder / "artifacts" / second.artifacts).mkdir()
        (folder / "artifacts" / second.artifacts / "log.txt").write_text("a line\n")


def write_files(place: Path, study: str, number: int) -> None:
    """The files of a trial as its training writes them."""
    settings = TrainSettings(
        metric="accuracy", max_epochs=2, patience=1, optimizer="adam", scaling="none", threads=1, max_parameters=None
    )
    spec = TrialSpec(
        study=study, number=number, attempt=1, seed=1, family="lstm", model={}, training={}, settings=settings,
        folds=(FoldParts(train="t", stopping=None, validation="v"),), classes=("a", "b"), artifacts=str(place),
    )  # fmt: skip
    epochs = [{"loss": 0.6, "val_loss": 0.5, "accuracy": 0.5, "val_accuracy": 0.6}, {"loss": 0.4, "val_loss": 0.3}]
    part = Part(np.zeros((4, 2, 1), np.float32), np.array([0, 0, 1, 1]), np.array([5, 5, 6, 6]))
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    curves.write(spec, RESULT, [epochs], [{"accuracy": 0.875}], [(part, p)])
    (place / "log.txt").write_text("a line\n")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


@dataclass
class Place:
    """A dashboard in a folder that `make_study` made."""

    folder: Path
    gate: Gate
    house: House
    clock: Clock = field(default_factory=Clock)

    def client(self, user: str | None = None, **more: Any) -> Client:
        """Somebody, perhaps logged in."""
        client = Client(self.gate, **more)
        if user is not None:
            assert client.log_in(user, USERS[user]).status == 303
        return client


class Stepped:
    """Time that passes when a test says so. The thread waits in `wait`; `step` lets it read once more."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: Queue[float] = Queue()
        self._go: Queue[bool] = Queue()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """What the thread does between two readings."""
        self.waits.put(seconds)
        return self._go.get(timeout=30)

    def step(self, seconds: float = 2.0, *, gone: bool = False) -> None:
        """Ends the wait that the thread is in, this much later."""
        assert self.waits.get(timeout=30) == 2.0
        self.now += seconds
        self._go.put(gone)


def users_file(folder: Path) -> Path:
    """A file with `USERS`."""
    file = folder / "users"
    file.write_text("".join(f"{name}:{ROLES[name]}:{hash_password(USERS[name])}\n" for name in USERS))
    file.chmod(0o600)
    return file


def open_place(
    folder: Path,
    *,
    login: bool = True,
    anonymous: Role = "viewer",
    proxy: str = "",
    now: Callable[[], float] | None = None,
) -> Place:
    """The dashboard of a folder; `now` stands for its database's clock."""
    url, clock = f"sqlite:///{folder / 'hpo.db'}", Clock()
    house = House(lambda: Store(url, read_only=True, clock=now), lambda: Store(url), copies(folder / "artifacts"))
    gate = at_the_door(folder, house, clock, login=login, anonymous=anonymous, proxy=proxy)
    return Place(folder, gate, house, clock)


def at_the_door(
    folder: Path,
    house: House,
    clock: Clock | None = None,
    *,
    login: bool = True,
    anonymous: Role = "viewer",
    proxy: str = "",
) -> Gate:
    """A house behind our door, with `USERS`."""
    clock = clock or Clock()
    accounts = Accounts(users_file(folder) if login else None, TOKEN if login else None)
    hosts, audit = Hosts("127.0.0.1", ["hpo.example"]), Audit(folder / "audit")
    door = Door(hosts, accounts, Sessions(3600.0, clock), audit, anonymous, Throttle(clock), proxy)
    return Gate(door, house)


def bare(made: Path, folder: Path) -> Client:
    """Optuna Dashboard on a copy of the same, with artifacts, as its documentation says."""
    shutil.copy(made / "hpo.db", folder / "bare.db")
    files = folder / "bare"
    files.mkdir()
    app: App = optuna_dashboard.wsgi(
        get_storage(f"sqlite:///{folder / 'bare.db'}"), FileSystemArtifactStore(str(files))
    )
    return Client(app)
