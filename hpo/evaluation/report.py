"""What the test part says of the winner, as values for reports. Pure: predictions in, plain values out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data import Part
from hpo.evaluation.baselines import MAJORITY
from hpo.evaluation.compare import BETTER, EVEN, UNKNOWN, WORSE, spread
from hpo.evaluation.look import Seen
from hpo.evaluation.resample import Resampled
from hpo.scores import METRICS, confusion, per_class, per_group, score
from hpo.store import TrialRecord

WINNER = "the winner"
Values = dict[str, Any]


def tested(seen: Seen, metric: str, classes: Sequence[str]) -> Values:
    """Everything that is said of the test part: keys `test`, `baselines` and `against`.

    All scores are means over the refitted models; the confusion matrix is their sum. Against baselines it is `metric`
    that counts, but accuracy where that is the loss: most baselines know classes, and no probabilities. A model whose
    probabilities are not all finite has no score: it has its place in `values`, and counts nowhere else.
    """
    values = [score(seen.y, p)[metric] for p in seen.models]
    seen = replace(seen, models=[p for p in seen.models if np.isfinite(p).all()] or seen.models)
    compared = "accuracy" if metric == "loss" else metric
    predictors = {WINNER: seen.models, **{name: [p] for name, p in seen.baselines.items()}}
    resampled = Resampled(seen.y, seen.groups, predictors, compared)
    alone = resampled if compared == metric else Resampled(seen.y, seen.groups, {WINNER: seen.models}, metric)
    scores = [score(seen.y, p) for p in seen.models]
    return {
        "test": {
            "windows": len(seen.y),
            "groups": None if seen.groups is None else len(np.unique(seen.groups)),
            **asdict(spread([one[metric] for one in scores])),
            "interval": asdict(alone.mean(WINNER)),
            "values": values,
            "metrics": {name: asdict(spread([one[name] for one in scores])) for name in METRICS},
            "classes": list(classes),
            "per_class": _means([per_class(seen.y, p, classes) for p in seen.models]),
            "per_group": _means([per_group(seen.y, p, seen.groups) for p in seen.models]),
            "confusion_matrix": np.sum([confusion(seen.y, p, len(classes)) for p in seen.models], axis=0).tolist(),
        },
        "baselines": _baselines(seen, resampled, compared),
        "against": _against(seen, resampled, compared),
    }


def per_seed(
    seeds: Sequence[int],
    validated: Sequence[TrialRecord | None],
    refits: Mapping[int, TrialRecord],
    scores: Sequence[float],
) -> list[Values]:
    """A row for each seed: its validation and its test score.

    Args:
        seeds: of the plan.
        validated: the winner's trial of each seed.
        refits: index of the seed -> the refit that completed; in the order of `scores`.
    """
    tests = dict(zip(refits, scores, strict=True))
    rows = []
    for index, (seed, trial) in enumerate(zip(seeds, validated, strict=True)):
        refit = refits.get(index)
        outcome = refit.outcome if refit else None
        rows.append(
            {
                "seed": seed,
                "trial": trial.number if trial else None,
                # one that was pruned or diverged has the last value that it reported, which is no score
                "validation": trial.value if trial and trial.state == "complete" else None,
                "refit": refit.number if refit else None,
                "epochs": outcome.best_epochs[0] if outcome and outcome.best_epochs else None,
                "weights_sha256": outcome.weights_sha256 if outcome else None,
                "artifacts": refit.artifacts if refit else None,
                "test": tests.get(index),
            }
        )
    return rows


def validated(held: Sequence[Part], grouped: bool) -> int | None:
    """How many groups validated, or windows: whatever was drawn for the test's interval.

    Args:
        held: the validation parts of all folds.
        grouped: groups were drawn.

    Returns: None where groups were drawn and the validation parts have none.
    """
    if not grouped:
        return sum(len(part.y) for part in held)
    groups = [np.unique(part.groups) for part in held if part.groups is not None]
    return len(np.unique(np.concatenate(groups))) if groups else None


def optimism(search: float | None, validation: float, units: int | None, test: Values, metric: str) -> Values:
    """How much too good the scores before the test were; above 0 is too good, whichever way the metric goes.

    Args:
        search: the best value that the search saw; None without a search.
        validation: mean over fresh seeds.
        units: as `validated` returns it.
        test: as `tested` returns it.
        metric: which.

    Returns: `search` and `validation`, each minus the test mean; `chance`, what the second can come to if validation
        and test part are alike, given how few were drawn for both (None where nobody can tell); `beyond`, whether it is
        more.
    """
    sign = 1.0 if METRICS[metric] == "maximize" else -1.0
    if test["mean"] is None:  # the metric needs what the test part has not: a second class, say
        return {"search": None, "validation": None, "chance": None, "beyond": False}
    interval, gap = test["interval"], sign * (validation - test["mean"])
    edge = interval["high" if validation > test["mean"] else "low"]  # the score's room on that side
    # the validation part is as uncertain as the test part would be if it were as small
    chance = (
        None if edge is None or units is None else abs(edge - test["mean"]) * math.sqrt(1 + interval["units"] / units)
    )
    return {
        "search": None if search is None else sign * (search - test["mean"]),
        "validation": gap,
        "chance": chance,
        "beyond": chance is not None and gap > chance,
    }


def _baselines(seen: Seen, resampled: Resampled, metric: str) -> list[Values]:
    rows: list[Values] = []
    for name, p in seen.baselines.items():
        row: Values = {"name": name, **score(seen.y, p), "seconds": seen.seconds.get(name)}
        if name != MAJORITY and MAJORITY in seen.baselines:
            row["over_majority"] = _compared(resampled, name, MAJORITY, seen, [p], metric)
        rows.append(row)
    return rows + [{"name": name, "left_out": why} for name, why in seen.left_out.items()]


def _against(seen: Seen, resampled: Resampled, metric: str) -> list[Values]:
    """The winner against each baseline, the best baseline first."""
    found = [
        {"name": name, "metric": metric, "score": score(seen.y, p)[metric]}
        | _compared(resampled, WINNER, name, seen, seen.models, metric)
        for name, p in seen.baselines.items()
    ]
    return sorted(found, key=lambda row: (math.isnan(row["score"]), -row["score"]))


def _compared(
    resampled: Resampled, name: str, other: str, seen: Seen, models: Sequence[NDArray[Any]], metric: str
) -> Values:
    ours = float(np.mean([score(seen.y, p)[metric] for p in models]))
    difference = ours - score(seen.y, seen.baselines[other])[metric]
    interval = resampled.difference(name, other)
    low, high = interval.low, interval.high
    if low is None or high is None:
        verdict = {1: BETTER, -1: WORSE, 0: UNKNOWN}[resampled.sign(name, other)]
    else:
        verdict = BETTER if low > 0 else WORSE if high < 0 else EVEN
    return {"difference": difference, "low": low, "high": high, "verdict": verdict}


def _means(each: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Number by number the mean over models; NaN counts nowhere, and where all are NaN the mean is."""
    return {
        outer: {name: _mean([one[outer][name] for one in each]) for name in inner} for outer, inner in each[0].items()
    }


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
