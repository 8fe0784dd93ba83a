"""Values that are missing: NaN within a sample. Refused, unless the study file says how to fill them."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Missing = Literal["interpolate", "zero"]
FloatArray = NDArray[np.float32]


def fill(x: FloatArray, steps: NDArray[np.int64], how: Missing, problems: list[str]) -> tuple[FloatArray, int]:
    """`x` without missing values, and how many there were; `x` itself where there were none.

    ``interpolate``: in each sample and channel for itself, on the straight line between the values before and after;
    at an end, the nearest value. ``zero``: 0.

    Args:
        x: (n, timesteps, channels).
        steps: (n,) time steps of each sample; what follows is padding, and stays.
        problems: grows by a sentence where a sample has a channel without any value to interpolate from.
    """
    gaps = np.isnan(x) & (np.arange(x.shape[1]) < steps[:, None])[:, :, None]
    count = int(gaps.sum())
    if not count:
        return x, 0
    filled = x.copy()
    if how == "zero":
        filled[gaps] = 0.0
        return filled, count
    empty = []
    for sample, channel in np.argwhere(gaps.any(axis=1)):
        series, gap = filled[sample, : steps[sample], channel], gaps[sample, : steps[sample], channel]
        known = np.isfinite(series)  # infinity is for others to refuse, and must not spread
        if known.any():
            series[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(known), series[known])
        else:
            empty.append((int(sample), int(channel)))
    if empty:
        sample, channel = empty[0]
        problems.append(
            f"{len(empty)} times a sample has a channel without any value, first sample {sample}, channel {channel} "
            '(counted from 0): there is nothing to interpolate; leave these samples out, or use missing = "zero"'
        )
    return filled, count
