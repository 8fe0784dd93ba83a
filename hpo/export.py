"""What is known of a trial as one document that says where it comes from. `hpo.formats` writes it."""

from typing import Any

from hpo.errors import UsageError
from hpo.resolve import split_params
from hpo.search import params_of
from hpo.store import Store, StudyRecord, TrialRecord, best_trial
from hpo.trial import Result


def export(store: Store, name: str, number: int | None = None) -> dict[str, Any]:
    """Parameters, score and provenance of one trial.

    Args:
        store: the database.
        name: of the study.
        number: of the trial; None means the best one.

    Returns: a JSON-ready mapping: study, trial, metric, value, model, params, train, data, versions and more.

    Raises:
        UsageError: there is no such study or trial, or none completed yet.
    """
    record = store.study(name)
    return document(record, *_choose(store, record, number))


def document(record: StudyRecord, trial: TrialRecord, outcome: Result) -> dict[str, Any]:
    """One trial that has ended, with all that is needed to train it again; JSON-ready."""
    suggestion = params_of(trial.params, record.spaces)
    model, training = split_params(suggestion.params)
    fixed = record.definition.train
    return {
        "study": record.name,
        "trial": trial.number,
        "metric": fixed.metric,
        "value": trial.value,
        "state": trial.state,
        "model": suggestion.family,
        "params": model,
        "train": {
            **training,
            "optimizer": fixed.optimizer,
            "scaling": fixed.scaling,
            "max_epochs": fixed.max_epochs,
            "patience": fixed.patience,
            "threads": fixed.threads,
        },
        "seed": trial.seed,
        "metrics": outcome.metrics,
        "fold_values": list(outcome.fold_values),
        "best_epochs": list(outcome.best_epochs),
        "parameters": outcome.parameters,
        "weights_sha256": outcome.weights_sha256,
        "data": {
            "name": record.data.name,
            "sha256": record.data.sha256,
            "split_sha256": record.data.split_sha256,
            "shape": list(record.data.shape),
            "classes": list(record.data.classes),
        },
        "split": record.definition.split.model_dump(mode="json"),
        "versions": {**record.versions, **outcome.versions},
    }


def _choose(store: Store, record: StudyRecord, number: int | None) -> tuple[TrialRecord, Result]:
    if number is None:
        best = best_trial(store.trials(record.name), record.definition.train.metric)
        if best is None:
            raise UsageError(f"study {record.name!r}: no trial completed yet, so there is no best one")
        trial = best
    else:
        trial = store.trial(record.name, number)
    if trial.outcome is None:
        raise UsageError(f"trial {trial.number} of study {record.name!r} has not ended yet (it is {trial.state})")
    return trial, trial.outcome
