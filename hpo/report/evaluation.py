"""Figures of an evaluation: what was promised and what came true, who was compared, what it had to beat."""

import math
from collections.abc import Sequence
from typing import Any

from hpo.evaluation.compare import BETTER, EVEN, UNKNOWN, WORSE
from hpo.evaluation.words import trial_name
from hpo.plots import Axis, Figure, Mark, Points
from hpo.plots.scores import by_class, by_group, confusion
from hpo.render import score, signed

Report = dict[str, Any]
VERDICTS: dict[str, tuple[str, Mark]] = {
    BETTER: ("green", "circle"),
    WORSE: ("red", "cross"),
    EVEN: ("grey", "square"),
    UNKNOWN: ("grey", "bar"),
}


def promise(report: Report) -> Figure | None:
    """The winner's score as the search saw it, over fresh seeds, and on the test part; None without a test score."""
    test = report["test"]
    if test is None:
        return None
    winner, metric = report["configurations"][0], report["metric"]
    validation, interval = winner["validation"], test["interval"]
    rows: list[tuple[str, float, float, float, str]] = []
    promised = report["optimism"].get("promised", winner["search_value"])  # older reports have the winner's
    if promised is not None:
        rows.append(("the search's best", promised, math.nan, math.nan, "one seed, chosen for its score"))
    sd = validation["sd"] or 0.0
    mean = validation["mean"]
    rows.append(
        ("fresh seeds, validation", mean, mean - sd, mean + sd, f"mean and standard deviation, n = {validation['n']}")
    )
    rows.append(
        ("fresh seeds, test part", _number(test["mean"]), _number(interval["low"]), _number(interval["high"]),
         f"mean and 95 % interval over {interval['over']} and seeds, n = {test['n']}")
    )  # fmt: skip
    colors = {"the search's best": "grey", "fresh seeds, validation": "blue", "fresh seeds, test part": "orange"}
    told = {name: score(None if math.isnan(value) else value) for name, value, *_ in rows}
    layers = []
    for place, (name, value, low, high, how) in enumerate(rows):
        drawn = not math.isnan(low)
        layers.append(
            Points(
                (value,), (float(place),), color=colors[name], size=11,
                mark="square" if "test" in name else "circle",
                low=(low,) if drawn else (), high=(high,) if drawn else (), along="x", width=3,
                hover=(f"{name}: {told[name]}\n{how}",),
            )
        )  # fmt: skip
    values = [value for value in test["values"] if value is not None]
    layers.append(
        Points(
            tuple(values), (len(rows) - 1 + 0.3,) * len(values), color="orange", mark="bar", size=9,
            hover=tuple(f"one seed on the test part: {score(value)}" for value in values),
        )
    )  # fmt: skip
    return Figure(
        key="promise",
        title="What was promised, what came true",
        alt=f"{metric}: {'; '.join(f'{name} {value}' for name, value in told.items())}.",
        note="Bars: standard deviation over seeds on validation, 95 % interval on the test part. Ticks: single seeds.",
        x=Axis(metric),
        y=Axis(categories=tuple(name for name, *_ in rows), downwards=True),
        layers=tuple(layers),
        height=90 + 44 * len(rows),
    )


def configurations(report: Report) -> Figure:
    """The compared configurations, seed by seed, on validation."""
    rows, metric = report["configurations"], report["metric"]
    names = tuple(f"{trial_name(row)}, {row['model']}" for row in rows)
    known = [(row, float(place)) for place, row in enumerate(rows) if row["validation"]["mean"] is not None]
    seeds = [
        (value, place + 0.22, f"{names[place]}\nseed {seed}: {score(value)}")
        for place, row in enumerate(rows)
        for seed, value in zip(report["seeds"], row["validation"]["values"], strict=False)
        if value is not None
    ]
    means = [(row["validation"]["mean"], row["validation"]["sd"] or 0.0, place) for row, place in known]
    seen = [(row["search_value"], place) for row, place in known if row["search_value"] is not None]
    told = [f"{name} {score(row['validation']['mean'])}" for name, row in zip(names, rows, strict=True)]
    layers = (
        Points(
            *_columns([(x, y) for x, y, _ in seeds]),
            name="a seed",
            mark="bar",
            size=9,
            hover=tuple(text for *_, text in seeds),
        ),
        Points(
            *_columns(seen),
            name="the search's value",
            color="grey",
            mark="cross",
            size=8,
            hover=tuple(f"the search's value {score(value)}" for value, _ in seen),
        ),
        Points(
            *_columns([(mean, place) for mean, _, place in means]),
            name="mean over fresh seeds",
            size=10,
            low=tuple(mean - sd for mean, sd, _ in means),
            high=tuple(mean + sd for mean, sd, _ in means),
            along="x",
            width=3,
            hover=tuple(f"mean {score(mean)}, standard deviation {score(sd)}" for mean, sd, _ in means),
        ),
    )
    return Figure(
        key="configurations",
        title="The compared configurations",
        alt=f"Validation {metric} of {len(rows)} configurations over {len(report['seeds'])} fresh seeds: "
        f"{'; '.join(told)}.{_verdict(report)}",
        note="Validation scores over fresh seeds, mean with standard deviation; crosses are what the search had seen.",
        x=Axis(metric),
        y=Axis(categories=names, downwards=True),
        layers=layers,
        height=110 + 44 * len(rows),
    )


def _verdict(report: Report) -> str:
    found = report["comparison"]
    if not found:
        return ""
    if found["verdict"] == UNKNOWN:
        return " Whether the first one is better than the second cannot be said."
    return f" The first one is {found['verdict']} {'from' if found['verdict'] == EVEN else 'than'} the second."


def _columns(rows: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(x for x, _ in rows), tuple(y for _, y in rows)


def ahead(report: Report) -> Figure | None:
    """By how much the winner is ahead of each baseline on the test part; None where there are none."""
    rows = report.get("against") or []
    if not rows:
        return None
    zero = Points((0.0, 0.0), (-0.5, len(rows) - 0.5), color="grey", mark=None, line="straight", dashed=True, width=1)
    leads = [f"{row['name']} {signed(row['difference'])} ({row['verdict']})" for row in rows]
    return Figure(
        key="ahead",
        title="Against the baselines, on the test part",
        alt=f"By how much the winner is ahead: {'; '.join(leads)}.",
        note="Right of zero the winner is better. Bars are 95 % intervals: a circle lies clear of zero, a square does "
        "not, a cross is a baseline that is better, and a bar could not be judged.",
        x=Axis(f"difference in {rows[0]['metric']}"),
        y=Axis(categories=tuple(row["name"] for row in rows), downwards=True),
        layers=(zero, *(_lead(row, float(place)) for place, row in enumerate(rows))),
        height=90 + 40 * len(rows),
    )


def _lead(row: Report, place: float) -> Points:
    color, mark = VERDICTS[row["verdict"]]
    known = row["low"] is not None and row["high"] is not None
    lead = f"the winner is ahead by {signed(row['difference'])}: {row['verdict']}"
    return Points(
        x=(_number(row["difference"]),),
        y=(place,),
        color=color,
        mark=mark,
        size=10,
        low=(row["low"],) if known else (),
        high=(row["high"],) if known else (),
        along="x",
        width=3,
        hover=(f"{row['name']}: {score(row['score'])}\n{lead}",),
    )


def outcomes(report: Report, on: str = "") -> list[Figure]:
    """Class by class, group by group and the confusion matrix, on the test part, or of a trial.

    Args:
        report: of an evaluation that opened the test part, or of a trial.
        on: what a trial's scores come from, in words.
    """
    if "test" in report:
        scores, key = report["test"], "test"
        of = f"the test part, {report['test']['n']} refitted models together"
        mean = scores["mean"]
    else:
        scores, key, of = report, "validation", f"{on}, trial {report['trial']}"
        mean = report["pooled_metrics"].get(report["metric"])
    groups = scores["per_group"]
    return [
        confusion(scores["classes"], scores["confusion_matrix"], key=f"{key}-confusion", of=of),
        by_class(scores["per_class"], key=f"{key}-classes", of=of),
        *([by_group(groups, report["metric"], key=f"{key}-groups", of=of, mean=mean)] if groups else []),
    ]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
