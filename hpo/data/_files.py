"""The kinds of text that data sources read: tables of numbers, by pandas, and .ts and .arff files, by aeon."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data._lazy import library
from hpo.errors import DataError

Numbers = NDArray[np.float64]
Samples = Numbers | list[Numbers]
"""(n, timesteps, channels), or n arrays (timesteps, channels) that may differ in length."""
Labels = list[str]


def read_table(opened: Callable[[], IO[bytes]], shown: str) -> Numbers:
    """Numbers between white space, one sample a line.

    Args:
        opened: opens the file anew, as bytes; called a second time only to explain what is wrong.
        shown: the file's name in messages.

    Returns: float64 (lines, columns). A value that says NaN, or a question mark, is NaN.

    Raises:
        DataError: empty, not numbers, or lines of different length; names the file and the first such line.
        MissingExtra: pandas is not installed.
    """
    pandas = library("pandas", "pandas", "Reading text data")
    try:
        with opened() as file:
            # round_trip: the nearest double, as Python's float() gives it, so that all layouts give equal arrays.
            frame = pandas.read_csv(
                file, sep=r"\s+", header=None, dtype=np.float64, na_values=["?"], float_precision="round_trip"
            )
    except pandas.errors.EmptyDataError as error:
        raise DataError(f"{shown} is empty") from error
    except (pandas.errors.ParserError, ValueError) as error:
        raise DataError(_odd_line(opened, shown) or f"{shown}: not a table of numbers: {error}") from error
    values: Numbers = frame.to_numpy(dtype=np.float64)
    if np.isnan(values[:, -1]).any():
        # pandas fills short lines with NaN.
        problem = _odd_line(opened, shown)
        if problem:
            raise DataError(problem)
    return values


def _odd_line(opened: Callable[[], IO[bytes]], shown: str) -> str | None:
    """A sentence on the first line that is not as long as most; None where all are alike."""
    with opened() as file:
        lengths = [(number, len(line.split())) for number, line in enumerate(file, start=1)]
    lengths = [(number, length) for number, length in lengths if length]
    if not lengths:
        return f"{shown} is empty"
    usual = Counter(length for _, length in lengths).most_common(1)[0][0]
    odd = [(number, length) for number, length in lengths if length != usual]
    if not odd:
        return None
    number, length = odd[0]
    return (
        f"{shown}: ragged rows: line {number} has {length} values, expected {usual} as in most lines "
        f"({len(odd)} such lines); the file is cut off, or it has samples of different length, which have to be filled "
        "up with NaN here"
    )


def read_ts(path: Path) -> tuple[Samples, Labels]:
    """A .ts file of the UCR and UEA archives, by aeon's loader, which is never asked to download anything.

    Returns: samples, (n, timesteps, channels) or a list of n arrays (timesteps, channels) where the file says that
    lengths differ; and n class names, spelt as in the file's header.

    Raises:
        DataError: missing or unreadable, lines of different length, time stamps, or targets instead of classes.
        MissingExtra: aeon is not installed.
    """
    spelling = _header(path)
    loader = library("aeon.datasets", "aeon", "Reading .ts files").load_from_ts_file
    try:
        x, labels = loader(str(path))
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path}: ragged rows, or not a .ts file that aeon can read: {error}") from error
    # aeon gives (channels, timesteps) for each sample.
    samples: Any = np.swapaxes(x, 1, 2) if isinstance(x, np.ndarray) and x.ndim == 3 else [s.T for s in x]
    # aeon turns all text into lower case; the header still knows better.
    return samples, [spelling.get(str(label), str(label)) for label in labels]


def read_arff(path: Path) -> tuple[Samples, Labels]:
    """An .arff file of the UCR and UEA archives, by aeon's loader.

    Returns: samples (n, timesteps, channels) and n class names.

    Raises:
        DataError: missing or unreadable, lines of different length, or a last attribute that is no list of classes.
        MissingExtra: aeon is not installed.
    """
    attributes = []
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                words = line.split(maxsplit=2)
                if words and words[0].lower() == "@attribute":
                    attributes.append(line)
                elif words and words[0].lower() == "@data":
                    break
            else:
                raise DataError(f"{path}: not an .arff file, it has no @data line")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not attributes or not attributes[-1].rstrip().endswith("}"):
        raise DataError(f"{path}: its last attribute is no list of classes ({{a,b}}); only classification is built")
    loader = library("aeon.datasets", "aeon", "Reading .arff files").load_from_arff_file
    try:
        x, labels = loader(str(path))
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path}: ragged rows, or not an .arff file that aeon can read: {error}") from error
    return np.swapaxes(x, 1, 2), [str(label).strip("'\"") for label in labels]


def sha256_of(files: Iterable[Path], *marks: str) -> str:
    """SHA-256 over `marks` and the files' contents, in this order.

    Raises:
        DataError: a file cannot be read.
    """
    total = hashlib.sha256("\0".join(marks).encode())
    for path in files:
        try:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()


def _header(path: Path) -> dict[str, str]:
    """Class names of a .ts file's header: in lower case -> as written."""
    flags: dict[str, Sequence[str]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if words and words[0].startswith("@"):
                    flags[words[0].lower()] = words[1:]
                    if words[0].lower() == "@data":
                        break
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if "@data" not in flags:
        raise DataError(f"{path}: not a .ts file, it has no @data line")
    if [w.lower() for w in flags.get("@timestamps", ())] == ["true"]:
        # aeon 1.6 drops minus signs and whole numbers there.
        raise DataError(f"{path}: .ts files with time stamps are not built yet; save it without them")
    label = flags.get("@classlabel", ())
    if not label or label[0].lower() != "true":
        raise DataError(f"{path}: no class labels (@classLabel true ...); only classification is built")
    names = {name.lower(): name for name in label[1:]}
    if len(names) < len(label) - 1:
        raise DataError(f"{path}: class names that differ only in upper and lower case: {' '.join(label[1:])}")
    return names
