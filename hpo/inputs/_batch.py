"""What all readers of windows give, and the check that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.errors import DataError
from hpo.labels import Names


@dataclass(frozen=True)
class Expected:
    """What a window looks like.

    Attributes:
        timesteps: of a window, or of the longest one.
        channels: names, in the order of the last axis.
        padded: windows may be shorter: at their end, steps are NaN in all channels.
        names: of the classes; None means that any text may be a label.
    """

    timesteps: int
    channels: tuple[str, ...]
    padded: bool = False
    names: Names | None = None

    def fits(self, steps: int) -> bool:
        """Whether a window may have so many time steps."""
        return steps == self.timesteps or (self.padded and 0 < steps < self.timesteps)

    def knows(self, label: str) -> bool:
        """Whether it may be a label."""
        return self.names is None or self.names.find(label) is not None

    @property
    def length(self) -> str:
        """How many time steps a window may have, in words."""
        return f"1 to {self.timesteps}" if self.padded else str(self.timesteps)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some windows of a file, in its order.

    Attributes:
        names: the file's own, or their numbers from 0.
        x: float32 (n, timesteps, channels), finite but for the padding.
        labels: class names as the file spells them; None where it has none.
    """

    names: list[str]
    x: NDArray[np.float32]
    labels: list[str] | None


def finite(x: NDArray[Any], where: Sequence[str], expected: Expected) -> NDArray[np.float32]:
    """`x` (n, timesteps, channels) as float32. Raises DataError where a value is neither finite nor padding.

    Args:
        where: what error messages call each window.
    """
    with np.errstate(over="ignore"):
        done = np.ascontiguousarray(x, dtype=np.float32)
    bad = ~np.isfinite(done)
    if expected.padded and bad.any():
        there = ~np.isnan(done).all(axis=2)
        lasts = np.where(there, np.arange(1, x.shape[1] + 1), 0).max(axis=1)
        bad &= (np.arange(x.shape[1]) < np.maximum(lasts, 1)[:, None])[:, :, None]
    if bad.any():
        row, step, channel = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{where[row]}: {x[row, step, channel]} at time step {step} (counted from 0), channel "
            f"{expected.channels[channel]!r}; only finite numbers can be predicted ({int(bad.sum())} such values here)"
        )
    return done
