"""Where the weights of a bundle come from: an evaluation's refit, or a trial that is trained again from its record."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo import data, once
from hpo.artifacts.copies import Copies
from hpo.child import ChildStartError
from hpo.curves import REPORT
from hpo.errors import HpoError, UsageError
from hpo.live import training
from hpo.specify import recorded, specify
from hpo.store import Store, StudyRecord, TrialRecord
from hpo.trial import MODEL, Cause, Result

log = logging.getLogger(__name__)


class TrainingError(HpoError):
    """A trial that was trained again did not come to its end."""


@dataclass(frozen=True)
class Trained:
    """A trained model in a file, and what is known of its training.

    Attributes:
        model: the .keras file.
        part: folder of real windows on which it can be tried.
        origin: where the weights come from, in words.
        study, trial: the record of the training.
        outcome: how the training ended that gave this file.
        report: of that training, as `hpo.curves` writes it; None where there is none on data that it did not train on.
    """

    model: Path
    part: str
    origin: str
    study: StudyRecord
    trial: TrialRecord
    outcome: Result
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Place:
    """Where to look for models and arrays, and where to work.

    Attributes:
        copies: of the trials' files. cache: root of the data.
        folder: takes the files of a training; the caller removes it.
        console: shows how a training goes on.
    """

    copies: Copies
    cache: Path
    folder: Path
    console: Console


def refitted(store: Store, study: StudyRecord, report: Mapping[str, Any], place: Place) -> Trained | None:
    """The model of an evaluation's first refit: which is first says nothing about its score.

    Its file is among the artifacts; where it is not, the refit is trained again.

    Args:
        store: the database.
        study: which was evaluated.
        report: of the evaluation.
        place: where to look and to work.

    Returns: None where the evaluation has refitted nothing.
    """
    row = next((row for row in report.get("per_seed", ()) if row["refit"] is not None), None)
    if row is None:
        return None
    sibling = store.study(f"{study.name}/refit")
    trial = store.trial(sibling.name, row["refit"])
    origin = (
        f"the winner of the evaluation of study {study.name}, refitted on all but the test part with seed {trial.seed}"
    )
    file = place.copies.folder(trial.artifacts, {MODEL}) / MODEL
    if not file.exists():
        log.info("the refitted model is not at %s: training it again ...", file)
        again = train_again(sibling, trial, place)
        return replace(again, origin=f"{origin}, trained again from its record", report=None)
    parts = data.parts(sibling.data.split_sha256, place.cache.resolve())
    return Trained(file, parts[-1].validation, origin, sibling, trial, ended(sibling, trial), None)


def train_again(study: StudyRecord, trial: TrialRecord, place: Place) -> Trained:
    """Trains a trial again from its record. With several folds, the model is that of the last one.

    Raises:
        DataError: the arrays are missing or damaged.
        TrainingError: no process could be had, or the training did not come to its end.
    """
    parts = data.parts(study.data.split_sha256, place.cache.resolve())
    claim = recorded(study, trial)
    spec = specify(study, claim, parts, place.folder).model_copy(update={"keep_model": True})
    which, printed = f"trial {trial.number} of study {study.name!r}", place.folder / "log.txt"
    try:
        with training(place.console, which, spec.settings.max_epochs * len(parts)) as heard:
            outcome = once.run(spec, printed, heard)
    except ChildStartError as error:  # the file that it speaks of goes with the folder
        said = printed.read_text(errors="replace").strip().splitlines() if printed.exists() else []
        raise TrainingError(f"{which} could not be trained again: {error}; it said: {' | '.join(said[-3:])}") from error
    if outcome.cause is not Cause.COMPLETED:
        why = outcome.detail or "it says no more"
        raise TrainingError(f"{which}, trained again, ended as {outcome.cause.value!r}: {why}")
    folds = f", the last of {len(parts)} folds" if len(parts) > 1 else ""
    origin = f"trial {trial.number} of study {study.name}, trained again from its record{folds}"
    report = json.loads((place.folder / REPORT).read_text(encoding="utf-8"))
    return Trained(place.folder / MODEL, parts[-1].validation, origin, study, trial, outcome, report)


def ended(study: StudyRecord, trial: TrialRecord) -> Result:
    """How a trial ended that completed.

    Raises:
        UsageError: it did not complete.
    """
    if trial.outcome is None or trial.outcome.cause is not Cause.COMPLETED:
        how = f"ended as {trial.outcome.cause.value!r}" if trial.outcome else f"has not ended yet (it is {trial.state})"
        raise UsageError(
            f"trial {trial.number} of study {study.name!r} {how}, so there are no weights of it; "
            "choose one that completed"
        )
    return trial.outcome
