"""Files of windows: every layout gives the same windows, and what is wrong is named with its row and column."""

import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.errors import DataError, HpoError, UsageError
from hpo.inputs import LAYOUTS, Expected, read
from hpo.labels import Names

TWO = Expected(4, ("x", "y"))
ONE = Expected(4, ("x",))
SHORT = Expected(4, ("x", "y"), padded=True)
WINDOWS = np.arange(5 * 4 * 2, dtype=np.float64).reshape(5, 4, 2) / 4 - 2
NAN = float("nan")


def long(x: np.ndarray, labels: list[str] | None = None) -> str:
    """One line for each time step, its columns in another order than the channels."""
    rows = [
        f"w{n},{step},{point[1]!r},{point[0]!r}" + (f",{labels[n]}" if labels else "")
        for n, window in enumerate(x.tolist())
        for step, point in enumerate(window)
    ]
    return "\n".join(["id,step,y,x" + (",label" if labels else ""), *rows]) + "\n"


def collect(path: Path, expected: Expected, layout: str | None = None, batch: int = 2, *, labels: bool = True):  # type: ignore[no-untyped-def]  # three values
    """Names, windows and labels of a whole file."""
    done = list(read(path, expected, layout=layout, batch=batch, labels=labels))
    assert all(some.x.dtype == np.float32 and len(some.x) <= batch for some in done)
    known = [label for some in done if some.labels for label in some.labels]
    return [name for some in done for name in some.names], np.concatenate([some.x for some in done]), known


@pytest.mark.parametrize(
    ("layout", "array"),
    [
        ("channels-last", WINDOWS),
        ("channels-last", np.asfortranarray(WINDOWS)),
        ("channels-last", WINDOWS.astype(">f4")),
        ("channels-first", WINDOWS.swapaxes(1, 2)),
    ],
)
def test_arrays(tmp_path: Path, layout: str, array: np.ndarray) -> None:
    """Both orders of the axes, of the bytes and of the memory, compressed or not, with labels of numbers or text."""
    for save, y in ((np.savez, np.arange(5)), (np.savez_compressed, np.array(list("abcde")))):
        save(tmp_path / "w.npz", X=array, y=y)
        names, x, labels = collect(tmp_path / "w.npz", TWO, layout)
        assert names == ["0", "1", "2", "3", "4"]
        np.testing.assert_array_equal(x, WINDOWS.astype(np.float32))
        assert labels == [str(label) for label in y]
        assert collect(tmp_path / "w.npz", TWO, layout, labels=False)[2] == []


def test_one_channel_needs_no_axis(tmp_path: Path) -> None:
    """An array (n, timesteps) will do for a model of one channel, and whole numbers are numbers."""
    np.savez(tmp_path / "w.npz", x=np.arange(8).reshape(2, 4))
    np.testing.assert_array_equal(collect(tmp_path / "w.npz", ONE)[1][:, :, 0], [[0, 1, 2, 3], [4, 5, 6, 7]])


def test_lines(tmp_path: Path) -> None:
    """A label comes first or not at all; empty lines are none; both endings are read alike."""
    for suffix in (".txt", ".tsv"):
        path = tmp_path / f"w{suffix}"
        path.write_text("1 0 1 2 3\n\n-1\t4\t5\t6\t7.5\n")
        names, x, labels = collect(path, ONE)
        assert (names, labels) == (["0", "2"], ["1", "-1"])
        np.testing.assert_array_equal(x[:, :, 0], [[0, 1, 2, 3], [4, 5, 6, 7.5]])
        path.write_text("0 1 2 3\n4 5 6 7.5\n")
        assert collect(path, ONE)[2] == []
        np.testing.assert_array_equal(collect(path, ONE)[1], x)


def test_long_csv(tmp_path: Path) -> None:
    """One line for each time step, columns found by name; what Excel puts in front of a file does no harm."""
    path = tmp_path / "w.csv"
    path.write_text("\ufeff" + long(WINDOWS, list("abcde")))
    names, x, labels = collect(path, TWO)
    assert (names, labels) == (["w0", "w1", "w2", "w3", "w4"], list("abcde"))
    np.testing.assert_array_equal(x, WINDOWS.astype(np.float32))
    assert collect(path, TWO, labels=False)[2] == []


def test_wide_csv(tmp_path: Path) -> None:
    """One line for each window; id and label are optional."""
    path = tmp_path / "w.csv"
    path.write_text("label,id,t0,t1,t2,t3\nup,a,0,1,2,3\ndown,b,4,5,6,7\n")
    names, x, labels = collect(path, ONE, "wide")
    assert (names, labels) == (["a", "b"], ["up", "down"])
    np.testing.assert_array_equal(x[:, :, 0], [[0, 1, 2, 3], [4, 5, 6, 7]])
    path.write_text("t0,t1,t2,t3\n0,1,2,3\n4,5,6,7\n")
    np.testing.assert_array_equal(collect(path, ONE, "wide")[1], x)


def test_windows_of_different_length(tmp_path: Path) -> None:
    """Where a model takes them, shorter windows end in steps of NaN, however the file says so."""
    short = WINDOWS.copy()
    short[1, 2:] = NAN
    np.savez(tmp_path / "w.npz", X=short)
    text = "\n".join(line for line in long(short).splitlines() if "nan" not in line)
    (tmp_path / "w.csv").write_text(text)
    for name in ("w.npz", "w.csv"):
        np.testing.assert_array_equal(collect(tmp_path / name, SHORT)[1], short.astype(np.float32))
        with pytest.raises(DataError, match=r"nan at time step 2|window 'w1' has 2 time steps; expected 4"):
            collect(tmp_path / name, TWO)
    (tmp_path / "w.txt").write_text("1 0 1 2 NaN\n2 5\n")
    _, x, labels = collect(tmp_path / "w.txt", Expected(4, ("x",), padded=True))
    np.testing.assert_array_equal(x[:, :, 0], [[0, 1, 2, NAN], [5, NAN, NAN, NAN]])
    assert labels == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "labels", "first"),
    [
        ("1 2 3\nb 5\n", ["1", "b"], [2, 3, NAN, NAN]),
        ("2 2 3\n2.5 5\n", [], [2, 2, 3, NAN]),
        ("0.5 1 2 3 4\nb 5\n", ["0.5", "b"], [1, 2, 3, 4]),  # one more than a window has
        ("1 2 3\n2 5\n", "line 1 begins with '1', which may be its label, and line 2 with '2', which cannot", []),
        ("1 2 3\n\n1\n", "and line 3 with '1', which cannot be one", []),
    ],
)
def test_labels_of_lines_of_different_length(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, labels: list[str] | str, first: list[float]
) -> None:
    """What lines begin with is a label if it is a class in all of them, a value if in none, and refused otherwise."""
    caplog.set_level("INFO")
    path = tmp_path / "w.txt"
    path.write_text(f"\ufeff{content}", encoding="utf-8")
    expected = Expected(4, ("x",), padded=True, names=Names(["1", "b"]))
    if isinstance(labels, str):
        with pytest.raises(DataError, match=labels):
            collect(path, expected)
        assert len(collect(path, expected, labels=False)[0]) == 2
        return
    _, x, found = collect(path, expected)
    assert found == labels
    np.testing.assert_array_equal(x[0, :, 0], first)
    assert ("is read as a label" in caplog.text) == (labels == ["1", "b"])
    assert ("is read as a value" in caplog.text) == (labels == [])


@pytest.mark.parametrize(
    ("channels", "content", "labels"),
    [
        (("x ", " y"), "id,step, y ,x\na,1,5,1\na,2,6,2\n", []),
        (("step", "y"), "id,step,y,label\na,2,5,k\na,1,6,k\n", ["k"]),  # need not rise
        (("label", "y"), "id,step,y,label\na,0,5,1\na,1,6,2\n", []),
    ],
)
def test_channels_are_found_whatever_they_are_called(
    tmp_path: Path, channels: tuple[str, ...], content: str, labels: list[str]
) -> None:
    """White space around a name does not count, and a channel called as another column is that column."""
    (tmp_path / "w.csv").write_text(content)
    _, x, found = collect(tmp_path / "w.csv", Expected(2, channels))
    np.testing.assert_array_equal(x, [[[2, 5], [1, 6]]] if "step" in channels else [[[1, 5], [2, 6]]])
    assert found == labels
    with pytest.raises(DataError, match=r"w\.csv: a channel is called 'id', as the column that .*; use \.npz"):
        collect(tmp_path / "w.csv", Expected(2, ("id", "y")))


def npz(**arrays: object) -> Callable[[Path], None]:
    """Writes an .npz."""
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]  # any array


def text(content: str) -> Callable[[Path], None]:
    """Writes a text file."""

    def write(path: Path) -> None:
        path.write_text(content, encoding="utf-8")

    return write


def spoilt(value: float) -> np.ndarray:
    """The windows with another value at window 3, time step 1, channel y."""
    array = WINDOWS.copy()
    array[3, 1, 1] = value
    return array


LONG = long(WINDOWS)
ROWS: list[tuple[str, Callable[[Path], object], Expected, str | None, str]] = [
    ("w.npz", npz(X=spoilt(NAN)), TWO, None, r"w\.npz: window 3: nan at time step 1 .*channel 'y'.*1 such values"),
    ("w.npz", npz(X=spoilt(1e300)), TWO, None, r"window 3: 1e\+300 at time step 1"),
    ("w.npz", npz(X=WINDOWS.swapaxes(1, 2)), TWO, None, r"X has shape \(5, 2, 4\); .* Try --layout channels-first"),
    ("w.npz", npz(X=WINDOWS[:, :3]), TWO, None, r"X has shape \(5, 3, 2\); expected \(windows, 4, 2\): 4 time .*x, y"),
    ("w.npz", npz(X=WINDOWS[0]), TWO, None, r"X has shape \(4, 2\)"),
    ("w.npz", npz(X=WINDOWS[:0]), TWO, None, "there are no windows in it"),
    ("w.npz", npz(Z=WINDOWS), TWO, None, "holds no array 'X'; it has: Z"),
    ("w.npz", npz(X=np.array([{}, 1], dtype=object)), TWO, None, "X holds Python objects, which are never unpickled"),
    ("w.npz", npz(X=WINDOWS.astype(str)), TWO, None, "X holds values of dtype <U"),
    ("w.npz", npz(X=WINDOWS, y=np.arange(4)), TWO, None, r"y has shape \(4,\), and X has 5 windows"),
    ("w.npz", npz(X=WINDOWS, y=np.array([None] * 5)), TWO, None, "y holds Python objects"),
    ("w.npz", text("hello"), TWO, None, "not a readable .npz: File is not a zip file"),
    ("w.npz", text(""), TWO, None, "not a readable .npz"),
    ("w.csv", text(""), TWO, None, "is empty"),
    ("w.csv", text("id,x,y\n"), TWO, None, "there are no windows in it"),
    ("w.csv", text("0,1,2\n3,4,5\n"), TWO, None, "first line has no names of columns"),
    ("w.csv", text("id,x,x\n"), TWO, None, "two columns have the same name"),
    ("w.csv", text("id,x,z,time\n"), TWO, None, r"no column 'y', 'time', 'z'; expected 'id', one column .*\(x, y\)"),
    ("w.csv", text(LONG.replace("w1,2,", "w1,2,3,")), TWO, None, "line 8 has 5 cells; the header has 4"),
    ("w.csv", text(LONG.replace("w1,2,", "w1,1,")), TWO, None, "line 8: step 1 comes after 1 in window 'w1'"),
    ("w.csv", text(LONG.replace("w4,3,", "w0,3,")), TWO, None, "line 18: window 'w4' has 3 time steps; expected 4"),
    ("w.csv", text(LONG.replace("w1,", "w0,")), TWO, None, "line 6: step 0 comes after 3 in window 'w0'"),
    ("w.csv", text(LONG + LONG.split("\n", 1)[1]), TWO, None, "line 22: window 'w0' was there before"),
    ("w.csv", text(LONG.replace("w2,1,2.75", "w2,1,high")), TWO, None, "line 11: 'high' in column 'y' is not a number"),
    ("w.csv", text(LONG.replace("w2,1,2.75", "w2,1,inf")), TWO, None, "line 10: inf at time step 1 .*channel 'y'"),
    ("w.csv", text("id,x,label\na,1,p\na,2,p\na,3,q\na,4,p\n"), ONE, None, "line 4: window 'a' has the labels 'p' and"),
    ("w.csv", text("id,x\n" + "a,1\n" * 5), ONE, None, "line 6: window 'a' has more time steps than 4"),
    ("w.csv", text("id,t0,t1,t2\n1,2,3,4\n"), ONE, "wide", "has 3 columns of values; expected one for each of 4"),
    ("w.csv", text("t0,t1,t2,t3\n1,2,,4\n"), ONE, "wide", "line 2: '' in column 't2' is not a number"),
    ("w.csv", text("t0,t1,t2,t3\n1,2,3,4\n"), ONE, None, "no column 'id'.* Try --layout wide"),
    ("w.csv", text("t0,t1,t2,t3\n1,2,3,4\n"), TWO, "wide", r"holds one channel, and the model has 2 \(x, y\)"),
    ("w.csv", text('id,x\n"a,1\n'), ONE, None, "is not a .csv file: unexpected end of data"),
    ("w.txt", text("1 0 1 2 3\n\n0 1 2 3\n"), ONE, None, "line 3 has 4 values; expected a label and then 4"),
    ("w.txt", text("0 1 2 3\n1 0 1 2 3\n"), ONE, None, "line 2 has 5 values; expected 4 time steps"),
    ("w.txt", text("1 0 x 2 3\n"), ONE, None, "line 1: 'x' is not a number"),
    ("w.txt", text("1 0 1 2 3\n1 0 NaN 2 3\n"), ONE, None, "line 2: nan at time step 1"),
    ("w.txt", text("\n \n"), ONE, None, "there are no windows in it"),
    ("w.txt", lambda path: path.write_bytes(b"\xff\xfe1"), ONE, None, "is not UTF-8 text"),
    ("w.txt", lambda path: path.mkdir(), ONE, None, "cannot be read: Is a directory"),
    ("w.txt", lambda path: None, ONE, None, "there is no such file"),
]


@pytest.mark.parametrize(("name", "write", "expected", "layout", "message"), ROWS)
def test_bad_files(
    tmp_path: Path,
    name: str,
    write: Callable[[Path], object],
    expected: Expected,
    layout: str | None,
    message: str,
) -> None:
    """Each mistake is a DataError that names the file and the place in it."""
    path = tmp_path / name
    write(path)
    with pytest.raises(HpoError) as caught:
        collect(path, expected, layout)
    assert caught.type is DataError
    assert str(caught.value).startswith(str(path))
    assert re.search(message, str(caught.value)), caught.value


HEADERS = [
    "{'descr': (((",
    "{1:2,'a':3}",
    "{[]:1}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
    "'''",
    "{'descr': [('a',)], 'fortran_order': False, 'shape': (2,)}",
    "{'descr': 'f4,,', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': ((),()), 'fortran_order': False, 'shape': (0,)}",
    "{'descr': 5, 'fortran_order': False, 'shape': (2,)}",
    "(" * 300,
    "-" * 5000 + "1",
    "{'\x1b[2J': 1}",
    "\0",
    "",
]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_make_no_sense(tmp_path: Path, header: str) -> None:
    """Whatever stands where an array's shape should, the file is refused, in words that a terminal can show."""
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1"))
    with pytest.raises(DataError, match=r"X has a header that makes no sense: ") as caught:
        collect(tmp_path / "w.npz", TWO)
    assert str(caught.value).isprintable()


def test_arrays_that_claim_too_much(tmp_path: Path) -> None:
    """A directory that claims more than the whole file can hold is not believed, and nothing is reserved for it."""
    header = b"{'descr': '<f8', 'fortran_order': True, 'shape': (1125899906842624, 4, 2)}"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("X.npy", head)
        claimed = archive.getinfo("X.npy")
        claimed.file_size = claimed.compress_size = len(head) + (1 << 56)
    # by Python, if its zipfile looks for entries that overlap, or by us
    said = r"not a readable \.npz in X: Overlapped|X claims shape \(1125899906842624, 4, 2\), \d+ bytes, but holds"
    with pytest.raises(DataError, match=said):
        collect(tmp_path / "w.npz", TWO)


def test_unknown_kinds_of_files(tmp_path: Path) -> None:
    """An ending or a layout that does not go with it is a mistake in the command; the known ones are named."""
    with pytest.raises(UsageError, match=r"'\.parquet' is not known; accepted: \.npz, \.csv, \.txt, \.tsv"):
        read(tmp_path / "w.parquet", TWO, layout=None, batch=1)
    for suffix, layouts in LAYOUTS.items():
        other = "wide" if "wide" not in layouts else "lines"
        with pytest.raises(UsageError, match=f"'{other}' does not go with {suffix}; accepted: {', '.join(layouts)}"):
            read(tmp_path / f"w{suffix}", TWO, layout=other, batch=1)
