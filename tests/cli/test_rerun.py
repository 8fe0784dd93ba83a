"""`hpo rerun`, as a user meets it: real trainings, a changed record, changed data."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import Launched, call
from tests.data.files import spoil


@pytest.fixture
def copied(launched: Launched, tmp_path: Path) -> Launched:
    """The launched study with a database, a cache and artifacts of its own."""
    shutil.copytree(launched.folder / ".hpo", tmp_path / ".hpo")
    return Launched(tmp_path, launched.run, launched.notes)


def doctor(study: Launched, number: int, **changes: str) -> None:
    """Changes what a trial's record says of versions."""
    with sqlite3.connect(study.folder / ".hpo" / "hpo.db") as connection:
        where = f"from hpo_trials where number = {number}"
        outcome = json.loads(connection.execute(f"select outcome {where}").fetchone()[0])
        outcome["versions"].update(changes)
        connection.execute("update hpo_trials set outcome = ? where number = ?", (json.dumps(outcome), number))
    connection.close()


def files(folder: Path) -> dict[str, int]:
    """Every file and when it was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_real_trial_comes_back(copied: Launched) -> None:
    """Weights and curves are equal to the last bit; what the record says otherwise is named; nothing is overwritten."""
    doctor(copied, 1, tensorflow="2.0.1")
    before = copied.store().trials("tiny"), files(copied.folder / ".hpo" / "artifacts")
    run = copied.call("rerun", "tiny", "1", "--json", "-o", copied.folder / "again")
    assert run.code == 0, run.err
    found = run.json()
    assert (found["verdict"], found["came_back"], found["notes"]) == ("exact", True, [])
    then, now = found["then"], found["now"]
    assert (now["weights_sha256"], now["curve_sha256"]) == (then["weights_sha256"], then["curve_sha256"])
    assert now["value"] == then["value"] == before[0][1].value
    assert found["differences"] == [{"what": "tensorflow", "then": "2.0.1", "now": now["versions"]["tensorflow"]}]
    assert {"family", "code", "cpu", "device", "keras"} <= then["versions"].keys()
    assert {"curves.json", "report.json", "log.txt"} <= {file.name for file in (copied.folder / "again").iterdir()}
    assert (copied.store().trials("tiny"), files(copied.folder / ".hpo" / "artifacts")) == before


def test_a_damaged_array_is_named(copied: Launched) -> None:
    """With one byte of the cache changed nothing is trained: exit code 3 and the file."""
    (array,) = (copied.folder / ".hpo" / "cache" / "splits").glob("*/fold-0/train/x.npy")
    spoil(array)
    run = copied.call("rerun", "tiny", "0")
    assert run.code == 3
    assert f"{array} has another content than was written" in run.err
    assert run.out == ""


def test_a_place_that_holds_something_is_refused(copied: Launched) -> None:
    """The files of a training never go between others, and not over the trial's own."""
    folder = copied.folder / ".hpo" / "artifacts" / "tiny" / "0"
    run = copied.call("rerun", "tiny", "0", "-o", folder)
    assert (run.code, run.out) == (2, "")
    assert f"{folder} is not empty" in run.err


def test_ctrl_c_ends_it(launched: Launched, tmp_path: Path) -> None:
    """Exit code 130, and no process stays."""
    command = [sys.executable, "-m", "hpo.cli", "rerun", "tiny", "0"]
    with subprocess.Popen(command, cwd=launched.folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "training trial 0 of study tiny again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_a_study_of_another_machine(copied: Launched, tmp_path: Path) -> None:
    """Without the arrays nothing can be said: exit code 3, and what to do."""
    run = call("rerun", "tiny", "0", "--storage", copied.url, "--cache", tmp_path / "empty")
    assert run.code == 3
    assert "Launch the study again on this machine" in run.err
