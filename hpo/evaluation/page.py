"""An evaluation as tables for people. Pure: a report in, something that rich prints out."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpo.evaluation.words import between, plus_minus, sentences, trial_name
from hpo.render import duration, score, settings, signed

Report = dict[str, Any]
MANY = 12  # classes beyond which a confusion matrix is no longer printed


def page(report: Report) -> RenderableType:
    """Everything that `hpo evaluate` prints."""
    parts: list[RenderableType] = [
        Text(f"evaluation of study {report['study']}, {report['metric']}", style="bold"),
        _configurations(report),
        _seeds(report),
    ]
    if report["test"] is not None:
        parts += [_classes(report), *_groups(report), *_confusion(report), _baselines(report)]
    spaced = [Padding(part, (0, 0, 1, 0)) for part in parts]
    return Group(*spaced, *(Text(f"* {sentence}") for sentence in sentences(report)))


def plan_table(plan: Report) -> RenderableType:
    """What `hpo evaluate --dry-run` prints."""
    rows = Table.grid(padding=(0, 2))
    rows.add_row("study", Text(plan["study"], style="bold"))
    for i, configuration in enumerate(plan["configurations"]):
        value, searched = score(configuration["search_value"]), settings(configuration["searched"])
        rows.add_row("" if i else "train", f"{trial_name(configuration)}, {value}: {searched}")
    if plan["ended"]:
        rows.add_row("", "each with its seeds: this evaluation has ended, and its report would be shown")
        return rows
    rows.add_row(
        "", f"each with {plan['asked']['seeds']} fresh seeds: {plan['trainings']} trainings, {plan['done']} done"
    )
    if plan["refits"]:
        rows.add_row("then", f"the winner {plan['refits']} times on everything outside of the test part")
    rows.add_row("time", f"about {duration(plan['seconds'])} of one slot, as long as the search's trials took")
    return rows


def _table(*columns: str) -> Table:
    """The first column holds words, all others numbers."""
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    return table


def _configurations(report: Report) -> Table:
    table = _table("configuration", "search", "validation", "seeds")
    table.add_column("settings")
    for configuration in report["configurations"]:
        validation = configuration["validation"]
        table.add_row(
            trial_name(configuration),
            score(configuration["search_value"]),
            plus_minus(validation["mean"], validation["sd"]),
            f"{validation['n']} of {len(validation['values'])}",
            settings(configuration["searched"]),
        )
    return table


def _seeds(report: Report) -> Table:
    """The winner, seed by seed."""
    table = _table("the winner's seed", "validation", "epochs", "test")
    for row in report["per_seed"]:
        epochs = "" if row["epochs"] is None else str(row["epochs"])
        table.add_row(str(row["seed"]), score(row["validation"]), epochs, score(row["test"]))
    validation, test = report["configurations"][0]["validation"], report["test"] or {"mean": None, "sd": None}
    table.add_row(
        "mean +- sd", plus_minus(validation["mean"], validation["sd"]), "", plus_minus(test["mean"], test["sd"])
    )
    return table


def _classes(report: Report) -> Table:
    table = _table("class (test)", "windows", "precision", "recall", "F1", "AUROC")
    for name, row in report["test"]["per_class"].items():
        values = (score(row[key]) for key in ("precision", "recall", "f1", "auroc"))
        table.add_row(Text(name), f"{row['windows']:.0f}", *values)
    return table


def _groups(report: Report) -> Iterator[Table]:
    if not report["test"]["per_group"]:
        return
    names = list(dict.fromkeys([report["metric"], "accuracy"]))
    table = _table("group (test)", "windows", *names)
    for group, row in report["test"]["per_group"].items():
        table.add_row(group, f"{row['windows']:.0f}", *(score(row[name]) for name in names))
    yield table


def _confusion(report: Report) -> Iterator[Table]:
    test = report["test"]
    classes: Sequence[str] = test["classes"]
    if len(classes) > MANY:
        return
    table = _table(f"true class, all {test['n']} seeds", *(f"-> {number}" for number in range(len(classes))))
    for number, (name, row) in enumerate(zip(classes, test["confusion_matrix"], strict=True)):
        table.add_row(Text(f"{number} {name}"), *map(str, row))
    yield table


def _baselines(report: Report) -> Table:
    metric = report["metric"]
    names = list(dict.fromkeys([metric, "accuracy"]))
    table = _table("test part", *names, "the winner is ahead by")
    against = {row["name"]: row for row in report["against"]}
    test = report["test"]
    table.add_row("the winner", *(plus_minus(**_pair(test["metrics"][name])) for name in names), "")
    for row in report["baselines"]:
        if "left_out" in row:
            table.add_row(row["name"], *("-" for _ in names), Text(f"left out: {row['left_out']}"))
            continue
        found = against[row["name"]]
        ahead = f"{signed(found['difference'])}, {between(found['low'], found['high'])}"
        table.add_row(row["name"], *(score(row[name]) for name in names), ahead)
    return table


def _pair(spread: dict[str, Any]) -> dict[str, Any]:
    return {"mean": spread["mean"], "sd": spread["sd"]}
