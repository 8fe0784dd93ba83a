"""Samples of different length in one array: a step that is padding is NaN in all channels, and only at the end.

So one tensor carries values and mark, in memory, on disk and where a model is served, and a real zero is never taken
for padding. docs/decisions/0010-padding-is-nan.md says why.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def lengths(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Time steps of each sample of x (n, timesteps, channels) before its padding, int64 (n,).

    A gap, steps of NaN that others follow, counts: it is missing, not over.
    """
    n, timesteps, _ = x.shape
    if not timesteps or not np.any(np.isnan(x[:, -1]).all(axis=1)):  # the usual case, without a look at every value
        return np.full(n, timesteps, dtype=np.int64)
    last = np.where(np.isnan(x).all(axis=2), 0, np.arange(1, timesteps + 1)).max(axis=1)
    return np.asarray(last, dtype=np.int64)


def stacked(rows: Sequence[NDArray[np.float32]], channels: int) -> NDArray[np.float32]:
    """Samples (timesteps, channels) as one array (n, longest, channels), the shorter ones padded.

    Raises:
        ValueError: a sample has another shape.
    """
    for number, row in enumerate(rows):
        if row.ndim != 2 or row.shape[1] != channels:
            raise ValueError(f"sample {number} has the shape {row.shape}, expected (time steps, {channels} channels)")
    x = np.full((len(rows), max((len(row) for row in rows), default=0), channels), np.nan, dtype=np.float32)
    for sample, row in zip(x, rows, strict=True):
        sample[: len(row)] = row
    return x


def resized(x: NDArray[np.float32], timesteps: int) -> NDArray[np.float32]:
    """Samples (n, timesteps, channels) cut at their end or padded to `timesteps`; `x` itself where nothing changes."""
    if x.shape[1] == timesteps:
        return x
    resized = np.full((x.shape[0], timesteps, x.shape[2]), np.nan, dtype=np.float32)
    kept = min(timesteps, x.shape[1])
    resized[:, :kept] = x[:, :kept]
    return resized
