"""What a trial's process is told, from the study's record and a claim: the one place where specs are made."""

from collections.abc import Sequence
from pathlib import Path

from hpo.errors import UsageError
from hpo.resolve import split_params
from hpo.scores import METRICS
from hpo.search import params_of
from hpo.store.records import Claim, StudyRecord, TrialRecord
from hpo.trial import FoldParts, TrainSettings, TrialSpec


def specify(record: StudyRecord, claim: Claim, parts: Sequence[FoldParts], folder: Path) -> TrialSpec:
    """The spec of a claimed trial.

    Args:
        record: of the study.
        claim: the trial, with all of its settings.
        parts: where the arrays of each fold lie on this machine.
        folder: takes the trial's files; an absolute path.
    """
    train = record.definition.train
    return TrialSpec(
        study=record.name,
        number=claim.number,
        attempt=claim.attempt,
        seed=claim.seed,
        family=claim.family,
        model=claim.model,
        training=claim.training,
        settings=TrainSettings(
            metric=train.metric,
            further_metrics=tuple(metric for metric in train.metrics[1:] if metric in METRICS),
            max_epochs=train.max_epochs,
            patience=train.patience,
            optimizer=train.optimizer,
            scaling=train.scaling,
            threads=train.threads,
            max_parameters=record.definition.model.max_parameters,
        ),
        folds=tuple(parts),
        classes=record.data.classes,
        padded=record.data.padded,
        artifacts=str(folder),
        keep_model=claim.given is not None and claim.given.keep_model,
        rates=claim.given.rates if claim.given is not None else None,
    )


def recorded(record: StudyRecord, trial: TrialRecord) -> Claim:
    """The claim under which a trial was last trained, so that it can be trained again.

    Raises:
        UsageError: nobody has claimed it yet.
        StorageError: its parameters are not those of the study's space.
    """
    if trial.seed is None or trial.artifacts is None:
        raise UsageError(f"trial {trial.number} of study {record.name!r} has not begun yet (it is {trial.state})")
    suggestion = params_of(trial.params, record.spaces)
    model, training = split_params(suggestion.params)
    return Claim(
        number=trial.number,
        attempt=trial.attempt,
        seed=trial.seed,
        family=suggestion.family,
        model=model,
        training=training,
        artifacts=trial.artifacts,
        taken_over=False,
        given=trial.given,
    )
