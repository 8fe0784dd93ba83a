"""Samples of different length: padded by steps of NaN at the end, and by nothing else."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.data import Dataset, Raw, RawPart, make_dataset
from hpo.data._lengths import lengths
from hpo.errors import DataError

NAN = np.nan


def rows(*steps: int) -> list[NDArray[np.float64]]:
    """Samples of so many steps and two channels; the first value of each is 0."""
    return [np.linspace(0, 1, 2 * n).reshape(n, 2) for n in steps]


def dataset(train: Any, test: Any = None) -> Dataset:
    """Two classes in turn."""

    def part(x: Any) -> RawPart:
        return RawPart(x, [k % 2 for k in range(len(x))])

    return make_dataset(Raw("t", part(train), None if test is None else part(test), ["a", "b"]))


def test_shorter_samples_are_padded() -> None:
    """All get the longest training length; what is added is NaN in all channels, and a zero stays a zero."""
    samples = rows(2, 4, 3)
    data = dataset(samples)
    assert data.train.x.shape == (3, 4, 2)
    assert (data.padded, data.cut) == (True, 0)
    for got, sample in zip(data.train.x, samples, strict=True):
        np.testing.assert_array_equal(got[: len(sample)], sample.astype(np.float32))
        assert np.isnan(got[len(sample) :]).all()
    assert lengths(data.train.x).tolist() == [2, 4, 3]
    assert data.train.x[0, 0, 0] == 0


def test_test_part_follows_training() -> None:
    """Longer test samples are cut and counted, shorter ones padded; neither changes the length of the training part."""
    data = dataset(rows(2, 4), rows(6, 3, 5, 4))
    assert data.test is not None
    assert data.train.x.shape[1] == data.test.x.shape[1] == 4
    assert lengths(data.test.x).tolist() == [4, 3, 4, 4]
    assert (data.padded, data.cut) == (True, 2)


def test_a_test_part_alone_may_be_padded() -> None:
    """Where only test samples are shorter, the data set is padded all the same: its models will meet them."""
    assert dataset(np.zeros((2, 4, 2)), rows(4, 3)).padded
    assert not dataset(np.zeros((2, 4, 2)), rows(4, 4)).padded


def test_rectangles_may_come_padded() -> None:
    """An array whose samples end in steps of NaN is the same data set as the shorter samples, and is no longer than
    the longest of them.
    """
    x = np.full((2, 6, 2), NAN)
    for sample, row in zip(x, rows(2, 4), strict=True):
        sample[: len(row)] = row
    data = dataset(x)
    assert data.sha256 == dataset(rows(2, 4)).sha256
    assert data.train.x.shape[1] == 4


def test_padding_counts_for_the_hash() -> None:
    """A step of zeros and a step that is not there are different data."""
    short = [np.ones((2, 2)), np.ones((3, 2))]
    zeros = [np.concatenate([short[0], np.zeros((1, 2))]), short[1]]
    assert dataset(short).sha256 != dataset(zeros).sha256
    assert not dataset(zeros).padded


@pytest.mark.parametrize(
    ("step", "channel", "found"),
    [
        (1, slice(None), "2 missing values .* row 0, time step 1, channel 0"),
        (0, slice(None), "2 missing values"),
        (3, 0, "1 missing values .* time step 3, channel 0"),
    ],
)
def test_gaps_are_no_padding(step: int, channel: Any, found: str) -> None:
    """A step of NaN that others follow, and a NaN beside a value, are missing values and refused."""
    x = np.zeros((2, 4, 2))
    x[0, step, channel] = NAN
    with pytest.raises(DataError, match=found):
        dataset(x)


def test_infinity_is_no_padding() -> None:
    """Infinite values at the end are refused."""
    x = np.zeros((2, 4, 2))
    x[0, 3] = np.inf
    with pytest.raises(DataError, match="2 infinite values"):
        dataset(x)
