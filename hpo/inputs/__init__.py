"""Windows to predict, read from a file piece by piece: .npz, .txt and .tsv of the UCR archive, .csv.

Needs no library but NumPy. Knows neither models nor bundles: it is told what windows have to look like.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from hpo.errors import DataError, UsageError
from hpo.inputs import _arrays, _text
from hpo.inputs._batch import Batch, Expected

__all__ = ["LAYOUTS", "Batch", "Expected", "read"]

LAYOUTS = {
    ".npz": ("channels-last", "channels-first"),
    ".csv": ("long", "wide"),
    ".txt": ("lines",),
    ".tsv": ("lines",),
}
"""Ending of a file -> layouts that it may have, the usual one first."""


def read(path: Path, expected: Expected, *, layout: str | None, batch: int, labels: bool = True) -> Iterator[Batch]:
    """The windows of a file, `batch` at a time.

    Args:
        path: its ending says what it is.
        layout: one of `LAYOUTS` of that ending; None is the first.
        labels: False leaves the file's labels out of account.

    Raises:
        UsageError: the ending is not known, or does not go with the layout.
        DataError: the file cannot be read, is empty, or holds something else than windows of this shape; the message
            names row, time step and channel. Comes when the reading gets there.
    """
    known = LAYOUTS.get(path.suffix.lower())
    if known is None:
        raise UsageError(f"{path}: {path.suffix or 'no ending'!r} is not known; accepted: {', '.join(LAYOUTS)}")
    layout = layout or known[0]
    if layout not in known:
        raise UsageError(f"{path}: the layout {layout!r} does not go with {path.suffix}; accepted: {', '.join(known)}")
    return _not_empty(path, _batches(path, expected, layout, batch, labels))


def _batches(path: Path, expected: Expected, layout: str, batch: int, labels: bool) -> Iterator[Batch]:
    with _reading(path):
        if path.suffix.lower() == ".npz":
            yield from _arrays.batches(path, expected, layout, batch, labels)
        else:
            yield from _text.batches(path, expected, layout, batch, labels)


def _not_empty(path: Path, batches: Iterator[Batch]) -> Iterator[Batch]:
    first = next(batches, None)
    if first is None:
        raise DataError(f"{path}: there are no windows in it")
    yield from chain([first], batches)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error.reason}") from error
    except csv.Error as error:
        raise DataError(f"{path}: is not a .csv file: {error}") from error
