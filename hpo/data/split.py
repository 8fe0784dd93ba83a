"""Splits of the training part: who trains, who stops the epochs, who ranks the trials. Never sees the test part.

Scikit-learn draws, this module refuses what cannot be split and checks what was drawn.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hpo.data import _draw
from hpo.data._dataset import IntArray
from hpo.data._draw import Pair, derive
from hpo.data._lazy import library
from hpo.errors import DataError

By = Literal["group", "stratified", "leave-one-group-out", "predefined"]
DRAWN: tuple[By, ...] = ("group", "stratified")
"""Splits that chance decides. Of the others, the data say how many folds there are and who is in them."""


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

    def lacks(self, part: str, y: IntArray) -> list[int]:
        """The labels, of those in `y` (n,), that no sample of a part has."""
        return sorted(set(np.unique(y).tolist()) - set(np.unique(y[self.parts()[part]]).tolist()))


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
    repeats: int = 1,
    predefined: IntArray | None = None,
    recordings: IntArray | None = None,
    classes: Sequence[str] | None = None,
) -> Split:
    """Splits the training part.

    Args:
        y: int64 (n,), labels 0..K-1.
        groups: int64 (n,); None where the source knows no groups.
        by: ``"group"`` keeps all samples of a group in one part; ``"stratified"`` keeps the class shares alike;
            ``"leave-one-group-out"`` makes each group the validation part once; ``"predefined"`` does as the source
            says.
        folds: 1 holds out `validation`; more make k-fold cross-validation, where each fold validates on 1/folds. Only
            of the first two kinds, like `validation` and `repeats`.
        validation: the share held out with ``folds=1``: of the groups, or of the samples. Not used with more folds.
        stopping: the share of what is left for training (again of groups, or of samples) that stops the epochs
            and neither trains nor ranks; 0 means that the validation part does both.
        seed: not negative; the same seed, data and settings always give the same split.
        data_sha256: hash of the data, for the split's own hash.
        repeats: how often all folds are drawn anew.
        predefined: int64 (n,), the fold that each sample validates, or -1; None where the source brings no split.
        recordings: int64 (n,), samples that share time steps have the same; None where none do. They stay in one part,
            whatever `by` says.
        classes: their names in label order, for messages; None where they are called by their numbers.

    Raises:
        DataError: the settings are out of range, or the data cannot be split so (no groups, too few groups or
            samples, a class with too few members, a training part that lacks a class, recordings that a predefined
            split tears apart).
        MissingExtra: scikit-learn is not installed.
    """
    asked = _Asked(by, folds, validation, stopping, seed, repeats)
    names = list(map(str, range(int(y.max(initial=-1)) + 1)) if classes is None else classes)
    problems = _bad_settings(asked) or _bad_data(asked, y, names, groups, predefined, recordings)
    if problems:
        raise DataError(f"this {by} split is not possible: " + "; ".join(problems))
    sklearn = library("sklearn.model_selection", "scikit-learn", "Splitting data")
    # who must not be torn apart: samples of a group, or else of a recording
    owners = recordings if by == "stratified" or groups is None else groups
    try:
        drawn = tuple(
            Fold(*_take(sklearn, asked, y, owners, rest, number), np.sort(held).astype(np.int64))
            for number, (rest, held) in enumerate(_pairs(sklearn, asked, y, owners, predefined))
        )
    except ValueError as error:
        raise DataError(f"this {by} split is not possible: {error}") from error
    whole = {"group": groups if by in ("group", "leave-one-group-out") else None, "recording": recordings}
    for number, fold in enumerate(drawn):
        _verify(number, fold, y, names, {what: ids for what, ids in whole.items() if ids is not None}, by)
    return Split(drawn, _sha256(asked.settings(data_sha256), drawn))


@dataclass(frozen=True)
class _Asked:
    by: By
    folds: int
    validation: float
    stopping: float
    seed: int
    repeats: int

    def settings(self, data_sha256: str) -> dict[str, Any]:
        """For the split's hash. Without what has no effect, so that older hashes stay what they are."""
        settings = {"data": data_sha256, "by": self.by, "stopping": float(self.stopping), "seed": self.seed}
        if self.by in DRAWN:
            settings |= {"folds": self.folds, "validation": float(self.validation)}
        return settings | ({"repeats": self.repeats} if self.repeats > 1 else {})

    def draws(self) -> int:
        """How many draws the best one is chosen from; groups have one, for their splits' hashes to stay."""
        return _draw.DRAWS if self.by == "stratified" else 1

    def parts(self) -> tuple[int, str]:
        """The fewest pieces that the data must fall into, and what for."""
        folds = self.folds if self.by in DRAWN else 1
        pieces = max(folds, 2) + (self.stopping > 0)
        wanted = f"{folds} folds" if folds > 1 else "a training and a validation part"
        return pieces, wanted + (" and a stopping part" if self.stopping > 0 else "")


def _bad_settings(asked: _Asked) -> list[str]:
    problems = []
    if asked.by not in get_args(By):
        problems.append(f"by is {asked.by!r}, known: {', '.join(get_args(By))}")
    counts = {"folds": asked.folds, "repeats": asked.repeats}
    problems += [f"{name} is {count}, it must be at least 1" for name, count in counts.items() if count < 1]
    if asked.folds == 1 and not 0 < asked.validation < 1:
        problems.append(f"validation is {asked.validation}, it must lie between 0 and 1")
    if not 0 <= asked.stopping < 1:
        problems.append(f"stopping is {asked.stopping}, it must be at least 0 and less than 1")
    if asked.seed < 0:
        problems.append(f"seed is {asked.seed}, it must not be negative")
    return problems


def _bad_data(
    asked: _Asked,
    y: IntArray,
    names: list[str],
    groups: IntArray | None,
    predefined: IntArray | None,
    recordings: IntArray | None,
) -> list[str]:
    problems = []
    pieces, wanted = asked.parts()
    if len(y) < pieces:
        problems.append(f"{len(y)} samples are fewer than {wanted} need ({pieces})")
    if asked.by == "predefined":
        return problems + _bad_folds(predefined)
    if asked.by == "stratified" and recordings is not None:
        found = len(np.unique(recordings))
        if found < pieces:
            problems.append(
                f"windows that overlap stay together, and {found} recordings are fewer than {wanted} need ({pieces}); "
                "blocks in [data] cuts recordings into more"
            )
    elif asked.by != "stratified":
        if groups is None:
            return [*problems, 'the data have no groups; use by = "stratified", or a source that brings groups']
        if len(groups) != len(y):
            return [*problems, f"{len(y)} samples but {len(groups)} groups"]
        found = len(np.unique(groups))
        if found < pieces:
            problems.append(f"{found} groups are fewer than {wanted} need ({pieces})")
    # With groups a class may lie in few of them; what matters then is checked on the parts that were drawn.
    least = pieces if asked.by == "stratified" else asked.folds if asked.by == "group" else 2
    few = {names[k]: int(n) for k, n in enumerate(np.bincount(y)) if n < least}
    if few:
        listing = ", ".join(f"class {name} has {n}" for name, n in few.items())
        problems.append(f"every class needs at least {least} members for {wanted}, but {listing}")
    return problems


def _bad_folds(predefined: IntArray | None) -> list[str]:
    if predefined is None:
        return [
            "the source brings no split; give csv and parquet a column part with the word validation in it, "
            'npz an array fold, or use another by, such as "group" or "stratified"'
        ]
    if (predefined < -1).any():
        return [
            f"the source's folds go down to {predefined.min()}; accepted: numbers from 0, or -1 for samples of none"
        ]
    return [] if (predefined >= 0).any() else ["the source puts no sample into a validation part"]


def _pairs(sklearn: Any, asked: _Asked, y: IntArray, owners: IntArray | None, folds: IntArray | None) -> list[Pair]:
    """What is left and what is held out for validation, per fold."""
    if asked.by == "leave-one-group-out":
        return list(sklearn.LeaveOneGroupOut().split(y, y, owners))
    if asked.by == "predefined":
        return list(sklearn.PredefinedSplit(folds).split())
    pairs: list[Pair] = []
    for number in range(asked.repeats):
        state = derive(asked.seed, 0) if number == 0 else derive(asked.seed, 2, number)
        if asked.folds > 1:
            pairs += _draw.folds(sklearn, y, owners, asked.folds, state)
        else:
            pairs.append(_draw.holdout(sklearn, y, owners, asked.validation, state, asked.draws()))
    return pairs


def _take(
    sklearn: Any, asked: _Asked, y: IntArray, owners: IntArray | None, rest: IntArray, number: int
) -> tuple[IntArray, IntArray | None]:
    """The training part and, taken out of it, the stopping part."""
    rest = np.sort(rest).astype(np.int64)
    if asked.stopping == 0:
        return rest, None
    state = derive(asked.seed, 1, number)
    inner = None if owners is None else owners[rest]
    train, held = _draw.holdout(sklearn, y[rest], inner, asked.stopping, state, asked.draws())
    return np.sort(rest[train]), np.sort(rest[held])


def _verify(number: int, fold: Fold, y: IntArray, names: list[str], whole: dict[str, IntArray], by: By) -> None:
    """Checks what the library drew: a leak here would spoil every score, so it is not taken on trust.

    Args:
        names: of the classes.
        whole: what must not be torn apart, by the word for it.

    Raises:
        DataError: a part is empty, the parts overlap or leave something out, a group or a recording lies in two parts,
            or the training part lacks a class.
    """
    parts = fold.parts()
    empty = [name for name, indices in parts.items() if len(indices) == 0]
    if empty:
        raise DataError(f"fold {number}: the {' and '.join(empty)} part is empty; use fewer folds or another seed")
    if not np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(y))):
        raise DataError(f"fold {number}: the parts overlap or leave samples out; this is a bug, please report it")
    for what, ids in whole.items():
        seen: dict[int, str] = {}
        for name, indices in parts.items():
            for one in np.unique(ids[indices]).tolist():
                if one in seen:
                    raise DataError(f"fold {number}: {what} {one} lies in the {seen[one]} and the {name} part")
                seen[one] = name
    if lacking := fold.lacks("train", y):
        advice = "; use another seed, fewer folds or a smaller share for validation and stopping" if by in DRAWN else ""
        raise DataError(f"fold {number}: the training part lacks class {', '.join(names[k] for k in lacking)}" + advice)


def _sha256(settings: dict[str, Any], folds: tuple[Fold, ...]) -> str:
    sizes = [{name: len(indices) for name, indices in fold.parts().items()} for fold in folds]
    digest = hashlib.sha256(json.dumps({**settings, "sizes": sizes}, sort_keys=True).encode())
    for fold in folds:
        for indices in fold.parts().values():
            digest.update(np.ascontiguousarray(indices, dtype="<i8").data)
    return digest.hexdigest()
