"""A study's plots among those that Optuna Dashboard draws: what trials cost, what failed, how honest scores were."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeVar

from hpo.plots import DAY, Axis, Figure, Mark, Points, focus, plotly
from hpo.render import duration
from hpo.scores import OBJECTIVES
from hpo.store import Evaluation, StudyRecord, TrialRecord
from hpo.trial import INFEASIBLE

T = TypeVar("T")
MOST_POINTS = 1500  # of one kind: they are sent again with each look
# Drawn on a light card and on a dark one.
_LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": "#7a8496", "family": "Roboto, system-ui, sans-serif"},
    "margin": {"t": 60, "r": 30},
    "height": 450,
}
_GRID = {"gridcolor": "rgba(128,138,153,0.25)"}


def of_study(record: StudyRecord, trials: Sequence[TrialRecord], evaluation: Evaluation | None) -> list[dict[str, str]]:
    """The plots that there is something for, as the front-end takes them: `id` and `graph_object`, plotly's JSON."""
    ended = [trial for trial in trials if trial.cause is not None]
    report = None if evaluation is None else evaluation.report
    found = (_honesty(report), _cost(record, ended), _infeasible(record, ended))
    return [{"id": figure.key, "graph_object": _described(figure)} for figure in found if figure is not None]


def _described(figure: Figure) -> str:
    drawn = plotly(figure, DAY)
    layout = drawn["layout"] | _LAYOUT | {"title": {"text": figure.title}}
    layout |= {axis: drawn["layout"][axis] | _GRID for axis in ("xaxis", "yaxis")}
    return json.dumps({"data": drawn["data"], "layout": layout})


def _cost(record: StudyRecord, ended: Sequence[TrialRecord]) -> Figure | None:
    """What a trial took against what it was worth."""
    metric = record.definition.train.metrics[0]
    known = [t for t in ended if t.value is not None and t.outcome is not None and t.outcome.seconds.get("total")]
    if not known:
        return None
    low, high, _ = focus([trial.value or 0.0 for trial in known], OBJECTIVES[metric])
    looks: tuple[tuple[str, str, Mark], ...] = (("complete", "blue", "circle"), ("pruned", "orange", "square"))
    layers = []
    for state, color, mark in looks:
        those = _thinned([trial for trial in known if trial.state == state])
        layers.append(
            Points(
                x=tuple(_seconds(trial) for trial in those),
                y=tuple(trial.value or 0.0 for trial in those),
                name=state,
                color=color,
                mark=mark,
                hover=tuple(_hover(trial, metric) for trial in those),
            )
        )
    return Figure(
        key="hpo-cost",
        title="Cost against score",
        alt=f"{metric} of {len(known)} trials against the seconds that each took.",
        x=Axis("seconds of a trial", log=True),
        y=Axis(metric, low=low, high=high),
        layers=tuple(layer for layer in layers if layer.x),
    )


def _seconds(trial: TrialRecord) -> float:
    return trial.outcome.seconds["total"] if trial.outcome else 0.0


def _hover(trial: TrialRecord, metric: str) -> str:
    return f"trial {trial.number}\n{metric} {trial.value:.4f}\n{duration(_seconds(trial))}"


def _infeasible(record: StudyRecord, ended: Sequence[TrialRecord]) -> Figure | None:
    """Which share of the trials so far was infeasible: too large, out of memory, diverged and the like."""
    timed = sorted((t.finished_at, t.cause in INFEASIBLE, t.number) for t in ended if t.finished_at is not None)
    if not timed:
        return None
    shares = [count / i for i, count in enumerate(accumulate(bad for _, bad, _ in timed), 1)]
    rows = _thinned([(moment, share, number) for (moment, _, number), share in zip(timed, shares, strict=True)])
    return Figure(
        key="hpo-infeasible",
        title="Infeasible share over time",
        alt=f"{shares[-1]:.0%} of {len(timed)} trials were infeasible.",
        x=Axis("hours since the study began"),
        y=Axis("infeasible so far, share", low=-0.02, high=1.02),
        layers=(
            Points(
                x=tuple((moment - record.created_at) / 3600 for moment, _, _ in rows),
                y=tuple(share for _, share, _ in rows),
                color="red",
                mark="circle" if len(rows) < 60 else None,
                line="step",
                hover=tuple(f"after trial {number}\n{share:.1%}" for _, share, number in rows),
            ),
        ),
    )


def _honesty(report: dict[str, Any] | None) -> Figure | None:
    """The winner's score on validation and on the test part, a point for each seed."""
    if report is None or report.get("test") is None:
        return None
    seeds = [row for row in report["per_seed"] if row["validation"] is not None and row["test"] is not None]
    if not seeds:
        return None
    metric = report["metric"]
    validation, test = tuple(row["validation"] for row in seeds), tuple(row["test"] for row in seeds)
    ends = min(*validation, *test), max(*validation, *test)
    return Figure(
        key="hpo-honesty",
        title="Validation against test, each seed of the winner",
        alt=f"{metric} on validation and on the test part for {len(seeds)} seeds of the winner.",
        x=Axis(f"{metric} on validation"),
        y=Axis(f"{metric} on the test part"),
        layers=(
            Points(ends, ends, "as good on test", "grey", mark=None, line="straight", dashed=True),
            Points(
                validation,
                test,
                "a seed",
                "blue",
                size=10,
                hover=tuple(f"seed {s['seed']}\nvalidation {s['validation']:.4f}\ntest {s['test']:.4f}" for s in seeds),
            ),
        ),
    )


def _thinned(rows: Sequence[T]) -> list[T]:
    """Evenly so many that a page stays small; the last one is always there."""
    step = -(-len(rows) // MOST_POINTS)
    return [*rows[:: max(1, step)][:-1], rows[-1]] if rows else []
