"""From a study file to everything that a study is made of: data, split and search space, checked against each other.

Reads data files and fills the cache, but neither creates a study nor trains.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hpo import augment, data, leaks, models, samplers, study
from hpo.data.split import Split, make_split
from hpo.errors import DataError, StudyFileError
from hpo.resolve import resolve_all
from hpo.space import Space, corners, ends, sample, singly, with_parents
from hpo.store.records import DataRecord
from hpo.study import StudyDef
from hpo.training import training_space

# A space is checked at its corners, at as many random settings, and at all values, up to so many of each.
CHECKED_SETTINGS = 2000


@dataclass(frozen=True, eq=False)
class Prepared:
    """A study file that was read and found good, with its data.

    Attributes:
        spaces: family -> resolved search space.
        warnings: sentences on what is allowed and yet spoils the scores.
        record: what the store keeps of the data.
    """

    path: Path
    definition: StudyDef
    data: data.Loaded
    split: Split
    spaces: dict[str, Space]
    record: DataRecord
    warnings: tuple[str, ...]


def prepare(path: Path, cache: Path) -> Prepared:
    """Reads a study file and its data, draws the split, resolves the space.

    Args:
        path: the study file.
        cache: folder of the data cache.

    Raises:
        StudyFileError: mistakes in the file, among them settings that these data do not allow.
        DataError: the data are missing, damaged, cannot be split as asked, or break the split's promise.
        MissingExtra: the data or the sampler need a library that is not installed.
    """
    definition = study.load(path)
    loaded = read_data(definition.data, cache, base=path.parent)
    leaks.refuse(definition, loaded)
    split = make_split(
        loaded.train.y,
        loaded.train.groups,
        by=definition.split.by,
        folds=definition.split.folds,
        validation=definition.split.validation,
        stopping=definition.split.stopping,
        seed=definition.split.seed,
        data_sha256=loaded.sha256,
        repeats=definition.split.repeats,
        predefined=loaded.train.folds,
        recordings=loaded.train.recordings,
        classes=loaded.classes,
    )
    _refuse_unrankable(definition, split, loaded)
    if problems := definition.search.pruner.unfit(definition.train.max_epochs, len(split.folds)):
        raise StudyFileError(str(path), problems)
    spaces = _spaces(path, definition, loaded, min(len(fold.train) for fold in split.folds))
    record = DataRecord(
        name=loaded.name,
        sha256=loaded.sha256,
        split_sha256=split.sha256,
        shape=loaded.shape,
        padded=loaded.padded,
        n_train=len(loaded.train.y),
        classes=loaded.classes,
        folds=len(split.folds),
        base=str(path.parent.absolute()),
    )
    warnings = (*leaks.warnings(definition, loaded), *_unseen(split, loaded))
    return Prepared(path, definition, loaded, split, spaces, record, warnings)


def read_data(options: data.SourceOptions, cache: Path, *, base: Path = Path()) -> data.Loaded:
    """The data set, from files named as people write them: relative to `base`, or with ``~`` for a home folder.

    Raises:
        DataError: the data are missing or damaged, or the system refuses a path.
    """
    try:
        return data.load(options.at(base), cache)
    except OSError as error:  # a folder that may not be looked into, a name that is too long
        raise DataError(f"cannot read {options.place()}: {error.strerror or error}") from error


def _refuse_unrankable(definition: StudyDef, split: Split, loaded: data.Loaded) -> None:
    """Refuses a part of one class where trials are ranked by auroc, which every trial would find out at its own cost.

    Raises:
        DataError: there is one.
    """
    if "auroc" not in definition.train.metrics:
        return
    alone = [
        f"the {part} part of fold {number} ({loaded.classes[loaded.train.y[indices[0]]]})"
        for number, fold in enumerate(split.folds)
        for part, indices in fold.parts().items()
        if part != "train" and len(set(loaded.train.y[indices].tolist())) < 2
    ]
    if alone:
        more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
        raise DataError(
            f"{loaded.name}: one class only in {', '.join(alone[:5])}{more}; auroc ranks one class above another. "
            "Choose another metric, another split or larger parts"
        )


def _unseen(split: Split, loaded: data.Loaded) -> list[str]:
    """A warning for each part that judges models, where it lacks a class in some folds."""
    warnings = []
    for part, judge in {"stopping": "what stops the epochs", "validation": "the score"}.items():
        lacks = [found for fold in split.folds if part in fold.parts() and (found := fold.lacks(part, loaded.train.y))]
        if lacks:
            classes = ", ".join(loaded.classes[k] for k in sorted(set().union(*lacks)))
            where = f" in {len(lacks)} of {len(split.folds)} folds" if len(split.folds) > 1 else ""
            warnings.append(
                f"the {part} part has no window of class {classes}{where}: {judge} says nothing of such windows. "
                "More of them, a larger share or fewer folds may help"
            )
    return warnings


def _spaces(path: Path, definition: StudyDef, loaded: data.Loaded, n_train: int) -> dict[str, Space]:
    n_classes = len(loaded.classes)
    families = {
        family: (
            models.default_space(family, loaded.shape, n_classes),
            training_space(models.training(family), n_train=n_train, optimizer=definition.train.optimizer),
        )
        for family in definition.model.family
    }
    spaces, problems = resolve_all(definition.space, families)
    if not problems:
        problems = _unfit(definition, spaces, loaded.shape[1])
        for family, space in spaces.items():
            for reason in _impossible(family, space, loaded.shape, n_classes):
                problems.append(f"space ({family}): {reason}")
    if not problems:
        problems = samplers.get(definition.search.sampler).unfit(spaces, definition.train.metrics)
    if problems:
        raise StudyFileError(str(path), problems)
    return spaces


def _unfit(definition: StudyDef, spaces: dict[str, Space], channels: int) -> list[str]:
    """Why an augmentation of the space makes no sense for this study: one sentence for each."""
    problems: dict[str, None] = {}
    triples, scaling = definition.train.triples, definition.train.scaling
    if triples and channels % 3:
        problems[f"train.triples: these windows have {channels} channels, which are no threes; leave it out"] = None
    for name in augment.names():
        reason = augment.get(name).unfit(channels, triples=triples, scaling=scaling)
        if reason is not None and any(set(ends(space[name])) != {0.0} for space in spaces.values()):
            problems[f"space.{name}: {reason}"] = None
    return list(problems)


def _impossible(family: str, space: Space, shape: tuple[int, int], n_classes: int) -> list[str]:
    """Why some settings of the space cannot be built for these data: one sentence for each reason."""
    reasons: dict[str, None] = {}
    model = models.get(family)
    model_space = with_parents(space, model.SPACE)
    rng = np.random.default_rng(0)
    extremes = list(islice(corners(model_space), CHECKED_SETTINGS))
    drawn = [sample(model_space, rng) for _ in extremes]
    for setting in [*extremes, *islice(singly(model_space), CHECKED_SETTINGS), *drawn]:
        try:
            model.check(shape, n_classes, **{name: setting[name] for name in model.SPACE})
        except ValueError as error:
            reasons[str(error)] = None
    return list(reasons)[:5]
