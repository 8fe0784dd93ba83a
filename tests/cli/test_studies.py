"""The study files that come with the project pass `hpo check` where their data are, and say where they are not."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.run import call
from tests.conftest import ROOT

STUDIES = sorted((ROOT / "studies").glob("*.toml"))
PATHS = {study: tomllib.loads(study.read_text("utf-8"))["data"].get("path") for study in STUDIES}
BUNDLED = [study for study, path in PATHS.items() if path is None]
OWN_DATA = [study for study, path in PATHS.items() if path is not None]
# the template's file is made by a page of the documentation: tests/cli/test_own_data.py
REAL_DATA = [study for study in OWN_DATA if study.stem != "own_data"]


@pytest.fixture(scope="module")
def home(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout: studies/, and data/ with the real data sets."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "studies").mkdir()
    (folder / "data").symlink_to(unpacked)
    return folder


def copied(study: Path, folder: Path) -> Path:
    """The study file in another folder: what lies beside the checkout must not matter."""
    folder.mkdir(exist_ok=True)
    copy = folder / study.name
    copy.write_text(study.read_text("utf-8"))
    return copy


@pytest.mark.parametrize("study", BUNDLED, ids=lambda study: study.stem)
def test_studies_without_files_pass(study: Path, tmp_path: Path) -> None:
    """What needs no data of its own is checked on any machine."""
    run = call("check", copied(study, tmp_path / "studies"), "--cache", tmp_path / "cache", "--no-sizes", "--json")
    assert run.code == 0, run.err
    assert run.json()["study"] == study.stem.replace("_", "-")


@pytest.mark.parametrize("study", OWN_DATA, ids=lambda study: study.stem)
def test_studies_say_where_their_data_are_missing(study: Path, tmp_path: Path) -> None:
    """Exit code 3, with the folder that was looked into."""
    copy = copied(study, tmp_path / "studies")
    run = call("check", copy, "--cache", tmp_path / "cache", "--no-sizes")
    assert run.code == 3
    assert re.search(rf"^Error: .*{re.escape(str(copy.parent / str(PATHS[study])))}\b", run.err, re.MULTILINE), run.err
    assert run.out == ""


@pytest.mark.timeout(300)  # the first one unpacks 180 MB of xz, and parses them
@pytest.mark.parametrize("study", REAL_DATA, ids=lambda study: study.stem)
def test_studies_with_files_pass(study: Path, home: Path) -> None:
    """With the real data in their places, the check finds nothing wrong, and every subject in one part only."""
    run = call("check", copied(study, home / "studies"), "--cache", home / "cache", "--no-sizes", "--json")
    assert run.code == 0, run.err
    plan = run.json()
    assert plan["study"] == study.stem.replace("_", "-")
    for fold in plan["split"]["folds"]:
        assert sum(part["windows"] for part in fold.values()) == plan["data"]["n_train"]
        if plan["split"]["by"] == "group":
            owners = [set(part["groups"]) for part in fold.values()]
            assert sum(map(len, owners)) == len(set.union(*owners)) == len(plan["data"]["groups_train"])
