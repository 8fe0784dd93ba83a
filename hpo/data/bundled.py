"""Real data sets that come with aeon, by name: no file, no network (BasicMotions, GunPoint, ArrowHead, ...)."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field

from hpo.data._dataset import Raw, RawPart
from hpo.data._files import read_ts, sha256_of
from hpo.data._source import SourceOptions
from hpo.errors import DataError, MissingExtra, nearest

SETS = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "UnitTest",
)


class Options(SourceOptions):
    """Which of them."""

    source: Literal["bundled"] = "bundled"
    name: str = Field(min_length=1, description="the name of a data set that comes with aeon")


def read(options: Options) -> Raw:
    """Reads a data set from the installed aeon package; never downloads.

    Raises:
        DataError: an unknown name (with the nearest known).
        MissingExtra: aeon is not installed.
    """
    train, test = _files(options.name)
    x_train, labels_train = read_ts(train)
    x_test, labels_test = read_ts(test)
    channels = tuple(f"channel_{c}" for c in range(x_train[0].shape[-1]))
    return Raw(options.name, RawPart(x_train, labels_train), RawPart(x_test, labels_test), channels)


def fingerprint(options: Options) -> str:
    """SHA-256 of the two files' contents and the name.

    Raises:
        DataError, MissingExtra: as `read`.
    """
    return sha256_of(_files(options.name), options.name)


def _files(name: str) -> tuple[Path, Path]:
    if name not in SETS:
        raise DataError(f"unknown bundled data set {name!r}: {nearest(name, SETS)}")
    spec = find_spec("aeon")  # finds it without importing it, which would take seconds
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("aeon", "train", f"The bundled data set {name}")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name
    files = folder / f"{name}_TRAIN.ts", folder / f"{name}_TEST.ts"
    lost = [str(file) for file in files if not file.is_file()]
    if lost:
        raise DataError(f"this version of aeon does not bring {' and '.join(lost)}; install aeon 1.6 or later 1.x")
    return files
