"""Windows that overlap are found by their values, each of them, and no others."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.data import _overlap as module
from hpo.data import bundled, overlapping, read
from hpo.data._overlap import copies


def windows(signal: NDArray[np.float64], length: int, stride: int) -> NDArray[np.float32]:
    """Windows of a signal (steps, channels)."""
    starts = range(0, len(signal) - length + 1, stride)
    return np.stack([signal[a : a + length] for a in starts]).astype(np.float32)


def noise(seed: int, steps: int, channels: int = 2) -> NDArray[np.float64]:
    """A signal that never repeats itself."""
    return np.random.default_rng(seed).normal(size=(steps, channels))


@given(
    length=st.integers(8, 40),
    shared=st.integers(0, 39),
    order=st.randoms(use_true_random=False),
    whole=st.booleans(),
)
def test_every_overlap_is_found(length: int, shared: int, order: Any, whole: bool) -> None:
    """Whatever the overlap, of whole numbers too and in any order, all windows of it are counted and no others; only an
    overlap of less than 4 steps or a 16th is not seen.
    """
    shared %= length
    one, other = (np.round(noise(seed, 3 * length) * 100) / (1 if whole else 100) for seed in (0, 1))
    x = np.concatenate([windows(one, length, length - shared), windows(other, length, length)[:1]])
    alone = 1 if shared >= max(4, length // 16) else len(x)
    rows = list(range(len(x)))
    order.shuffle(rows)
    assert overlapping(x[rows]) == (len(x) - alone, len(x))


def test_what_is_no_overlap() -> None:
    """A sensor at rest looks alike everywhere, and so does a window that begins as another one begins."""
    rest = np.zeros((6, 20, 1), dtype=np.float32)
    assert overlapping(rest) == (0, 6)
    alike = windows(noise(0, 60), 20, 20)
    alike[1, :15] = alike[0, :15]
    assert overlapping(alike) == (0, 3)


def test_copies_overlap() -> None:
    """A window that is there twice is an overlap in all of its steps; minus zero is zero."""
    x = windows(noise(0, 60), 20, 20)
    x[0, 0] = 0.0
    twin = x[:1].copy()
    twin[0, 0] = -0.0
    assert overlapping(np.concatenate([x, twin])) == (2, 4)


@pytest.mark.parametrize("name", ["BasicMotions", "JapaneseVowels", "GunPoint", "ItalyPowerDemand"])
def test_real_sets_without_an_overlap(name: str) -> None:
    """Nothing is found where nothing is: real data, padded ones too."""
    x = read(bundled.Options(name=name)).train.x
    assert overlapping(x) == (0, len(x))


def test_a_large_set_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of time steps the first windows stand for all; the number says so."""
    monkeypatch.setattr(module, "MOST", 200)
    assert overlapping(windows(noise(0, 500), 20, 10)) == (10, 10)


def test_copies_are_counted() -> None:
    """Windows of one part that are in the other, value for value, padded ones too; a sensor at rest is in all parts."""
    x = windows(noise(0, 200), 20, 20)
    x[1, 15:], x[2] = np.nan, 0.0
    test = windows(noise(1, 100), 20, 20)
    assert copies(x, test) == 0
    test[:3] = x[:3]
    assert copies(x, test) == 2


@pytest.mark.parametrize("name", ["BasicMotions", "JapaneseVowels", "GunPoint", "ItalyPowerDemand"])
def test_real_sets_without_copies(name: str) -> None:
    """Real test parts ask other questions than the training part answers."""
    data = read(bundled.Options(name=name))
    assert data.test is not None
    assert copies(data.train.x, data.test.x) == 0
