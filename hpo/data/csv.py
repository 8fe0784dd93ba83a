"""Recordings in a csv file, a row for each time step: by column names, whole or cut into windows."""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hpo.data._dataset import Raw
from hpo.data._files import sha256_of
from hpo.data._lazy import library
from hpo.data._long import LongTable, Rows, from_frame
from hpo.data._recordings import to_raw
from hpo.errors import DataError

# what counts as a missing value; in a column of text nothing but emptiness does, for "NA" may be a name
MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"]


class Options(LongTable):
    """Also how the columns are separated."""

    source: Literal["csv"] = "csv"
    separator: str = Field(",", min_length=1, max_length=1, description="one character")


def read(options: Options) -> Raw:
    """Reads the file, and the test part's, and cuts windows.

    Raises:
        DataError: a file is missing, empty, no table, lacks a column or holds text where numbers belong; or rows that
            make no samples.
        MissingExtra: pandas is not installed.
    """
    return to_raw(options, partial(_rows, options))


def fingerprint(options: Options) -> str:
    """SHA-256 of the files.

    Raises:
        DataError: one of them cannot be read.
    """
    return sha256_of(options.files(), Path(options.path).stem)


def _rows(options: Options, path: Path, channels: Sequence[str] | None) -> tuple[list[str], Rows]:
    pandas = library("pandas", "pandas", "Reading a csv file")
    common: dict[str, Any] = {
        "sep": options.separator,
        "encoding": "utf-8-sig",
        "skipinitialspace": True,
        "keep_default_na": False,  # else a column that is called NA would have no name
    }
    try:
        header = [str(name) for name in pandas.read_csv(path, **common, header=None, nrows=1, dtype=str).loc[0]]
        names, others = options.columns(header, path, channels)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # that values beyond the header are dropped
            frame = pandas.read_csv(
                path,
                **common,
                low_memory=False,  # else a column may get another type in each piece of the file
                index_col=False,  # else a line that is longer than the header would shift all columns
                dtype=dict.fromkeys(others.values(), "category") | ({others["time"]: str} if "time" in others else {}),
                na_values=dict.fromkeys(names, MISSING),
                float_precision="round_trip",
            )
    except pandas.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty") from error
    except (OSError, ValueError, OverflowError, pandas.errors.ParserWarning) as error:
        raise DataError(f"{path}: no csv file that can be read: {error}") from error
    return names, from_frame(frame, names, others, path)
