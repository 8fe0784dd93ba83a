"""Data as the commands tell of them: keys of sources, notes, the warning of windows that overlap, kinds of splits."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.prepare import prepare
from tests.cli.run import TINY, Run, call
from tests.study.files import changed, write


def signal(folder: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Twelve recordings of 60 steps and 2 channels, three of each of four people, as a csv file and as an array."""
    x = np.random.default_rng(0).normal(size=(12, 60, 2)).round(4)
    with (folder / "own.csv").open("w") as file:
        file.write("id,x,y,who,what,part\n")
        for k, recording in enumerate(x):
            part = "validation" if k < 6 else "train"
            file.writelines(f"r{k},{a},{b},p{k // 3},{'walk' if k % 2 else 'rest'},{part}\n" for a, b in recording)
    return x


CSV = {"source": "csv", "path": "own.csv", "series": "id", "channels": ["x", "y"], "label": "what", "length": 20}


def study(folder: Path, data: dict[str, object], **split: object) -> Path:
    """The tiny study on such data."""
    return write(folder, changed(TINY, {"data": data, "split": split}))


def check(folder: Path, data: dict[str, object], **split: object) -> Run:
    """The check of such a study."""
    run = call("check", study(folder, data, **split), "--cache", folder / "cache", "--no-sizes", "--json")
    assert run.code == 0, run.err
    return run


def test_overlapping_windows_drawn_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows that windows overlap, `check` and `launch` name the share; with groups there is no warning."""
    monkeypatch.chdir(tmp_path)
    x = signal(tmp_path)
    windows = np.concatenate([[recording[a : a + 20] for a in (0, 10, 20, 40)] for recording in x])
    y, who = np.repeat(np.arange(12) % 2, 4), np.repeat(np.arange(12) // 3, 4)
    npz: dict[str, object] = {"source": "npz", "path": "own.npz"}
    message = r"36 of 48 windows \(75\.0%\) share time steps with another one, .* Better "
    np.savez(tmp_path / "own.npz", X=windows, y=y)
    run = check(tmp_path, npz, by="stratified")
    assert re.search(r"^warning: " + message + "bring groups", run.err, re.MULTILINE)
    assert re.match(message, run.json()["warnings"][0])
    launched = call("launch", study(tmp_path, npz, by="stratified"), "--dry-run", "--cache", tmp_path / "cache")
    assert re.search(r"^warning: " + message, launched.err, re.MULTILINE)
    np.savez(tmp_path / "own.npz", X=windows, y=y, groups=who)
    assert re.search(message + 'use by = "group"', check(tmp_path, npz, by="stratified").err)
    run = check(tmp_path, npz, by="group")
    assert "warning" not in run.err
    assert run.json()["warnings"] == []


@pytest.mark.parametrize("folds", [1, 3])
def test_overlapping_windows_that_know_it(tmp_path: Path, folds: int) -> None:
    """Windows of a csv file that overlap lie in one part with all others of their recording; nobody is warned."""
    signal(tmp_path)
    data = CSV | {"stride": 5}
    run = check(tmp_path, data, by="stratified", folds=folds)
    assert run.json()["warnings"] == []
    found = prepare(tmp_path / "study.toml", tmp_path / "cache")
    recordings = found.data.train.recordings
    assert recordings is not None
    for fold in found.split.folds:
        owners = [set(recordings[part].tolist()) for part in fold.parts().values()]
        assert sum(map(len, owners)) == len(set.union(*owners)) == 12


def two_parts(folder: Path, who: list[int], who_test: list[int]) -> dict[str, object]:
    """Windows of some people, and of others or the same in the test part."""
    x = np.random.default_rng(1).normal(size=(len(who) + len(who_test), 20, 2))
    test: dict[str, Any] = {"X_test": x[len(who) :], "y_test": np.arange(len(who_test)) % 2, "groups_test": who_test}
    np.savez(folder / "own.npz", X=x[: len(who)], y=np.arange(len(who)) % 2, groups=who, **test)
    return {"source": "npz", "path": "own.npz"}


def test_groups_in_the_test_part(tmp_path: Path) -> None:
    """Where the split promises that nobody lies in two parts, the test part is one of them: it is refused, with who and
    what to do. Where it promises nothing, `check` warns; where all are others, it says nothing.
    """
    npz = two_parts(tmp_path, [1, 1, 2, 2, 3, 3], [4, 4])
    assert "warning" not in check(tmp_path, npz, by="group").err
    npz = two_parts(tmp_path, [1, 1, 2, 2, 3, 3], [3, 1, 4])
    for by in ("group", "leave-one-group-out"):
        run = call("check", study(tmp_path, npz, by=by), "--cache", tmp_path / "cache", "--no-sizes")
        assert run.code == 3
        assert f'groups 1, 3 lie in the training part and in the test part, and by = "{by}" promises' in run.err
        assert "Move all windows of a group into one of the two parts" in run.err
    run = check(tmp_path, npz, by="stratified", validation=0.4)
    assert re.match("groups 1, 3 lie in the training part and in the test part: the test", run.json()["warnings"][0])


@pytest.mark.parametrize("same", [True, False])
def test_recordings_in_the_test_part(tmp_path: Path, same: bool) -> None:
    """Recordings that are torn apart by the column of parts are refused; those of another file, and the blocks of each
    part, only have the same names.
    """
    signal(tmp_path)
    table = (tmp_path / "own.csv").read_text()
    data: dict[str, object]
    if same:
        lines = table.splitlines(keepends=True)
        torn = [line.replace("train", "test") if k % 60 > 30 else line for k, line in enumerate(lines)]
        (tmp_path / "own.csv").write_text("".join(torn))
        data = CSV | {"part": "part"}
    else:
        x = np.random.default_rng(3).normal(size=(720, 2))
        other = [
            ",".join([line.split(",")[0], *map(str, row), *line.split(",")[3:]])
            for line, row in zip(table.splitlines()[1:], x, strict=True)
        ]
        (tmp_path / "other.csv").write_text("\n".join([table.splitlines()[0], *other]))
        data = CSV | {"test_path": "other.csv"}
    run = call("check", study(tmp_path, data, by="group"), "--cache", tmp_path / "cache", "--no-sizes")
    assert run.code == (3 if same else 0), run.err
    assert ("lie in the training part and in the test part" in run.err) is same


def test_copies_in_the_test_part(tmp_path: Path) -> None:
    """Windows of the test part that trained too are counted when the files are read, and named each time."""
    x = np.random.default_rng(1).normal(size=(8, 20, 2))
    test: dict[str, Any] = {"X_test": np.concatenate([x[2:4], x[:2] + 1]), "y_test": [0, 1, 0, 1]}
    np.savez(tmp_path / "own.npz", X=x, y=np.arange(8) % 2, **test)
    for _ in range(2):
        (warning,) = check(tmp_path, {"source": "npz", "path": "own.npz"}, by="stratified").json()["warnings"]
        assert warning.startswith("2 of 4 windows of the test part (50.0%) are in the training part too")


@pytest.mark.parametrize(
    ("split", "validated"),
    [
        ({"by": "leave-one-group-out"}, [[0], [1], [2], [3]]),
        ({"by": "predefined"}, [[0, 1]]),
        ({"by": "group", "folds": 2, "repeats": 2}, None),
    ],
)
def test_folds(tmp_path: Path, split: dict[str, object], validated: list[list[int]] | None) -> None:
    """The plan shows each fold's groups, and the study's record knows how many folds there are."""
    signal(tmp_path)
    plan = check(tmp_path, CSV | {"group": "who", "part": "part"}, **split).json()
    folds = [fold["validation"]["groups"] for fold in plan["split"]["folds"]]
    assert len(folds) == (len(validated) if validated else 4)
    assert validated is None or folds == validated
    assert prepare(tmp_path / "study.toml", tmp_path / "cache").record.folds == len(folds)


def test_show_takes_the_keys_of_a_source(tmp_path: Path) -> None:
    """Numbers, lists and words are given as in a study file; notes and names of groups are shown."""
    signal(tmp_path)
    keys = ["series=id", "label='what'", 'channels=["x", "y"]', "length=25", "group=who"]
    options = [word for key in keys for word in ("--set", key)]
    run = call("data", "show", "csv", tmp_path / "own.csv", *options, "--cache", tmp_path / "cache")
    assert run.code == 0, run.err
    assert "24 windows to train and validate on" in run.out
    assert "25 time steps x 2 channels: x, y" in run.out
    assert "groups are numbered: 0 = p0, 1 = p1" in run.out
    run = call("data", "show", "csv", tmp_path / "own.csv", "--set", "lable=what", "--cache", tmp_path / "cache")
    assert run.code == 2
    assert re.search(r"2 mistakes\n.*data\.label: is missing.*\n.*data\.lable: unknown key of source 'csv'", run.err)
    run = call("data", "show", "csv", tmp_path / "own.csv", "--set", "label")
    assert (run.code, "--set label: accepted: KEY=VALUE" in run.err) == (2, True)
