"""What is known of a trial as one document that says where it comes from. `hpo.formats` writes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.errors import StorageError, UsageError
from hpo.evaluated import evaluated
from hpo.formats import to_csv, to_json, to_toml
from hpo.resolve import split_params
from hpo.search import params_of
from hpo.specify import recorded
from hpo.store import Store, StudyRecord, TrialRecord, pareto, ranked
from hpo.trial import Result

FORMS = {"json": ".json", "toml": ".toml", "csv": ".csv", "bundle": ".zip"}
"""What `hpo export` writes, and how a file of it is called. The last one is a model, and `hpo.bundling` writes it."""


def form_of(output: Path | None, asked: str | None) -> str:
    """One of `FORMS`: as asked, else as the file is called, else JSON.

    Raises:
        UsageError: the file is called like another one than was asked for.
    """
    ending = output.suffix.lower() if output else ""
    named = next((form for form, suffix in FORMS.items() if suffix == ending), None)
    if asked and named and asked != named:
        raise UsageError(
            f"--format {asked} does not go with {output}: {ending} is {named}. Leave --format (or HPO_EXPORT_FORMAT) "
            f"out, or let the file end in {FORMS[asked]}"
        )
    return asked or named or "json"


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
    evaluation = evaluated(store, record)
    trial, outcome, chosen_by = choose(store, record, number, evaluation)
    return document(record, trial, outcome, chosen_by=chosen_by, evaluation=evaluation)


def document(
    record: StudyRecord,
    trial: TrialRecord,
    outcome: Result,
    *,
    chosen_by: str = "search",
    evaluation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One trial that has ended, with all that is needed to train it again; JSON-ready.

    Args:
        record: the study. trial: of it. outcome: how it ended.
        chosen_by: "search" for its value there, "evaluate" as the winner of the evaluation, "trial" for its number.
        evaluation: of the study, see `hpo.evaluated`.
    """
    suggestion = params_of(trial.params, record.spaces)
    model, training = split_params(suggestion.params)
    fixed = record.definition.train
    return {
        "study": record.name,
        "trial": trial.number,
        "chosen_by": chosen_by,
        "metric": fixed.metric,
        "value": trial.value,
        "values": dict(zip(fixed.metrics, trial.values or (), strict=False)),
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
        **({} if evaluation is None else {"evaluation": dict(evaluation)}),
        "versions": {**record.versions, **outcome.versions},
    }


def choose(
    store: Store, record: StudyRecord, number: int | None, evaluation: Mapping[str, Any] | None
) -> tuple[TrialRecord, Result, str]:
    """The trial of that number, or with None the evaluation's winner, or before one the best; its end; by what.

    Raises:
        UsageError: there is no such trial, or it has not ended; or none completed yet.
    """
    chosen_by = "trial"
    if number is None:
        number = evaluation["trial"] if evaluation else None
        chosen_by = "search" if number is None else "evaluate"
    trial = best(store, record, 1)[0] if number is None else store.trial(record.name, number)
    if trial.outcome is None:
        raise UsageError(f"trial {trial.number} of study {record.name!r} has not ended yet (it is {trial.state})")
    return trial, trial.outcome, chosen_by


def best(store: Store, record: StudyRecord, most: int) -> list[TrialRecord]:
    """The best trials of different settings, at least one of them.

    Raises:
        UsageError: none completed yet.
    """
    found = ranked(store.trials(record.name), record.definition.train.metrics)[:most]
    if not found:
        raise UsageError(f"study {record.name!r}: no trial completed yet, so there is no best one")
    return found


def front(store: Store, record: StudyRecord) -> list[TrialRecord]:
    """The completed trials of a study with several metrics that no other one beats, the best by the first metric first.

    Raises:
        UsageError: the study has one metric, or no trial completed yet.
    """
    metrics = record.definition.train.metrics
    if len(metrics) == 1:
        raise UsageError(f"study {record.name!r} has one metric, and so one best trial; --top gives the next ones")
    found = pareto(store.trials(record.name), metrics)
    if not found:
        raise UsageError(f"study {record.name!r}: no trial completed yet, so there is no front")
    return found


def row(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """One trial as a line of a table, whatever its state: what is not known is None."""
    try:
        claim = recorded(record, trial)
        family: str | None = claim.family
        settings = {**claim.model, **claim.training}
    except (UsageError, StorageError):  # it waits, or its parameters are not complete yet
        family, settings = None, {}
    outcome = trial.outcome
    return {
        "number": trial.number,
        "state": trial.state,
        "cause": trial.cause.value if trial.cause else None,
        "same_as": trial.same_as,
        "value": trial.value,
        "family": family,
        "seed": trial.seed,
        "attempt": trial.attempt,
        "epochs": outcome.epochs if outcome else None,
        "parameters": outcome.parameters if outcome else None,
        "seconds": outcome.seconds.get("total") if outcome else None,
        **{f"metrics.{name}": value for name, value in (outcome.metrics if outcome else {}).items()},
        **{f"params.{name}": value for name, value in settings.items()},
    }


def written(
    store: Store,
    name: str,
    form: str = "json",
    *,
    number: int | None = None,
    top: int | None = None,
    pareto: bool = False,
) -> str:
    """Trials of a study as a text: one document, or a list of them for `top` and `pareto`.

    Args:
        store: the database.
        name: of the study.
        form: "json", "toml" or "csv".
        number: this trial. top: so many best ones. pareto: the front. With none of these the best trial, but as "csv"
            all of them, whatever their state.

    Raises:
        UsageError: there is no such study or trial, none completed, or more than one choice was made.
    """
    if [number, top, pareto or None].count(None) < 2:
        raise UsageError("--trial, --top and --pareto: give one of them")
    record = store.study(name)
    evaluation = evaluated(store, record)
    chosen_by = "search"
    if pareto:
        trials = front(store, record)
    elif top is not None:
        trials = best(store, record, top)
    elif form == "csv" and number is None:
        trials = store.trials(name)
    else:
        one, _, chosen_by = choose(store, record, number, evaluation)
        trials = [one]
    if form == "csv":
        return to_csv([row(record, trial) for trial in trials])
    documents = [
        document(record, trial, trial.outcome, chosen_by=chosen_by, evaluation=evaluation)
        for trial in trials
        if trial.outcome is not None
    ]
    several = pareto or top is not None
    if form == "toml":
        return to_toml({"trials": documents} if several else documents[0])
    return to_json(documents if several else documents[0])
