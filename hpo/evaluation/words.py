"""What an evaluation found out, in plain sentences. Pure: a report in, sentences out."""

from collections.abc import Iterator
from typing import Any

from hpo.render import score

Report = dict[str, Any]


def sentences(report: Report) -> list[str]:
    """Everything that a reader must not miss, most important first."""
    return [*_winner(report), *_comparison(report)]


def trial_name(configuration: dict[str, Any]) -> str:
    """How people call a configuration: by the trial of the search that had it."""
    trial = configuration["trial"]
    return "the fixed setting" if trial is None else f"trial {trial}"


def plus_minus(mean: float | None, sd: float | None) -> str:
    """A mean with its standard deviation."""
    return score(mean) if sd is None else f"{score(mean)} +- {score(sd)}"


def _winner(report: Report) -> Iterator[str]:
    winner = report["configurations"][0]
    validation = winner["validation"]
    yield (
        f"The winner is {trial_name(winner)} ({winner['model']}): validation {report['metric']} "
        f"{plus_minus(validation['mean'], validation['sd'])} over {_seeds(validation['n'])}."
    )
    if winner["lacking"]:
        yield f"{len(winner['lacking'])} of its trainings have no score: {', '.join(sorted(set(winner['lacking'])))}."
    asked, there = report["asked"]["top"], len(report["configurations"])
    if 1 < there < asked:
        yield f"The search completed only {there} different configurations, {asked} were asked for."


def _comparison(report: Report) -> Iterator[str]:
    found = report["comparison"]
    if found is None:
        yield "There is one configuration only, so nothing to compare it with."
        return
    runner_up = trial_name(report["configurations"][1])
    if found["low"] is None:
        yield f"Whether it is better than {runner_up} cannot be said from {_seeds(found['n'])}."
        return
    interval = f"by {found['mean']:.4f}, 95 % interval {found['low']:.4f} to {found['high']:.4f}, {_seeds(found['n'])}"
    if found["verdict"] == "better":
        yield f"On validation it is better than the runner-up, {runner_up}: {interval}."
    else:
        yield f"On validation it is not distinguishable from the runner-up, {runner_up}: {interval}."


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
