"""The source npz: every array that may be in the file, and every way in which one can be wrong."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data import Dataset, npz, read
from hpo.errors import DataError

X = np.arange(48, dtype=np.float64).reshape(4, 6, 2)
Y = np.array([3, 1, 3, 1])


def options(folder: Path, **arrays: Any) -> npz.Options:
    """A file of X and y, with arrays added, changed, or (None) left out."""
    path = folder / "own.npz"
    np.savez(path, **{k: v for k, v in ({"X": X, "y": Y} | arrays).items() if v is not None})
    return npz.Options(path=str(path))


def own(folder: Path, **arrays: Any) -> Dataset:
    """The data set in such a file."""
    return read(options(folder, **arrays))


def test_everything_that_may_be_in_it(tmp_path: Path) -> None:
    """All arrays come through: values, labels with their names, groups by name over both parts, folds, channels."""
    data = own(
        tmp_path,
        groups=np.array(["ben", "anna", "ben", "dora"]),
        fold=np.array([0, -1, 1, 0]),
        X_test=X[:2] + 100,
        y_test=[1, 3],
        groups_test=np.array(["carl", "anna"]),
        channels=np.array(["x", "y"]),
        classes=np.array(["rest", "run"]),
    )
    assert (data.name, data.classes, data.channels) == ("own", ("rest", "run"), ("x", "y"))
    np.testing.assert_array_equal(data.train.x, X.astype(np.float32))
    assert data.train.y.tolist() == [1, 0, 1, 0]
    assert data.train.folds is not None
    assert data.train.folds.tolist() == [0, -1, 1, 0]
    assert data.test is not None
    np.testing.assert_array_equal(data.test.x, X[:2].astype(np.float32) + 100)
    assert data.train.groups is not None
    assert data.test.groups is not None
    assert (data.train.groups.tolist(), data.test.groups.tolist()) == ([1, 0, 1, 3], [2, 0])
    assert data.notes == ("groups are numbered: 0 = anna, 1 = ben, 2 = carl, 3 = dora",)


def test_the_least_that_must_be_in_it(tmp_path: Path) -> None:
    """X and y are enough; there is no test part then, and channels and classes have numbers for names."""
    data = own(tmp_path)
    assert data.test is None
    assert (data.train.groups, data.train.folds) == (None, None)
    assert (data.classes, data.channels) == (("1", "3"), ("channel_0", "channel_1"))


def test_bytes_are_text(tmp_path: Path) -> None:
    """Arrays of dtype S give the same data set as the UTF-8 text that is in them; what is none is refused by name."""
    texts = {
        "y": np.array(["läuft", "ruht", "läuft", "ruht"]),
        "groups": np.array(["ben", "anna", "ben", "dora"]),
        "channels": np.array(["x", "y"]),
        "classes": np.array(["run", "rest"]),
    }
    found = own(tmp_path, **{name: np.strings.encode(array, "utf-8") for name, array in texts.items()})
    assert (found.classes, found.channels) == (("run", "rest"), ("x", "y"))
    assert found.sha256 == own(tmp_path, **texts).sha256
    with pytest.raises(DataError, match=r"own\.npz: array 'y' cannot be read \('utf-8' codec can't decode"):
        own(tmp_path, y=np.array([b"a", b"\xff", b"a", b"b"]))


def test_two_dimensions_are_one_channel(tmp_path: Path) -> None:
    """(samples, time steps) is a single channel, and the same data set as with the third dimension written out."""
    flat = own(tmp_path, X=X[:, :, 0])
    assert flat.train.x.shape == (4, 6, 1)
    assert own(tmp_path, X=X[:, :, :1]).sha256 == flat.sha256


def test_samples_that_end_early(tmp_path: Path) -> None:
    """A sample whose last steps are NaN is shorter, as everywhere."""
    x = X.copy()
    x[0, 4:] = np.nan
    assert own(tmp_path, X=x).padded


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": None}, "there is no array 'y'"),
        ({"X": None, "x": X}, "there is no array 'X'; unknown array 'x'; known: X, X_test"),
        ({"X_test": X}, "there is no array 'y_test'"),
        ({"groups_test": Y}, "there is no array 'X_test'; there is no array 'y_test'"),
        ({"X": X.reshape(-1)}, r"X has the shape \(48,\), expected \(samples, time steps, channels\), or"),
        ({"X": X.astype(str)}, "X holds no numbers but <U"),
        ({"y": Y[:, None]}, r"y has the shape \(4, 1\), expected one dimension"),
        ({"X_test": X[:, :, :1], "y_test": Y}, "X has 2 channels, X_test 1"),
        ({"channels": np.array(["x"])}, "there are 1 names in channels, but X has 2 channels"),
        ({"classes": np.array(["a", "b", "c"])}, r"3 names in classes, but 2 labels in y \(1, 3\)"),
        ({"fold": np.array([0, -2, 0, 0])}, "fold must hold whole numbers"),
        ({"fold": np.array([0.0, 1, 0, 0])}, "fold must hold whole numbers"),
        ({"y": np.array(["a", "b", "a", "b"], dtype=object)}, r"array 'y' cannot be read .*dtype=str"),
        ({"y": Y[:3]}, r"4 samples but labels of shape \(3,\)"),
        ({"groups": Y[:3]}, r"4 samples but groups of shape \(3,\)"),
        ({"X": np.where(X == 3, np.nan, X)}, r"1 missing values \(NaN\) in 1 of 4 samples"),
        ({"X": X + 1j}, "X holds no numbers but complex128"),
    ],
)
def test_what_is_wrong_in_it(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """Each kind of wrong array is refused by its name."""
    with pytest.raises(DataError, match=message) as caught:
        own(tmp_path, **arrays)
    assert "own" in str(caught.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """An object that would act when it is unpickled does not."""
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    with pytest.raises(DataError, match="cannot be read"):
        own(tmp_path, y=np.array([Trap()] * 4, dtype=object))
    assert not marker.exists()


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_damaged_file(tmp_path: Path, part: float) -> None:
    """A file that is cut off, or has a byte changed, is refused by name."""
    found = options(tmp_path)
    path = Path(found.path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"own\.npz"):
        read(found)
    path.write_bytes(whole.replace(X.tobytes(), (X + 1).tobytes()))
    with pytest.raises(DataError, match=r"own\.npz: damaged: Bad CRC-32"):
        read(found)


@pytest.mark.parametrize("header", ["{'descr': (((", "{1: 2, 'a': 3}", "'f4,,'", "{'descr': ((), ())}", "-" * 9999])
def test_an_array_whose_header_makes_no_sense(tmp_path: Path, header: str) -> None:
    """Whatever NumPy raises of it, the array is named."""
    found = options(tmp_path)
    file = io.BytesIO()
    np.save(file, X, allow_pickle=False)
    content = header.encode() + b"\n"
    with zipfile.ZipFile(found.path, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content)
        archive.writestr("y.npy", file.getvalue())
    with pytest.raises(DataError, match=r"own\.npz: array 'X' cannot be read"):
        read(found)


def test_a_damaged_member_that_lzma_packed(tmp_path: Path) -> None:
    """Zipfile unpacks that as well, and its library has an error of its own."""
    found = options(tmp_path)
    with zipfile.ZipFile(found.path, "w", zipfile.ZIP_LZMA) as archive:
        for name in ("X.npy", "y.npy"):
            archive.writestr(name, bytes(5000))
        at = archive.getinfo("X.npy").header_offset + 60
    path = Path(found.path)
    whole = bytearray(path.read_bytes())
    whole[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(whole))
    with pytest.raises(DataError, match=r"own\.npz"):
        read(found)


def test_another_file_has_another_fingerprint(tmp_path: Path) -> None:
    """What the cache asks changes with the file's content."""
    before = npz.fingerprint(options(tmp_path))
    assert npz.fingerprint(options(tmp_path)) == before
    assert npz.fingerprint(options(tmp_path, X=X + 1)) != before
