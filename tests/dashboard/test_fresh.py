"""A value that is kept fresh behind the backs of those who ask, with every wait of its thread let through by hand."""

import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from hpo.dashboard.fresh import Fresh
from tests.dashboard.place import Stepped

Make = Callable[[Callable[[], int]], Fresh[int]]


@pytest.fixture
def stepped() -> Stepped:
    """Its time."""
    return Stepped()


@pytest.fixture
def fresh(stepped: Stepped) -> Iterator[Make]:
    """Makes one; its thread has to have ended after the test."""
    yield lambda read: Fresh(read, every=2.0, idle=60.0, clock=stepped.clock, wait=stepped.wait)
    for thread in [t for t in threading.enumerate() if t.name == "fresh"]:
        stepped.step(gone=True)
        thread.join(timeout=30)
        assert not thread.is_alive()


def ended() -> None:
    """Waits until the thread has gone by itself."""
    for thread in [t for t in threading.enumerate() if t.name == "fresh"]:
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_only_the_first_one_reads(stepped: Stepped, fresh: Make) -> None:
    """Whoever asks after the first gets what the thread has read last, and reads nothing."""
    readers: list[str] = []
    numbers = count(1)

    def read() -> int:
        readers.append(threading.current_thread().name)
        return next(numbers)

    value = fresh(read)
    assert [value.get(), value.get()] == [1, 1]
    stepped.step()
    stepped.waits.put(stepped.waits.get(timeout=30))  # it waits again: it has read
    assert [value.get(), value.get()] == [2, 2]
    assert readers == [threading.current_thread().name, "fresh"]


def test_nobody_looks(stepped: Stepped, fresh: Make) -> None:
    """When nobody has asked for a minute the thread ends without reading, and the next one who asks reads anew."""
    numbers = count(1)
    value = fresh(lambda: next(numbers))
    assert value.get() == 1
    stepped.step(60.0)
    ended()
    assert value.get() == 2
    stepped.step()
    stepped.waits.put(stepped.waits.get(timeout=30))
    assert value.get() == 3


def test_a_reading_that_fails(stepped: Stepped, fresh: Make) -> None:
    """A failure behind their backs shows nobody old news: the next one who asks gets the error, until it is over."""
    away = threading.Event()
    numbers = count(1)

    def read() -> int:
        if away.is_set():
            raise OSError("the database is away")
        return next(numbers)

    value = fresh(read)
    assert value.get() == 1
    away.set()
    stepped.step()
    ended()
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            value.get()
    away.clear()
    assert value.get() == 2


def test_closing_ends_its_thread() -> None:
    """The owner that goes leaves no thread behind, however long it would have waited."""
    value = Fresh(lambda: 1, every=3600.0, idle=3600.0)
    assert value.get() == 1
    assert [t.name for t in threading.enumerate()].count("fresh") == 1
    value.close()
    ended()
