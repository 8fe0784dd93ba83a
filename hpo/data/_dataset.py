"""The one value that every data source gives, and the checks that all of them share.

Knows nothing of files: a source reads, `make_dataset` judges.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpo.data._labels import as_texts, encode, numbered, sorted_labels
from hpo.data._lengths import lengths, resized, stacked
from hpo.data._missing import Missing, fill
from hpo.errors import DataError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RawPart:
    """Samples as a source found them.

    Attributes:
        x: (n, timesteps, channels), or a sequence of n arrays (timesteps, channels). Steps at the end of a sample that
            are NaN in all channels are no values: the sample is shorter.
        labels: (n,), numbers or text, in the source's own coding.
        groups: (n,), whole numbers or text, for example the subject of each sample; None where the source knows none.
        folds: (n,), the fold in which a sample is in the validation part, from 0; -1: in none. None where the source
            brings no split. Of the training part only.
        recordings: (n,), whole numbers: samples that share time steps have the same. None where none do, or the source
            cannot know. Of the training part only.
    """

    x: ArrayLike | Sequence[ArrayLike]
    labels: ArrayLike
    groups: ArrayLike | None = None
    folds: ArrayLike | None = None
    recordings: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class Raw:
    """A data set as a source found it, to be judged by `make_dataset`.

    Attributes:
        test: None where the source brings no test part.
        channels: names, in the order of the last axis of `x`.
        class_names: label as text -> name to show for it, for example ``{"1": "WALKING"}``; labels that are not in it
            keep their own text.
        notes: sentences on what was left out or changed while reading, for whoever checks the study.
    """

    name: str
    train: RawPart
    test: RawPart | None
    channels: Sequence[str]
    class_names: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Part:
    """Samples that belong together: a training part, a test part, one part of a split.

    Attributes:
        x: float32 (n, timesteps, channels), in the unit of the source; finite, but for the padding of samples that are
            shorter than `timesteps`: at their end, NaN in all channels.
        y: int64 (n,), labels 0..K-1.
        groups: int64 (n,), for example the subject of each sample; None where the source knows no groups.
        folds, recordings: int64 (n,) or None, as of `RawPart`; only of a whole training part.
    """

    x: FloatArray
    y: IntArray
    groups: IntArray | None
    folds: IntArray | None = None
    recordings: IntArray | None = None

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        """The arrays that there are, by name, in the order of the attributes."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: array for name, array in named.items() if array is not None}


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
        notes: sentences on what was left out or changed while reading; not part of `sha256`.
        sha256: hash of shapes, dtypes, all array bytes, classes and channels, in hex.
    """

    name: str
    train: Part
    test: Part | None
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    padded: bool
    cut: int
    notes: tuple[str, ...]
    sha256: str


def make_dataset(raw: Raw, missing: Missing | None = None) -> Dataset:
    """Checks what a source read and gives it its final form: float32 and int64, C-contiguous, labels 0..K-1.

    Labels are mapped from the sorted labels of the training part: as numbers where all of them are numbers
    (so that -1, 1 and 2, 10 keep their order, and 1.0 is called "1"), as text otherwise.

    Samples may differ in length: all get the length of the longest training sample. Shorter ones are padded at their
    end, and test samples that are longer lose theirs, because the test part must not shape what is trained.

    Args:
        missing: how values within a sample that are NaN are filled; None refuses them.

    Raises:
        DataError: an empty part or sample, parts of two different lengths, labels or groups of another number, missing
            or infinite values, one class only, a missing label, a test label that training never saw. All that is found
            is reported.
    """
    name, channels = raw.name, tuple(raw.channels)
    parts = {"train": raw.train} | ({} if raw.test is None else {"test": raw.test})
    problems: list[str] = []
    notes = list(raw.notes)
    samples = {part: _samples(f"{name}: {part} part", found.x, len(channels)) for part, found in parts.items()}
    steps = {part: lengths(x) for part, x in samples.items()}
    problems += _length_problems(steps)
    if missing is not None:
        samples = {part: _filled(part, x, steps[part], missing, problems, notes) for part, x in samples.items()}
    problems += [p for part, x in samples.items() for p in _not_finite(part, x, steps[part], missing)]

    texts = {part: as_texts(found.labels) for part, found in parts.items()}
    groups = numbered({p: found.groups for p, found in parts.items() if found.groups is not None}, problems, notes)
    of_train = {
        kind: np.asarray(ids, dtype=np.int64)
        for kind, ids in (("folds", raw.train.folds), ("recordings", raw.train.recordings))
        if ids is not None
    }
    for part, x in samples.items():
        owned = {"labels": texts[part], **({"groups": groups[part]} if part in groups else {})}
        for kind, ids in (owned | (of_train if part == "train" else {})).items():
            if ids.shape != (len(x),):
                problems.append(f"{part} part: {len(x)} samples but {kind} of shape {ids.shape}")

    known = sorted_labels(texts["train"], problems)
    if len(known) < 2:
        problems.append(f"train part: one class only ({', '.join(known) or 'none'}); a classifier needs at least two")
    labels_of = {part: encode(part, text, known, problems) for part, text in texts.items()}
    classes = tuple(raw.class_names.get(label, label) for label in known)
    if len(set(classes)) < len(classes):
        problems.append(f"two labels share one class name: {dict(zip(known, classes, strict=True))}")
    if problems:
        raise DataError(f"{name}: " + "; ".join(problems))

    longest = int(steps["train"].max())
    done = {
        part: Part(resized(x, longest), labels_of[part], groups.get(part), **(of_train if part == "train" else {}))
        for part, x in samples.items()
    }
    return Dataset(
        name=name,
        train=done["train"],
        test=done.get("test"),
        classes=classes,
        channels=channels,
        padded=any(int(n.min()) < longest for n in steps.values()),
        cut=int((steps["test"] > longest).sum()) if "test" in steps else 0,
        notes=tuple(notes),
        sha256=_sha256(done, classes, channels),
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


def _not_finite(part: str, x: FloatArray, steps: IntArray, missing: Missing | None) -> list[str]:
    """A sentence on missing values, unless they were to be filled, and one on infinite ones, which nothing fills."""
    problems = []
    if missing is None and np.isnan(x).any():
        gaps = np.isnan(x) & (np.arange(x.shape[1]) < steps[:, None])[:, :, None]
        advice = 'repair or remove these samples, or say in [data] how to fill them: missing = "interpolate" or "zero"'
        problems += _counted(part, gaps, "missing values (NaN)", advice)
    large = f"infinite values, or beyond {np.finfo(np.float32).max:.1e}, the largest of float32,"
    advice = "repair or remove these samples, or give smaller units (`missing` fills NaN alone)"
    return problems + _counted(part, np.isinf(x), large, advice)


def _counted(part: str, bad: NDArray[np.bool_], what: str, advice: str) -> list[str]:
    """How many values (n, timesteps, channels) are bad, and the first of them; nothing where none is."""
    if not bad.any():
        return []
    row, step, channel = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    return [
        f"{part} part: {int(bad.sum())} {what} in {int(bad.any(axis=(1, 2)).sum())} of {len(bad)} samples, the first "
        f"at row {row}, time step {step}, channel {channel} (counted from 0); {advice}"
    ]


def _filled(
    part: str, x: FloatArray, steps: IntArray, missing: Missing, problems: list[str], notes: list[str]
) -> FloatArray:
    empty: list[str] = []
    filled, count = fill(x, steps, missing, empty)
    problems += [f"{part} part: {problem}" for problem in empty]
    if count:
        touched = int(np.any(np.isnan(x) & ~np.isnan(filled), axis=(1, 2)).sum())
        notes.append(f"{part} part: {count} missing values in {touched} samples were filled ({missing})")
    return filled


def _sha256(parts: Mapping[str, Part], classes: tuple[str, ...], channels: tuple[str, ...]) -> str:
    arrays = [(f"{name}/{kind}", array) for name, part in parts.items() for kind, array in part.arrays().items()]
    head = {
        "classes": classes,
        "channels": channels,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays],
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for _, array in arrays:
        digest.update(array.data)
    return digest.hexdigest()
