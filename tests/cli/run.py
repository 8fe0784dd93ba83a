"""Commands as a test runs them: in this process where that will do, in one of its own where it matters."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from hpo.cli import main
from hpo.store import Store

SITE = Path(__file__).parent / "site"
# As small as a study can be that really trains: two trials of two epochs of a tiny LSTM.
TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "bundled", "name": "BasicMotions"},
    "split": {"by": "stratified"},
    "model": {"family": "lstm"},
    "space": {"units": 8, "layers": 1, "bidirectional": False, "dense_units": 8},
    "search": {"sampler": "random", "pruner": "none"},
    "train": {"max_epochs": 2},
    "budget": {"trials": 2},
}


@dataclass(frozen=True)
class Run:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document that stdout holds."""
        return json.loads(self.out, parse_constant=refuse)


def refuse(constant: str) -> None:
    """NaN and Infinity are no JSON, whatever Python thinks of it."""
    raise ValueError(f"{constant} is no JSON")


def call(*args: str | Path, **environment: str) -> Run:
    """The command in this process. An exception that it lets out, which a user would see as a traceback, comes here."""
    log = logging.getLogger("hpo")
    before = log.handlers, log.level, log.propagate
    hooks = sys.excepthook, threading.excepthook
    try:
        result = CliRunner().invoke(main, [str(arg) for arg in args], prog_name="hpo", env=environment)
    finally:
        # what the command set up writes to a stream that is gone
        log.handlers, log.level, log.propagate = before
        sys.excepthook, threading.excepthook = hooks
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Run(result.exit_code, result.stdout, result.stderr)


def start(
    folder: Path,
    *args: str | Path,
    hide: Sequence[str] = (),
    notes: Path | None = None,
    watched: Path | None = None,
) -> Run:
    """The command in a process of its own.

    Args:
        folder: where it is started.
        args: of the command.
        hide: modules that it and its children shall not find.
        notes: file for notes on what they import and open; see tests/cli/site/sitecustomize.py.
        watched: folder whose files are watched; None watches none.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(SITE),
        "WATCH_HIDE": ",".join(hide),
        "WATCH_NOTES": str(notes or ""),
        "WATCH_FOLDER": str(watched or ""),
    }
    done = subprocess.run(
        [sys.executable, "-m", "hpo.cli", *map(str, args)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def read_notes(notes: Path) -> list[dict[str, Any]]:
    """What the watched processes noted, in order."""
    return [json.loads(line) for line in notes.read_text().splitlines()]


@dataclass(frozen=True)
class Launched:
    """A study that was launched and has ended: its folder, the launch, and the notes on its processes."""

    folder: Path
    run: Run
    notes: list[dict[str, Any]]

    @property
    def url(self) -> str:
        """Of the database, which lies at the default place."""
        return f"sqlite:///{self.folder / '.hpo' / 'hpo.db'}"

    def call(self, *args: str | Path) -> Run:
        """A command on the study's database, artifacts and data cache, in this process."""
        place = self.folder / ".hpo"
        return call(*args, HPO_STORAGE=self.url, HPO_ARTIFACTS=str(place / "artifacts"), HPO_CACHE=str(place / "cache"))

    def store(self) -> Store:
        """The study's database."""
        return Store(self.url)
