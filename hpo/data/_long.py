"""Long tables, a row for each time step, as csv and parquet have them: the keys of `[data]` that say what is what."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from hpo.data._source import SourceOptions
from hpo.data._windows import Rule
from hpo.errors import DataError, nearest

_COLUMN = "the name of a column"
_COUNT = "a whole number from 1"


class LongTable(SourceOptions):
    """Which column is what, and how windows are cut. docs/sources.md has a table of these keys."""

    path: str = Field(min_length=1, description="a file with a row for each time step")
    test_path: str | None = Field(None, min_length=1, description="another such file, which is the test part")
    label: str = Field(min_length=1, description=_COLUMN)
    series: str | None = Field(None, min_length=1, description=_COLUMN)
    time: str | None = Field(None, min_length=1, description=_COLUMN)
    group: str | None = Field(None, min_length=1, description=_COLUMN)
    part: str | None = Field(None, min_length=1, description=_COLUMN)
    channels: tuple[str, ...] | None = Field(None, min_length=1, description="a list of names of different columns")
    length: int | None = Field(None, ge=1, description=_COUNT)
    stride: int | None = Field(None, ge=1, description=_COUNT)
    label_rule: Rule = Field("majority", description="'majority', 'last' or 'pure'")
    blocks: int = Field(1, ge=1, description=_COUNT)

    @field_validator("channels")
    @classmethod
    def _different(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError(f"got {list(value)}; every channel counts once")
        if value is not None and "" in value:
            raise ValueError(f"got {list(value)}; every channel has a name")
        return value

    @model_validator(mode="after")
    def _together(self) -> "LongTable":
        wrong = []
        if self.length is None:
            # not whether they were given: what is stored of a study has every default written out
            given = {"stride": self.stride is not None, "blocks": self.blocks > 1}
            wrong += [f"{key} has no effect without length" for key, there in given.items() if there]
        if self.blocks > 1 and self.group is not None:
            wrong.append("blocks makes groups of its own; leave out blocks or group")
        if self.part is not None and self.test_path is not None:
            wrong.append("part and test_path both say what the test part is; leave out one of them")
        named = [*self.roles().values(), *(self.channels or ())]
        wrong += [f"column {name!r} is named twice" for name in dict.fromkeys(named) if named.count(name) > 1]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def same_groups(self) -> bool:
        """Recordings of another file may be numbered anew, and the blocks of each part are."""
        return self.group is not None or (self.test_path is None and self.blocks == 1)

    def files(self) -> list[Path]:
        """The file, and the test part's if there is one."""
        return [Path(self.path), *([] if self.test_path is None else [Path(self.test_path)])]

    def roles(self) -> dict[str, str]:
        """What each column that is no channel is for -> its name."""
        named = {role: getattr(self, role) for role in ("label", "series", "time", "group", "part")}
        return {role: column for role, column in named.items() if column is not None}

    def columns(
        self, header: Sequence[str], path: Path, channels: Sequence[str] | None
    ) -> tuple[list[str], dict[str, str]]:
        """The names of the channels, and role -> name of all other columns that are needed, found in a file's header.

        Args:
            channels: of the training part, where the file is the test part's.

        Raises:
            DataError: the file lacks a column, has one twice, or a channel has no name.
        """
        others = self.roles()
        free = [c for place, c in enumerate(header) if c not in others.values() and not _counts_rows(place, c)]
        names = list(channels or self.channels or free)
        needed = [*others.values(), *names]
        wrong = [f"no column {c!r}; {nearest(c, header)}" for c in needed if c not in header]
        wrong += [f"two columns are called {c!r}" for c in dict.fromkeys(needed) if header.count(c) > 1]
        if "" in names:
            wrong.append(
                f"column {header.index('', 1) + 1} has no name; write one into the first line, take out "
                "a separator at its end, or say in channels which columns you mean"
            )
        if not names:
            wrong.append("no column is left for the channels")
        if wrong:
            raise DataError(f"{path}: " + "; ".join(wrong))
        return names, others


def _counts_rows(place: int, name: str) -> bool:
    """Whether a column is the index without a name that pandas writes beside a frame, to csv or to parquet."""
    return (place == 0 and not name) or re.fullmatch(r"__index_level_\d+__", name) is not None


@dataclass(frozen=True, eq=False)
class Column:
    """A column of text that repeats itself.

    Attributes:
        codes: int64 (rows,), the place of each row's text in `texts`.
        texts: (k,), sorted; what is missing is "".
    """

    codes: NDArray[np.int64]
    texts: NDArray[np.str_]

    def at(self, rows: NDArray[np.integer]) -> NDArray[np.str_]:
        """The texts of some rows."""
        return np.asarray(self.texts[self.codes[rows]], dtype=np.str_)


@dataclass(frozen=True, eq=False)
class Rows:
    """One file's rows.

    Attributes:
        values: float32 (rows, channels); what is missing is NaN.
        columns: role, as of `LongTable.roles` but for `time`, and in any case `series` -> the column.
        times: (rows,) numbers, or text that sorts as it reads; None where the rows stand in their order.
    """

    values: NDArray[np.float32]
    columns: dict[str, Column]
    times: NDArray[np.float64] | NDArray[np.str_] | None

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Rows":
        """Some of the rows, or all of them in another order."""
        columns = {role: Column(column.codes[chosen], column.texts) for role, column in self.columns.items()}
        return Rows(self.values[chosen], columns, None if self.times is None else self.times[chosen])


def from_frame(frame: Any, channels: Sequence[str], others: Mapping[str, str], path: Path) -> Rows:
    """The rows of a pandas frame.

    Args:
        others: role -> column, as of `LongTable.columns`.

    Raises:
        DataError: a channel holds something that is no number, or times.
    """
    wrong = []
    values = np.empty((len(frame), len(channels)), dtype=np.float32)
    for i, name in enumerate(channels):
        if frame[name].dtype.kind in "mM":  # which NumPy takes for numbers, counted since 1970
            wrong.append(f"column {name!r} holds times; say so by time, or say in channels which columns you mean")
            continue
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf and is refused later
                values[:, i] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError):
            wrong.append(_first_text(frame[name], name))
    if wrong:
        raise DataError(f"{path}: " + "; ".join(wrong))
    columns = {role: _column(frame[name]) for role, name in others.items() if role != "time"}
    columns.setdefault("series", Column(np.zeros(len(frame), dtype=np.int64), np.array([path.stem])))
    return Rows(values, columns, _times(frame[others["time"]]) if "time" in others else None)


def _first_text(column: Any, name: str) -> str:
    for row, value in enumerate(column):
        try:
            float(value)
        except (ValueError, TypeError):
            return f"column {name!r} holds {str(value)!r} in row {row + 1}, which is no number"
    return f"column {name!r} holds no numbers"


def _column(column: Any) -> Column:
    category = column.astype("category").cat
    texts = np.array([_text(value) for value in category.categories], dtype=np.str_)
    sorted_texts, codes = np.unique(np.append(texts, ""), return_inverse=True)
    # pandas says -1 where nothing is, and that is the "" appended last
    return Column(codes.astype(np.int64)[category.codes.to_numpy()], sorted_texts)


def _text(value: Any) -> str:
    """A value as a csv file would have it: 3.0, into which a gap turns a 3 in a column of whole numbers, is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _times(column: Any) -> NDArray[np.float64] | NDArray[np.str_]:
    """Numbers where all are numbers, else text; NaN or "" where there is none."""
    lost = column.isna().to_numpy()
    try:
        # a time stamp that is missing would be a number too, the least of all
        return np.where(lost, np.nan, column.to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError):
        return np.where(lost, "", np.array([str(value).strip() for value in column], dtype=np.str_))
