"""Labels and groups as sources bring them, numbers or text, made whole numbers."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpo.errors import DataError
from hpo.labels import as_label, decoded, number

Texts = NDArray[np.str_]
IntArray = NDArray[np.int64]


def as_texts(labels: ArrayLike) -> Texts:
    """Labels (n,) as text, without white space around them.

    Raises:
        DataError: they are bytes, but no UTF-8 text.
    """
    try:
        array = decoded(np.asarray(labels))
    except UnicodeDecodeError as error:
        raise DataError(f"labels are bytes that are no UTF-8 text: {error}") from error
    if array.ndim != 1:
        return array.astype(np.str_)
    values, inverse = np.unique(array.astype(np.str_) if array.dtype == object else array, return_inverse=True)
    return np.array([str(v).strip() for v in values], dtype=np.str_)[inverse]


def sorted_labels(texts: Texts, problems: list[str]) -> list[str]:
    """The distinct labels of a training part: as numbers where all of them are numbers, as text otherwise."""
    labels = {str(t) for t in np.unique(texts)}
    numbers = {label: number(label) for label in labels}
    lost = [
        label
        for label, value in numbers.items()
        if not label or (isinstance(value, float) and not math.isfinite(value))
    ]
    if lost:
        problems.append(f"train part: missing labels ({', '.join(repr(label) for label in sorted(lost))})")
        labels -= set(lost)
    values = {value for label in labels if (value := numbers[label]) is not None}
    if any(numbers[label] is None for label in labels):
        return sorted(labels)
    return [str(value) for value in sorted(values)]


def encode(part: str, texts: Texts, known: Sequence[str], problems: list[str]) -> IntArray:
    """Labels as their place in `known`, int64 (n,); -1 for those that are not in it."""
    numbers = {label: k for k, label in enumerate(known)}
    values, inverse = np.unique(texts, return_inverse=True)
    codes = [numbers.get(str(v), numbers.get(as_label(str(v)), -1)) for v in values]
    unseen = [as_label(str(v)) for v, code in zip(values, codes, strict=True) if code < 0]
    if unseen and part == "test":
        problems.append(
            f"test part: labels never seen in training: {', '.join(unseen)} (training has: {', '.join(known)})"
        )
    return np.array(codes, dtype=np.int64)[inverse]


def numbered(found: Mapping[str, ArrayLike], problems: list[str], notes: list[str]) -> dict[str, IntArray]:
    """Groups of all parts as int64: whole numbers, also as text, as they are; other text by its place."""
    arrays = {part: np.asarray(groups) for part, groups in found.items()}
    if any(array.dtype.kind in "UO" for array in arrays.values()):
        arrays = {part: array.astype(np.str_) for part, array in arrays.items()}
        names = np.unique(np.concatenate([array.ravel() for array in arrays.values()]))
        if all(re.fullmatch(r"0|-?[1-9]\d{0,15}", name) for name in names):
            return {part: array.astype(np.int64) for part, array in arrays.items()}
        notes.append("groups are numbered: " + ", ".join(f"{k} = {name}" for k, name in enumerate(names)))
        return {part: np.searchsorted(names, array).astype(np.int64) for part, array in arrays.items()}
    return {part: _whole(f"{part} part: groups", array, problems) for part, array in arrays.items()}


def _whole(what: str, array: NDArray[np.generic], problems: list[str]) -> IntArray:
    # Text files give floats; beyond 2**53 those are no longer exact.
    if array.dtype.kind in "iu" or (
        array.dtype.kind == "f" and bool(np.all((np.abs(array) < 2**53) & (array == np.floor(array))))
    ):
        return np.ascontiguousarray(array, dtype=np.int64)
    problems.append(f"{what} must be whole numbers or text, got {array.ravel()[:3].tolist()}, ...")
    return np.zeros(array.shape, dtype=np.int64)
