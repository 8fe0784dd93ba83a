"""What people see: studies and trials as text and rich tables. Pure: values in, renderables out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hpo.store import Best, Status, TrialRecord, WorkerRecord

MARKS = {"complete": "green", "pruned": "yellow", "fail": "red", "running": "cyan", "waiting": "dim"}
MOST_OF_FRONT = 10  # trials that a page shows of a front


def duration(seconds: float) -> str:
    """A span of time in its two largest units: ``1 h 05 min``, ``3 min 20 s``, ``4.2 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def settings(params: dict[str, bool | int | float | str]) -> str:
    """Parameters on one line; with several families, the family first and the names without its prefix."""
    family = params.get("family")
    rest = {name.removeprefix(f"{family}."): value for name, value in params.items() if name != "family"}
    text = ", ".join(f"{name}={_short(value)}" for name, value in rest.items()) or "nothing searched"
    return f"{family}: {text}" if family else text


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def score(value: float | None) -> str:
    """A score with four decimals."""
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference of scores, with its sign."""
    return "-" if value is None else f"{value:+.4f}"


def values(found: Iterable[float]) -> str:
    """What a trial is worth by each metric: scores with four decimals, counts without."""
    return ", ".join(f"{v:,.0f}" if abs(v) > 1 and float(v).is_integer() else score(v) for v in found)


def best_words(best: Best) -> str:
    """Each metric with its value, and which trial it is."""
    return ", ".join(f"{metric} {values([value])}" for metric, value in best.values.items()) + f", trial {best.trial}"


def shown(status: Status) -> Sequence[Best]:
    """The best trial, or the first ones of the front."""
    return status.front[:MOST_OF_FRONT] or tuple(filter(None, [status.best]))


def ended_line(trial: TrialRecord, best: bool) -> str:
    """One finished trial in one line, for logs and pipes."""
    cause = trial.cause.value if trial.cause else trial.state
    seconds = trial.outcome.seconds.get("total") if trial.outcome else None
    epochs = f", {trial.outcome.epochs} epochs" if trial.outcome and trial.outcome.epochs else ""
    time = f" in {duration(seconds)}" if seconds else ""
    star = "  * best so far" if best else ""
    same = "" if trial.same_as is None else f", as trial {trial.same_as} was"
    worth = values(trial.values) if trial.values else score(trial.value)
    return f"trial {trial.number}: {cause} {worth}{same}{epochs}{time}  [{settings(trial.params)}]{star}"


def summary_line(status: Status) -> str:
    """Counts, budget and best in one line."""
    counts = status.counts
    parts = [f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['fail']} failed"]
    if counts["running"]:
        parts.append(f"{counts['running']} running")
    if status.repeated:
        parts.append(f"{status.repeated} answered from the record")
    limits = [f"{use.used:.4g} of {use.limit:g} {name}" for name, use in status.budget.items() if use.limit is not None]
    parts.append("budget " + ", ".join(limits))
    if status.front:
        parts.append(f"{len(status.front)} on the front; the first has {best_words(status.front[0])}")
    elif status.best:
        parts.append(f"best {status.metric} {score(status.best.value)} (trial {status.best.trial})")
    return "; ".join(parts)


def state(status: Status) -> str:
    """The study's state, and why it ended."""
    if not status.ending:
        return status.state
    return f"{status.state} ({status.ending}{' used up' if status.ending in status.budget else ''})"


def places(worker: WorkerRecord) -> str:
    """How many trials a worker has at a time, and on which GPUs."""
    gpus = list(dict.fromkeys(device for device in worker.devices if device))
    slots = f"{worker.slots} slot{'' if worker.slots == 1 else 's'}"
    if not gpus:
        return f"{slots}, CPU" if worker.devices else slots
    return f"{slots}, GPU{'s' if len(gpus) > 1 else ''} {', '.join(name[:12] for name in gpus)}"


def status_table(status: Status, evaluation: Mapping[str, Any] | None = None) -> RenderableType:
    """`hpo status`: everything about a study on half a screen.

    Args:
        status: of the study.
        evaluation: see `hpo.evaluated`; None where there is none.
    """
    table = Table.grid(padding=(0, 2))
    table.add_row("study", Text(status.study, style="bold"))
    table.add_row("state", state(status))
    table.add_row("trials", ", ".join(f"{n} {name}" for name, n in status.counts.items()))
    for name, use in status.budget.items():
        limit = "no limit" if use.limit is None else f"{use.limit:g}"
        table.add_row("budget" if name == "trials" else "", f"{name}: {use.used:.4g} of {limit}")
    for best in shown(status):
        table.add_row("best", best_words(best))
        table.add_row("", settings(best.params))
    if status.best is None:
        table.add_row("best", "no trial completed yet")
    if (more := len(status.front) - MOST_OF_FRONT) > 0:
        table.add_row("", f"and {more} more, which `hpo export {status.study} --pareto` has too")
    if evaluation is not None:
        table.add_row("evaluated", evaluation_words(evaluation))
    for word, cause, n in _causes(status):
        table.add_row(word, f"{n} x {cause}")
    if status.repeated:
        table.add_row("repeated", f"{status.repeated} answered from the record, not trained")
    for name, n in status.prior.items():
        table.add_row("knows", f"{n} trials of study {name}")
    for worker in status.workers:
        if worker.alive:
            table.add_row("worker", f"{worker.host}, pid {worker.pid}, {places(worker)}")
    seconds = status.seconds
    table.add_row("time", f"training {duration(seconds['training'])}, overhead {duration(seconds['overhead'])}")
    if status.state == "failed":
        table.add_row("failed", Text(status.last_failure[-2000:], style="red"))
    return table


def _causes(status: Status) -> Iterator[tuple[str, str, int]]:
    """What became of trials and of attempts at them, why, and how often."""
    for word, numbers in (("ended", status.failures), ("interrupted", status.interrupted)):
        for cause, n in numbers.items():
            yield word, cause, n


def evaluation_words(evaluation: Mapping[str, Any]) -> str:
    """An evaluation on one line."""
    winner = "its one setting" if evaluation["trial"] is None else f"trial {evaluation['trial']}"
    said = f"{winner}: {evaluation['metric']} {score(evaluation['validation']['mean'])} on validation"
    test = evaluation["test"]
    times = "once" if evaluation["opened"] == 1 else f"{evaluation['opened']} times"
    if test is None:
        return f"{said}, " + (
            f"not tested; the test part was opened {times}" if evaluation["opened"] else "test part not opened"
        )
    low, high = test["low"], test["high"]
    interval = "no interval" if low is None or high is None else f"95 % interval {score(low)} to {score(high)}"
    return f"{said}, {score(test['mean'])} on the test part ({interval}), which was opened {times}"


def trial_table(trial: TrialRecord) -> RenderableType:
    """`hpo show`: one trial."""
    table = Table.grid(padding=(0, 2))
    table.add_row("trial", str(trial.number))
    table.add_row("state", Text(trial.state, style=MARKS.get(trial.state, "")))
    table.add_row("ended", trial.cause.value if trial.cause else "-")
    table.add_row("value", values(trial.values) if trial.values else score(trial.value))
    if trial.same_as is not None:
        table.add_row("same as", f"trial {trial.same_as}: not trained again")
    for name, value in trial.params.items():
        table.add_row("", f"{name} = {_short(value)}")
    table.add_row("seed", str(trial.seed))
    table.add_row("attempt", str(trial.attempt))
    outcome = trial.outcome
    if outcome is None:
        return table
    for name, value in outcome.metrics.items():
        table.add_row("metric" if name == next(iter(outcome.metrics)) else "", f"{name} = {score(value)}")
    table.add_row("epochs", f"{outcome.epochs} (best: {', '.join(map(str, outcome.best_epochs)) or '-'})")
    table.add_row("parameters", "-" if outcome.parameters is None else f"{outcome.parameters:,}")
    table.add_row("seconds", ", ".join(f"{name} {value:.2f}" for name, value in outcome.seconds.items()))
    if outcome.peak_memory:
        table.add_row("memory", f"{outcome.peak_memory / 2**20:.0f} MiB at most")
    if outcome.detail:
        table.add_row("detail", Text(outcome.detail))
    return table


def listing(rows: Sequence[Status]) -> RenderableType:
    """`hpo list`: a line per study."""
    table = Table(box=None, pad_edge=False)
    words = ("study", "state", "metric")
    for column in (*words[:2], "complete", "pruned", "failed", "running", "metric", "best"):
        table.add_column(column, justify="left" if column in words else "right", no_wrap=True)
    for row in rows:
        counts = row.counts
        best = f"{row.metric} {score(row.best.value)}" if row.best else "-"
        best += f" (front of {len(row.front)})" if row.front else ""
        table.add_row(row.study, row.state, *(str(counts[k]) for k in ("complete", "pruned", "fail", "running")), best)
    return table
