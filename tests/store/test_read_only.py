"""A database in a folder that cannot be written: a disk mounted to be read, an archive, a colleague's folder."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpo.store import Claims, Store
from tests.cli.run import Run, call
from tests.support import FAST, create, definition, work_off

LOOKS = (["status", "s"], ["list"], ["show", "s", "1"], ["export", "s"], ["report", "s"])


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder, and what makes it one that cannot be written: root may write anywhere but to a disk mounted so."""
    root = os.geteuid() == 0
    place: Path = request.getfixturevalue("disks")("4m") if root else tmp_path

    def allow(mode: int) -> None:
        for path in (place, *(path for path in place.rglob("*") if path.is_dir())):
            path.chmod(mode)

    def freeze() -> None:
        if root:
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        else:
            allow(0o555)

    yield place, freeze
    if not root:
        allow(0o755)


def look(path: Path, out: Path) -> list[Run]:
    """What the commands that look say of a database."""
    runs = []
    for words in LOOKS:
        options = ["-o", str(out / "s.html"), "--artifacts", str(out)] if words[0] == "report" else []
        runs.append(call(*words, *options, "--storage", f"sqlite:///{path}"))
    return runs


def ended(path: Path) -> Store:
    """A study that has ended."""
    store = Store(f"sqlite:///{path}", create=True)
    create(store, definition(budget={"trials": 2}))
    work_off(Claims(store, "s", "a", FAST))
    return store


def test_what_nobody_works_on(
    folder: tuple[Path, Callable[[], None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Everything that looks works, whatever the file's name."""
    place, freeze = folder
    ended(place / "100% of ü.db").close()
    freeze()
    for run in look(place / "100% of ü.db", tmp_path_factory.mktemp("out")):
        assert run.code == 0, run.err
    refused = call("stop", "s", "--storage", f"sqlite:///{place / '100% of ü.db'}")
    assert refused.code == 4
    assert "Traceback" not in refused.err


def test_what_somebody_works_on(
    folder: tuple[Path, Callable[[], None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The newest state is read beside those who write, or it is said why not and what helps, which does help."""
    place, freeze = folder
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    with ended(work / "hpo.db"):
        for name in ("whole", "half"):
            (place / name).mkdir()
            for file in work.glob("hpo.db*"):
                if file.is_file() and not (name == "half" and file.suffix == ".db-shm"):
                    shutil.copy(file, place / name)
    freeze()
    for run in look(place / "whole" / "hpo.db", out):
        assert run.code == 0, run.err
    for run in look(place / "half" / "hpo.db", out):
        assert (run.code, run.out) == (4, "")
        assert "Copy hpo.db and hpo.db-wal to a folder of yours" in run.err
    for name in ("hpo.db", "hpo.db-wal"):
        shutil.copy(place / "half" / name, out)
    for run in look(out / "hpo.db", out):
        assert run.code == 0, run.err
