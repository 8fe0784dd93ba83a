"""The commands on a real PostgreSQL: migrate first, then everything as on a file; the password stays where it is."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.cli.run import TINY, call, start
from tests.postgres import Server
from tests.study.files import write


@pytest.fixture
def empty(postgres: Server) -> str:
    """The address of an empty database, with a password that the server does not ask for."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    return address.replace("hpo@", "hpo:canary-51c7@")


def test_only_migrate_makes_tables(empty: str, tmp_path: Path) -> None:
    """A launch on an empty server says what to do, exit code 4, and has made nothing."""
    study = write(tmp_path, TINY)
    for _ in range(2):
        run = call("launch", study, "--storage", empty, "--cache", tmp_path / "cache", "--artifacts", tmp_path / "a")
        assert run.code == 4
        assert "has no hpo tables; `hpo migrate` makes them" in run.err
        assert "canary" not in run.out + run.err


def test_six_migrations_at_once(empty: str) -> None:
    """All of them succeed, and there is one set of tables."""
    command = [sys.executable, "-m", "hpo.cli", "migrate", "--storage", empty]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    errors = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, errors
    assert not any("canary" in text for text in errors)
    assert call("list", "--json", "--storage", empty).json() == []


def test_a_study_in_postgresql(empty: str, tmp_path: Path) -> None:
    """Launch, status and export as on a file; no output and no file of the trials has the password."""
    assert call("migrate", "--storage", empty).code == 0
    write(tmp_path, TINY)
    run = start(tmp_path, "launch", "study.toml", "--workers", "1", "--storage", empty)
    assert run.code == 0, run.err
    status = call("status", "tiny", "--json", "--storage", empty)
    assert status.json()["counts"]["complete"] == 2
    exported = call("export", "tiny", "--storage", empty)
    assert exported.json()["value"] == status.json()["best"]["value"]
    assert call("status", "timy", "--storage", empty).code == 2
    outputs = [run.out, run.err, status.out, exported.out, call("status", "timy", "--storage", empty).err]
    outputs += [file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.suffix in (".txt", ".json")]
    assert not any("canary" in text for text in outputs)
