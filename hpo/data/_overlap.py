"""Windows that are alike, recognised by their values: cut with an overlap, or in both parts of a data set.

Of windows that overlap, the end of one is the beginning of another. That is exact where windows are as they were cut:
every shift is tried, and all time steps that two windows would then share are compared, as hashes of 64 bits. What it
cannot see: windows that were scaled, filtered or resampled one by one; an overlap of less than a sixteenth of a window;
an overlap in which nothing moves, for a sensor at rest looks alike everywhere; and, in a large data set, whatever lies
beyond the first `MOST` time steps.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MOST = 1_000_000
"""Time steps over all windows that are looked at: about a second."""
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers have inverses modulo 2**64


def overlapping(x: NDArray[np.float32]) -> tuple[int, int]:
    """How many windows share time steps with another one, and how many were looked at.

    Args:
        x: (n, timesteps, channels), the windows in the order in which they were cut, or in any other.
    """
    timesteps = x.shape[1]
    looked = x[: max(2, MOST // timesteps)]
    steps = _hashes(looked)
    moves = np.cumsum(np.diff(steps, axis=1) != 0, axis=1)  # up to each step; nothing has moved before the first
    moved = np.concatenate([np.zeros((len(steps), 1), dtype=moves.dtype), moves], axis=1)
    powers = np.cumprod(np.full(timesteps, _BASE), dtype=np.uint64)
    total = np.cumsum(steps * powers, axis=1, dtype=np.uint64)  # of the first steps, a polynomial in _BASE
    shared = np.zeros(len(steps), dtype=bool)
    for shift in range(timesteps - max(4, timesteps // 16) + 1):
        ends = total[:, -1] - (total[:, shift - 1] if shift else np.uint64(0))
        begins = total[:, timesteps - 1 - shift] * (powers[shift - 1] if shift else np.uint64(1))
        alive = moved[:, -1] > moved[:, shift]
        opening = moved[:, timesteps - 1 - shift] > 0
        if shift:
            common = np.intersect1d(ends[alive], begins[opening])
        else:
            values, counts = np.unique(ends[alive], return_counts=True)
            common = values[counts > 1]
        if common.size:
            shared |= (alive & np.isin(ends, common)) | (opening & np.isin(begins, common))
    return int(shared.sum()), len(looked)


def copies(train: NDArray[np.float32], test: NDArray[np.float32]) -> int:
    """How many windows of a test part are in the training part too, value for value, and are not at rest.

    Args:
        train, test: (n, timesteps, channels), of the same timesteps and channels.
    """
    known = set(_moving(train))
    return sum(window in known for window in _moving(test))


def _moving(x: NDArray[np.float32]) -> Iterator[bytes]:
    """A hash of each window in which something moves."""
    for window in x:
        if (np.abs(np.diff(window, axis=0)) > 0).any():  # NaN, of padding, is not greater
            yield hashlib.blake2b((window + np.float32(0)).tobytes(), digest_size=16).digest()  # -0.0 is 0.0


def _hashes(x: NDArray[np.float32]) -> NDArray[np.uint64]:
    """One number for the values of each time step, (n, timesteps)."""
    factors: NDArray[np.uint64] = np.random.default_rng(0).integers(0, 2**64, size=(x.shape[2],), dtype=np.uint64)
    steps = np.zeros(x.shape[:2], dtype=np.uint64)
    for channel, factor in enumerate(factors):
        values = x[:, :, channel] + np.float32(0)  # -0.0 is 0.0
        steps += values.view(np.uint32).astype(np.uint64) * (factor | np.uint64(1))
    # the bits of most values end in zeros: mixed, so that high bits reach low ones
    steps ^= steps >> np.uint64(31)
    steps *= np.uint64(0xBF58476D1CE4E5B9)
    steps ^= steps >> np.uint64(29)
    return steps
