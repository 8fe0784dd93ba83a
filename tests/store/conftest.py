"""What tests of claims share: a database, its workers, and a clock that the test moves."""

from collections.abc import Callable

import optuna
import pytest

from hpo.settings import Times
from hpo.store import Claims, Store
from tests.support import open_store

LEASE = Times().lease
Worker = Callable[[str], Claims]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 4_000_000_000.0  # long after any server was started

    def __call__(self) -> float:
        """The moment, seconds since 1970."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def store(address: str, clock: Clock) -> Store:
    """An empty database of each kind, that goes by the clock above."""
    return open_store(address, clock)


@pytest.fixture
def worker(store: Store) -> Callable[[str], Claims]:
    """Makes the claims of a worker of that name."""
    return lambda name: Claims(store, "s", name, Times())


def frozen(store: Store) -> list[optuna.trial.FrozenTrial]:
    """The trials of the study `s` as Optuna has them."""
    return optuna.load_study(study_name="s", storage=store.rdb).trials
