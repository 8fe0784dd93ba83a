"""Splits of the training part: who trains, who stops the epochs, who ranks the trials. Never sees the test part.

Scikit-learn draws, this module refuses what cannot be split and checks what was drawn.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hpo.data._dataset import IntArray
from hpo.data._lazy import library
from hpo.errors import DataError

By = Literal["group", "stratified"]


@dataclass(frozen=True, eq=False)
class Fold:
    """Indices into the training part, int64, sorted, with no index in two of them.

    `stopping` is None where the part that ranks the trials also stops their epochs.
    """

    train: IntArray
    stopping: IntArray | None
    validation: IntArray

    def parts(self) -> dict[str, IntArray]:
        """The parts that there are, by name."""
        named = {"train": self.train, "stopping": self.stopping, "validation": self.validation}
        return {name: indices for name, indices in named.items() if indices is not None}


@dataclass(frozen=True, eq=False)
class Split:
    """All folds, and a hash that covers the data's hash, the settings and every index."""

    folds: tuple[Fold, ...]
    sha256: str


def make_split(
    y: IntArray,
    groups: IntArray | None,
    *,
    by: By,
    folds: int,
    validation: float,
    stopping: float,
    seed: int,
    data_sha256: str,
) -> Split:
    """Splits the training part.

    Args:
        y: int64 (n,), labels 0..K-1.
        groups: int64 (n,); None where the source knows no groups. Only ``by="group"`` looks at it.
        by: ``"group"`` keeps all samples of a group in one part; ``"stratified"`` keeps the class shares alike.
        folds: 1 holds out `validation`; more make k-fold cross-validation, where each fold validates on 1/folds.
        validation: the share held out with ``folds=1``: of the groups, or of the samples. Not used with more folds.
        stopping: the share of what is left for training (again of groups, or of samples) that stops the epochs
            and neither trains nor ranks; 0 means that the validation part does both.
        seed: not negative; the same seed, data and settings always give the same split.
        data_sha256: hash of the data, for the split's own hash.

    Raises:
        DataError: the settings are out of range, or the data cannot be split so (no groups, too few groups or
            samples, a class with too few members, a training part that lacks a class).
        MissingExtra: scikit-learn is not installed.
    """
    problems = _bad_settings(by, folds, validation, stopping, seed) or _bad_data(y, groups, by, folds, stopping)
    if problems:
        raise DataError(f"this {by} split is not possible: " + "; ".join(problems))
    sklearn = library("sklearn.model_selection", "scikit-learn", "Splitting data")
    owners = groups if by == "group" else None
    try:
        pairs = _outer(sklearn, y, owners, folds, validation, seed)
        drawn = tuple(
            Fold(*_take(sklearn, y, owners, rest, stopping, _derive(seed, 1, number)), np.sort(held).astype(np.int64))
            for number, (rest, held) in enumerate(pairs)
        )
    except ValueError as error:
        raise DataError(f"this {by} split is not possible: {error}") from error
    for number, fold in enumerate(drawn):
        _verify(number, fold, y, owners)
    settings = {
        "data": data_sha256,
        "by": by,
        "folds": folds,
        "validation": float(validation),
        "stopping": float(stopping),
        "seed": seed,
    }
    return Split(drawn, _sha256(settings, drawn))


def _bad_settings(by: str, folds: int, validation: float, stopping: float, seed: int) -> list[str]:
    problems = []
    if by not in ("group", "stratified"):
        problems.append(f"by is {by!r}, known: group, stratified")
    if folds < 1:
        problems.append(f"folds is {folds}, it must be at least 1")
    if folds == 1 and not 0 < validation < 1:
        problems.append(f"validation is {validation}, it must lie between 0 and 1")
    if not 0 <= stopping < 1:
        problems.append(f"stopping is {stopping}, it must be at least 0 and less than 1")
    if seed < 0:
        problems.append(f"seed is {seed}, it must not be negative")
    return problems


def _bad_data(y: IntArray, groups: IntArray | None, by: str, folds: int, stopping: float) -> list[str]:
    problems = []
    parts = max(folds, 2) + (stopping > 0)
    wanted = f"{folds} folds" if folds > 1 else "a training and a validation part"
    wanted += " and a stopping part" if stopping > 0 else ""
    if len(y) < parts:
        problems.append(f"{len(y)} samples are fewer than {wanted} need ({parts})")
    if by == "group":
        if groups is None:
            return [*problems, 'the data have no groups; use by = "stratified", or a source that brings groups']
        if len(groups) != len(y):
            return [*problems, f"{len(y)} samples but {len(groups)} groups"]
        found = len(np.unique(groups))
        if found < parts:
            problems.append(f"{found} groups are fewer than {wanted} need ({parts})")
    counts = np.bincount(y)
    # With groups a class may lie in few of them; what matters then is checked on the parts that were drawn.
    least = folds if by == "group" else parts
    few = {k: int(n) for k, n in enumerate(counts) if n < least}
    if few:
        listing = ", ".join(f"class {k} has {n}" for k, n in few.items())
        problems.append(f"every class needs at least {least} members for {wanted}, but {listing}")
    return problems


def _derive(seed: int, *place: int) -> int:
    """A seed of its own for each draw, in the range that scikit-learn takes."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0])


def _outer(
    sklearn: Any, y: IntArray, owners: IntArray | None, folds: int, validation: float, seed: int
) -> list[tuple[IntArray, IntArray]]:
    """What is left and what is held out for validation, per fold."""
    state = _derive(seed, 0)
    if folds == 1:
        return [_holdout(sklearn, y, owners, validation, state)]
    kind: Callable[..., Any] = sklearn.StratifiedKFold if owners is None else sklearn.StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=state)
    return list(splitter.split(np.zeros(len(y)), y, owners))


def _holdout(sklearn: Any, y: IntArray, owners: IntArray | None, share: float, state: int) -> tuple[IntArray, IntArray]:
    kind: Callable[..., Any] = sklearn.StratifiedShuffleSplit if owners is None else sklearn.GroupShuffleSplit
    splitter = kind(n_splits=1, test_size=share, random_state=state)
    rest, held = next(iter(splitter.split(np.zeros(len(y)), y, owners)))
    return rest, held


def _take(
    sklearn: Any, y: IntArray, owners: IntArray | None, rest: IntArray, stopping: float, state: int
) -> tuple[IntArray, IntArray | None]:
    """The training part and, taken out of it, the stopping part."""
    rest = np.sort(rest).astype(np.int64)
    if stopping == 0:
        return rest, None
    train, held = _holdout(sklearn, y[rest], None if owners is None else owners[rest], stopping, state)
    return np.sort(rest[train]), np.sort(rest[held])


def _verify(number: int, fold: Fold, y: IntArray, owners: IntArray | None) -> None:
    """Checks what the library drew: a leak here would spoil every score, so it is not taken on trust.

    Raises:
        DataError: a part is empty, the parts overlap or leave something out, a group lies in two parts, or the
            training part lacks a class.
    """
    parts = fold.parts()
    empty = [name for name, indices in parts.items() if len(indices) == 0]
    if empty:
        raise DataError(f"fold {number}: the {' and '.join(empty)} part is empty; use fewer folds or another seed")
    if not np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(y))):
        raise DataError(f"fold {number}: the parts overlap or leave samples out; this is a bug, please report it")
    if owners is not None:
        seen: dict[int, str] = {}
        for name, indices in parts.items():
            for group in np.unique(owners[indices]).tolist():
                if group in seen:
                    raise DataError(f"fold {number}: group {group} lies in the {seen[group]} and the {name} part")
                seen[group] = name
    lacking = sorted(set(np.unique(y).tolist()) - set(np.unique(y[fold.train]).tolist()))
    if lacking:
        raise DataError(
            f"fold {number}: the training part lacks class {', '.join(map(str, lacking))}; "
            "use another seed, fewer folds or a smaller share for validation and stopping"
        )


def _sha256(settings: dict[str, Any], folds: tuple[Fold, ...]) -> str:
    sizes = [{name: len(indices) for name, indices in fold.parts().items()} for fold in folds]
    digest = hashlib.sha256(json.dumps({**settings, "sizes": sizes}, sort_keys=True).encode())
    for fold in folds:
        for indices in fold.parts().values():
            digest.update(np.ascontiguousarray(indices, dtype="<i8").data)
    return digest.hexdigest()
