"""The sets that come with aeon: real data without a file and without a network."""

import socket
from pathlib import Path

import numpy as np
import pytest

from hpo.data import bundled, load, read
from hpo.errors import DataError, MissingExtra

# name -> train samples, test samples, time steps, channels, classes, as the archives publish them
PUBLISHED = {
    "ACSF1": (100, 100, 1460, 1, 10),
    "ArrowHead": (36, 175, 251, 1, 3),
    "BasicMotions": (40, 40, 100, 6, 4),
    "GunPoint": (50, 150, 150, 1, 2),
    "ItalyPowerDemand": (67, 1029, 24, 1, 2),
    "JapaneseVowels": (270, 370, 26, 12, 9),
    "OSULeaf": (200, 242, 427, 1, 6),
    "UnitTest": (20, 22, 24, 1, 2),
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("a bundled data set asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", bundled.SETS)
def test_published_shapes(name: str) -> None:
    """Every set has the published number of samples, steps, channels and classes, in our shapes and dtypes."""
    data = read(bundled.Options(name=name))
    n_train, n_test, steps, channels, classes = PUBLISHED[name]
    assert data.train.x.shape == (n_train, steps, channels)
    assert data.test is not None
    assert data.test.x.shape == (n_test, steps, channels)
    assert data.train.x.dtype == np.float32
    assert data.train.x.flags.c_contiguous
    assert data.train.y.dtype == np.int64
    assert set(data.train.y.tolist()) == set(range(classes))
    assert len(data.classes) == classes
    assert len(data.channels) == channels
    assert data.train.groups is None


def test_variable_length(tmp_path: Path) -> None:
    """JapaneseVowels has 7 to 26 steps to train on, as published, and test samples of up to 29, one of which is cut."""
    data = load(bundled.Options(name="JapaneseVowels"), tmp_path)
    assert (data.padded, data.shape) == (True, (26, 12))
    assert (data.lengths_train, data.lengths_test, data.cut_test) == ((7, 26), (7, 26), 1)
    valid = ~np.isnan(data.train.x)
    np.testing.assert_array_equal(valid.all(axis=2), valid.any(axis=2))  # a step is there or not
    assert int(valid[:, :, 0].sum()) == 4274


def test_class_names_keep_their_spelling() -> None:
    """Class names are spelt as in the file, which aeon turns into lower case."""
    assert read(bundled.Options(name="BasicMotions")).classes == ("Badminton", "Running", "Standing", "Walking")


def test_values_stay_where_they_were() -> None:
    """Time steps and channels are not mixed up: the first sample equals the numbers in aeon's own file."""
    train, _ = bundled._files("BasicMotions")
    line = train.read_text().split("@data")[1].split()[0]
    channels = [[float(v) for v in channel.split(",")] for channel in line.split(":")[:-1]]
    data = read(bundled.Options(name="BasicMotions"))
    np.testing.assert_array_equal(data.train.x[0], np.array(channels, dtype=np.float32).T)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BasicMotion", "unknown bundled data set 'BasicMotion': did you mean 'BasicMotions'"),
        ("../GunPoint", "unknown bundled data set"),
    ],
)
def test_refusals(name: str, message: str) -> None:
    """An unknown name is refused with the nearest known ones."""
    options = bundled.Options(name=name)
    with pytest.raises(DataError, match=message):
        read(options)
    with pytest.raises(DataError, match=message):
        bundled.fingerprint(options)


def test_without_aeon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without aeon the message says which extra to install."""
    monkeypatch.setattr(bundled, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"GunPoint needs aeon.*pip install '\.\[train\]'"):
        load(bundled.Options(name="GunPoint"), tmp_path)
