"""Bad places and a bad state of affairs: folders, databases, disks, studies that exist, extras that are missing."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hpo.prepare import prepare
from hpo.store import Store
from tests.cli.bad import DATA, STORAGE, UCR, USAGE, Row, in_the_way, prepared, refused
from tests.cli.run import TINY, call, start
from tests.data.files import write_pair
from tests.study.files import changed, write

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
        r"storage mysql://me@host/db: mysql is known, but not built yet",
        options=("--storage", "mysql://me@host/db"),
    ),
    "password on the command line": Row(
        USAGE,
        r"the password in --storage can be read by everybody .* HPO_STORAGE, --storage-file",
        options=("--storage", "postgresql://me:secret@host/db"),
    ),
    "server that is not there": Row(
        STORAGE,
        r"cannot reach the database postgresql://me@127.0.0.1:1/db: ",
        options=("--storage", "postgresql://me@127.0.0.1:1/db"),
    ),
    "artifacts that cannot be written": Row(
        STORAGE,
        "cannot write the trials' files to .*/file/here: Not a directory.*HPO_ARTIFACTS or --artifacts",
        fault=in_the_way,
        options=("--artifacts", "file/here"),
    ),
}


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
        ["rerun", "x", "0"],
        ["export", "x"],
        ["worker", "x"],
    ):
        refused(call(*command), Row(STORAGE, r"there is no database \.hpo/hpo\.db yet; `hpo launch STUDY\.toml` makes"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("show", "tiny", "abc"),
            "Invalid value for 'TRIAL': 'abc' is not a valid integer. Try 'hpo show --help' for help.",
        ),
        (
            ("evaluate", "tiny", "--seeds", "abc"),
            "Invalid value for '--seeds': 'abc' is not a valid integer. Try 'hpo evaluate --help' for help.",
        ),
        (("launch",), "Missing argument 'STUDY.toml'. Try 'hpo launch --help' for help."),
        (("evalute", "tiny"), "No such command 'evalute'."),
    ],
)
def test_a_wrong_command_line_in_json(args: tuple[str, ...], message: str) -> None:
    """With `--log-format json` what click refuses is one object too, and names no kind of value that nobody knows."""
    run = call("--log-format", "json", *args)
    assert (run.code, run.out) == (2, "")
    said = json.loads(run.err)
    assert said["level"] == "error"
    assert said["message"].startswith(message)
    assert "range" not in said["message"]
    assert run.err.count("\n") == 1


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
    "cmaes": (["check"], UCR | {"search/sampler": "cmaes"}, "The sampler 'cmaes' needs cmaes"),
}


@pytest.mark.parametrize("library", EXTRAS)
def test_a_missing_extra_is_named(tmp_path: Path, library: str) -> None:
    """Where a library is not installed, the message says which extra brings it."""
    command, changes, message = EXTRAS[library]
    write_pair(tmp_path / "files")
    write(tmp_path, changed(TINY, changes))
    run = start(tmp_path, *command, "study.toml", hide=[library])
    refused(
        run, Row(USAGE, message + r", which is not installed\. In a checkout of hpo: pip install '\.\[(train|cmaes)\]'")
    )
    assert not (tmp_path / ".hpo" / "hpo.db").exists()


def test_a_check_needs_no_tensorflow(tmp_path: Path) -> None:
    """Where only data are read, a study is checked all the same, but for the sizes of its models."""
    write_pair(tmp_path / "files")
    write(tmp_path, changed(TINY, UCR))
    run = start(tmp_path, "check", "study.toml", "--json", hide=["tensorflow", "keras"])
    assert run.code == 0, run.err
    assert run.json()["parameters"] is None
