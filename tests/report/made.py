"""A study as it is after a search of many trials, made without training one: rows, curves and reports in files.

Its names hold markup wherever somebody else's text may come in: whatever shows them has to show them as they are.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from sqlalchemy import MetaData, insert

from hpo import search
from hpo.curves import CURVES, REPORT
from hpo.evaluation import report as reporting
from hpo.evaluation.baselines import MAJORITY
from hpo.evaluation.look import Seen
from hpo.formats import finite, to_json
from hpo.search import Suggestion, stored_params
from hpo.space import Choice, Fixed, Float, Int, Params, Space, sample
from hpo.store import DataRecord, Evaluations, Plan, Store, StudyRecord, open_once
from hpo.trial import Cause, Result
from tests.evaluation.made import report as made_report
from tests.support import definition

EVIL = '<img src=x onerror="hacked=1">"\'&</script>'
CLASSES = ("walking", f"sitting{EVIL}", "lying")
BEGAN = 1_790_000_000.0
SPACES: dict[str, Space] = {
    "fcn": {
        "filters": Choice(default=64, values=(16, 32, 64)),
        "kernels": Choice(default="8-5-3", values=("8-5-3", "3-5-11")),
        "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
        "batch_size": Fixed(default=16),
    },
    "lstm": {
        "units": Int(low=8, high=128, log=True, default=32),
        "dropout": Float(low=0.0, high=0.8, default=0.5),
        "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
        "batch_size": Fixed(default=16),
    },
}
EPOCHS = 12
# of every twenty trials; the others are completed or pruned
OTHER_ENDS = {3: Cause.DIVERGED, 9: Cause.TOO_LARGE, 13: Cause.BUG, 17: Cause.OUT_OF_MEMORY}


def study(store: Store, name: str = "s", **changes: dict[str, Any]) -> StudyRecord:
    """The study, without a trial."""
    wanted: dict[str, dict[str, Any]] = {
        "data": {"source": "npz", "path": "data/a.npz"},
        "split": {"by": "group"},
        "model": {"family": ["fcn", "lstm"]},
        "train": {"max_epochs": EPOCHS, "patience": 5},
        "search": {"sampler": "tpe", "pruner": "median"},
    }
    data = DataRecord(
        name=f"hands{EVIL}", sha256="d" * 64, split_sha256="e" * 64, shape=(50, 6), n_train=1234, classes=CLASSES
    )
    versions = {"hpo": "0.1.0", "keras": f"3.0{EVIL}"}
    made = definition(name, budget={"trials": 5000}, **wanted | changes)
    store.create(made, spaces=SPACES, data=data, versions=versions)
    return store.study(name)


def fill(store: Store, record: StudyRecord, artifacts: Path, n: int) -> None:
    """Adds trials that ended in every way, and the files of those that completed; the families' defaults still wait.

    Optuna's own way takes a transaction for each trial; here they are written together.

    Args:
        store: the database.
        record: of the study.
        artifacts: root of the trials' files.
        n: how many trials ended.
    """
    rng = np.random.default_rng(0)
    spaces, metrics = search.distributions(record.spaces), record.definition.train.metrics
    written = {name: optuna.distributions.distribution_to_json(space) for name, space in spaces.items()}
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("trials", "trial_params", "trial_values", "trial_intermediate_values", "hpo_trials")
    }
    waiting = len(store.trials(record.name))
    for number in range(waiting, waiting + n):
        family = str(rng.choice(list(record.spaces)))
        params = stored_params(Suggestion(family, sample(record.spaces[family], rng)), record.spaces)
        result, reports = _result(number, params, rng, metrics[0])
        state, values = search.ending(result, metrics)
        begin, trial = BEGAN + 30.0 * (number // 2), number + 1_000_000
        times = {"datetime_start": datetime.fromtimestamp(begin)}  # noqa: DTZ006 - as Optuna notes it: in local time
        rows["trials"].append(
            {"trial_id": trial, "number": number, "study_id": record.study_id, "state": state.name, **times}
        )
        rows["trial_params"] += [
            {
                "trial_id": trial,
                "param_name": name,
                "param_value": spaces[name].to_internal_repr(value),
                "distribution_json": written[name],
            }
            for name, value in params.items()
        ]
        rows["trial_values"] += [
            {"trial_id": trial, "objective": i, "value": value, "value_type": "FINITE"}
            for i, value in enumerate(values or ())
        ]
        rows["trial_intermediate_values"] += [
            {
                "trial_id": trial,
                "step": step,
                "intermediate_value": value,
                "intermediate_value_type": "FINITE",
            }
            for step, value in enumerate(reports if len(metrics) == 1 else ())
        ]
        rows["hpo_trials"].append(_row(record, number, begin, result))
        if result.cause is Cause.COMPLETED:
            _files(artifacts / record.name / str(number), record, number, family, reports, result)
    worker = {"study_id": record.study_id, "host": f"node{EVIL}", "pid": 7, "slots": 2, "lease": 60.0}
    seen = {"started_at": BEGAN, "seen_at": BEGAN + 30.0 * n, "left_at": BEGAN + 30.0 * n}
    rows["hpo_workers"] = [{"worker": name, **worker, **seen} for name in ("a", "b")]
    known = MetaData()
    known.reflect(store.rdb.engine, only=list(rows))
    with store.rdb.engine.begin() as connection:
        for name, added in filter(lambda item: item[1], rows.items()):
            connection.execute(insert(known.tables[name]), added)


def _result(number: int, params: Params, rng: np.random.Generator, metric: str) -> tuple[Result, list[float]]:
    rate = next(float(value) for name, value in params.items() if name.endswith("learning_rate"))
    value = 0.9 - 0.1 * abs(np.log10(rate) + 2.5) + rng.normal(0, 0.02)
    reports = [float(value - 0.5 * np.exp(-epoch)) for epoch in range(EPOCHS)]
    right, reports = reports[-1], [1 - worth for worth in reports] if metric == "loss" else reports
    cause = OTHER_ENDS.get(number % 20, Cause.PRUNED if number % 3 == 2 else Cause.COMPLETED)
    reports = reports if cause is Cause.COMPLETED else reports[:4] if cause is Cause.PRUNED else []
    seconds = float(20 * rng.lognormal())
    completed = cause is Cause.COMPLETED
    result = Result(
        cause=cause,
        value=reports[-1] if completed else None,
        detail="" if completed else f"Traceback\n  in {EVIL}\nValueError: {EVIL}",
        metrics={"accuracy": right, "macro_f1": right - 0.01, "loss": 1 - right} if completed else {},
        parameters=int(rng.integers(1000, 90_000)),
        epochs=len(reports),
        best_epochs=(len(reports),) if completed else (),
        seconds={"fit": seconds, "total": seconds + 1},
        weights_sha256="a" * 64 if completed else None,
        versions={"hpo": "0.1.0", "cpu": f"a processor{EVIL}", "family": "b" * 64},
    )
    return result, reports


def _row(record: StudyRecord, number: int, begin: float, result: Result) -> dict[str, Any]:
    """Of every tenth trial the second attempt is recorded."""
    again = number % 10 == 4
    return {
        "study_id": record.study_id,
        "number": number,
        "seed": 1000 + number,
        "attempt": 2 if again else 1,
        "losses": int(again),
        "worker": "ab"[number % 2],
        "leased_at": begin + 12.0 * again,
        "expires_at": None,
        "outcome": json.loads(result.model_dump_json()),
        "cause": result.cause.value,
        "finished_at": begin + 29.0,
        "artifacts": f"{record.name}/{number}",
        "same_as": None,
    }


def _files(folder: Path, record: StudyRecord, number: int, family: str, reports: list[float], result: Result) -> None:
    folder.mkdir(parents=True)
    epochs = [
        {"loss": 1 - v, "val_loss": 1.1 - v, "accuracy": v, "val_accuracy": v - 0.02, "seconds": 1.0} for v in reports
    ]
    (folder / CURVES).write_text(to_json({"metric": "accuracy", "folds": [epochs]}))
    scores = {"windows": 20, "precision": 0.9, "recall": None, "f1": 0.8, "auroc": 0.95}
    report = {
        "study": record.name, "trial": number, "family": family, "metric": "accuracy",
        "pooled_metrics": {"accuracy": result.value}, "classes": list(CLASSES),
        "per_class": dict.fromkeys(CLASSES, scores),
        "per_group": {str(g): {"windows": 30, "accuracy": 0.8 + g / 50, "loss": 0.4} for g in range(4)},
        "confusion_matrix": [[18, 2, 0], [1, 19, 0], [0, 0, 20]],
    }  # fmt: skip
    (folder / REPORT).write_text(to_json(report))


def evaluate(store: Store, record: StudyRecord, *, ours: float = 0.95, best: float = 0.6, **changes: Any) -> None:
    """Records an evaluation whose winner is the study's best trial, against a baseline that is right so often."""
    found = store.status(record.name).best
    evaluations = Evaluations(store, record)
    begun = evaluations.begin(Plan(top=2, seeds=(1, 2, 3), configurations=()))
    whole = made_report(ours, best, record.definition.train.metric)
    report = whole | changes
    report["test"] = whole["test"] | report["test"]  # its hash and its openings
    for configuration, trial in zip(report["configurations"], (found.trial if found else 0, 1), strict=True):
        configuration |= {"trial": trial, "searched": found.params if found else {}}
    report |= {"study": record.name, "seeds": [1, 2, 3], "winner": "w"}
    evaluations.finish(begun.number, report)
    open_once(store, report["test"]["sha256"], study=record.name, purpose="p", who="me@here", again=False)


def undecided(lacking: str, metric: str) -> Any:
    """What an evaluation says of a test part that decides nothing, as changes for `evaluate`.

    Args:
        lacking: "score" for a test part of one class, which has no AUROC, "interval" for one of four people who all
            say the same.
        metric: of the study.
    """
    n = 20
    y = np.zeros(n, np.int64) if lacking == "score" else np.tile(np.array([0, 1], np.int64), n // 2)
    half = np.tile(np.array([0.6, 0.4], np.float32), (n, 1))
    seen = Seen(
        y=y, groups=None if lacking == "score" else np.arange(n) // 2 % 4, models=[np.eye(2, dtype=np.float32)[y]] * 3,
        baselines={MAJORITY: half, "MiniRocket": half}, left_out={}, seconds={},
    )  # fmt: skip
    found = reporting.tested(seen, metric, ["rest", "move"])
    rows = [{"seed": i, "validation": 0.9, "epochs": 4, "test": v} for i, v in enumerate(found["test"]["values"], 1)]
    return finite(
        {
            **found,
            "per_seed": rows,
            "optimism": reporting.optimism(0.95, 0.9, 8, found["test"], metric),
            "comparison": {"n": 3, "mean": 0.1, "low": None, "high": None, "verdict": "cannot be said"},
        }
    )
