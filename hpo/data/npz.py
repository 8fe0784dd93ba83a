"""Your own arrays in one .npz file: X, y and, where there are any, groups, a test part and folds."""

import lzma
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpo.bundle.arrays import UNREADABLE
from hpo.bundle.zips import DAMAGED
from hpo.data._dataset import Raw, RawPart
from hpo.data._files import sha256_of
from hpo.data._labels import as_texts, sorted_labels
from hpo.data._source import SourceOptions
from hpo.errors import DataError, nearest
from hpo.labels import decoded

REQUIRED = ("X", "y")
OPTIONAL = ("groups", "fold", "X_test", "y_test", "groups_test", "channels", "classes")
Arrays = dict[str, NDArray[np.generic]]


class Options(SourceOptions):
    """Where it lies."""

    source: Literal["npz"] = "npz"
    path: str = Field(min_length=1, description="an .npz file with the arrays X and y")


def read(options: Options) -> Raw:
    """Reads the arrays; nothing in the file is ever unpickled.

    Raises:
        DataError: no .npz file, a damaged one, arrays that are missing, unknown, of Python objects or of a wrong shape;
            all that is found is reported.
    """
    path = Path(options.path)
    arrays = _load(path)
    problems = _problems(arrays)
    if problems:
        raise DataError(f"{path}: " + "; ".join(problems))
    train = RawPart(_windows(arrays["X"]), arrays["y"], arrays.get("groups"), arrays.get("fold"))
    test = None
    if "X_test" in arrays:
        test = RawPart(_windows(arrays["X_test"]), arrays["y_test"], arrays.get("groups_test"))
    count = _windows(arrays["X"]).shape[2]
    channels = arrays["channels"].tolist() if "channels" in arrays else [f"channel_{c}" for c in range(count)]
    return Raw(path.stem, train, test, [str(channel) for channel in channels], _class_names(arrays))


def fingerprint(options: Options) -> str:
    """SHA-256 of the file.

    Raises:
        DataError: there is none, or it is no .npz file with these arrays.
    """
    path = Path(options.path)
    _names(path)
    return sha256_of([path], path.stem)


def _names(path: Path) -> list[str]:
    """The names of the arrays, without reading any."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no .npz file that can be read (numpy.savez makes one): {error}") from error
    missing = [name for name in REQUIRED if name not in names]
    missing += [f"{name}_test" for name in REQUIRED if "X_test" in names or "y_test" in names or "groups_test" in names]
    problems = [f"there is no array {name!r}" for name in missing if name not in names]
    known = (*REQUIRED, *OPTIONAL)
    problems += [f"unknown array {name!r}; {nearest(name, known)}" for name in names if name not in known]
    if problems:
        raise DataError(f"{path}: " + "; ".join(problems))
    return names


def _load(path: Path) -> Arrays:
    arrays: Arrays = {}
    problems = []
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            for name in _names(path):
                try:
                    arrays[name] = decoded(file[name])
                except UNREADABLE as error:
                    problems.append(
                        f"array {name!r} cannot be read ({error}); save numbers or text, "
                        f"for example {name} = numpy.array([...], dtype=str), and no Python objects"
                    )
    except (*DAMAGED, lzma.LZMAError, MemoryError) as error:
        raise DataError(f"{path}: damaged: {error}") from error
    if problems:
        raise DataError(f"{path}: " + "; ".join(problems))
    return arrays


def _problems(arrays: Arrays) -> list[str]:
    problems = []
    for name in ("X", "X_test"):
        if name in arrays and arrays[name].ndim not in (2, 3):
            problems.append(
                f"{name} has the shape {arrays[name].shape}, expected (samples, time steps, channels), "
                "or (samples, time steps) for one channel"
            )
        elif name in arrays and arrays[name].dtype.kind not in "fiub":
            problems.append(f"{name} holds no numbers but {arrays[name].dtype}")
    problems += [
        f"{name} has the shape {array.shape}, expected one dimension"
        for name, array in arrays.items()
        if name not in ("X", "X_test") and array.ndim != 1
    ]
    fold = arrays.get("fold")
    if fold is not None and (fold.dtype.kind not in "iu" or (fold.size and int(fold.min()) < -1)):
        problems.append("fold must hold whole numbers: the fold that a sample validates, from 0, or -1")
    if problems:
        return problems
    shapes = {name: _windows(arrays[name]).shape[1:] for name in ("X", "X_test") if name in arrays}
    if len({channels for _, channels in shapes.values()}) > 1:
        problems.append(f"X has {shapes['X'][1]} channels, X_test {shapes['X_test'][1]}")
    if "channels" in arrays and len(arrays["channels"]) != shapes["X"][1]:
        problems.append(f"there are {len(arrays['channels'])} names in channels, but X has {shapes['X'][1]} channels")
    labels = sorted_labels(as_texts(arrays["y"]), [])
    if "classes" in arrays and len(arrays["classes"]) != len(labels):
        problems.append(
            f"there are {len(arrays['classes'])} names in classes, but {len(labels)} labels in y ({', '.join(labels)})"
        )
    return problems


def _windows(x: NDArray[np.generic]) -> NDArray[np.generic]:
    """(n, timesteps, channels), whichever of the two forms it has in the file."""
    return x[:, :, None] if x.ndim == 2 else x


def _class_names(arrays: Arrays) -> dict[str, str]:
    if "classes" not in arrays:
        return {}
    return dict(zip(sorted_labels(as_texts(arrays["y"]), []), map(str, arrays["classes"].tolist()), strict=True))
