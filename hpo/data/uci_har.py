"""UCI HAR: smartphone windows of 30 people, from the original text layout as a folder or as the published zip.

128 steps (2.56 s at 50 Hz), 9 channels, 6 activities; the groups are the subjects. Neighbouring windows overlap by
half, so only a split by subject is honest. Anguita et al., "A Public Domain Dataset for Human Activity Recognition
Using Smartphones", ESANN 2013.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from hpo.data import _archive
from hpo.data._dataset import Raw, RawPart
from hpo.data._files import Numbers, read_table
from hpo.data._source import SourceOptions
from hpo.errors import DataError

# Accelerations in g (total = body + gravity), angular velocities in rad/s.
CHANNELS = tuple(f"{kind}_{axis}" for kind in ("total_acc", "body_acc", "body_gyro") for axis in "xyz")
NAMES = "activity_labels.txt"


def _files(part: str) -> dict[str, str]:
    """What each file of a part holds -> its name."""
    files = {"labels": f"{part}/y_{part}.txt", "subjects": f"{part}/subject_{part}.txt"}
    return files | {channel: f"{part}/Inertial Signals/{channel}_{part}.txt" for channel in CHANNELS}


REQUIRED = tuple(file for part in ("train", "test") for file in _files(part).values())


class Options(SourceOptions):
    """Where it lies."""

    source: Literal["uci_har"] = "uci_har"
    path: str = Field(min_length=1, description='the folder "UCI HAR Dataset", one that contains it, or the zip')


def read(options: Options) -> Raw:
    """Reads the data set.

    Raises:
        DataError: missing or cut-off files (all of them are listed), an unsafe or damaged zip.
        MissingExtra: pandas is not installed.
    """
    with _opened(Path(options.path)) as (tree, root):
        problems: list[str] = []
        train = _read_part(tree, root, "train", problems)
        test = _read_part(tree, root, "test", problems)
        if problems:
            raise DataError(f"{options.path}: " + "; ".join(problems))
        names = _activity_names(tree, root)
    return Raw("uci_har", RawPart(*train), RawPart(*test), CHANNELS, names)


def fingerprint(options: Options) -> str:
    """SHA-256 of the files' contents.

    Raises:
        DataError: as `read`, as far as it can be seen without parsing.
    """
    with _opened(Path(options.path)) as (tree, root):
        optional = [NAMES] if root + NAMES in tree.names() else []
        return _archive.digest(tree, [root + file for file in [*REQUIRED, *optional]])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[_archive.Tree, str]]:
    with _archive.open_tree(path) as tree:
        root = _archive.find_root(tree, REQUIRED)
        there = set(tree.names())
        missing = [file for file in REQUIRED if root + file not in there]
        if missing:
            raise DataError(f"{path}: {len(missing)} of the {len(REQUIRED)} files are missing: {', '.join(missing)}")
        yield tree, root


def _read_part(tree: _archive.Tree, root: str, part: str, problems: list[str]) -> tuple[Numbers, Numbers, Numbers]:
    """Samples (n, timesteps, 9), labels (n,) and subjects (n,) of a part; what is wrong goes into `problems`."""
    tables: dict[str, Numbers] = {}
    for kind, file in _files(part).items():
        try:
            tables[kind] = read_table(partial(tree.open, root + file), tree.show(root + file))
        except DataError as error:
            problems.append(str(error))
    _compare(part, tables, problems)
    if problems:
        return np.empty((0, 0, 0)), np.empty(0), np.empty(0)
    x = np.stack([tables[channel] for channel in CHANNELS], axis=2)
    return x, tables["labels"][:, 0], tables["subjects"][:, 0]


def _compare(part: str, tables: dict[str, Numbers], problems: list[str]) -> None:
    """All files of a part must have the same number of rows, and all channels the same number of columns."""
    if not tables:
        return
    rows = Counter(len(table) for table in tables.values()).most_common(1)[0][0]
    steps = Counter(tables[c].shape[1] for c in CHANNELS if c in tables).most_common(1)
    for kind, table in tables.items():
        file = _files(part)[kind]
        if len(table) != rows:
            problems.append(f"{file} has {len(table)} rows, expected {rows} as in most files; is it cut off?")
        columns = steps[0][0] if kind in CHANNELS else 1
        if table.shape[1] != columns:
            problems.append(f"{file} has {table.shape[1]} columns, expected {columns}")


def _activity_names(tree: _archive.Tree, root: str) -> dict[str, str]:
    """Label -> activity, from lines such as ``1 WALKING``; labels that no line names keep their number."""
    if root + NAMES not in tree.names():
        return {}
    with tree.open(root + NAMES) as file:
        lines = [line.split() for line in file.read().decode("utf-8", errors="replace").splitlines()]
    return {words[0]: words[1] for words in lines if len(words) == 2}
