"""The one value that every data source gives, and the checks that all of them share.

Knows nothing of files: a source reads, `make_dataset` judges.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpo.data._lengths import lengths, resized, stacked
from hpo.errors import DataError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """Samples that belong together: a training part, a test part, one part of a split.

    Attributes:
        x: float32 (n, timesteps, channels), in the unit of the source; finite, but for the padding of samples that are
            shorter than `timesteps`: at their end, NaN in all channels.
        y: int64 (n,), labels 0..K-1.
        groups: int64 (n,), for example the subject of each sample; None where the source knows no groups.
    """

    x: FloatArray
    y: IntArray
    groups: IntArray | None


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as its source brings it, checked.

    Attributes:
        name: for humans; not part of `sha256`.
        train: everything that trials may see.
        test: the held-out part; None where the source brings none.
        classes: class names in label order: label k is called ``classes[k]``.
        channels: channel names, in the order of the last axis of `x`.
        padded: samples differ in length, in either part.
        cut: samples of the test part that were longer than all of training, and lost their end.
        sha256: hash of shapes, dtypes, all array bytes, classes and channels, in hex.
    """

    name: str
    train: Part
    test: Part | None
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    padded: bool
    cut: int
    sha256: str


def make_dataset(
    name: str,
    x_train: ArrayLike | Sequence[ArrayLike],
    labels_train: ArrayLike,
    groups_train: ArrayLike | None,
    x_test: ArrayLike | Sequence[ArrayLike] | None,
    labels_test: ArrayLike | None,
    groups_test: ArrayLike | None,
    channels: Sequence[str],
    *,
    class_names: Mapping[str, str] | None = None,
) -> Dataset:
    """Checks what a source read and gives it its final form: float32 and int64, C-contiguous, labels 0..K-1.

    Labels are mapped from the sorted labels of the training part: as numbers where all of them are numbers
    (so that -1, 1 and 2, 10 keep their order, and 1.0 is called "1"), as text otherwise.

    Samples may differ in length: all get the length of the longest training sample. Shorter ones are padded at their
    end, and test samples that are longer lose theirs, because the test part must not shape what is trained.

    Args:
        x_train: (n, timesteps, channels), or a sequence of n arrays (timesteps, channels). Steps at the end of a sample
            that are NaN in all channels are no values: the sample is shorter.
        labels_train: (n,), numbers or text, in the source's own coding.
        groups_train: (n,) whole numbers; None where the source knows no groups.
        x_test, labels_test, groups_test: likewise; `x_test` None means that there is no test part.
        channels: names of the channels.
        class_names: label as text -> name to show for it, for example ``{"1": "WALKING"}``; labels that are not
            in it keep their own text.

    Raises:
        DataError: an empty part or sample, parts of two different lengths, labels or groups of another number, NaN or
            infinite values, one class only, a missing label, a test label that training never saw. All that is found is
            reported.
    """
    parts = {"train": (x_train, labels_train, groups_train)}
    if x_test is not None:
        if labels_test is None:
            raise DataError(f"{name}: the test part has samples but no labels")
        parts["test"] = (x_test, labels_test, groups_test)

    samples = {part: _samples(f"{name}: {part} part", x, len(channels)) for part, (x, _, _) in parts.items()}
    steps = {part: lengths(x) for part, x in samples.items()}
    problems = _length_problems(steps) + [p for part, x in samples.items() for p in _not_finite(part, x, steps[part])]
    texts: dict[str, NDArray[np.str_]] = {}
    groups: dict[str, IntArray | None] = {}
    for part, (_, labels, ids) in parts.items():
        n = len(samples[part])
        texts[part] = _texts(labels)
        groups[part] = None if ids is None else _groups(part, ids, problems)
        if texts[part].shape != (n,):
            problems.append(f"{part} part: {n} samples but labels of shape {texts[part].shape}")
        owners = groups[part]
        if owners is not None and owners.shape != (n,):
            problems.append(f"{part} part: {n} samples but groups of shape {owners.shape}")

    known = _sorted_labels(texts["train"], problems)
    if len(known) < 2:
        problems.append(f"train part: one class only ({', '.join(known) or 'none'}); a classifier needs at least two")
    labels_of = {part: _encode(part, text, known, problems) for part, text in texts.items()}
    classes = tuple((class_names or {}).get(label, label) for label in known)
    if len(set(classes)) < len(classes):
        problems.append(f"two labels share one class name: {dict(zip(known, classes, strict=True))}")
    if problems:
        raise DataError(f"{name}: " + "; ".join(problems))

    longest = int(steps["train"].max())
    done = {part: Part(resized(samples[part], longest), labels_of[part], groups[part]) for part in parts}
    return Dataset(
        name=name,
        train=done["train"],
        test=done.get("test"),
        classes=classes,
        channels=tuple(channels),
        padded=any(int(n.min()) < longest for n in steps.values()),
        cut=int((steps["test"] > longest).sum()) if "test" in steps else 0,
        sha256=_sha256(done, classes, tuple(channels)),
    )


def class_counts(y: IntArray, classes: int) -> tuple[int, ...]:
    """How many samples each of the labels 0..classes-1 has."""
    return tuple(int(n) for n in np.bincount(y, minlength=classes))


def _samples(where: str, x: ArrayLike | Sequence[ArrayLike], channels: int) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf and is refused below
            if not isinstance(x, np.ndarray) or x.dtype == object:
                x = stacked([np.asarray(row, dtype=np.float32) for row in cast("Iterable[ArrayLike]", x)], channels)
            array = np.ascontiguousarray(x, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: not a rectangle of numbers (ragged rows or text): {error}") from error
    if array.ndim != 3 or array.shape[2] != channels:
        raise DataError(
            f"{where}: shape {array.shape}, expected (samples, time steps, channels) with {channels} channels"
        )
    if array.shape[0] == 0 or array.shape[1] == 0 or channels == 0:
        raise DataError(f"{where}: empty, its shape is {array.shape}")
    return array


def _length_problems(steps: Mapping[str, IntArray]) -> list[str]:
    problems = [
        f"{part} part: {int((n == 0).sum())} of {len(n)} samples hold no value, the first at row {int(n.argmin())}"
        for part, n in steps.items()
        if not n.all()
    ]
    # two lengths, each kept by a whole part, are no variable length but a mistake: other sensors, other windows
    found = [{int(n.min()), int(n.max())} for n in steps.values()]
    if len(found) == 2 and found[0] != found[1] and all(len(ends) == 1 for ends in found):
        problems.append(f"training samples have {found[0].pop()} time steps, test samples {found[1].pop()}")
    return problems


def _not_finite(part: str, x: FloatArray, steps: IntArray) -> list[str]:
    bad = ~np.isfinite(x)
    if not bad.any():
        return []
    bad &= (np.arange(x.shape[1]) < steps[:, None])[:, :, None]
    if not bad.any():
        return []
    row, step, channel = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    return [
        f"{part} part: {int(bad.sum())} NaN or infinite values in {int(bad.any(axis=(1, 2)).sum())} of {len(x)} "
        f"samples, the first at row {row}, time step {step}, channel {channel} (counted from 0); "
        "repair or remove these samples"
    ]


def _texts(labels: ArrayLike) -> NDArray[np.str_]:
    array = np.asarray(labels)
    if array.ndim != 1:
        return array.astype(np.str_)
    values, inverse = np.unique(array.astype(np.str_) if array.dtype == object else array, return_inverse=True)
    return np.array([str(v).strip() for v in values], dtype=np.str_)[inverse]


def _groups(part: str, groups: ArrayLike, problems: list[str]) -> IntArray:
    array = np.asarray(groups)
    # Text files give floats; beyond 2**53 those are no longer exact.
    whole = array.dtype.kind == "f" and bool(np.all((np.abs(array) < 2**53) & (array == np.floor(array))))
    if array.dtype.kind not in "iu" and not whole:
        problems.append(f"{part} part: groups must be whole numbers, got {array.ravel()[:3].tolist()}, ...")
        return np.zeros(array.shape, dtype=np.int64)
    return np.ascontiguousarray(array, dtype=np.int64)


def _number(text: str) -> float | None:
    """The number in `text`; None where there is none."""
    try:
        return float(text)
    except ValueError:
        return None


def _as_label(text: str) -> str:
    """A number in its shortest form, so that "1", "1.0" and "1.0000000e+00" are one label; other text as it is."""
    value = _number(text)
    if value is None or not math.isfinite(value):
        return text
    return str(int(value)) if value == int(value) else repr(value)


def _sorted_labels(texts: NDArray[np.str_], problems: list[str]) -> list[str]:
    labels = {str(t) for t in np.unique(texts)}
    numbers = {label: _number(label) for label in labels}
    lost = [label for label, value in numbers.items() if not label or (value is not None and not math.isfinite(value))]
    if lost:
        problems.append(f"train part: missing labels ({', '.join(repr(label) for label in sorted(lost))})")
        labels -= set(lost)
    if all(numbers[label] is not None for label in labels):
        return sorted({_as_label(label) for label in labels}, key=float)
    return sorted(labels)


def _encode(part: str, texts: NDArray[np.str_], known: Sequence[str], problems: list[str]) -> IntArray:
    numbers = {label: k for k, label in enumerate(known)}
    values, inverse = np.unique(texts, return_inverse=True)
    codes = [numbers.get(str(v), numbers.get(_as_label(str(v)), -1)) for v in values]
    unseen = [_as_label(str(v)) for v, code in zip(values, codes, strict=True) if code < 0]
    if unseen and part == "test":
        problems.append(
            f"test part: labels never seen in training: {', '.join(unseen)} (training has: {', '.join(known)})"
        )
    return np.array(codes, dtype=np.int64)[inverse]


def _sha256(parts: Mapping[str, Part], classes: tuple[str, ...], channels: tuple[str, ...]) -> str:
    arrays: list[tuple[str, FloatArray | IntArray]] = []
    for name, part in parts.items():
        arrays += [(f"{name}/x", part.x), (f"{name}/y", part.y)]
        if part.groups is not None:
            arrays.append((f"{name}/groups", part.groups))
    head = {
        "classes": classes,
        "channels": channels,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays],
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for _, array in arrays:
        digest.update(array.data)
    return digest.hexdigest()
