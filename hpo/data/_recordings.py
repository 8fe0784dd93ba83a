"""From the rows of a long table to samples: sorted by recording and time, cut into windows, each with its label."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo.data._dataset import Raw, RawPart
from hpo.data._lengths import stacked
from hpo.data._long import Column, LongTable, Rows
from hpo.data._missing import fill
from hpo.data._windows import Samples, blocks, cut, label_of, segment_starts
from hpo.errors import DataError

PARTS = ("train", "validation", "test")
Texts = NDArray[np.str_]
IntArray = NDArray[np.int64]


def to_raw(options: LongTable, rows_of: Callable[[Path, Sequence[str] | None], tuple[list[str], Rows]]) -> Raw:
    """Samples from the rows of a file, and from those of the test part's file if there is one.

    Args:
        rows_of: reads a file, given the channels that it must have or None where the header decides; returns the
            channels and the rows.

    Raises:
        DataError: no rows, rows without a series, group or time, times that come twice, unknown parts, missing values
            that are not to be filled, or no sample at all.
    """
    path, *more = options.files()
    name = path.stem
    channels, rows = rows_of(path, None)
    parts = {"train": _sorted(name, rows)}
    if more:
        parts["test"] = _sorted(f"{name}, test part", rows_of(more[0], channels)[1])
    if "part" in rows.columns:
        (rows, runs), held_out = parts["train"], _is(parts["train"][0].columns["part"], "test", name)
        parts = {"train": (rows.only(~held_out), runs[~held_out])}
        if held_out.any():
            parts["test"] = rows.only(held_out), runs[held_out]
    notes: list[str] = []
    found = {
        part: _samples(options, f"{name}, {part} part", channels, rows, runs, notes)
        for part, (rows, runs) in parts.items()
    }
    return Raw(name, found["train"], found.get("test"), channels, notes=notes)


def _is(parts: Column, part: str, name: str) -> NDArray[np.bool_]:
    """Which rows are of a part (rows,)."""
    texts = np.char.lower(parts.texts)
    unknown = [str(parts.texts[code]) for code in np.unique(parts.codes) if texts[code] not in PARTS]
    if unknown:
        raise DataError(f"{name}: the column of parts holds {unknown[0]!r}; accepted: {', '.join(PARTS)}")
    return np.asarray((texts == part)[parts.codes], dtype=np.bool_)


def _sorted(where: str, rows: Rows) -> tuple[Rows, IntArray]:
    """The rows by series and time, and the run that each of them is in, int64 (rows,).

    A run is a piece of a recording of one group and one part: a window of two people, or of two parts, would be
    neither's. Runs are told apart before any row is left out, so that what lay apart never becomes neighbours.
    """
    if not len(rows.values):
        raise DataError(f"{where}: there are no rows")
    for role in ("series", "group"):
        if role in rows.columns and (lost := int((rows.columns[role].texts == "")[rows.columns[role].codes].sum())):
            raise DataError(f"{where}: {lost} rows have no {role}")
    rows = rows.only(_order(where, rows))
    borders = np.zeros(len(rows.values), dtype=np.int64)
    borders[segment_starts(*(rows.columns[r].codes for r in ("series", "group", "part") if r in rows.columns))] = 1
    return rows, np.cumsum(borders)


def _samples(
    options: LongTable, where: str, channels: Sequence[str], rows: Rows, runs: IntArray, notes: list[str]
) -> RawPart:
    if not len(runs):
        raise DataError(f"{where}: there are no rows")
    block = blocks(segment_starts(runs), len(runs), options.blocks)
    found = cut(segment_starts(runs, block), len(runs), options.length, options.stride)
    labels = _labels(options, rows.columns["label"], found)
    kept = labels != ""
    _tell(options, where, found, int((~kept).sum()), notes)
    if not kept.any():
        raise DataError(f"{where}: no sample is left of {len(runs)} rows; see length and label_rule")
    begins, ends = found.begins[kept], found.ends[kept]

    series = rows.columns["series"].at(begins)
    x = stacked([rows.values[a:b] for a, b in zip(begins, ends, strict=True)], len(channels))
    x = _filled(options, where, x, ends - begins, series, channels, notes)
    folds = None
    if "part" in rows.columns and (validating := _is(rows.columns["part"], "validation", where)).any():
        folds = np.where(validating[begins], 0, -1)
    groups: Texts | None = None
    if "group" in rows.columns:
        groups = rows.columns["group"].at(begins)
    elif options.blocks > 1:
        groups = np.array([f"{s} block {b}" for s, b in zip(series, block[begins], strict=True)], dtype=np.str_)
    elif options.length is not None:
        groups = series
    overlap = options.length is not None and (options.stride or options.length) < options.length
    return RawPart(x, labels[kept], groups, folds, found.segments[kept] if overlap else None)


def _order(where: str, rows: Rows) -> NDArray[np.intp]:
    """Rows by series, in the order in which these first appear, and within one by time, or as they stand."""
    codes = rows.columns["series"].codes
    first = np.full(len(rows.columns["series"].texts), len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    place = first[codes]
    times = rows.times
    if times is None:
        return np.argsort(place, kind="stable")
    lost = np.isnan(times) if times.dtype.kind == "f" else times == ""
    if lost.any():
        raise DataError(f"{where}: {int(lost.sum())} rows have no time")
    order: NDArray[np.intp] = np.lexsort((times, place))
    twice = (np.diff(place[order]) == 0) & (times[order][1:] == times[order][:-1])
    if twice.any():
        row = order[int(twice.argmax())]
        raise DataError(
            f"{where}: {int(twice.sum())} times come twice in a series; the first is {times[row]} "
            f"in {str(rows.columns['series'].at(row))!r}"
        )
    return order


def _labels(options: LongTable, column: Column, found: Samples) -> Texts:
    """Each sample's label; "" where it has none."""
    chosen = [label_of(column.codes[a:b], options.label_rule) for a, b in zip(found.begins, found.ends, strict=True)]
    return np.array(["" if code is None else column.texts[code] for code in chosen], dtype=np.str_)


def _tell(options: LongTable, where: str, found: Samples, unlabelled: int, notes: list[str]) -> None:
    if found.short:
        notes.append(f"{where}: {found.short} recordings are shorter than {options.length} steps and give no window")
    if unlabelled:
        why = "no single label" if options.label_rule == "pure" else "no label"
        notes.append(f"{where}: {unlabelled} of {len(found.begins)} samples have {why} and were left out")


def _filled(
    options: LongTable,
    where: str,
    x: NDArray[np.float32],
    steps: IntArray,
    series: Texts,
    channels: Sequence[str],
    notes: list[str],
) -> NDArray[np.float32]:
    """Done here, because here it is known where a sample ends: what is missing at its end is missing, not over."""
    gaps = np.isnan(x) & (np.arange(x.shape[1]) < steps[:, None])[:, :, None]
    if not gaps.any():
        return x
    touched = int(gaps.any(axis=(1, 2)).sum())
    if options.missing is None:
        sample, _, channel = (int(i) for i in np.unravel_index(int(gaps.argmax()), gaps.shape))
        raise DataError(
            f"{where}: {int(gaps.sum())} missing values in {touched} of {len(x)} samples, the first in column "
            f"{channels[channel]!r} of series {str(series[sample])!r}; repair them, or say in [data] how to fill them: "
            'missing = "interpolate" or "zero"'
        )
    problems: list[str] = []
    filled, count = fill(x, steps, options.missing, problems)
    if problems:
        raise DataError(f"{where}: " + "; ".join(problems))
    notes.append(f"{where}: {count} missing values in {touched} samples were filled ({options.missing})")
    return filled
