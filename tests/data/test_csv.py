"""The sources csv and parquet: columns by name, recordings in the order of time, and every kind of bad file."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data import Dataset, csv, parquet, read
from hpo.data._dataset import Part
from hpo.errors import DataError, MissingExtra, StudyFileError
from hpo.study import data_table

HEADER = "id,t,x,y,who,what"
# two recordings of ben's and one of anna's, the rows of two of them interleaved and not in the order of time
ROWS = [
    *(f"r{k % 2},{9 - k // 2},{k},{-k},ben,{'walk' if k < 10 else 'rest'}" for k in range(20)),
    *(f"r7,{k},{50 + k},{0.5 * k},anna,{'rest' if k < 4 else 'walk'}" for k in range(10)),
]
ROLES: dict[str, Any] = {"label": "what", "series": "id", "time": "t", "group": "who"}


def options(folder: Path, rows: list[str] | str = ROWS, header: str = HEADER, **keys: Any) -> csv.Options:
    """A file of rows, and the keys of [data] for it; a key that is None is left out."""
    path = folder / "own.csv"
    path.write_text(rows if isinstance(rows, str) else "\n".join([header, *rows]) + "\n", encoding="utf-8")
    given = {key: value for key, value in (ROLES | keys).items() if value is not None}
    found = data_table({"source": "csv", "path": str(path), **given}, "test")
    assert isinstance(found, csv.Options)
    return found


def own(folder: Path, *args: Any, **keys: Any) -> Dataset:
    """The data set of such a file."""
    return read(options(folder, *args, **keys))


def test_recordings_as_samples(tmp_path: Path) -> None:
    """Without a length each recording is a sample: rows in the order of time, channels in that of the header."""
    data = own(tmp_path)
    assert (data.name, data.channels, data.classes) == ("own", ("x", "y"), ("rest", "walk"))
    assert data.train.x.shape == (3, 10, 2)
    np.testing.assert_array_equal(data.train.x[0, :, 0], np.arange(18, -1, -2))  # r0 was written backwards
    np.testing.assert_array_equal(data.train.x[2, :, 1], 0.5 * np.arange(10))
    assert data.train.y.tolist() == [0, 0, 1]
    assert data.train.groups is not None
    assert data.train.groups.tolist() == [1, 1, 0]
    assert data.notes == ("groups are numbered: 0 = anna, 1 = ben",)


def test_windows(tmp_path: Path) -> None:
    """With a length recordings are cut; overlapping windows know their recording, others need not."""
    data = own(tmp_path, length=4, stride=2)
    assert data.train.x.shape == (12, 4, 2)
    np.testing.assert_array_equal(data.train.x[1, :, 0], [14, 12, 10, 8])
    assert data.train.recordings is not None
    assert data.train.recordings.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.train.y.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
    assert own(tmp_path, length=4).train.recordings is None


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ({"group": "who"}, [1, 1, 1, 1, 0, 0]),
        ({"group": None}, [0, 0, 1, 1, 2, 2]),
        ({"group": None, "blocks": 2}, [0, 1, 2, 3, 4, 5]),
        ({"group": None, "series": None, "time": None, "blocks": 3}, [0, 0, 1, 1, 2, 2]),
    ],
)
def test_groups(tmp_path: Path, keys: dict[str, Any], groups: list[int]) -> None:
    """Groups are the column that says so, else the recordings, else blocks of them; numbered in sorted order."""
    data = own(tmp_path, **({"length": 5, "channels": ["x"]} | keys))
    assert data.train.groups is not None
    assert data.train.groups.tolist() == groups


def test_numbers_stay_group_numbers(tmp_path: Path) -> None:
    """A group that is called 10 is group 10."""
    data = own(tmp_path, [row.replace("ben", "10").replace("anna", "9") for row in ROWS], length=5)
    assert data.train.groups is not None
    assert sorted(set(data.train.groups.tolist())) == [9, 10]


def test_no_window_crosses_a_border(tmp_path: Path) -> None:
    """Where the person or the part changes within a recording, a window ends."""
    rows = [f"r,{k},{k},{k},{'ben' if k < 6 else 'anna'},{k % 2}" for k in range(12)]
    data = own(tmp_path, rows, length=4, stride=1)
    assert data.train.x[:, 0, 0].tolist() == [0, 1, 2, 6, 7, 8]
    assert data.train.recordings is not None
    assert data.train.recordings.tolist() == [0, 0, 0, 1, 1, 1]


def test_what_lies_apart_stays_apart(tmp_path: Path) -> None:
    """Where the test part lies within a recording, no window of the training part reaches from before it to after."""
    rows = [f"r,{k},{k},{k},ben,{k % 2},{'test' if 5 <= k < 9 else 'train'}" for k in range(14)]
    data = own(tmp_path, rows, HEADER + ",part", part="part", length=3, stride=1)
    assert data.train.x[:, 0, 0].tolist() == [0, 1, 2, 9, 10, 11]
    assert data.test is not None
    assert data.test.x[:, 0, 0].tolist() == [5, 6]


def test_parts(tmp_path: Path) -> None:
    """A column says what is the test part, and what is the validation part of a predefined split."""
    part_of = {"r0": "train", "r1": "Validation", "r7": "test"}
    rows = [f"{row},{part_of[row[:2]]}" for row in ROWS]
    data = own(tmp_path, rows, HEADER + ",part", part="part", length=5)
    assert data.train.folds is not None
    assert data.train.folds.tolist() == [-1, -1, 0, 0]
    assert data.test is not None
    assert len(data.test.y) == 2
    without = [f"{row},train" for row in ROWS]
    assert own(tmp_path, without, HEADER + ",part", part="part").test is None


def test_a_test_part_of_its_own(tmp_path: Path) -> None:
    """A second file is the test part, its columns in any order; nothing of it is called by another name."""
    other = tmp_path / "later.csv"
    other.write_text("what,who,y,x,t,id\nrest,carl,1,2,0,a\nrest,carl,3,4,1,a\n")
    data = own(tmp_path, length=2, test_path=str(other))
    assert isinstance(data.test, Part)
    assert data.test.x.tolist() == [[[2, 1], [4, 3]]]
    assert data.test.groups is not None
    assert data.test.groups.tolist() == [2]


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    """Windows without a label, or with several, and recordings that are too short are counted."""
    rows = [*ROWS, "r9,0,1,1,ben,rest"]
    rows[20] = rows[20].replace("rest", "")
    data = own(tmp_path, rows, length=5, stride=5, label_rule="pure")
    assert [note.split(": ")[1] for note in data.notes[:2]] == [
        "1 recordings are shorter than 5 steps and give no window",
        "1 of 6 samples have no single label and were left out",
    ]
    assert len(data.train.y) == 5


def test_missing_values(tmp_path: Path) -> None:
    """An empty field is missing, also at a sample's end; it is refused, or filled from its window."""
    rows = ROWS.copy()
    rows[24] = "r7,4,,2,anna,rest"
    rows[25] = "r7,5,NA,?,anna,walk"
    message = "3 missing values in 2 of 6 samples, the first in column 'x' of series 'r7'.*missing = \"interpolate\""
    with pytest.raises(DataError, match=message):
        own(tmp_path, rows, length=5)
    data = own(tmp_path, rows, length=5, missing="interpolate")
    assert data.train.x[4, 3:, 0].tolist() == [53, 53]
    assert data.train.x[5, :2].tolist() == [[56, 3], [56, 3]]
    assert not data.padded
    assert "train part: 3 missing values in 2 samples were filled (interpolate)" in data.notes[0]
    with pytest.raises(DataError, match="1 times a sample has a channel without any value"):
        own(tmp_path, ["r1,0,,1,b,0", "r1,1,,1,b,0", "r2,0,1,1,b,1", "r2,1,1,1,b,1"], missing="interpolate")


def test_names_that_look_like_nothing(tmp_path: Path) -> None:
    """In a column of names, NA and null are names."""
    rows = [f"{name},{k},{k},{k},x,{name}" for name in ("NA", "null") for k in range(3)]
    assert own(tmp_path, rows).classes == ("NA", "null")


@pytest.mark.parametrize("name", ["NA", "null", "nan", "None", "N/A"])
def test_columns_that_are_called_nothing(tmp_path: Path, name: str) -> None:
    """A column may be called NA; it is a channel as any other, and its values are read as those of others."""
    rows = ROWS.copy()
    rows[24] = "r7,4,NA,2,anna,walk"
    data = own(tmp_path, rows, HEADER.replace("x", name), missing="zero")
    assert data.channels == (name, "y")
    assert data.train.x[2, 3:6, 0].tolist() == [53, 0, 55]


def test_the_index_of_a_frame_is_no_channel(tmp_path: Path) -> None:
    """What pandas writes beside a frame, a column of row numbers without a name, is nobody's measurement."""
    options(tmp_path)
    frame = pd.read_csv(tmp_path / "own.csv")[::-1]
    for name in ("own", "later"):
        frame.to_csv(tmp_path / f"{name}.csv")
        frame.to_parquet(tmp_path / f"{name}.parquet")
    for source in (csv, parquet):
        kind = source.__name__.split(".")[-1]
        places = {"path": str(tmp_path / f"own.{kind}"), "test_path": str(tmp_path / f"later.{kind}")}
        data = read(source.Options(**(ROLES | places)))
        assert data.channels == ("x", "y"), kind
        assert data.train.x[0, :, 0].tolist() == list(range(50, 60)), kind


def test_a_frames_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    """In parquet the time, the recording or a channel may have been the index of the frame, or part of it."""
    plain = own(tmp_path)
    frame = pd.read_csv(tmp_path / "own.csv")
    for index in (["t"], ["id", "t"], ["x"]):
        frame.set_index(index).to_parquet(tmp_path / "own.parquet")
        data = read(parquet.Options(path=str(tmp_path / "own.parquet"), channels=("x", "y"), **ROLES))
        assert data.sha256 == plain.sha256, index


def test_other_ways_to_write_it(tmp_path: Path) -> None:
    """Another separator, quotes, a byte-order mark, spaces and times as text give the same data set."""
    plain = own(tmp_path, length=5)
    written = "\ufeff" + "\r\n".join(
        "; ".join(f'"{word}"' if word.isalpha() else word for word in line.split(",")) for line in [HEADER, *ROWS]
    )
    assert own(tmp_path, written, length=5, separator=";").sha256 == plain.sha256
    dated = [re.sub(r",(\d),", r",2026-01-01T00:00:0\1,", row, count=1) for row in ROWS]
    assert own(tmp_path, dated, length=5).sha256 == plain.sha256


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ("", {}, r"own\.csv is empty"),
        (HEADER + "\n", {}, "own: there are no rows"),
        (ROWS, {"label": "wat"}, "no column 'wat'; did you mean 'what'"),
        (ROWS, {"channels": ["x", "z"]}, "no column 'z'; known: id"),
        (HEADER.replace("y", "x") + "\n" + ROWS[0], {}, "two columns are called 'x'"),
        (f"{HEADER},\n" + "".join(f"{row},\n" for row in ROWS), {}, "column 7 has no name; write one into the first l"),
        (f",{HEADER}".replace("y", "") + "\n0,r,0,1,2,b,a\n", {}, "column 5 has no name"),
        ("id,t,who,what\nr,0,ben,a\n", {}, "no column is left for the channels"),
        (["r,0,1,one,b,a"], {}, "column 'y' holds 'one' in row 1, which is no number"),
        (["r,0,1,2,b,a", "r,1,1,2,b,a,3,4"], {}, "no csv file that can be read: .*line 3"),
        (["r,0,1,2,b,a,3", "r,1,1,2,b,a,3"], {}, "no csv file that can be read: Length of header"),
        (["r,0,1,2,b,a", "r,0.0,1,2,b,a"], {}, r"1 times come twice in a series; the first is 0\.0 in 'r'"),
        (["r,0,1,2,b,a", "r,,1,2,b,a"], {}, "1 rows have no time"),
        (["r,0,1,2,,a", "r,1,1,2,b,a"], {}, "1 rows have no group"),
        ([",0,1,2,b,a", "r,1,1,2,b,a"], {}, "1 rows have no series"),
        (ROWS, {"part": "what", "label": "who", "group": None}, "the column of parts holds 'rest'; accepted: train"),
        (ROWS, {"length": 11}, "no sample is left of 30 rows"),
        (["r,0,1e39,2,b,a", "q,0,1,2,b,c"], {}, "1 infinite values, or beyond"),
        (["r,0,1,2,b,a", "q,0,1,2,b,a"], {}, "one class only"),
        (ROWS, {"test_path": "nowhere.csv"}, r"nowhere\.csv"),
    ],
)
def test_bad_files(tmp_path: Path, rows: list[str] | str, keys: dict[str, Any], message: str) -> None:
    """Each kind of bad file is refused, and the message says what is wrong where."""
    with pytest.raises(DataError, match=message):
        own(tmp_path, rows, **keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"stride": 3}, "stride has no effect without length"),
        ({"length": 3, "blocks": 2}, "blocks makes groups of its own; leave out blocks or group"),
        ({"part": "p", "test_path": "x"}, "part and test_path both say"),
        ({"channels": ["x", "who"]}, "column 'who' is named twice"),
        ({"channels": ["x", "x"]}, r"data\.channels: got \['x', 'x'\]; every channel counts once"),
        ({"channels": ["x", ""]}, r"data\.channels: got \['x', ''\]; every channel has a name"),
        ({"length": 0}, r"data\.length: got 0 .*accepted: a whole number from 1"),
        ({"label_rule": "first"}, r"data\.label_rule: got 'first' .*known: last, majority, pure"),
        ({"label": None}, r"data\.label: is missing; accepted: the name of a column"),
        ({"separator": ", "}, r"data\.separator: got ', ' .*accepted: one character"),
    ],
)
def test_bad_keys(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    """What contradicts itself is refused when the study file is read, with the keys that it concerns."""
    with pytest.raises(StudyFileError, match=message):
        options(tmp_path, **keys)


def test_parquet_is_the_same(tmp_path: Path) -> None:
    """A parquet file with the same rows, in types of its own, is the same data set; so is its test part."""
    keys = {"length": 5, "stride": 2, "test_path": str(tmp_path / "own.csv")}
    plain = own(tmp_path, **keys)
    frame = pd.read_csv(tmp_path / "own.csv")
    frame["t"] = pd.to_datetime(frame["t"], unit="s")
    frame["what"] = frame["what"].astype("category")
    frame["id"] = frame["id"].str[1:].astype(float)
    frame.to_parquet(tmp_path / "own.parquet")
    place = {"path": str(tmp_path / "own.parquet"), "test_path": str(tmp_path / "own.parquet")}
    again = read(parquet.Options(**(ROLES | keys | place)))
    assert again.sha256 == plain.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": "one"}, "column 'x' holds 'one' in row 1, which is no number"),
        ({"who": None}, "30 rows have no group"),
        ({"what": None}, "no sample is left of 30 rows"),
        ({"x": None}, "30 missing values in 3 of 3 samples"),
    ],
)
def test_bad_parquet(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """What is wrong in a parquet file is found as in a csv file."""
    options(tmp_path)
    frame = pd.read_csv(tmp_path / "own.csv").assign(**change)
    frame.to_parquet(tmp_path / "own.parquet")
    with pytest.raises(DataError, match=message):
        read(parquet.Options(path=str(tmp_path / "own.parquet"), **ROLES))


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2026-01-01", periods=30, freq="20ms"),
        pd.date_range("2026-10-25", periods=30, freq="2min", tz="Europe/Berlin"),
        pd.to_timedelta(range(30), unit="s"),
        [f"10:00:{k:02}" for k in range(30)],
        [0.5 * k for k in range(30)],
    ],
)
def test_rows_without_a_time_in_parquet(tmp_path: Path, times: Any) -> None:
    """A row whose time is missing is refused, whatever type times have; it never moves to where it was not."""
    options(tmp_path)
    frame = pd.read_csv(tmp_path / "own.csv").assign(t=times)
    frame.loc[7, "t"] = None
    frame.to_parquet(tmp_path / "own.parquet")
    with pytest.raises(DataError, match="own: 1 rows have no time"):
        read(parquet.Options(path=str(tmp_path / "own.parquet"), **ROLES))


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2026-01-01", periods=30),
        pd.date_range("2026-01-01", periods=30, tz="UTC"),
        pd.to_timedelta(range(30), unit="s"),
    ],
)
def test_times_are_no_channel(tmp_path: Path, times: Any) -> None:
    """A column of times that nobody named is refused as in csv: learnt from, it would tell where a window lies."""
    options(tmp_path)
    pd.read_csv(tmp_path / "own.csv").assign(t=times).to_parquet(tmp_path / "own.parquet")
    named = {role: column for role, column in ROLES.items() if role != "time"}
    with pytest.raises(DataError, match=r"own\.parquet: column 't' holds times; say so by time, or say in channels"):
        read(parquet.Options(path=str(tmp_path / "own.parquet"), **named))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without pyarrow or pandas the message says which extra brings it."""
    found = options(tmp_path)
    for name in ("pandas", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"Reading a csv file needs pandas.*pip install '\.\[train\]'"):
        read(found)
    with pytest.raises(MissingExtra, match=r"Reading a parquet file needs pyarrow.*pip install '\.\[parquet\]'"):
        read(parquet.Options(path=found.path, label="what"))
