"""Missing values: refused, or filled as the study file says; padding is none of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data import Dataset, Raw, RawPart, make_dataset, read, ucr
from hpo.data._missing import Missing, fill
from hpo.errors import DataError
from tests.data.files import write_pair

NAN = np.nan


def one(series: Any, missing: Missing | None) -> Dataset:
    """A data set whose first sample is `series` (timesteps, channels); the second has no gap."""
    x = np.array(series, dtype=np.float64)
    return make_dataset(Raw("t", RawPart([x, np.ones_like(x)], [0, 1]), None, ["a", "b"]), missing)


GAPS = [[NAN, 1], [2, NAN], [NAN, NAN], [8, NAN], [NAN, 9], [5, 5]]


@pytest.mark.parametrize(
    ("missing", "filled"),
    [
        ("interpolate", [[2, 1], [2, 3], [5, 5], [8, 7], [6.5, 9], [5, 5]]),
        ("zero", [[0, 1], [2, 0], [0, 0], [8, 0], [0, 9], [5, 5]]),
    ],
)
def test_gaps_are_filled(missing: Missing, filled: Any) -> None:
    """Each channel for itself: between its neighbours in time, at an end the nearest; or by 0. It is told how many."""
    data = one(GAPS, missing)
    np.testing.assert_array_equal(data.train.x[0], np.array(filled, dtype=np.float32))
    assert data.notes == (f"train part: 6 missing values in 1 samples were filled ({missing})",)


def test_gaps_are_refused_by_default() -> None:
    """Without a word in the study file, a gap is refused, and the message names the words."""
    with pytest.raises(DataError, match=r'6 missing values \(NaN\) in 1 of 2 .*missing = "interpolate" or "zero"'):
        one(GAPS, None)


def test_a_channel_without_values() -> None:
    """There is nothing to interpolate where a sample has no value in a channel; zero fills it."""
    empty = [[NAN, 1], [NAN, 2], [NAN, 3]]
    with pytest.raises(
        DataError, match="1 times a sample has a channel without any value, first sample 0, channel 0"
    ) as e:
        one(empty, "interpolate")
    assert "NaN" not in str(e.value)  # what cannot be filled is said once
    assert one(empty, "zero").train.x[0, :, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("missing", ["interpolate", "zero"])
def test_padding_and_infinity_stay_what_they_are(missing: Missing) -> None:
    """Steps at the end without any value are no gap but a shorter sample; infinity is no missing value."""
    data = one([[1, 2], [NAN, 3], [5, NAN], [NAN, NAN]], missing)
    assert data.padded
    assert np.isnan(data.train.x[0, 3]).all()
    assert np.isfinite(data.train.x[0, :3]).all()
    with pytest.raises(DataError) as refused:
        one([[1, 2], [np.inf, 3], [NAN, 4]], missing)
    assert "1 infinite values, or beyond 3.4e+38, the largest of float32, in 1 of 2 samples" in str(refused.value)
    assert 'missing = "' not in str(refused.value)


def test_missing_and_infinite_values_are_told_apart() -> None:
    """Each is counted for itself, where it is first, with the advice that helps; so is what float32 cannot hold."""
    with pytest.raises(DataError) as refused:
        one([[1, NAN], [2, NAN], [1e39, 3]], None)
    missing, infinite = str(refused.value).split("; train part: ")
    assert "2 missing values (NaN) in 1 of 2 samples, the first at row 0, time step 0, channel 1" in missing
    assert 'missing = "interpolate" or "zero"' in missing
    assert infinite.startswith("1 infinite values, or beyond 3.4e+38, the largest of float32, in 1 of 2 samples, the")
    assert "row 0, time step 2, channel 0" in infinite
    assert "interpolate" not in infinite


@given(st.lists(st.lists(st.sampled_from([NAN, 0.0, 1.5, -2.0]), min_size=5, max_size=5), min_size=1, max_size=4))
def test_values_that_are_there_stay(rows: list[list[float]]) -> None:
    """Filling changes no value that was there, leaves no gap, and never goes beyond the values of its channel."""
    x = np.array(rows, dtype=np.float32)[:, :, None]
    problems: list[str] = []
    filled, count = fill(x, np.full(len(x), 5), "interpolate", problems)
    there = ~np.isnan(x)
    assert count == int((~there).sum())
    np.testing.assert_array_equal(filled[there], x[there])
    empty = ~there.any(axis=1).ravel()
    assert bool(problems) == bool(empty.any())
    for before, after in zip(x[~empty], filled[~empty], strict=True):
        assert np.nanmin(before) <= after.min() <= after.max() <= np.nanmax(before)


def test_sources_take_it(tmp_path: Path) -> None:
    """The key works with a source that knows nothing of it."""
    pair = write_pair(tmp_path)
    file = pair.with_name("Tiny_TRAIN.txt")
    words = file.read_text().split(" ")
    file.write_text(" ".join(["NaN" if i == 3 else word for i, word in enumerate(words)]))
    with pytest.raises(DataError, match=r"1 missing values \(NaN\)"):
        read(ucr.Options(path=str(pair)))
    data = read(ucr.Options(path=str(pair), missing="interpolate"))
    assert data.train.x[0, 2, 0] == pytest.approx(data.train.x[0, [1, 3], 0].mean())
