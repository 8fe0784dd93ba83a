"""Whose files are carried, and whose are not: the cases that a fault in the right moment brings about."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpo.artifacts import Entry, StoreAway
from hpo.artifacts.folder import Folder
from hpo.carrier import Carrier
from hpo.errors import StorageError
from hpo.spool import Held, Key, Spool, waiting
from hpo.store import Claim, TrialRecord
from hpo.trial import Cause


def claim(attempt: int) -> Claim:
    """Of trial 0."""
    return Claim(
        number=0, attempt=attempt, seed=1, family="lstm", model={}, training={}, artifacts="s/0", taken_over=attempt > 1
    )


@dataclass
class Node:
    """A node's spool, and carriers that work on it.

    Attributes:
        trial: as the database has it; an error where it is away.
        sure: whether the worker has heard of its leases lately.
    """

    folder: Path
    trial: TrialRecord | Exception = field(default_factory=lambda: KeyError("no such trial"))
    sure: bool = True

    def __post_init__(self) -> None:
        self.store = Folder(self.folder / "store")
        self.spool = Spool(self.folder / "cache", "s", 1.0, self.store.address)
        self.open: list[Carrier] = []

    def carrier(self) -> Carrier:
        """A worker's."""
        self.open.append(Carrier(self.store, self.spool, self._look, lambda: self.sure, 0.05))
        self.open[-1].start()
        return self.open[-1]

    def _look(self, _: int) -> TrialRecord:
        if isinstance(self.trial, Exception):
            raise self.trial
        return self.trial

    def record(self, attempt: int, cause: Cause | None = None) -> None:
        """What the database says from now on."""
        state = "running" if cause is None else "complete"
        self.trial = TrialRecord(
            number=0, state=state, value=None, params={}, attempt=attempt, cause=cause, artifacts="s/0"
        )

    def left(self, attempt: int, *names: str) -> None:
        """Files that a worker that died left."""

        def fill(folder: Path) -> None:
            for name in names:
                (folder / name).write_text(f"attempt {attempt}")

        self.spool.let_go(self.spool.make(Key(0, attempt), fill))

    def stored(self) -> dict[str, str]:
        """Name -> content of what the store holds of the trial."""
        found = {}
        for entry in self.store.entries():
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                found[entry.name.removeprefix("s/0/")] = (self.store.root / entry.name).read_text()
        return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node of its own."""
    node = Node(tmp_path)
    yield node
    for each in node.open:
        each.close(lambda: False)


def wait_for(what: Callable[[], object]) -> None:
    """Until it is so."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def write(folder: Path, *names: str) -> None:
    """Files as a training writes them."""
    for name in names:
        (folder / name).write_text(name)


def test_a_running_trial_shows_its_checkpoint_and_its_log_alone(node: Node) -> None:
    """What its end would bring is not carried before: it may turn out to be another worker's. Old checkpoints go."""
    carrier = node.carrier()
    folder = carrier.begin(claim(1), lambda: False)
    write(folder, "log.txt", "curves.json", "checkpoint-1-0.npz", ".checkpoint-1-1.npz.77")
    wait_for(lambda: node.stored().keys() == {"log.txt", "checkpoint-1-0.npz"})
    write(folder, "checkpoint-1-10.npz")
    (folder / "checkpoint-1-0.npz").unlink()
    carrier.changed()
    wait_for(lambda: node.stored().keys() == {"log.txt", "checkpoint-1-10.npz"})
    carrier.end(claim(1))
    wait_for(lambda: node.stored().keys() == {"log.txt", "curves.json"})
    wait_for(lambda: node.spool.found() == [])


def test_a_worker_that_stood_still_writes_over_nobodys_files(node: Node) -> None:
    """It may have lost its trial, until it has heard of its leases; then it knows, and what it wrote is dropped."""
    node.sure = False
    carrier = node.carrier()
    folder = carrier.begin(claim(1), lambda: False)
    write(folder, "log.txt", "checkpoint-1-0.npz")
    carrier.settle(20)
    assert node.stored() == {}
    carrier.lose(claim(1))
    node.sure = True
    carrier.settle(20)
    write(folder, "curves.json")
    carrier.drop(claim(1))
    assert node.stored() == {}
    assert node.spool.found() == []


@pytest.mark.parametrize(
    ("attempt", "cause", "stored", "stays"),
    [
        (1, None, {"log.txt", "checkpoint-1-3.npz"}, True),
        (1, Cause.POISON, {"log.txt", "curves.json"}, False),
        (2, None, set(), True),
        (2, Cause.COMPLETED, set(), False),
    ],
    ids=["waits for its successor", "ended", "goes on elsewhere", "ended elsewhere"],
)
def test_what_a_dead_worker_left(node: Node, attempt: int, cause: Cause | None, stored: set[str], stays: bool) -> None:
    """The database says whether it counts: everything of the attempt that was recorded, nothing of one before it."""
    node.left(1, "log.txt", "curves.json", "checkpoint-1-3.npz")
    node.record(attempt, cause)
    node.carrier().settle(20)
    assert node.stored().keys() == stored
    assert node.spool.found() == ([Key(0, 1)] if stays else [])


def test_nothing_is_decided_while_the_database_is_away(node: Node) -> None:
    """What a dead worker left stays as it is; a trial that is not there at all has no files."""
    node.left(1, "log.txt")
    node.trial = StorageError("the database is away")
    node.carrier().settle(20)
    assert (node.stored(), node.spool.found()) == ({}, [Key(0, 1)])
    node.trial = KeyError("no such trial")
    node.carrier().settle(20)
    assert (node.stored(), node.spool.found()) == ({}, [])


def test_another_workers_folders_are_its_own(node: Node) -> None:
    """Two workers on one node: neither carries, or removes, what the other one attends to."""
    folder = node.carrier().begin(claim(1), lambda: False)
    node.record(2, Cause.COMPLETED)
    node.carrier().settle(20)
    assert folder.exists()


def test_a_successor_begins_with_what_is_here_or_was_elsewhere(node: Node) -> None:
    """The last attempt's files: from this node if it was here, else from the store; then the older folder goes."""
    node.left(1, "log.txt", "checkpoint-1-3.npz", "curves.json")
    node.record(1)
    carrier = node.carrier()
    second = carrier.begin(claim(2), lambda: False)
    assert carrier.begin(claim(2), lambda: False) == second
    assert sorted(path.name for path in second.glob("[!.]*")) == ["checkpoint-1-3.npz", "log.txt"]
    node.record(2)
    carrier.leave(claim(2))
    wait_for(lambda: node.spool.found() == [Key(0, 2)])
    node.record(3)
    carrier.settle(20)
    source = node.folder / "source"
    source.write_text("attempt 3, elsewhere")
    for name in ("log.txt", "checkpoint-3-7.npz", "report.json"):
        node.store.put(source, f"s/0/{name}")
    fourth = carrier.begin(claim(4), lambda: False)
    assert {path.name: path.read_text() for path in fourth.glob("[!.]*")} == {
        "log.txt": "attempt 3, elsewhere",
        "checkpoint-1-3.npz": "attempt 1",
        "checkpoint-3-7.npz": "attempt 3, elsewhere",
    }


def test_a_checkpoint_that_is_replaced_while_a_successor_copies(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker stands still, its training goes on: the successor takes the newer one, and begins not from nothing."""
    node.left(1, "log.txt", "checkpoint-1-3.npz")
    node.record(1)
    copy = shutil.copy2

    def late(source: Path, target: Path) -> object:
        if source.name == "checkpoint-1-3.npz":
            source.rename(source.with_name("checkpoint-1-4.npz"))
        return copy(source, target)

    monkeypatch.setattr("hpo.takeover.shutil.copy2", late)
    second = node.carrier().begin(claim(2), lambda: False)
    assert sorted(path.name for path in second.glob("[!.]*")) == ["checkpoint-1-4.npz", "log.txt"]


def test_what_could_not_be_had_is_asked_for_again(node: Node) -> None:
    """An attempt that began while the store was away has nothing: its successors on this node ask until they get it."""

    class Away(Folder):
        def entries(self, folder: str = "") -> list[Entry]:
            raise StoreAway("it is down")

    store, source = node.store, node.folder / "source"
    source.write_text("attempt 1, elsewhere")
    store.put(source, "s/0/checkpoint-1-50.npz")
    node.store = Away(store.root)
    for attempt in (2, 3):
        node.record(attempt)
        carrier = node.carrier()
        assert list(carrier.begin(claim(attempt), lambda: False).glob("[!.]*")) == []
        carrier.leave(claim(attempt))
    node.store = store
    carrier = node.carrier()
    for attempt in (4, 5):
        node.record(attempt)
        assert [p.name for p in carrier.begin(claim(attempt), lambda: False).glob("[!.]*")] == ["checkpoint-1-50.npz"]
        carrier.leave(claim(attempt))


def test_a_worker_that_is_told_to_leave_leaves(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the store hangs: nothing of what the slots and the supervisor call waits for it."""
    answers = threading.Event()

    class Hung(Folder):
        def put(self, source: Path, name: str) -> None:
            answers.wait()
            super().put(source, name)

    monkeypatch.setattr("hpo.carrier.SHORT_PATIENCE", 0.2)
    node.store = Hung(node.store.root)
    carrier = node.carrier()
    write(carrier.begin(claim(1), lambda: False), "log.txt", "checkpoint-1-0.npz")
    began = time.monotonic()
    carrier.settle(0.2)
    carrier.end(claim(1))
    carrier.close(lambda: False, told=True)
    assert time.monotonic() - began < 10
    assert node.spool.found() == [Key(0, 1)]
    answers.set()


class Refusing(Folder):
    """A store that is away for so many calls."""

    refusals = 0

    def put(self, source: Path, name: str) -> None:
        """See `Folder`."""
        if self.refusals:
            self.refusals -= 1
            raise StoreAway("slow down")
        super().put(source, name)


def test_one_refusal_at_the_end_leaves_nothing_behind(node: Node) -> None:
    """A worker whose study has ended tries again what the store refuses to take; an evaluation waits for such files."""
    store = Refusing(node.store.root)
    node.store = store
    carrier = node.carrier()
    write(carrier.begin(claim(1), lambda: False), "model.keras")
    carrier.settle(20)
    store.refusals = 2
    carrier.end(claim(1))
    carrier.close(lambda: False)
    assert node.stored().keys() == {"model.keras"}
    assert node.spool.found() == []


def test_a_long_outage_ends_no_carrier(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """After more failures than a number has powers of two, what a store takes again is carried."""
    monkeypatch.setattr("hpo.carrier.LONGEST_PAUSE", 0.05)
    store = Refusing(node.store.root)
    store.refusals = 1500
    node.store = store
    carrier = node.carrier()
    write(carrier.begin(claim(1), lambda: False), "log.txt")
    wait_for(lambda: carrier._tries > 0)
    carrier._tries = 1000
    wait_for(lambda: carrier._tries > 1030)
    store.refusals = 0
    wait_for(lambda: node.stored().keys() == {"log.txt"})


@pytest.mark.parametrize("recorded", [True, False])
def test_a_trial_that_was_called_lost_while_it_ended(node: Node, recorded: bool) -> None:
    """A renewal that began before its end may find no lease: its files are carried all the same, those of a trial that
    was given back as far as a successor needs them.
    """
    carrier = node.carrier()
    folder = carrier.begin(claim(1), lambda: False)
    carrier.lose(claim(1))
    write(folder, "log.txt", "curves.json")
    carrier.settle(20)
    assert node.stored() == {}
    if recorded:
        carrier.end(claim(1))
        wait_for(lambda: node.stored().keys() == {"log.txt", "curves.json"})
        wait_for(lambda: node.spool.found() == [])
    else:
        node.record(1)
        carrier.leave(claim(1))
        wait_for(lambda: node.stored().keys() == {"log.txt"})


def test_one_folder_that_cannot_be_carried_holds_up_no_other(node: Node) -> None:
    """Of what dead workers left the rest is carried, whatever is wrong with one of them."""

    class Broken(Folder):
        def put(self, source: Path, name: str) -> None:
            if source.parent.name == "0-1":
                raise StorageError("it cannot be read")
            super().put(source, name)

    node.left(1, "log.txt")
    held = node.spool.make(Key(1, 1), lambda folder: write(folder, "curves.json"))
    node.spool.let_go(held)
    node.store = Broken(node.store.root)
    node.record(1, Cause.COMPLETED)
    node.carrier()
    wait_for(lambda: node.stored().keys() == {"curves.json"})


def test_spools_belong_to_one_study_and_one_store(tmp_path: Path) -> None:
    """A study of the same name, made later, finds nothing; each says whose it is. Half-made folders go in time."""
    first = Spool(tmp_path, "s/refit", 1.0, "s3://b/x")
    others = [Spool(tmp_path, "s/refit", 2.0, "s3://b/x"), Spool(tmp_path, "s/refit", 1.0, "s3://b/y")]
    held = first.make(Key(0, 1), lambda folder: None)
    assert first.take(Key(0, 1)) is None
    first.let_go(held)
    again = Spool(tmp_path, "s/refit", 1.0, "s3://b/x").take(Key(0, 1))
    assert isinstance(again, Held)
    first.let_go(again)
    assert [spool.found() for spool in others] == [[], []]
    about = {(each.path, each.study, each.created_at, each.address) for each in waiting(tmp_path)}
    assert (first.path, "s/refit", 1.0, "s3://b/x") in about
    assert len(about) == 3

    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        first.make(Key(0, 2), fail)
    assert first.found() == [Key(0, 1)]
