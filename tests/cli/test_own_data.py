"""docs/your-own-data.md: a newcomer who does what it says has a study that ran; and its template leaves no key out."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from hpo.data import csv
from hpo.study_file import Budget, Model, Search, Split, StudyDef, Train
from hpo.study_notify import Notify
from tests.cli.run import Run, call, start
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / "studies" / "own_data.toml").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:] for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
pytestmark = pytest.mark.timeout(300)  # the fixture trains, and waits for TensorFlow where the machine is busy
TABLES: dict[str, type[BaseModel]] = {
    "data": csv.Options, "split": Split, "model": Model, "search": Search, "train": Train, "budget": Budget,
    "notify": Notify,
}  # fmt: skip


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Run]]:
    """A folder in which everything that the page says was done, and how each command ended. Only the budget is less."""
    folder = tmp_path_factory.mktemp("newcomer")
    (made,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run([sys.executable, "-c", made], cwd=folder, check=True)
    (folder / "studies").mkdir()
    less = re.sub(r"^trials = \d+", "trials = 2", TEMPLATE, flags=re.MULTILINE).replace(
        "max_epochs = 30", "max_epochs = 2"
    )
    (folder / "studies" / "own_data.toml").write_text(less.replace('["fcn", "lstm_fcn"]', '"fcn"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HPO_CHECK_SIZES", "false")  # it would start TensorFlow once more
        return folder, [start(folder, *c) if c[0] == "launch" else call(*c) for c in COMMANDS]


def test_the_way_through(followed: tuple[Path, list[Run]]) -> None:
    """Every command of the page succeeds, and says what the page says that it says."""
    folder, runs = followed
    assert [command[0] for command in COMMANDS] == ["data", "check", "launch", "status", "export"]
    for run in runs:
        assert run.code == 0, run.err
    shown, checked, launched, status, _ = (run.out for run in runs)
    assert re.search(r"696 windows .* 174 in the locked test part", shown), shown
    assert "50 time steps x 3 channels: x, y, z" in shown
    assert re.search(
        r"fold 0 +train: \d+ windows, groups [0-7, ]+\n +validation: 174 windows, groups \d, \d *\n", checked
    )
    assert "warning" not in runs[1].err
    assert "best balanced_accuracy" in launched
    assert re.search(r"2 complete|1 complete, 1 pruned", status)
    assert (folder / "best.json").is_file()


def test_the_file_looks_as_the_page_says(followed: tuple[Path, list[Run]]) -> None:
    """The first lines stand in the page."""
    with (followed[0] / "data" / "recordings.csv").open() as file:
        for _ in range(3):
            assert f"    {next(file)}" in PAGE


def test_the_template_as_it_stands(followed: tuple[Path, list[Run]]) -> None:
    """It passes the check, unchanged, with the data of the page, and the labels can be learnt from all classes."""
    study = shutil.copy(ROOT / "studies" / "own_data.toml", followed[0] / "studies" / "whole.toml")
    run = call("check", study, "--cache", followed[0] / ".hpo" / "cache", "--no-sizes", "--json")
    assert run.code == 0, run.err
    assert set(run.json()["data"]["classes_train"]) == {"rest", "run", "walk"}


@pytest.mark.parametrize("table", TABLES)
def test_the_template_explains_every_key(table: str) -> None:
    """Each key of the schema stands in its table, with a word on it; a default that is shown is the real one."""
    text = re.split(rf"^\[{table}\]", TEMPLATE, flags=re.MULTILINE)[1]
    text = re.split(r"^(?:# )?\[", text, flags=re.MULTILINE)[0]
    lines = re.findall(r"^(# )?(\w+) = (.+?)  *# (\w.*)$", text, re.MULTILINE)
    fields = {field.alias or key: field for key, field in TABLES[table].model_fields.items()}
    assert {key for _, key, _, _ in lines} == fields.keys(), "studies/own_data.toml does not go with the schema"
    for shown, key, value, _ in lines:
        default = fields[key].default
        if shown and isinstance(default, bool | int | float | str):
            assert tomllib.loads(f"value = {value}")["value"] == default, key


def test_the_template_knows_all_tables() -> None:
    """A new table of the study file has to join the template, and this test."""
    assert set(TABLES) | {"name", "space"} == set(StudyDef.model_fields)
    assert "# [space]" in TEMPLATE
