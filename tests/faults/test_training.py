"""Kills of workers that train: a kill costs at most the epoch that it fell into."""

import re
import uuid
from pathlib import Path

import pytest

from hpo.space import Fixed, Float, Space
from tests.faults.check import look, watch
from tests.faults.fleet import Fleet, keep
from tests.postgres import Server
from tests.support import definition, open_store, prepared_record

TRIALS, EPOCHS = 4, 8
# one window at a time, so that an epoch takes many times what its checkpoint does
SPACE: Space = {
    "units": Fixed(default=8),
    "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
    "batch_size": Fixed(default=1),
}


def attempts(folder: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """Number and attempt of every training -> epochs that were over at its start and at its end, by the logs.

    An attempt that was killed before it came to train says neither what it goes on from nor an epoch, and is left out.
    """
    found = {}
    for log in folder.glob("artifacts/s/*/log.txt"):
        for part in log.read_text(errors="replace").split("--- trial ")[1:]:
            number, attempt = map(int, re.findall(r"\d+", part)[:2])
            before = re.search(r"going on after step (\d+)", part)
            begin = int(before[1]) + 1 if before else 0
            over = [int(epoch) for epoch in re.findall(r"epoch (\d+)  ", part)]
            if attempt == 1 or before or over:
                found[number, attempt] = (begin, max(over, default=begin))
    return found


@pytest.mark.timeout(300)
def test_five_kills_cost_at_most_an_epoch_each(postgres: Server, tmp_path: Path) -> None:
    """Two workers on Keras trainings, five SIGKILLs of supervisors, children and a fork server in mid-training: no
    trial lost, none recorded twice, and each take-over goes on from the last epoch or the one before.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    store = open_store(address)
    train = {"max_epochs": EPOCHS, "patience": EPOCHS}
    study = definition(budget={"trials": TRIALS, "retries": 100}, train=train)
    store.create(study, spaces={"lstm": SPACE}, data=prepared_record(tmp_path / "cache"), versions={})
    watch(address)
    fleet = Fleet(address, postgres, tmp_path, 2, children="every_epoch()")
    try:
        for kill in (
            fleet.kill_child,
            fleet.kill_supervisor,
            fleet.kill_child,
            fleet.kill_fork_server,
            fleet.kill_child,
        ):
            keep(fleet, until=lambda: _in_mid_training(tmp_path), seconds=200)
            if kill() is False:
                fleet.kill_supervisor()
        keep(fleet, seconds=200)
    finally:
        fleet.close()
    history = attempts(tmp_path)
    (tmp_path / "diary").write_text("".join(f"{number} {attempt} 0 0 0\n" for number, attempt in history))
    found = look(address, TRIALS, tmp_path / "diary")
    assert found.clean, found
    assert store.status("s").counts == {"complete": TRIALS, "pruned": 0, "fail": 0, "running": 0, "waiting": 0}
    assert fleet.deserted == []
    assert sum(fleet.history.values()) == 5
    repeated = {}
    for (number, attempt), (begin, _) in history.items():
        ends = [end for (other, earlier), (_, end) in history.items() if other == number and earlier < attempt]
        if ends:
            repeated[number, attempt] = max(ends) - begin
    print(f"5 kills of workers that train: lost 0, recorded twice 0 of {TRIALS}; epochs repeated: {repeated}")  # noqa: T201 - for those who read the log
    assert repeated
    assert max(repeated.values()) <= 1, history


def _in_mid_training(folder: Path) -> bool:
    """Whether some training has two epochs behind it, and some before it."""
    found = attempts(folder)
    newest = dict(sorted(found))
    return any(end - begin >= 2 and end < EPOCHS - 2 for (n, a), (begin, end) in found.items() if newest[n] == a)
