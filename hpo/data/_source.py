"""What a source of data is: the keys of `[data]` that it knows, and two functions. Importing one is cheap."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self, cast

from pydantic import Field, field_validator

from hpo import folders
from hpo.data._dataset import Dataset, Raw, make_dataset
from hpo.data._missing import Missing
from hpo.errors import DataError, UsageError, nearest
from hpo.study_table import Table, check_known


class SourceOptions(Table):
    """A `[data]` table. Each source's `Options` gives `source` its own name and adds the keys that it reads.

    A key called `path`, or whose name ends in `_path`, is a path: relative to the study file, and free to change under
    an old name, for what lies there is told apart by its content.
    """

    source: str = Field(description="the name of a module in hpo/data")
    missing: Missing | None = Field(None, description="'interpolate' or 'zero'; leave it out to refuse missing values")

    @field_validator("source")
    @classmethod
    def _known(cls, value: str) -> str:
        check_known("source", [value], folders.names("data"))
        return value

    def at(self, base: Path) -> Self:
        """The same, with paths relative to `base` made paths of their own, and ``~`` a home folder.

        Raises:
            DataError: there is no such home folder.
        """
        try:
            return self.model_copy(update={k: str(base / Path(v).expanduser()) for k, v in self._paths().items()})
        except RuntimeError as error:
            raise DataError(f"cannot read {self.place()}: there is no such home folder") from error

    def place(self) -> str:
        """Where or what the data are, for messages: the first path, else the name, else the source."""
        return next(iter(self._paths().values()), str(getattr(self, "name", None) or self.source))

    def settings(self) -> dict[str, Any]:
        """Everything but the paths, JSON-ready: two tables with the same settings read the same files alike."""
        return {k: v for k, v in self.model_dump(mode="json").items() if not is_path(k)}

    def same_groups(self) -> bool:
        """Whether a group of the test part that is called like one of the training part is the same one."""
        return True

    def _paths(self) -> dict[str, str]:
        return {k: v for k, v in self if is_path(k) and v is not None}


def is_path(key: str) -> bool:
    """Whether a key of `[data]` is a path, by its name."""
    return key == "path" or key.endswith("_path")


class Source(Protocol):
    """What a module of this folder offers."""

    Options: type[SourceOptions]

    def read(self, options: Any) -> Raw:
        """What the files hold; `make_dataset` checks it, maps labels and computes the hash.

        Args:
            options: of the module's own type, its paths absolute or relative to the working directory.

        Raises:
            DataError: the files are missing or damaged.
            MissingExtra: the library that reads them is not installed.
        """

    def fingerprint(self, options: Any) -> str:
        """SHA-256 of the raw files, without parsing them: the cache asks it to see whether it has to.

        Raises:
            DataError: as `read`, as far as it can be seen without parsing.
        """


def get(name: str) -> Source:
    """The source of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in folders.names("data"):
        raise UsageError(f"unknown data source {name!r}; {nearest(name, folders.names('data'))}")
    return cast(Source, import_module(f"hpo.data.{name}"))


def read(options: SourceOptions) -> Dataset:
    """The data set, read from its files and checked.

    Raises:
        DataError: the files are missing, damaged or not usable.
        MissingExtra: the library that reads them is not installed.
    """
    return make_dataset(get(options.source).read(options), options.missing)


def tables() -> dict[str, type[SourceOptions]]:
    """Every source's name -> its `[data]` table."""
    return {name: get(name).Options for name in folders.names("data")}
