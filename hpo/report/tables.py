"""The tables of a search: what was asked, every trial, and the numbers of the figures, for who cannot see them."""

import math
from collections.abc import Sequence

from hpo.plots.scale import number
from hpo.render import duration, settings
from hpo.report.gather import Found, Tried
from hpo.report.hyperparameters import ordered
from hpo.report.table import Cell, Table, cells, count_cell, score_cell, seconds_cell
from hpo.space import Choice, Domain, Fixed, Float, Int

MOST_ROWS = 1000  # trials; of a longer study the best ones
LONG = 25  # rows from which a table is folded


# --- what was asked ------------------------------------------------------------------------------------------------


def asked(found: Found) -> Table:
    """The study in a dozen lines."""
    record, data = found.record, found.record.data
    definition = record.definition
    train, search, budget = definition.train, definition.search, definition.budget
    limits = {
        "trials": budget.trials, "hours": budget.hours, "GPU hours": budget.gpu_hours,
        "minutes for one trial": budget.trial_minutes,
    }  # fmt: skip
    length = f"up to {data.shape[0]}" if data.padded else str(data.shape[0])
    rows = [
        ("data", f"{data.name}: {data.n_train:,} windows outside of the test part"),
        ("windows", f"{length} time steps x {data.shape[1]} channels"),
        ("classes", f"{len(data.classes)}: {', '.join(data.classes)}"),
        ("split", record.split),
        ("families", ", ".join(record.spaces)),
        ("metric", ", ".join(train.metrics)),
        ("sampler, pruner", f"{search.sampler}, {search.pruner.name}"),
        (
            "training",
            f"at most {train.max_epochs} epochs, patience {train.patience}, {train.optimizer}, scaling {train.scaling}",
        ),
        ("budget", ", ".join(f"{limit:g} {name}" for name, limit in limits.items() if limit is not None) or "none"),
    ]
    if found.status.prior:
        rows.append(("knew before", ", ".join(f"{n} trials of {name}" for name, n in found.status.prior.items())))
    return Table("table-asked", "The study", ("", ""), tuple(cells(*row) for row in rows))


def space(found: Found) -> Table:
    """Every hyperparameter that is searched, family by family."""
    rows = [
        (*cells(family, name, _domain(domain), _plain(domain.default)), Cell(_when(domain)))
        for family, domains in found.record.spaces.items()
        for name, domain in domains.items()
        if not isinstance(domain, Fixed)
    ]
    columns = ("family", "hyperparameter", "values", "published default", "counts where")
    return Table("table-space", "The search space", columns, tuple(rows), folded=len(rows) > 12)


def _domain(domain: Domain) -> str:
    match domain:
        case Float() | Int():
            return f"{number(domain.low)} to {number(domain.high)}{', logarithmic' if domain.log else ''}"
        case Choice():
            return ", ".join(map(_plain, domain.values))
        case Fixed():
            return _plain(domain.default)


def _plain(value: object) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _when(domain: Domain) -> str:
    return "; ".join(f"{name} is {' or '.join(map(_plain, values))}" for name, values in (domain.when or {}).items())


# --- what was tried ------------------------------------------------------------------------------------------------


def families(found: Found) -> Table:
    """A line for each family, the best one first."""
    leaders = {family: next((one for one in found.best if one.family == family), None) for family in found.families}
    order = sorted(leaders, key=lambda family: found.best.index(one) if (one := leaders[family]) else len(found.best))
    columns = ("family", ">trials", ">completed", ">best", ">by trial", ">weights of the best", ">time")
    rows = tuple(_family(family, found.families[family], leaders[family]) for family in order)
    return Table("table-families", "Family by family", columns, rows)


def _family(name: str, trials: Sequence[Tried], best: Tried | None) -> tuple[Cell, ...]:
    outcome = best.record.outcome if best else None
    return (
        Cell(name),
        count_cell(len(trials)),
        count_cell(sum(one.completed for one in trials)),
        score_cell(best.value if best else None),
        count_cell(best.number if best else None),
        count_cell(outcome.parameters if outcome else None),
        seconds_cell(sum(one.seconds for one in trials if not math.isnan(one.seconds))),
    )


def importances(found: Found) -> Table:
    """All shares."""
    rows = tuple((Cell(name), Cell(f"{share:.1%}", share)) for name, share in found.importances.items())
    caption = "Importance of hyperparameters by PED-ANOVA"
    return Table("table-importance", caption, ("hyperparameter", ">share"), rows, folded=len(rows) > 12)


def front(found: Found) -> Table:
    """The trials that no other one beats."""
    metrics = found.record.definition.train.metrics
    rows = tuple(
        (
            count_cell(best.trial),
            *(count_cell(v) if name == "parameters" else score_cell(v) for name, v in best.values.items()),
            Cell(settings(best.params)),
        )
        for best in found.status.front
    )
    return Table("table-front", "The Pareto front", (">trial", *(f">{name}" for name in metrics), "settings"), rows)


def trials(found: Found) -> Table:
    """Every trial; of a long study the best ones, and then the last ones."""
    shown, note, several = found.trials, "", len(found.record.spaces) > 1
    if len(shown) > MOST_ROWS:
        rank = dict.fromkeys(one.number for one in (*found.best, *reversed(found.trials)))
        kept = set(list(rank)[:MOST_ROWS])
        shown = [one for one in found.trials if one.number in kept]
        note = (
            f"{len(shown):,} of {len(found.trials):,} trials; hpo export {found.record.name} --format csv writes all."
        )
    names = ordered(found)
    scores = [f">{metric}" for metric in found.record.definition.train.metrics]
    head = (">trial", "end", *scores, *(["family"] if several else []))
    columns = (*head, ">epochs", ">time", ">weights", ">attempts", "worker", "settings")
    rows = tuple(_trial(found, one, names) for one in shown)
    caption = "Trials" if note else "Every trial"
    return Table("table-trials", caption, columns, rows, note, folded=len(rows) > LONG)


def _trial(found: Found, one: Tried, names: Sequence[str]) -> tuple[Cell, ...]:
    outcome, metrics = one.record.outcome, found.record.definition.train.metrics
    others = (one.record.values or ())[1:]
    more = [*others, *[None] * (len(metrics) - 1 - len(others))]
    searched = {name: one.searched[name] for name in names if name in one.searched}
    end = one.cause if one.record.same_as is None else f"{one.cause}, as trial {one.record.same_as}"
    return (
        count_cell(one.number),
        Cell(end),
        score_cell(one.value),
        *(count_cell(v) if m == "parameters" else score_cell(v) for m, v in zip(metrics[1:], more, strict=True)),
        *([Cell(one.family or "-")] if len(found.record.spaces) > 1 else []),
        count_cell(outcome.epochs if outcome else None),
        seconds_cell(one.seconds),
        count_cell(outcome.parameters if outcome else None),
        count_cell(one.record.attempt),
        Cell(one.worker or "-"),
        Cell(settings(searched)),
    )


def curves(found: Found) -> Table:
    """The reported scores of the best trials, by fold and epoch: the same row means the same of both in all trials."""
    best = [one for one in found.best[:5] if one.reports]
    steps = sorted({step for one in best for step in one.reports})
    names, places = _places(found, steps)
    rows = tuple(
        (*map(count_cell, place), *(score_cell(one.reports.get(step)) for one in best))
        for step, place in zip(steps, places, strict=True)
    )
    columns = (*(f">{name}" for name in names), *(f">trial {one.number}" for one in best))
    caption = f"{found.metric} on {found.record.scored_on} by {names[-1]}, the best trials"
    return Table("table-curves", caption, columns, rows, folded=True)


def _places(found: Found, steps: Sequence[int]) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """What a step of a report is counted in, and each step so, from 1."""
    definition = found.record.definition
    if not definition.search.pruner.by_epoch:
        return ("fold",), [(step + 1,) for step in steps]
    places = [divmod(step, definition.train.max_epochs) for step in steps]
    if found.record.folds == 1:
        return ("epoch",), [(epoch + 1,) for _, epoch in places]
    return ("fold", "epoch"), [(fold + 1, epoch + 1) for fold, epoch in places]


# --- the work ------------------------------------------------------------------------------------------------------


def ends(found: Found) -> Table:
    """How trials ended, with their time."""
    rows = [
        (
            Cell(word),
            count_cell(len(those)),
            seconds_cell(sum(one.seconds for one in those if not math.isnan(one.seconds))),
        )
        for word, those in found.ends.items()
    ]
    return Table("table-ends", "How trials ended", ("end", ">trials", ">time"), tuple(rows))


def spent(found: Found) -> Table:
    """The budget and what became of it, in time of the clock and of the slots."""
    names = {"trials": "trials", "hours": "hours with a trial at work", "gpu_hours": "hours, summed over slots"}
    rows = [
        cells(names[name], f"{use.used:.4g}", "no limit" if use.limit is None else f"{use.limit:g}")
        for name, use in found.status.budget.items()
    ]
    parts = {"training": "in training, summed over slots", "overhead": "around it: data, building, scoring"}
    rows += [cells(parts[name], duration(seconds), "") for name, seconds in found.status.seconds.items()]
    later = {"evaluate": "the evaluation's trainings", "refit": "the winner's refits"}
    known = (found.evaluation or {}).get("seconds", {})
    rows += [cells(f"{later[part]}, of the clock", duration(known[part]), "") for part in later if part in known]
    return Table("table-spent", "What it took", ("", ">used", ">of"), tuple(rows))


def takeovers(found: Found) -> Table:
    """Trials with more than one attempt."""
    again = [one for one in found.trials if one.record.attempt > 1]
    rows = tuple(
        (*map(count_cell, (one.number, one.record.attempt, one.record.losses)), *cells(one.worker or "-", one.cause))
        for one in again
    )
    columns = (">trial", ">attempts", ">times lost", "last worker", "end")
    return Table("table-takeovers", "Trials that were taken over", columns, rows, folded=len(rows) > 10)


def failures(found: Found) -> Table:
    """The last words of trials that have no score, pruned ones aside."""
    rows = tuple(
        (count_cell(one.number), *cells(one.cause, one.family or "-", one.detail[:300]))
        for one in found.trials
        if one.detail and one.cause not in ("completed", "pruned", "budget")
    )[:200]
    return Table(
        "table-failures",
        "What trials without a score said last",
        (">trial", "end", "family", "last line"),
        rows,
        folded=len(rows) > 10,
    )
