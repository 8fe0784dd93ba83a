"""Recordings in a parquet file, a row for each time step: as csv, but smaller and faster to read."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from hpo.data._dataset import Raw
from hpo.data._files import sha256_of
from hpo.data._lazy import library
from hpo.data._long import LongTable, Rows, from_frame
from hpo.data._recordings import to_raw
from hpo.errors import DataError


class Options(LongTable):
    """The same as of csv, but for the separator."""

    source: Literal["parquet"] = "parquet"


def read(options: Options) -> Raw:
    """Reads the file, and the test part's, and cuts windows.

    Raises:
        DataError: a file is missing, no parquet file, lacks a column or holds text where numbers belong; or rows that
            make no samples.
        MissingExtra: pyarrow is not installed.
    """
    return to_raw(options, partial(_rows, options))


def fingerprint(options: Options) -> str:
    """SHA-256 of the files.

    Raises:
        DataError: one of them cannot be read.
    """
    return sha256_of(options.files(), Path(options.path).stem)


def _rows(options: Options, path: Path, channels: Sequence[str] | None) -> tuple[list[str], Rows]:
    pyarrow = library("pyarrow.parquet", "pyarrow", "Reading a parquet file", "parquet")
    try:
        names, others = options.columns(pyarrow.read_schema(path).names, path, channels)
        table = pyarrow.read_table(path, columns=[*names, *others.values()])
        frame = table.to_pandas(ignore_metadata=True)  # else columns that were a frame's index would be one again
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # pyarrow's own are kinds of these
        raise DataError(f"{path}: no parquet file that can be read: {error}") from error
    return names, from_frame(frame, names, others, path)
