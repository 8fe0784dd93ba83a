"""A data set of the UCR/UEA archives from files: NAME_TRAIN and NAME_TEST as .tsv, .txt, .ts or .arff.

Each line of .tsv and .txt is a label and then one channel; .ts and .arff may have several channels.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from hpo.data._dataset import Raw, RawPart
from hpo.data._files import Labels, Samples, read_arff, read_table, read_ts, sha256_of
from hpo.data._source import SourceOptions
from hpo.errors import DataError, nearest

# In the order in which they are looked for: all of them hold the same numbers, and the first two parse fastest.
SUFFIXES = (".tsv", ".txt", ".ts", ".arff")
_PAIR = re.compile(r"(?P<name>.+)_(TRAIN|TEST)(?P<suffix>\.tsv|\.txt|\.ts|\.arff)")


class Options(SourceOptions):
    """Where they lie.

    Attributes:
        path: the folder of the pair, or one with a folder per data set; or the pair's beginning, such as
            ``data/Earthquakes/Earthquakes``; or one of its two files, to choose among several formats.
        name: which data set of the folder; None where the folder holds one, or is called like it.
    """

    source: Literal["ucr"] = "ucr"
    path: str = Field(min_length=1, description="a folder with NAME_TRAIN and NAME_TEST, their beginning, or one file")
    name: str | None = Field(None, min_length=1, description="the name of one data set of the folder")


def read(options: Options) -> Raw:
    """Reads the data set.

    Raises:
        DataError: no such pair (with the nearest names), one of its files missing, empty, ragged or not numbers.
        MissingExtra: pandas (.tsv, .txt) or aeon (.ts, .arff) is not installed.
    """
    prefix, suffix = _pair(Path(options.path), options.name)
    read_file = {".ts": read_ts, ".arff": read_arff}.get(suffix, _read_table)
    x_train, labels_train = read_file(_file(prefix, "TRAIN", suffix))
    x_test, labels_test = read_file(_file(prefix, "TEST", suffix))
    count = x_train[0].shape[-1] if len(x_train) else 0
    channels = tuple(f"channel_{c}" for c in range(count))
    return Raw(prefix.name, RawPart(x_train, labels_train), RawPart(x_test, labels_test), channels)


def fingerprint(options: Options) -> str:
    """SHA-256 of the pair's contents, its name and its format.

    Raises:
        DataError: as `read`, as far as it can be seen without parsing.
    """
    prefix, suffix = _pair(Path(options.path), options.name)
    files = [_file(prefix, part, suffix) for part in ("TRAIN", "TEST")]
    return sha256_of(files, prefix.name, suffix)


def _file(prefix: Path, part: str, suffix: str) -> Path:
    return prefix.with_name(f"{prefix.name}_{part}{suffix}")


def _read_table(path: Path) -> tuple[Samples, Labels]:
    table = read_table(lambda: path.open("rb"), str(path))
    if table.shape[1] < 2:
        raise DataError(f"{path}: {table.shape[1]} column, expected a label and then the series, between white space")
    # A number may be written 1, 1.0 or 1.0000000e+00: `make_dataset` calls all of them "1".
    return table[:, 1:, None], table[:, 0].astype(str).tolist()


def _pair(path: Path, name: str | None) -> tuple[Path, str]:
    """The pair's beginning (folder and name) and its suffix."""
    chosen = _PAIR.fullmatch(path.name)
    if chosen and path.is_file():
        prefix, suffixes = path.with_name(chosen["name"]), [chosen["suffix"]]
    else:
        prefix, suffixes = (_in_folder(path, name) if path.is_dir() else path), list(SUFFIXES)
    if name is not None and prefix.name != name:
        raise DataError(f"{path} is the data set {prefix.name!r}, but name says {name!r}; leave one of them out")
    halves = []
    for suffix in suffixes:
        there = {part: _file(prefix, part, suffix).is_file() for part in ("TRAIN", "TEST")}
        if all(there.values()):
            return prefix, suffix
        halves += [_file(prefix, part, suffix).name for part, found in there.items() if found]
    wanted = f"{prefix.name}_TRAIN and {prefix.name}_TEST with the ending {' or '.join(suffixes)}"
    if halves:
        raise DataError(f"{prefix.parent}: only {', '.join(halves)} of the pair is there; expected {wanted}")
    missing = "" if path.exists() else f"there is no folder {path}, and "
    raise DataError(f"{missing}{prefix.parent}: found no files {wanted}")


def _in_folder(folder: Path, name: str | None) -> Path:
    """The beginning of the pair that is meant."""
    found = {
        match["name"]: file.with_name(match["name"])
        for file in sorted([*folder.glob("*/*_TRAIN.*"), *folder.glob("*_TRAIN.*")])
        if (match := _PAIR.fullmatch(file.name))
    }
    if not found:
        raise DataError(f"{folder}: no NAME_TRAIN.tsv, .txt, .ts or .arff in it or in its folders")
    if name is None:
        if len(found) > 1 and folder.name not in found:
            raise DataError(f"{folder} holds several data sets; say which by name: {', '.join(sorted(found))}")
        return found[folder.name] if folder.name in found else next(iter(found.values()))
    if name not in found:
        raise DataError(f"{folder} holds no data set {name!r}: {nearest(name, found)}")
    return found[name]
