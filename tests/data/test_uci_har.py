"""UCI HAR: every layout that is read, and every kind of bad file, as tiny files."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.data import Dataset, Part, read, uci_har
from hpo.errors import DataError
from tests.data.har_files import (
    N_TEST,
    N_TRAIN,
    STEPS,
    cut_labels,
    cut_line,
    cut_rows,
    empty,
    entry,
    half_subjects,
    har_value,
    not_a_number,
    one_class,
    short_windows,
    signal,
    too_large,
    unseen_label,
    words,
    write_har,
    zipped,
)  # fmt: skip


@pytest.fixture
def har(tmp_path: Path) -> Path:
    """A tiny UCI HAR; see `write_har`."""
    return write_har(tmp_path)


def options(path: Path) -> uci_har.Options:
    """A study file's [data]."""
    return uci_har.Options(path=str(path))


def same(a: Dataset, b: Dataset) -> bool:
    """Whether two data sets hold the same."""
    return a.sha256 == b.sha256 and np.array_equal(a.train.x, b.train.x) and a.classes == b.classes


def test_har_folder(har: Path) -> None:
    """The original layout gives every number at its place, subjects as groups, activities in label order."""
    data = read(options(har))
    assert isinstance(data.test, Part)
    for part, name in ((data.train, "train"), (data.test, "test")):
        n = N_TRAIN if name == "train" else N_TEST
        expected = [[[har_value(name, c, row, step) for c in range(9)] for step in range(STEPS)] for row in range(n)]
        np.testing.assert_array_equal(part.x, np.array(expected, dtype=np.float32))
        assert part.x.flags.c_contiguous
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.int64
    assert data.classes == ("WALKING", "SITTING", "LAYING")
    assert data.train.y.tolist() == [2, 0, 1, 2, 0, 1]
    assert data.test.y.tolist() == [0, 1, 2, 0]
    assert data.train.groups is not None
    assert data.test.groups is not None
    assert data.train.groups.tolist() == [1, 1, 2, 2, 3, 3]
    assert data.test.groups.tolist() == [4, 4, 4, 4]
    assert data.channels[:4] == ("total_acc_x", "total_acc_y", "total_acc_z", "body_acc_x")
    assert data.channels[6:] == ("body_gyro_x", "body_gyro_y", "body_gyro_z")


def test_har_layouts_are_equal(har: Path, tmp_path: Path) -> None:
    """The folder, its parent, and a zip with or without the folder, or inside another zip, are the same data set."""
    data = read(options(har))
    inner = zipped(har, tmp_path / "UCI HAR Dataset.zip")
    outer = tmp_path / "published.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, inner.name)
        archive.writestr("UCI HAR Dataset.names", "a text")
    bare = zipped(har, tmp_path / "bare.zip", inside="")
    fingerprint = uci_har.fingerprint(options(har))
    for path in (tmp_path, inner, bare, outer):
        assert same(read(options(path)), data), path
        assert uci_har.fingerprint(options(path)) == fingerprint, path


def test_har_without_activity_names(har: Path) -> None:
    """Without activity_labels.txt the classes are called by their numbers."""
    (har / "activity_labels.txt").unlink()
    assert read(options(har)).classes == ("1", "2", "5")


def test_har_missing_files(har: Path) -> None:
    """Every missing file is listed at once."""
    signal(har).unlink()
    (har / "test" / "subject_test.txt").unlink()
    with pytest.raises(DataError, match="2 of the 22 files are missing") as caught:
        read(options(har))
    assert "train/Inertial Signals/body_acc_y_train.txt" in str(caught.value)
    assert "test/subject_test.txt" in str(caught.value)
    with pytest.raises(DataError, match="2 of the 22 files are missing"):
        uci_har.fingerprint(options(har))


HAR_FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (cut_rows, r"body_acc_y_train\.txt has 4 rows, expected 6"),
    (
        cut_line,
        r"body_acc_y_train\.txt: ragged rows: line 6 has 4 values, expected 5 as in most lines \(1 such lines\)",
    ),
    (cut_labels, r"y_test\.txt has 2 rows, expected 4"),
    (empty, r"body_acc_y_train\.txt is empty"),
    (words, r"body_acc_y_train\.txt: not a table of numbers"),
    (short_windows, r"body_acc_y_train\.txt has 3 columns, expected 5"),
    (
        not_a_number,
        r"train part: 2 missing values \(NaN\) in 2 of 6 samples, the first at row 1, time step 2, .* 1 infinite",
    ),
    (
        too_large,
        r"train part: 1 infinite values, or beyond .* in 1 of 6 samples, the first at row 0, time step 0, channel 4",
    ),
    (unseen_label, r"test part: labels never seen in training: 6 \(training has: 1, 2, 5\)"),
    (one_class, r"train part: one class only \(1\)"),
    (half_subjects, r"groups must be whole numbers or text, got \[1\.5"),
]


@pytest.mark.parametrize(("fault", "message"), HAR_FAULTS, ids=[fault.__name__ for fault, _ in HAR_FAULTS])
@pytest.mark.parametrize("layout", ["folder", "zip"])
def test_har_faults(har: Path, tmp_path: Path, fault: Callable[[Path], None], message: str, layout: str) -> None:
    """Each kind of bad file is refused with its name and what is wrong with it, in a folder and in a zip."""
    fault(har)
    path = har if layout == "folder" else zipped(har, tmp_path / "har.zip")
    with pytest.raises(DataError, match=message) as caught:
        read(options(path))
    assert caught.value.exit_code == 3


def test_har_reports_all_faults_at_once(har: Path) -> None:
    """Faults of several files come in one message."""
    cut_rows(har)
    cut_labels(har)
    with pytest.raises(DataError, match=r"body_acc_y_train\.txt has 4 rows.*y_test\.txt has 2 rows"):
        read(options(har))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("../outside.txt"), r"'\.\./outside\.txt' has '\.\.' in it"),
        (entry("UCI HAR Dataset/train/../../../x"), r"has '\.\.' in it"),
        (entry("..\\outside.txt"), r"has '\.\.' in it"),
        (entry("/etc/outside.txt"), "is an absolute name"),
        (entry("C:/outside.txt"), "is an absolute name"),
        (entry("UCI HAR Dataset/link", 0o120777), "'UCI HAR Dataset/link' is a link"),
    ],
)
def test_har_unsafe_zip(har: Path, tmp_path: Path, bad: zipfile.ZipInfo, message: str) -> None:
    """A zip with an entry that points outside, or is a link, is refused as a whole, nested or not."""
    path = zipped(har, tmp_path / "har.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(bad, "target")
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(path, path.name)
    for file in (path, outer):
        with pytest.raises(DataError, match="not safe to read.*" + message):
            read(options(file))


def test_har_damaged_zip(har: Path, tmp_path: Path) -> None:
    """A zip that is cut off, or whose content fails its checksum, is refused by name."""
    path = tmp_path / "har.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(har.rglob("*.txt")):
            archive.write(file, file.relative_to(har).as_posix())
    whole = path.read_bytes()
    number = b"1.7125000e+02"  # stands once in it, and loses its digits while its length stays
    assert whole.count(number) == 1
    for damaged in (whole[: len(whole) // 2], whole.replace(number, b"9.9999999e+09")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"har\.zip: not a readable folder or zip"):
            read(options(path))


@pytest.mark.parametrize("kind", ["absent", "text", "empty folder"])
def test_har_wrong_path(tmp_path: Path, kind: str) -> None:
    """A path with nothing, with something else, or with an empty folder is refused by name."""
    path = tmp_path / "har"
    if kind == "text":
        path.write_text("hello")
    elif kind == "empty folder":
        path.mkdir()
    message = {"absent": "does not exist", "text": "not a readable folder or zip", "empty folder": "22 of the 22"}
    with pytest.raises(DataError, match=message[kind]):
        read(options(path))


def test_changed_file_changes_hash_and_fingerprint(har: Path) -> None:
    """One digit in one raw file gives another fingerprint and another content hash."""
    before = read(options(har)).sha256, uci_har.fingerprint(options(har))
    file = signal(har, "test")
    file.write_text(file.read_text().replace("25", "26", 1))
    assert read(options(har)).sha256 != before[0]
    assert uci_har.fingerprint(options(har)) != before[1]
