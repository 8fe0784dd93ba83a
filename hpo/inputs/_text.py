"""Windows out of text: lines of the UCR archive, and .csv with one line for each time step or for each window."""

import csv
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TextIO

import numpy as np

from hpo.errors import DataError
from hpo.inputs._batch import Batch, Expected, finite

log = logging.getLogger(__name__)

WINDOW, STEP, LABEL = "id", "step", "label"
"""Columns of a .csv that are no values."""


@dataclass(frozen=True)
class _Window:
    name: str
    values: list[list[float]]
    label: str | None
    where: str


def batches(path: Path, expected: Expected, layout: str, batch: int, labels: bool) -> Iterator[Batch]:
    """The windows of a text file, `batch` at a time."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        windows = {"lines": _lines, "long": _long, "wide": _wide}[layout](path, file, expected, labels)
        while some := list(islice(windows, batch)):
            yield _together(some, expected)


def _lines(path: Path, file: TextIO, expected: Expected, labels: bool) -> Iterator[_Window]:
    """One window of one channel a line, its values between white space; a label may come first."""
    _one_channel(path, expected)
    labelled = _labelled(path, file, expected) if labels and expected.padded else None
    for number, line in enumerate(file, 1):
        words = line.split()
        if not words:
            continue
        where = f"{path}: line {number}"
        if labelled is None:  # the first line tells for all
            labelled = labels and not expected.padded and len(words) == expected.timesteps + 1
        values = words[1:] if labelled else words
        if not expected.fits(len(values)):
            first = "a label and then " if labelled else ""
            raise DataError(f"{where} has {len(words)} values; expected {first}{expected.length} time steps")
        label = words[0] if labelled else None
        yield _Window(str(number - 1), [[_number(word, where)] for word in values], label, where)


def _labelled(path: Path, file: TextIO, expected: Expected) -> bool:
    """Whether lines of different length begin with labels; says so, as nothing in them does.

    Raises:
        DataError: some begin with a class, and others do not.
    """
    first: dict[bool, tuple[int, str]] = {}  # by whether it may be a label
    for number, line in enumerate(file, 1):
        words = line.split()
        if len(words) > expected.timesteps:  # one more than a window has: no doubt
            file.seek(0)
            return True
        if words:
            first.setdefault(len(words) > 1 and expected.knows(words[0]), (number, words[0]))
    file.seek(0)
    if len(first) > 1:
        (one, label), (other, value) = first[True], first[False]
        raise DataError(
            f"{path}: line {one} begins with {label[:40]!r}, which may be its label, and line {other} with "
            f"{value[:40]!r}, which cannot be one: no class is called so, or nothing follows. Correct it, or say "
            "with --no-labels that there are no labels"
        )
    labelled = True in first
    what = "a label, as each is a class (--no-labels: a value)" if labelled else "a value, as none is a class"
    log.info("%s: what lines begin with is read as %s", path, what)
    return labelled


def _wide(path: Path, file: TextIO, expected: Expected, labels: bool) -> Iterator[_Window]:
    """A header, then one window of one channel a line: perhaps its id and its label, then its values in order."""
    _one_channel(path, expected)
    rows, columns = _header(path, file)
    values = [at for at, name in enumerate(columns) if name not in (WINDOW, LABEL)]
    if len(values) != expected.timesteps:
        raise DataError(
            f"{path}: has {len(values)} columns of values; expected one for each of {expected.timesteps} time steps, "
            f"and perhaps {WINDOW!r} and {LABEL!r}"
        )
    for number, (line, row) in enumerate(rows):
        where = f"{path}: line {line}"
        named = dict(zip(columns, row, strict=True))
        label = named.get(LABEL) if labels else None
        points = [[_number(row[at], where, columns[at])] for at in values]
        yield _Window(named.get(WINDOW, str(number)), points, label, where)


def _long(path: Path, file: TextIO, expected: Expected, labels: bool) -> Iterator[_Window]:
    """A header, then one time step a line: its window's id, one column for each channel, perhaps step and label.

    A channel that is called step or label is what that column holds.
    """
    rows, columns = _header(path, file)
    channels = [name.strip() for name in expected.channels]
    if WINDOW in channels:
        raise DataError(f"{path}: a channel is called {WINDOW!r}, as the column that tells windows apart; use .npz")
    needed = {WINDOW, *channels}
    missing, unknown = needed - set(columns), set(columns) - needed - {STEP, LABEL}
    if missing or unknown:
        problems = [f"no column {name!r}" for name in sorted(missing)] + [f"{name!r}" for name in sorted(unknown)]
        hint = ". Try --layout wide" if len(expected.channels) == 1 else ""
        raise DataError(
            f"{path}: {', '.join(problems)}; expected {WINDOW!r}, one column for each channel "
            f"({', '.join(channels)}), and perhaps {STEP!r} and {LABEL!r}{hint}"
        )
    seen: set[str] = set()
    for name, steps in groupby(rows, key=lambda row: row[1][columns.index(WINDOW)]):
        window = _collect(path, name, steps, columns, expected, labels)
        if name in seen:
            raise DataError(f"{window.where}: window {name!r} was there before; put the lines of a window together")
        seen.add(name)
        yield window


def _collect(
    path: Path, name: str, rows: Iterable[tuple[int, list[str]]], columns: list[str], expected: Expected, labels: bool
) -> _Window:
    """The window whose time steps these rows are."""
    points: list[list[float]] = []
    channels = [name.strip() for name in expected.channels]
    label, before, where = None, -math.inf, str(path)
    for line, row in rows:
        named = dict(zip(columns, row, strict=True))
        here = f"{path}: line {line}"
        where = where if points else here
        if STEP in named and STEP not in channels:
            step = _number(named[STEP], here, STEP)
            if not step > before:
                raise DataError(f"{here}: step {step:g} comes after {before:g} in window {name!r}; they must rise")
            before = step
        if labels and LABEL in named and LABEL not in channels:
            if points and named[LABEL] != label:
                raise DataError(f"{here}: window {name!r} has the labels {label!r} and {named[LABEL]!r}")
            label = named[LABEL]
        if len(points) == expected.timesteps:
            raise DataError(f"{here}: window {name!r} has more time steps than {expected.timesteps}")
        points.append([_number(named[channel], here, channel) for channel in channels])
    if not expected.fits(len(points)):
        raise DataError(f"{where}: window {name!r} has {len(points)} time steps; expected {expected.length}")
    return _Window(name, points, label, where)


def _header(path: Path, file: TextIO) -> tuple[Iterator[tuple[int, list[str]]], list[str]]:
    """The rows of a .csv with their line numbers, and its columns; every row is as long as the header."""
    lines = csv.reader(file, strict=True)
    columns = [name.strip() for name in next(lines, [])]
    if not columns:
        raise DataError(f"{path}: is empty")
    if len(set(columns)) < len(columns):
        raise DataError(f"{path}: two columns have the same name")
    if not any(_is_name(column) for column in columns):
        raise DataError(f"{path}: its first line has no names of columns, only numbers")

    def rows() -> Iterator[tuple[int, list[str]]]:
        for row in lines:
            if len(row) != len(columns) and row:
                raise DataError(f"{path}: line {lines.line_num} has {len(row)} cells; the header has {len(columns)}")
            if row:
                yield lines.line_num, row

    return rows(), columns


def _is_name(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return bool(text)
    return False


def _one_channel(path: Path, expected: Expected) -> None:
    if len(expected.channels) > 1:
        raise DataError(
            f"{path}: such a line holds one channel, and the model has {len(expected.channels)} "
            f"({', '.join(expected.channels)}); use .npz, or .csv with --layout long"
        )


def _number(text: str, where: str, column: str = "") -> float:
    try:
        return float(text)
    except ValueError as error:
        place = f" in column {column!r}" if column else ""
        raise DataError(f"{where}: {text[:40]!r}{place} is not a number") from error


def _together(windows: list[_Window], expected: Expected) -> Batch:
    x = np.full((len(windows), expected.timesteps, len(expected.channels)), np.nan)
    for row, window in zip(x, windows, strict=True):
        row[: len(window.values)] = window.values
    labels = [window.label for window in windows if window.label is not None]
    names = [window.name for window in windows]
    return Batch(names, finite(x, [w.where for w in windows], expected), labels or None)
