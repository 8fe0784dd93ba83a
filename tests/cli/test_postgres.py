"""The commands on a real PostgreSQL: migrate first, then everything as on a file. The study itself: test_secrets.py."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.cli.run import TINY, call
from tests.postgres import Server
from tests.study.files import write


@pytest.fixture
def empty(postgres: Server) -> str:
    """The address of an empty database."""
    return postgres.database(f"t{uuid.uuid4().hex}")


def test_only_migrate_makes_tables(empty: str, tmp_path: Path) -> None:
    """A launch on an empty server says what to do, exit code 4, and has made nothing."""
    study = write(tmp_path, TINY)
    for _ in range(2):
        run = call("launch", study, "--storage", empty, "--cache", tmp_path / "cache", "--artifacts", tmp_path / "a")
        assert run.code == 4
        assert "has no hpo tables; `hpo migrate` makes them" in run.err


def test_six_migrations_at_once(empty: str) -> None:
    """All of them succeed, and there is one set of tables and of roles."""
    command = [sys.executable, "-m", "hpo.cli", "migrate", "--storage", empty]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    errors = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, errors
    assert call("list", "--json", "--storage", empty).json() == []
