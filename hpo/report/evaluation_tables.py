"""The tables of an evaluation: configurations, seeds, baselines; scores by class and group, confusion matrix."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.evaluation.words import between, plus_minus, trial_name
from hpo.render import settings, signed
from hpo.report.table import UNKNOWN, Cell, Table, cells, count_cell, known, score_cell, seconds_cell


def evaluated(report: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of an evaluation: configurations, seeds, baselines."""
    rows = []
    for row in report["configurations"]:
        validation = row["validation"]
        rows.append(
            (
                *cells(trial_name(row), row["model"]),
                score_cell(row["search_value"]),
                _mean(validation),
                Cell(f"{validation['n']} of {len(validation['values'])}"),
                Cell(settings(row["searched"])),
            )
        )
    columns = ("configuration", "family", ">search", ">validation", ">seeds", "settings")
    yield Table("table-configurations", "The compared configurations, best first", columns, tuple(rows))
    seeds = tuple(
        (Cell(str(row["seed"])), score_cell(row["validation"]), count_cell(row["epochs"]), score_cell(row["test"]))
        for row in report["per_seed"]
    )
    yield Table(
        "table-seeds", "The winner, seed by seed", (">seed", ">validation", ">epochs of the refit", ">test"), seeds
    )
    if report["test"] is not None:
        yield _baselines(report)


def _baselines(report: Mapping[str, Any]) -> Table:
    metric, test = report["metric"], report["test"]
    names = list(dict.fromkeys([metric, "accuracy"]))
    against = {row["name"]: row for row in report["against"]}
    winner = (Cell("the winner"), *(_mean(test["metrics"][name]) for name in names), *cells("", "", ""))
    rows = [_baseline(row, against.get(row["name"]), names) for row in report["baselines"]]
    columns = ("on the test part", *(f">{name}" for name in names), ">the winner is ahead by", "verdict", ">seconds")
    return Table("table-baselines", "The winner and the baselines", columns, (winner, *rows))


def _baseline(row: Mapping[str, Any], lead: Mapping[str, Any] | None, names: Sequence[str]) -> tuple[Cell, ...]:
    name = Cell(row["name"])
    if lead is None:
        return (name, *cells(*("-" for _ in names)), *cells("", f"left out: {row['left_out']}", ""))
    ahead = Cell(signed(lead["difference"]), lead["difference"] if known(lead["difference"]) else UNKNOWN)
    verdict = Cell(f"{lead['verdict']}, {between(lead['low'], lead['high'])}")
    seconds = seconds_cell(math.nan if row["seconds"] is None else row["seconds"])
    return (name, *(score_cell(row[each]) for each in names), ahead, verdict, seconds)


def scores(report: Mapping[str, Any], on: str = "") -> Iterator[Table]:
    """Class by class, group by group, and the confusion matrix: of the test part, or `on` what a trial's come from."""
    tested = report.get("test")
    source, key = (tested, "test") if tested else (report, "validation")
    of = "on the test part, means over the refitted models" if tested else f"on {on}, trial {report['trial']}"
    columns = ("class", ">windows", ">precision", ">recall", ">F1", ">AUROC")
    rows = [
        (
            Cell(name),
            count_cell(row["windows"]),
            *(score_cell(row[score]) for score in ("precision", "recall", "f1", "auroc")),
        )
        for name, row in source["per_class"].items()
    ]
    yield Table(f"table-{key}-classes", f"Class by class, {of}", columns, tuple(rows))
    if source["per_group"]:
        names = list(dict.fromkeys([report["metric"], "accuracy", "macro_f1", "loss"]))
        groups = [
            (Cell(name), count_cell(row["windows"]), *(score_cell(row.get(n)) for n in names))
            for name, row in source["per_group"].items()
        ]
        heads = ("group", ">windows", *(f">{name}" for name in names))
        yield Table(f"table-{key}-groups", f"Group by group, {of}", heads, tuple(groups))
    classes: Sequence[str] = source["classes"]
    matrix = [
        (Cell(name), *(Cell(str(n), n) for n in row))
        for name, row in zip(classes, source["confusion_matrix"], strict=True)
    ]
    summed = "sum over the refitted models" if tested else f"trial {report['trial']}"
    heads = ("true class", *(f">as {name}" for name in classes))
    yield Table(f"table-{key}-confusion", f"Confusion matrix, {summed}", heads, tuple(matrix), folded=len(classes) > 8)


def _mean(found: Mapping[str, Any]) -> Cell:
    text = plus_minus(found["mean"], found["sd"]).replace("+-", "±")
    return Cell(text, found["mean"] if known(found["mean"]) else UNKNOWN)
