"""What tests of bad input share: rows of mistakes, and how a refusal looks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.run import TINY, Run
from tests.study.files import REMOVE, changed, write

UCR = {"data/source": "ucr", "data/path": "files/Tiny", "data/name": REMOVE}
HAR = {"data/source": "uci_har", "data/path": "UCI HAR Dataset", "data/name": REMOVE}
ZIP = HAR | {"data/path": "har.zip"}
USAGE, DATA, STORAGE = 2, 3, 4


@dataclass(frozen=True)
class Row:
    """One mistake.

    Attributes:
        message: regular expression; ``.`` matches the ends of lines too.
        changes: of the tiny study's keys, or the whole file.
        fault: makes and damages data files in the study's folder.
        options: of the command.
    """

    code: int
    message: str
    changes: Mapping[str, object] | str = field(default_factory=dict)
    fault: Callable[[Path], object] | None = None
    options: tuple[str, ...] = ()


def in_the_way(folder: Path) -> None:
    """A file where a folder is wanted."""
    (folder / "file").write_text("no database, no folder")


def refused(run: Run, row: Row) -> None:
    """Asserts how the command ended."""
    assert run.code == row.code, run.err
    assert re.search(row.message, run.err, re.DOTALL), run.err
    assert len(re.findall("^Error: ", run.err, re.MULTILINE)) == 1
    assert "Traceback" not in run.err
    assert "secret" not in run.err
    assert run.out == ""


def prepared(folder: Path, row: Row) -> list[str]:
    """Writes the study and its data; returns the arguments for a command in this folder."""
    changes = row.changes
    write(folder, changes if isinstance(changes, str) else changed(TINY, changes))
    if row.fault is not None:
        row.fault(folder)
    return [*row.options] if row.options[:1] == ("other.toml",) else ["study.toml", *row.options]
