"""Real data sets that come with aeon, by name: no file, no network (BasicMotions, GunPoint, ArrowHead, ...)."""

from importlib.util import find_spec
from pathlib import Path

from hpo.data._dataset import Dataset, make_dataset
from hpo.data._files import read_ts, sha256_of
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


def read(path: Path | None, name: str | None) -> Dataset:
    """Reads a data set from the installed aeon package; never downloads.

    Args:
        path: not used by this source; must be None.
        name: one of `SETS`.

    Raises:
        DataError: a path, no name or an unknown one (with the nearest known).
        MissingExtra: aeon is not installed.
    """
    train, test = _files(path, name)
    x_train, labels_train = read_ts(train)
    x_test, labels_test = read_ts(test)
    channels = tuple(f"channel_{c}" for c in range(x_train[0].shape[-1]))
    return make_dataset(str(name), x_train, labels_train, None, x_test, labels_test, None, channels)


def fingerprint(path: Path | None, name: str | None) -> str:
    """SHA-256 of the two files' contents and the name.

    Raises:
        DataError, MissingExtra: as `read`.
    """
    return sha256_of(_files(path, name), str(name))


def _files(path: Path | None, name: str | None) -> tuple[Path, Path]:
    if path is not None:
        raise DataError(f"bundled data sets come with aeon and take no path, got {path}; give a name instead")
    if name is None:
        raise DataError(f"bundled needs a name: {', '.join(SETS)}")
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
