"""UCR files: every format and way to name them, and every kind of bad file, as tiny files."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hpo.data import _files, read, ucr
from hpo.errors import DataError, MissingExtra

TABLE_TRAIN = "1.0 0.1 0.2 0.3\n2.0 0.4 0.5 0.6\n1.0 0.7 0.8 0.9\n"
TABLE_TEST = "2.0 1.1 1.2 1.3\n1.0 1.4 1.5 1.6\n"


def ts(table: str) -> str:
    """The table as a .ts file."""
    lines = [line.split() for line in table.splitlines()]
    rows = [",".join(values) + f":{float(label):g}" for label, *values in lines]
    head = [
        "# a comment",
        "@problemName Tiny",
        "@timeStamps false",
        "@univariate true",
        "@classLabel true 1 2",
        "@data",
    ]
    return "\n".join(head + rows) + "\n"


def arff(table: str) -> str:
    """The table as an .arff file."""
    lines = [line.split() for line in table.splitlines()]
    head = ["% a comment", "@relation Tiny", *(f"@attribute att{k} numeric" for k in range(len(lines[0]) - 1))]
    rows = [",".join([*values, f"{float(label):g}"]) for label, *values in lines]
    return "\n".join([*head, "@attribute target {1,2}", "", "@data", *rows]) + "\n"


def write_pair(folder: Path, train: str, test: str, suffix: str = ".txt", name: str = "Tiny") -> Path:
    """Writes both files and returns the pair's beginning."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_TRAIN{suffix}").write_text(train)
    (folder / f"{name}_TEST{suffix}").write_text(test)
    return folder / name


def options(path: Path, name: str | None = None) -> ucr.Options:
    """A study file's [data]."""
    return ucr.Options(path=str(path), name=name)


def test_ucr_formats_are_equal(tmp_path: Path) -> None:
    """.txt, .tsv, .ts and .arff with the same numbers are the same data set, however the path is given."""
    txt = write_pair(tmp_path / "a", TABLE_TRAIN.replace(" ", "   "), TABLE_TEST)
    tsv = write_pair(tmp_path / "b", TABLE_TRAIN.replace(" ", "\t"), TABLE_TEST.replace(" ", "\t"), ".tsv")
    other = write_pair(tmp_path / "c", ts(TABLE_TRAIN), ts(TABLE_TEST), ".ts")
    last = write_pair(tmp_path / "d", arff(TABLE_TRAIN), arff(TABLE_TEST), ".arff")
    data = read(options(txt))
    assert data.classes == ("1", "2")
    assert data.channels == ("channel_0",)
    np.testing.assert_array_equal(data.train.x[1, :, 0], np.array([0.4, 0.5, 0.6], dtype=np.float32))
    assert data.train.x.shape == (3, 3, 1)
    assert data.train.y.tolist() == [0, 1, 0]
    for path in (tsv, other, last, tmp_path / "b", tmp_path / "c" / "Tiny_TRAIN.ts", tmp_path / "a" / "Tiny_TEST.txt"):
        assert read(options(path)).sha256 == data.sha256, path
    assert read(options(tmp_path / "a", "Tiny")).sha256 == data.sha256


def test_ucr_variable_length(tmp_path: Path) -> None:
    """A .ts file whose samples differ in length and tables that end in NaN, as the archives have them, are one set."""
    ragged = ts(TABLE_TRAIN).replace("@data", "@equalLength false\n@data").replace(",0.6", "")
    data = read(options(write_pair(tmp_path / "a", ragged, ts(TABLE_TEST), ".ts")))
    filled = write_pair(tmp_path / "b", TABLE_TRAIN.replace("0.6", "NaN"), TABLE_TEST)
    assert data.padded
    assert np.isnan(data.train.x).nonzero()[0].tolist() == [1]
    assert read(options(filled)).sha256 == data.sha256


def test_ucr_several_sets(tmp_path: Path) -> None:
    """In a folder of several sets, the name says which; without one, and with an unknown one, they are listed."""
    write_pair(tmp_path / "Tiny", TABLE_TRAIN, TABLE_TEST)
    write_pair(tmp_path / "Other", TABLE_TRAIN.replace("0.1", "0.15"), TABLE_TEST, name="Other")
    assert read(options(tmp_path, "Other")).name == "Other"
    assert read(options(tmp_path, "Other")).sha256 != read(options(tmp_path, "Tiny")).sha256
    with pytest.raises(DataError, match="several data sets; say which by name: Other, Tiny"):
        read(options(tmp_path))
    with pytest.raises(DataError, match="no data set 'Tini': did you mean 'Tiny'"):
        read(options(tmp_path, "Tini"))
    with pytest.raises(DataError, match="is the data set 'Tiny', but name says 'Other'"):
        read(options(tmp_path / "Tiny" / "Tiny", "Other"))


def test_ucr_several_channels(tmp_path: Path) -> None:
    """A .ts file with two channels gives (n, timesteps, channels), class names spelt as in the header."""
    head = "@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength true\n@classLabel true Run WALK\n@data\n"
    body = head + "1,2,3:4,5,6:Run\n7,8,9:-1,-2,-3:WALK\n"
    data = read(options(write_pair(tmp_path, body, body, ".ts")))
    assert data.classes == ("Run", "WALK")
    np.testing.assert_array_equal(data.train.x[1], np.array([[7, -1], [8, -2], [9, -3]], dtype=np.float32))


def test_several_channels_of_arff(tmp_path: Path) -> None:
    """The archive's form of several channels gives (n, timesteps, channels)."""
    relation = "@attribute two relational\n @attribute t0 numeric\n@end two\n"
    body = f"@relation Two\n{relation}@attribute c {{Run,'a walk'}}\n@data\n"
    body += "'1,2,3\\n4,5,6',Run\n'7,8,9\\n-1,-2,?','a walk'\n"
    data = read(ucr.Options(path=str(write_pair(tmp_path, body, body, ".arff")), missing="zero"))
    assert data.classes == ("Run", "a walk")
    np.testing.assert_array_equal(data.train.x[1], np.array([[7, -1], [8, -2], [9, 0]], dtype=np.float32))


@pytest.mark.parametrize(
    ("train", "test", "suffix", "message"),
    [
        ("1 1 2 3\n2 1 2\n1 1 2 3\n", TABLE_TEST, ".txt", r"TRAIN\.txt: ragged rows: line 2 has 3 values, expected 4"),
        ("1 1 2\n2 1 2 3\n1 1 2 3\n", TABLE_TEST, ".txt", r"TRAIN\.txt: ragged rows: line 1 has 3 values, expected 4"),
        (TABLE_TRAIN, "1 1 2 3\n2 1 2", ".txt", r"TEST\.txt: ragged rows"),
        (TABLE_TRAIN, "", ".txt", r"TEST\.txt is empty"),
        (TABLE_TRAIN, "\n\n", ".txt", r"TEST\.txt is empty"),
        (TABLE_TRAIN, "1 1 2\n2 1 2\n", ".txt", "training samples have 3 time steps, test samples 2"),
        ("1\n2\n", "1\n2\n", ".txt", "1 column, expected a label and then the series"),
        ("1,1,2\n2,1,2\n", "1,1,2\n", ".txt", "not a table of numbers"),
        ("1 ? 2 3\n2 1 2 3\n", TABLE_TEST, ".txt", r"1 missing values \(NaN\) in 1 of 2 samples, the first at row 0"),
        ("1 1 NaN 2\n2 1 2 3\n", TABLE_TEST, ".txt", "time step 1, channel 0"),
        ("1 1e39 2 3\n2 1 2 3\n", TABLE_TEST, ".txt", "1 infinite values, or beyond"),
        ("nan 1 2 3\n2 1 2 3\n1 1 2 3\n", TABLE_TEST, ".txt", r"missing labels \('nan'\)"),
        (TABLE_TRAIN, TABLE_TEST.replace("2.0 ", "3.0 "), ".txt", r"labels never seen in training: 3 "),
        (TABLE_TRAIN.replace("2.0 ", "1.0 "), TABLE_TEST, ".txt", "one class only"),
        (ts(TABLE_TRAIN).replace(",0.6", ""), ts(TABLE_TEST), ".ts", r"TRAIN\.ts: ragged rows"),
        (arff(TABLE_TRAIN).replace(",0.6", ""), arff(TABLE_TEST), ".arff", r"TRAIN\.arff: ragged rows"),
        (arff(TABLE_TRAIN).replace("0.6", "six"), arff(TABLE_TEST), ".arff", "or not an .arff file that aeon can read"),
        (
            arff(TABLE_TRAIN),
            arff(TABLE_TEST).replace("@data", ""),
            ".arff",
            r"TEST\.arff: not an .arff file, it has no",
        ),
        (arff(TABLE_TRAIN).replace("{1,2}", "numeric"), arff(TABLE_TEST), ".arff", "no list of classes"),
        (ts(TABLE_TRAIN).replace("0.5", "?"), ts(TABLE_TEST), ".ts", r"1 missing values \(NaN\)"),
        (ts(TABLE_TRAIN).replace("@data\n", ""), ts(TABLE_TEST), ".ts", "not a .ts file, it has no @data line"),
        (ts(TABLE_TRAIN).replace("0.6", "six"), ts(TABLE_TEST), ".ts", "not a .ts file that aeon can read"),
        (ts(TABLE_TRAIN).replace("timeStamps false", "timeStamps true"), ts(TABLE_TEST), ".ts", "time stamps"),
        (
            ts(TABLE_TRAIN).replace("@classLabel true 1 2", "@classLabel false"),
            ts(TABLE_TEST),
            ".ts",
            "no class labels",
        ),
        (ts(TABLE_TRAIN).replace("true 1 2", "true run Run"), ts(TABLE_TEST), ".ts", "differ only in upper and lower"),
    ],
)
def test_ucr_faults(tmp_path: Path, train: str, test: str, suffix: str, message: str) -> None:
    """Each kind of bad file is refused with its name and what is wrong with it."""
    with pytest.raises(DataError, match=message) as caught:
        read(options(write_pair(tmp_path, train, test, suffix)))
    assert "Tiny" in str(caught.value)


def test_ucr_missing_files(tmp_path: Path) -> None:
    """A missing half, an empty folder, and a path with nothing say what was looked for."""
    with pytest.raises(DataError, match=r"no NAME_TRAIN\.tsv, \.txt, \.ts or \.arff"):
        read(options(tmp_path))
    with pytest.raises(DataError, match="found no files Tiny_TRAIN and Tiny_TEST"):
        ucr.fingerprint(options(tmp_path / "Tiny"))
    write_pair(tmp_path, TABLE_TRAIN, TABLE_TEST)
    (tmp_path / "Tiny_TEST.txt").unlink()
    with pytest.raises(DataError, match=r"only Tiny_TRAIN\.txt of the pair is there"):
        read(options(tmp_path))


def test_changed_file_changes_hash_and_fingerprint(tmp_path: Path) -> None:
    """One digit in one raw file gives another fingerprint and another content hash."""
    pair = write_pair(tmp_path, TABLE_TRAIN, TABLE_TEST)
    before = read(options(pair)).sha256, ucr.fingerprint(options(pair))
    write_pair(tmp_path, TABLE_TRAIN.replace("0.8", "0.9"), TABLE_TEST)
    assert read(options(pair)).sha256 != before[0]
    assert ucr.fingerprint(options(pair)) != before[1]


def test_missing_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without pandas or aeon the message says which extra to install."""
    for name in ("pandas", "aeon.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"Reading text data needs pandas.*pip install '\.\[train\]'"):
        read(options(write_pair(tmp_path, TABLE_TRAIN, TABLE_TEST)))
    with pytest.raises(MissingExtra, match=r"Reading \.ts files needs aeon"):
        _files.read_ts(write_pair(tmp_path, ts(TABLE_TRAIN), ts(TABLE_TEST), ".ts").with_name("Tiny_TRAIN.ts"))
