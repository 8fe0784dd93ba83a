"""From recordings, rows in the order of time, to samples: where each begins and ends, and what it is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["majority", "last", "pure"]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples as spans of rows, in the order of the rows.

    Attributes:
        begins, ends: int64 (n,), the first row of each and the one after its last.
        segments: int64 (n,), which segment each lies in, from 0.
        short: segments in which no sample found room.
    """

    begins: IntArray
    ends: IntArray
    segments: IntArray
    short: int


def segment_starts(*columns: NDArray[np.generic]) -> IntArray:
    """The first row of every segment: wherever one of `columns` (rows,) changes from one row to the next."""
    changes = np.zeros(len(columns[0]), dtype=bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes).astype(np.int64)


def blocks(starts: IntArray, rows: int, parts: int) -> IntArray:
    """Which of `parts` contiguous blocks of about the same size each row is in, within its segment; (rows,)."""
    ends = np.append(starts[1:], rows)
    sizes = ends - starts
    place = np.arange(rows) - np.repeat(starts, sizes)
    return np.asarray(place * parts // np.repeat(sizes, sizes), dtype=np.int64)


def cut(starts: IntArray, rows: int, length: int | None, stride: int | None) -> Samples:
    """Samples of `length` rows, every `stride` rows from each segment's start; none crosses from one to the next.

    Args:
        starts: as of `segment_starts`.
        length: None makes each segment one sample.
        stride: None takes `length`: windows lie side by side.
    """
    ends = np.append(starts[1:], rows)
    if length is None:
        return Samples(starts, ends, np.arange(len(starts), dtype=np.int64), 0)
    begins = [np.arange(a, b - length + 1, stride or length, dtype=np.int64) for a, b in zip(starts, ends, strict=True)]
    counts = np.array([len(found) for found in begins])
    all_begins = np.concatenate([np.empty(0, dtype=np.int64), *begins])
    segments = np.repeat(np.arange(len(starts), dtype=np.int64), counts)
    return Samples(all_begins, all_begins + length, segments, int((counts == 0).sum()))


def label_of(codes: Sequence[int] | IntArray, rule: Rule) -> int | None:
    """The label of a sample from those of its rows; None where the rule gives none.

    majority: the most frequent, of equally frequent ones that which comes first. last: the last row's. pure: the one
    that all rows have, else none.
    """
    found = np.asarray(codes)
    match rule:
        case "last":
            return int(found[-1])
        case "pure":
            return int(found[0]) if (found == found[0]).all() else None
        case "majority":
            values, first, counts = np.unique(found, return_index=True, return_counts=True)
            most = counts == counts.max()
            return int(values[most][first[most].argmin()])
