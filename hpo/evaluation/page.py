"""An evaluation as tables for people. Pure: a report in, something that rich prints out."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpo.evaluation.words import plus_minus, sentences, trial_name
from hpo.render import duration, score, settings

Report = dict[str, Any]


def page(report: Report) -> RenderableType:
    """Everything that `hpo evaluate` prints."""
    head = Text(f"evaluation of study {report['study']}", style="bold")
    return Group(head, Text(), _configurations(report), Text(), *map(Text, sentences(report)))


def plan_table(plan: Report) -> RenderableType:
    """What `hpo evaluate --dry-run` prints."""
    rows = Table.grid(padding=(0, 2))
    rows.add_row("study", Text(plan["study"], style="bold"))
    for i, configuration in enumerate(plan["configurations"]):
        value, searched = score(configuration["search_value"]), settings(configuration["searched"])
        rows.add_row("" if i else "train", f"{trial_name(configuration)}, {value}: {searched}")
    rows.add_row(
        "", f"each with {plan['asked']['seeds']} fresh seeds: {plan['trainings']} trainings, {plan['done']} done"
    )
    rows.add_row("time", f"about {duration(plan['seconds'])} of one slot, as long as the search's trials took")
    return rows


def _configurations(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("configuration")
    for name in ("search", "validation", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
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
