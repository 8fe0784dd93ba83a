"""Bad input as a user meets it: a message that names it, the exit code of its kind, and never a traceback.

Each row is refused by `hpo check` and, with the same words, by `hpo launch`, which then has created no study.
"""

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpo.prepare import prepare
from hpo.store import Store
from tests.cli.run import TINY, Run, call, start
from tests.data import har_files as har
from tests.data.files import write_pair
from tests.study.files import REMOVE, changed, write

UCR = {"data/source": "ucr", "data/path": "files/Tiny", "data/name": REMOVE}
HAR = {"data/source": "uci_har", "data/path": "UCI HAR Dataset", "data/name": REMOVE}
ZIP = HAR | {"data/path": "har.zip"}
USAGE, DATA, STORAGE = 2, 3, 4


@dataclass(frozen=True)
class Row:
    """One mistake.

    Attributes:
        message: regular expression; ``.`` matches the ends of lines too.
        changes: of the tiny study's keys, or the whole file.
        fault: makes and damages data files in the study's folder.
        options: of the command.
    """

    code: int
    message: str
    changes: Mapping[str, object] | str = field(default_factory=dict)
    fault: Callable[[Path], object] | None = None
    options: tuple[str, ...] = ()


def damaged(*faults: Callable[[Path], object]) -> Callable[[Path], None]:
    """A made-up UCI HAR with these faults."""

    def make(folder: Path) -> None:
        root = har.write_har(folder)
        for fault in faults:
            fault(root)

    return make


def pair(old: str = "", new: str = "", part: str = "TRAIN") -> Callable[[Path], None]:
    """A made-up UCR pair in which a regular expression was replaced once."""

    def make(folder: Path) -> None:
        write_pair(folder / "files")
        file = folder / "files" / f"Tiny_{part}.txt"
        file.write_text(re.sub(old, new, file.read_text(), count=1))

    return make


def zipped(bad: zipfile.ZipInfo | None) -> Callable[[Path], None]:
    """UCI HAR as a zip with one more entry; with None it is cut in half."""

    def make(folder: Path) -> None:
        path = har.zipped(har.write_har(folder), folder / "har.zip")
        if bad is None:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(bad, "target")

    return make


def one_class(folder: Path) -> None:
    """All samples of both parts have the label 1."""
    write_pair(folder / "files")
    for file in (folder / "files").iterdir():
        file.write_text(re.sub("^0", "1", file.read_text(), flags=re.MULTILINE))


def in_the_way(folder: Path) -> None:
    """A file where a folder is wanted."""
    (folder / "file").write_text("no database, no folder")


ROWS: dict[str, Row] = {
    # the study file
    "no file": Row(USAGE, r"other\.toml: 1 mistake\n  - there is no such file", options=("other.toml",)),
    "malformed TOML": Row(USAGE, r"study\.toml: 1 mistake\n  - is not valid TOML: .*line 2", 'name = "a"\nfolds 3\n'),
    "unknown key": Row(USAGE, r"- train\.patiance: unknown key; did you mean 'patience'\?", {"train/patiance": 3}),
    "unknown table": Row(USAGE, r"- serch: unknown key; did you mean 'search'\?", {"serch/sampler": "tpe"}),
    "unknown family": Row(
        USAGE, "unknown family 'conv_lstn'; did you mean 'conv_lstm' or 'cnn_lstm'", {"model/family": "conv_lstn"}
    ),
    "unknown hyperparameter": Row(
        USAGE, r"- space\.unit: no such hyperparameter; did you mean 'units'\?", {"space/unit": 3}
    ),
    "every mistake at once": Row(
        USAGE,
        r"study\.toml: 5 mistakes\n  - name: got 'A' .*\n  - split\.by: .*\n  - train\.epochs: unknown key.*\n"
        r"  - budget\.trials: .*\n  - notify: known, but not built yet",
        {"name": "A", "split/by": "subject", "train/epochs": 3, "budget/trials": 0, "notify/url": "x"},
    ),
    "every hyperparameter's mistake at once": Row(
        USAGE,
        r"study\.toml: 2 mistakes\n  - space\.unit: no such .*\n  - space\.dropout: got 2 .*; accepted: a number",
        {"space/unit": 3, "space/dropout": 2},
    ),
    "low above high": Row(
        USAGE, r"- space\.units: low is 8, which is greater than high, 4", {"space/units": {"low": 8, "high": 4}}
    ),
    "log with low 0": Row(
        USAGE,
        r"- space\.units: low is 0, but a log scale needs low above 0",
        {"space/units": {"low": 0, "high": 4, "log": True}},
    ),
    "conditions in a circle": Row(
        USAGE,
        r"- space\.\w+\.when: the conditions form a circle: \w+ -> \w+",
        {
            "space/units": {"low": 4, "high": 8, "when": {"dense_units": 8}},
            "space/dense_units": {"low": 4, "high": 8, "when": {"units": 8}},
        },
    ),
    "key not built yet": Row(USAGE, r"- train\.ema: known, but not built yet; leave it out", {"train/ema": 1}),
    "value not built yet": Row(
        USAGE, r"- search\.sampler: 'gp' is known, but not built yet; accepted: 'tpe'", {"search/sampler": "gp"}
    ),
    # the study file against its data
    "kernel longer than the window": Row(
        USAGE,
        r"- space \(lstm_fcn\): kernels = '9-5-3' has a kernel longer than the windows of 8 time steps",
        UCR | {"model/family": "lstm_fcn", "space": {"kernels": "9-5-3"}},
        pair(),
    ),
    "kernel longer than the sub-window": Row(
        USAGE,
        r"kernel_size = 5 is longer than the sub-windows of 4 time steps \(windows of 8, n_steps = 2\)",
        UCR | {"model/family": "conv_lstm", "space": {"kernel_size": 5, "n_steps": 2}},
        pair(),
    ),
    "divisor that does not divide": Row(
        USAGE,
        r"n_steps = 3 does not divide windows of 8 time steps; these do: 1, 2, 4, 8",
        UCR | {"model/family": "conv_lstm", "space": {"n_steps": 3}},
        pair(),
    ),
    # data files
    "no such pair": Row(DATA, r"files: found no files Tiny_TRAIN and Tiny_TEST", UCR),
    "no such folder": Row(DATA, r"UCI HAR Dataset does not exist; give the folder", HAR),
    "no such home": Row(
        DATA, "cannot read ~nobody-here/x: there is no such home", HAR | {"data/path": "~nobody-here/x"}
    ),
    "no such name of a file": Row(DATA, "cannot read .*: File name too long", HAR | {"data/path": "x" * 300}),
    "no such bundled set": Row(
        DATA, "unknown bundled data set 'BasicMotion': did you mean 'BasicMotions'", {"data/name": "BasicMotion"}
    ),
    "half of a pair": Row(
        DATA,
        r"only Tiny_TRAIN\.txt of the pair is there",
        UCR,
        lambda folder: write_pair(folder / "files").with_name("Tiny_TEST.txt").unlink(),
    ),
    "cut off within a line": Row(
        DATA, r"Tiny_TRAIN\.txt: ragged rows: line 12 has \d values, expected 9", UCR, pair(r" \S+ \S+\n\Z", "")
    ),
    "cut off at a line": Row(DATA, r"body_acc_y_train\.txt has 4 rows, expected 6", HAR, damaged(har.cut_rows)),
    "empty file": Row(DATA, r"body_acc_y_train\.txt is empty", HAR, damaged(har.empty)),
    "one channel missing": Row(
        DATA,
        r"UCI HAR Dataset: 1 of the 22 files are missing: train/Inertial Signals/body_acc_y_train\.txt",
        HAR,
        damaged(lambda root: har.signal(root).unlink()),
    ),
    "every damaged file at once": Row(
        DATA,
        r"body_acc_y_train\.txt has 4 rows.*y_test\.txt has 2 rows",
        HAR,
        damaged(har.cut_rows, har.cut_labels),
    ),
    "NaN": Row(DATA, "train part: 1 NaN or infinite values in 1 of 12 samples", UCR, pair(r" -?\d\S*", " NaN")),
    "infinity": Row(
        DATA, "test part: 1 NaN or infinite values in 1 of 6 samples", UCR, pair(r" -?\d\S*", " inf", "TEST")
    ),
    "ragged rows": Row(DATA, r"Tiny_TRAIN\.txt: ragged rows: line 1 has 8 values", UCR, pair(r" \S+\n", "\n")),
    "one class only": Row(DATA, r"train part: one class only \(1\)", UCR, one_class),
    "windows too short": Row(
        DATA,
        "windows have 5 time steps; the model families need at least 8",
        HAR | {"split/validation": 0.5},
        damaged(),
    ),
    "zip entry with ..": Row(
        DATA, r"not safe to read: '\.\./outside\.txt' has '\.\.' in it", ZIP, zipped(har.entry("../outside.txt"))
    ),
    "zip entry that is a link": Row(
        DATA,
        "not safe to read: 'UCI HAR Dataset/link' is a link",
        ZIP,
        zipped(har.entry("UCI HAR Dataset/link", 0o120777)),
    ),
    "truncated zip": Row(DATA, r"har\.zip: not a readable folder or zip", ZIP, zipped(None)),
    # the split
    "fewer samples than folds": Row(
        DATA, r"12 samples are fewer than 13 folds need \(13\)", UCR | {"split/folds": 13}, pair()
    ),
    "group split without groups": Row(
        DATA, 'the data have no groups; use by = "stratified"', UCR | {"split/by": "group"}, pair()
    ),
    "fewer groups than folds": Row(
        DATA, r"3 groups are fewer than 4 folds need \(4\)", HAR | {"split": {"by": "group", "folds": 4}}, damaged()
    ),
    # places
    "cache that cannot be written": Row(
        DATA,
        r"cannot write the data cache at \S*file/cache: Not a directory.*HPO_CACHE or --cache",
        fault=in_the_way,
        options=("--cache", "file/cache"),
    ),
}
# These concern `hpo launch` alone.
PLACES: dict[str, Row] = {
    "storage in no folder": Row(
        STORAGE,
        r"cannot write the database file/hpo\.db: .*; --storage sqlite:///PATH names another place",
        fault=in_the_way,
        options=("--storage", "sqlite:///file/hpo.db"),
    ),
    "storage that is another file": Row(
        STORAGE,
        "cannot use the database file: file is not a database",
        fault=in_the_way,
        options=("--storage", "sqlite:///file"),
    ),
    "storage in memory": Row(
        STORAGE, "workers are processes and need a file", options=("--storage", "sqlite:///:memory:")
    ),
    "storage without sense": Row(
        STORAGE, "no database address; accepted: sqlite:///PATH", options=("--storage", "here")
    ),
    "storage not built yet": Row(
        STORAGE,
        r"storage mysql://me:\*\*\*@host/db: mysql is known, but not built yet",
        options=("--storage", "mysql://me:secret@host/db"),
    ),
    "server that is not there": Row(
        STORAGE,
        r"cannot reach the database postgresql://me:\*\*\*@127.0.0.1:1/db: ",
        options=("--storage", "postgresql://me:secret@127.0.0.1:1/db"),
    ),
    "artifacts that cannot be written": Row(
        STORAGE,
        "cannot write the trials' files to file/here: Not a directory.*HPO_ARTIFACTS or --artifacts",
        fault=in_the_way,
        options=("--artifacts", "file/here"),
    ),
}


def refused(run: Run, row: Row) -> None:
    """Asserts how the command ended."""
    assert run.code == row.code, run.err
    assert re.search(row.message, run.err, re.DOTALL), run.err
    assert len(re.findall("^Error: ", run.err, re.MULTILINE)) == 1
    assert "Traceback" not in run.err
    assert "secret" not in run.err
    assert run.out == ""


def prepared(folder: Path, row: Row) -> list[str]:
    """Writes the study and its data; returns the arguments for a command in this folder."""
    changes = row.changes
    write(folder, changes if isinstance(changes, str) else changed(TINY, changes))
    if row.fault is not None:
        row.fault(folder)
    return [*row.options] if row.options[:1] == ("other.toml",) else ["study.toml", *row.options]


@pytest.mark.parametrize("name", ROWS)
def test_bad_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The message and the exit code, from `check` and from `launch`; no database is made."""
    monkeypatch.chdir(tmp_path)
    args = prepared(tmp_path, ROWS[name])
    refused(call("check", *args), ROWS[name])
    refused(call("check", *args, "--json"), ROWS[name])
    refused(call("launch", *args), ROWS[name])
    assert not (tmp_path / ".hpo" / "hpo.db").exists()


@pytest.mark.parametrize("name", PLACES)
def test_bad_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A launch that could not keep its results does not begin."""
    monkeypatch.chdir(tmp_path)
    refused(call("launch", *prepared(tmp_path, PLACES[name])), PLACES[name])
    assert not (tmp_path / ".hpo" / "hpo.db").exists()


def test_no_database_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands on a study say where they looked for its database, and make none."""
    monkeypatch.chdir(tmp_path)
    for command in (
        ["status", "x"],
        ["list"],
        ["show", "x", "0"],
        ["logs", "x", "0"],
        ["stop", "x"],
        ["export", "x"],
        ["worker", "x"],
    ):
        refused(call(*command), Row(STORAGE, r"there is no database \.hpo/hpo\.db yet; `hpo launch STUDY\.toml` makes"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_json_log(tmp_path: Path) -> None:
    """With `--log-format json` an error is one object, however many lines its message has."""
    run = call("--log-format", "json", "check", write(tmp_path, changed(TINY, {"name": "A", "split/by": "x"})))
    assert run.code == USAGE
    error = json.loads(run.err.splitlines()[-1])
    assert error["level"] == "error"
    assert "2 mistakes\n  - name: got 'A'" in error["message"]


def test_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """A cache that fills up is named, with what to do; smaller data still go in."""
    study = write(tmp_path, changed(TINY, {"data/name": "ACSF1"}))
    cache = small_disk / "cache"
    row = Row(DATA, rf"cannot write the data cache at {cache}: .*Free some space there.* HPO_CACHE or --cache")
    refused(call("check", study, "--cache", cache), row)
    assert list(cache.glob("*/*/*.npy")) == []
    study = write(tmp_path, changed(TINY, {"data/name": "UnitTest"}))
    assert call("check", study, "--cache", cache, "--no-sizes").code == 0


def test_a_changed_study_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name of a study that exists, neither other data nor another definition is launched."""
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "files")
    study = write(tmp_path, changed(TINY, UCR))
    found = prepare(study, tmp_path / ".hpo" / "cache")
    store = Store("sqlite:///.hpo/hpo.db", create=True)
    store.create(found.definition, spaces=found.spaces, data=found.record, versions={})

    write_pair(tmp_path / "files", seed=1)
    message = r"study 'tiny': the data changed since it was created \(SHA-256 \w{12} then, \w{12} now\)"
    refused(call("launch", study), Row(DATA, message + r".*Put the files back, or choose another name"))

    write_pair(tmp_path / "files")
    write(tmp_path, changed(TINY, UCR | {"split/seed": 1, "space/units": 9, "budget/trials": 99}))
    message = r"study 'tiny' exists with another definition; .*2 mistakes\n"
    refused(call("launch", study), Row(USAGE, message + r"  - split\.seed: 0 -> 1\n  - space\.units\.value: 8 -> 9\n"))
    assert [trial.state for trial in store.trials("tiny")] == ["waiting"]


EXTRAS: dict[str, tuple[list[str], Mapping[str, object], str]] = {
    "pandas": (["check"], UCR, "Reading text data needs pandas"),
    "aeon": (["check"], {}, "The bundled data set BasicMotions needs aeon"),
    "sklearn": (["check"], UCR, "Splitting data needs scikit-learn"),
    "tensorflow": (["launch"], UCR, "Training on this machine needs tensorflow"),
}


@pytest.mark.parametrize("library", EXTRAS)
def test_a_missing_extra_is_named(tmp_path: Path, library: str) -> None:
    """Where a library is not installed, the message says which extra brings it."""
    command, changes, message = EXTRAS[library]
    write_pair(tmp_path / "files")
    write(tmp_path, changed(TINY, changes))
    run = start(tmp_path, *command, "study.toml", hide=[library])
    refused(run, Row(USAGE, message + r", which is not installed\. Install it with: pip install 'hpo\[train\]'"))
    assert not (tmp_path / ".hpo" / "hpo.db").exists()


def test_a_check_needs_no_tensorflow(tmp_path: Path) -> None:
    """Where only data are read, a study is checked all the same, but for the sizes of its models."""
    write_pair(tmp_path / "files")
    write(tmp_path, changed(TINY, UCR))
    run = start(tmp_path, "check", "study.toml", "--json", hide=["tensorflow", "keras"])
    assert run.code == 0, run.err
    assert run.json()["parameters"] is None
