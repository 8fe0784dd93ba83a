"""The one real study that the tests of the commands share."""

from pathlib import Path

import pytest

from tests.cli.run import TINY, Launched, read_notes, start
from tests.study.files import write


def launch(folder: Path, *options: str) -> Launched:
    """Launches the tiny study in a folder, with options of `hpo` itself, and waits for its end."""
    run = start(
        folder, *options, "launch", write(folder, TINY).name, "--workers", "1",
        notes=folder / "notes", watched=folder / ".hpo" / "cache",
    )  # fmt: skip
    return Launched(folder, run, read_notes(folder / "notes"))


@pytest.fixture(scope="session")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """The tiny study, launched once for the session."""
    return launch(tmp_path_factory.mktemp("launched"))


@pytest.fixture(scope="session")
def again(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """The same study, launched in a folder of its own, with a log in JSON."""
    return launch(tmp_path_factory.mktemp("again"), "--log-format", "json")
