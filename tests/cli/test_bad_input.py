"""Bad input as a user meets it: a message that names it, the exit code of its kind, and never a traceback.

Each row is refused by `hpo check` and, with the same words, by `hpo launch`, which then has created no study.
"""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.bad import DATA, HAR, UCR, USAGE, ZIP, Row, in_the_way, prepared, refused
from tests.cli.run import call
from tests.data import har_files as har
from tests.data.files import write_pair


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


CSV = {"source": "csv", "path": "own.csv", "label": "what"}
MAIL = {"email_to": ["ada@example.org"], "email_from": "hpo@example.org", "smtp_host": "mail.example.org"}
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
        r"  - budget\.trials: .*\n  - notify\.url: unknown key",
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
    "secret in the file": Row(
        USAGE, r"- notify\.webhook: unknown key; did you mean 'webhook_env'", {"notify/webhook": "https://x/y"}
    ),
    "mail without a server": Row(USAGE, r"- notify: e-mail needs email_to and smtp_host", {"notify/email_to": ["a@b"]}),
    "password in clear": Row(
        USAGE,
        r"smtp_tls = 'none' would send a password in clear",
        {"notify": MAIL | {"smtp_user": "u", "smtp_password_env": "HPO_P", "smtp_tls": "none"}},
    ),
    "hyperparameter in the wrong table": Row(
        USAGE, r"- train\.ema: is a hyperparameter; it belongs into \[space\]", {"train/ema": 0.9}
    ),
    "value not built yet": Row(
        USAGE, r"- search\.sampler: sampler 'gp' is known, but not built yet; known: ", {"search/sampler": "gp"}
    ),
    "a grid without end": Row(
        USAGE,
        r"- space\.dropout: the sampler 'grid' tries every value, and a range of decimal numbers has no end of them; "
        r".*\n  - space\.learning_rate: ",
        {"search/sampler": "grid"},
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
    "rotation without threes": Row(
        USAGE,
        r"- space\.rotation: turns channels in threes .* if yours are, say so: train\.triples = true",
        {"space/rotation": 15},
    ),
    "threes that are none": Row(
        USAGE,
        r"- train\.triples: these windows have 1 channels, which are no threes.*space\.rotation: turns",
        UCR | {"train/triples": True, "space/rotation": [0, 15]},
        pair(),
    ),
    "noise that scaling undoes": Row(
        USAGE,
        r"- space\.scaling_noise: has no effect with train\.scaling = 'sample'",
        {"space/scaling_noise": {"low": 0, "high": 0.2}, "train/scaling": "sample"},
    ),
    "more augmentation than there is": Row(
        USAGE,
        r"- space\.time_mask: got 2 \(whole number\); accepted: a number from 0 up to 0.9",
        {"space/time_mask": 2},
    ),
    # data files
    "no such pair": Row(DATA, r"files: found no files Tiny_TRAIN and Tiny_TEST", UCR),
    "no such folder": Row(DATA, r"UCI HAR Dataset does not exist; give the folder", HAR),
    "no such home": Row(
        DATA, "cannot read ~nobody-here/x: there is no such home", HAR | {"data/path": "~nobody-here/x"}
    ),
    "no such name of a file": Row(DATA, "cannot read .*: File name too long", HAR | {"data/path": "x" * 300}),
    "no csv file": Row(DATA, r"cannot read own\.csv: No such file", {"data": CSV}),
    "a csv file without the column": Row(
        DATA,
        r"own\.csv: no column 'what'; did you mean 'wat'",
        {"data": CSV},
        lambda folder: (folder / "own.csv").write_text("x,wat\n1,a\n"),
    ),
    "keys of csv that contradict each other": Row(
        USAGE, r"- data: stride has no effect without length", {"data": CSV | {"stride": 3}}
    ),
    "no npz file": Row(
        DATA,
        r"own\.npz: no \.npz file that can be read",
        {"data": {"source": "npz", "path": "own.npz"}},
        lambda folder: (folder / "own.npz").write_text("X, y"),
    ),
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
    "NaN": Row(DATA, r"train part: 1 missing values \(NaN\) in 1 of 12 samples", UCR, pair(r" -?\d\S*", " NaN")),
    "infinity": Row(
        DATA,
        r"test part: 1 infinite values, or beyond 3\.4e\+38, the largest of float32, in 1 of 6 samples",
        UCR,
        pair(r" -?\d\S*", " inf", "TEST"),
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
    "a group left out where there is none": Row(
        DATA,
        "leave-one-group-out split is not possible: the data have no groups",
        UCR | {"split/by": "leave-one-group-out"},
        pair(),
    ),
    "no predefined split": Row(DATA, "the source brings no split", UCR | {"split/by": "predefined"}, pair()),
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


@pytest.mark.parametrize("name", ROWS)
def test_bad_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The message and the exit code, from `check` and from `launch`; no database is made."""
    monkeypatch.chdir(tmp_path)
    args = prepared(tmp_path, ROWS[name])
    refused(call("check", *args), ROWS[name])
    refused(call("check", *args, "--json"), ROWS[name])
    refused(call("launch", *args), ROWS[name])
    assert not (tmp_path / ".hpo" / "hpo.db").exists()
