"""The order of windows: whole epochs, another order in each, the same wherever one begins."""

from itertools import islice
from typing import Any

import numpy as np

from hpo.feed import batches, steps


def epochs(count: int, *, n: int = 10, size: int = 4, seed: int = 7, first: int = 0) -> list[list[Any]]:
    """Sizes and window numbers of the batches of some epochs; each window holds its number, and so does its target."""
    x = np.arange(n, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)
    feed = batches(x, np.arange(n, dtype=np.float32)[:, None], size, seed, first)
    per_epoch = steps(n, size)
    rows = []
    for windows, targets in islice(feed, count * per_epoch):
        np.testing.assert_array_equal(windows[:, 0, 0], targets[:, 0])
        rows.append(targets[:, 0].numpy().astype(int).tolist())
    return [rows[i * per_epoch : (i + 1) * per_epoch] for i in range(count)]


def test_each_epoch_has_every_window_once_in_an_order_of_its_own() -> None:
    """Batches have the size asked for, the last what is left; no two epochs and no two seeds have the same order."""
    assert (steps(10, 4), steps(8, 4), steps(3, 4)) == (3, 2, 1)
    found = epochs(5)
    for batched in found:
        assert [len(batch) for batch in batched] == [4, 4, 2]
        assert sorted(row for batch in batched for row in batch) == list(range(10))
    assert len({str(batched) for batched in (*found, epochs(1, seed=8)[0])}) == 6


def test_an_epoch_is_the_same_wherever_one_begins() -> None:
    """Beginning at a later epoch gives what beginning at the first would have come to."""
    assert epochs(2, first=3) == epochs(5)[3:]
